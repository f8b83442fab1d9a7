"""A learner between two sessions, as bytes: exactly what it was.

Learning from ten runs in ten sessions gives the same policy as learning from them at once. So
numbers are kept in full, and rows of features as the memory holds them.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_aqe.errors import AqeError
from pytest_aqe.learning.features import FEATURES, Past
from pytest_aqe.learning.guard import Guard, Guarded
from pytest_aqe.learning.qlearning import PRESETS
from pytest_aqe.learning.ranking import Lesson

if TYPE_CHECKING:
    from pytest_aqe.learning.outcomes import Names

FORMAT = 1
_SCALARS = ("clock", "failures", "executions", "heat", "hours")
_GUARD = ("learner_in_force", "exponents", "means", "weight", "differences", "since", "loss",
          "scored")  # fmt: skip


def pack(past: Past, guarded: Guarded) -> bytes:
    """Write everything but lessons and co-failures, which change little from run to run."""
    arrays: dict[str, Any] = {"numbers": np.array(past.numbers, np.int64)}
    for kind, group in past.groups().items():
        for name, array in group.items():
            arrays[f"{kind}.{name}"] = array
    for level, (counts, sums) in enumerate(zip(past.table.counts, past.table.sums, strict=True)):
        arrays[f"table.{level}"] = np.stack([counts, sums])
    linear = guarded.learner.learner
    arrays["weights"] = np.stack([linear.weights, linear.squares, linear.prior])
    told = {
        "format": FORMAT,
        "features": FEATURES,
        "past": {name: getattr(past, name) for name in _SCALARS},
        "paths": past.paths,
        "words": past.words,
        "lessons": guarded.learner.lessons,
        "preset": guarded.learner.preset,
        "guard": {name: getattr(guarded.guard, name) for name in _GUARD},
    }
    arrays["told"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return zlib.compress(file.getvalue(), 1)


def unpack(content: bytes, names: Names, past: Past, guarded: Guarded) -> None:
    """Read what `pack` wrote into a fresh `Past` and `Guarded`; tests that are gone stay out.

    Raise `AqeError` where another version with other features wrote it.
    """
    try:
        with np.load(io.BytesIO(zlib.decompress(content)), allow_pickle=False) as arrays:
            told = json.loads(arrays["told"].tobytes())
            if told["format"] != FORMAT or told["features"] != list(FEATURES):
                raise AqeError("the learner's state is another version's")
            found = {name: arrays[name] for name in arrays.files}
    except (ValueError, KeyError, zlib.error, OSError) as error:
        raise AqeError(f"the learner's state cannot be read ({error})") from error
    numbers = found["numbers"].tolist()
    here = np.array([number in names for number in numbers], np.bool_)
    past.resume(
        [(number, *names[number]) for number in numbers if number in names],
        told["paths"],
        told["words"],
        {
            kind: {
                name.partition(".")[2]: array[here] if kind == "tests" else array
                for name, array in found.items()
                if name.startswith(f"{kind}.")
            }
            for kind in ("tests", "files", "folders", "tokens")
        },
    )
    for name, value in told["past"].items():
        setattr(past, name, value)
    for level in range(len(past.table.counts)):
        counts, sums = found[f"table.{level}"]
        past.table.counts[level], past.table.sums[level] = counts.copy(), sums.copy()
    linear = guarded.learner.learner
    linear.weights, linear.squares, linear.prior = (each.copy() for each in found["weights"])
    guarded.learner.preset = told["preset"]
    linear.step, linear.pull = PRESETS[told["preset"]].alpha, PRESETS[told["preset"]].pull
    guarded.learner.lessons = told["lessons"]
    guarded.guard = Guard()
    for name, value in told["guard"].items():
        setattr(guarded.guard, name, value)


def fresh_lessons(guarded: Guarded) -> dict[int, bytes]:
    """Return the lessons that no session kept yet, by their place in the memory."""
    memory, count = guarded.learner.memory, guarded.learner.lessons
    first = max(guarded.learner.kept, count - memory.capacity)
    items = memory.items
    places = [each % memory.capacity for each in range(first, count)]
    return {place: pack_lesson(items[place].lesson()) for place in places}


def pack_lesson(lesson: Lesson) -> bytes:
    """Write one lesson."""
    file = io.BytesIO()
    np.savez(file, features=lesson.features, failed=lesson.failed, importance=lesson.importance)
    return zlib.compress(file.getvalue(), 1)


class Packed:
    """A lesson as it was kept, read when it is learnt again."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def lesson(self) -> Lesson:
        """Read it."""
        with np.load(io.BytesIO(zlib.decompress(self._content)), allow_pickle=False) as arrays:
            return Lesson(arrays["features"], arrays["failed"], arrays["importance"])


def unpack_lessons(kept: Mapping[int, bytes], guarded: Guarded) -> None:
    """Put lessons back into the memory, each in its place."""
    learner = guarded.learner
    learner.memory.resume([Packed(kept[place]) for place in sorted(kept)], learner.lessons)
    learner.kept = learner.lessons
