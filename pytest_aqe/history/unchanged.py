"""That nothing had to run, kept beside the history: what it held for holds while nothing changed.

Looking into the history to learn once more that every test is left out costs more than all
else such a session does (DuckDB's import alone a quarter). So the last time that happened is
written down with all it was concluded from. Any difference, in a file, in what is installed,
in the settings or in the history itself, and it is as if this file were not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pytest_aqe.data import Version
from pytest_aqe.history.runfile import waiting

NAME = "unchanged.json"
_FORMAT = 1

State = Callable[[Collection[str]], Mapping[str, Version | None]]


class Unchanged(NamedTuple):
    """The runs of the history, and the files whose tests are all left out, with their number."""

    runs: int
    unvisited: Mapping[str, int]


def note(
    history: Path, key: str, state: Mapping[str, Version | None], unchanged: Unchanged
) -> None:
    """Write down that with this history, settings and state no test has to run."""
    content = {
        "format": _FORMAT,
        "history": _stamp(history),
        "key": key,
        "state": dict(state),
        "runs": unchanged.runs,
        "unvisited": dict(unchanged.unvisited),
    }
    partial = history.parent / f"{NAME}.{os.getpid()}"
    with suppress(OSError):
        partial.write_text(json.dumps(content), "utf-8")
        partial.replace(history.parent / NAME)


def recall(history: Path, key: str, state: State) -> Unchanged | None:
    """Return what was written down, if it holds now; None also when that cannot be told."""
    try:
        content = json.loads((history.parent / NAME).read_text("utf-8"))
        then = content["state"]
        if (
            content["format"] != _FORMAT
            or content["key"] != key
            or content["history"] != _stamp(history)
            or waiting(history.parent)
            or dict(state(then)) != then
        ):
            return None
        return Unchanged(int(content["runs"]), dict(content["unvisited"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _stamp(history: Path) -> list[int]:
    status = history.stat()
    return [status.st_mtime_ns, status.st_size, status.st_ino]
