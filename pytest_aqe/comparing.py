"""What differs now from what past runs saw, and which of the tests they know that reaches.

A run is told by its versions of files; a file that differs is told piece by piece. Nothing of
the project is imported, and a file that is the same as then is hashed but never parsed.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_aqe.data import Version
from pytest_aqe.evidence import tree
from pytest_aqe.evidence.configuration import CONFIGURATION, meaning
from pytest_aqe.evidence.environment import git_bytes
from pytest_aqe.evidence.ground import (
    Differing,
    Effect,
    Ground,
    configuration_files,
    content_of,
    state,
)
from pytest_aqe.evidence.versions import ABSENT
from pytest_aqe.history import affected
from pytest_aqe.history.affected import Conditional, Reached, Usable
from pytest_aqe.history.store import Connection

if TYPE_CHECKING:
    from pytest_aqe.evidence.differences import Differences


class Base(NamedTuple):
    """A commit that the change is measured against as well, and the files that differ."""

    commit: str
    files: tuple[str, ...]


class Comparison(NamedTuple):
    """What differs now from each of some runs, and what that does to the tests they know.

    ``runs`` are those of which something is still known, latest first; where that is none,
    ``full`` says why.
    """

    runs: list[int]
    now: Mapping[str, Version | None]
    differing: Sequence[Differing] = ()
    effect: Effect = Effect()
    tests: Sequence[Reached] = ()
    full: str | None = None

    def cause(self, piece: tuple[str, str]) -> str | None:
        """Return what changed where a piece only notices that; None where it changed itself."""
        effect = self.effect
        if any(piece in pieces for _, _, pieces in effect.conditional) and not any(
            (run, piece[0], name) in effect.changed
            for run in self.runs
            for name in (piece[1], None)
        ):
            return next(file for _, file, pieces in effect.conditional if piece in pieces)
        files = {file for run in self.runs for file in effect.files.get(run, ())} - {tree.PROJECT}
        if piece[0].startswith("<") or piece[0] in files or not files:
            return None
        return min(files) if len(files) == 1 else f"one of {len(files)} files that differ"


def compare(
    connection: Connection, ground: Ground, usable: Sequence[Usable], base: Base | None
) -> Comparison:
    """Compare what is there now with the newest run of each test.

    With an older one only where a file that differs is again as it was there, as it is back on
    a branch: each run takes its time.
    """
    newest = [run.run_no for run in usable if run.newest]
    older = [run.run_no for run in usable if not run.newest]
    compared = _compare(connection, ground, newest, base)
    if older and compared.differing:
        back = _returned_to(connection, ground, older, compared)
        if back:
            return _compare(connection, ground, sorted({*newest, *back}, reverse=True), base)
    return compared


def forget() -> None:
    """Give back what was read of the project's files, where any was: see `readings.forget`."""
    readings = sys.modules.get("pytest_aqe.evidence.readings")
    if readings is not None:
        readings.forget()


def _compare(
    connection: Connection, ground: Ground, runs: list[int], base: Base | None
) -> Comparison:
    now = state(ground, affected.known_files(connection, runs))
    differing = [
        each
        for each in (Differing(*row) for row in affected.differing(connection, runs, now))
        # what another run used and this one did not is not new
        if each.seen
        or each.file.endswith(".py")
        or each.file.startswith((tree.INSTALLED, CONFIGURATION))
    ]
    differences, effect = None, Effect()
    if differing or base is not None:
        differences = _differences(connection, ground, differing, now)
        effect = differences.effect(differing, now.keys(), affected.opened(connection))
    known = [run for run in runs if run not in effect.full]
    _note_new_files(connection, ground, effect)
    compared = Comparison(known, now, differing, effect)
    if not known:
        return compared._replace(full=effect.full[runs[0]])
    changed = set(effect.changed)
    if base is not None and differences is not None:
        before = _at(ground.root, base.commit)
        for file in configuration_files(ground):
            content = before(file) if file in base.files else None
            then = meaning(file, content) if content is not None else ABSENT
            if file in base.files and meaning(file, content_of(ground, file)) != then:
                return compared._replace(full=f"{file} changed since the base")
        for file, name in differences.since_base(base.files, before):
            changed |= {(run, file, name) for run in known}
    tests = affected.reached(
        connection,
        ground.suite,
        known,
        [each for each in changed if each[0] in known],
        [Conditional(*each) for each in effect.conditional if each[0] in known],
    )
    return compared._replace(tests=tests)


def _note_new_files(connection: Connection, ground: Ground, effect: Effect) -> None:
    """Name the files that are new where others are there than a run saw: a glob may match one."""
    runs = [run for run, files in effect.files.items() if tree.PROJECT in files]
    there = tree.project_files(ground.root) if runs else []
    for run in runs:
        effect.files[run].update({*there}.difference(affected.known_files(connection, [run])))


def _returned_to(
    connection: Connection, ground: Ground, older: Sequence[int], compared: Comparison
) -> set[int]:
    """Return the older runs that saw something of what differs as it is now.

    A whole file; or, of a file that differs in several pieces, one of these.
    """
    from pytest_aqe.evidence.readings import pieces_of

    seen = {(each.file, each.version) for each in compared.differing}
    rows = affected.versions(connection, older, {file for file, _ in seen})
    back = {run for run, file, version in rows if version == compared.now.get(file)}
    others = [(run, (file, version)) for run, file, version in rows if run not in back]
    asked = seen.union(key for _, key in others)
    known = affected.pieces_at(
        connection, [(file, it) for file, it in asked if it is not None and file.endswith(".py")]
    )
    now = {
        file: pieces_of(content_of(ground, file)).checksums.items()
        for file in {file for file, _ in known}
        if compared.now.get(file) not in (None, ABSENT)
    }
    differing = {
        (file, version): {piece for piece, _ in pieces.checksums.items() ^ now[file]}
        for (file, version), pieces in known.items()
        if file in now
    }
    changed: dict[str, set[str]] = defaultdict(set)
    for file, version in differing.keys() & seen:
        changed[file] |= differing[file, version]
    return back | {
        run for run, key in others if key in differing and changed[key[0]] - differing[key]
    }


def _differences(
    connection: Connection,
    ground: Ground,
    differing: Collection[Differing],
    now: Mapping[str, Version | None],
) -> Differences:
    """Return what compares files; imported where anything differs at all: it takes a while."""
    from pytest_aqe.evidence.differences import Differences
    from pytest_aqe.evidence.readings import keep_in

    keep_in(ground.folder)
    wanted = {
        (each.file, version)
        for each in differing
        if each.version is not None and each.file.endswith(".py")
        for version in (each.version, now.get(each.file) or ABSENT)
    }
    old = affected.pieces_at(connection, wanted)
    python_files = tuple(file for file in now if file.endswith(".py") and now[file] != ABSENT)
    return Differences(ground.root, python_files, lambda *key: old.get(key))


def _at(root: Path, commit: str) -> Callable[[str], bytes | None]:
    """Return what reads a file as it was in a commit; None where it was not there."""
    return lambda file: git_bytes(root, "show", f"{commit}:{file}")
