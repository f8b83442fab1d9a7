"""Selection, from the history and the work tree to a decision; asked by sessions and commands.

The history says what each test depended on when it last passed, the work tree what of that
is different now, and `learning.impact` what follows. Nothing of the project is imported, and
a file that is the same as then is hashed but never parsed.
"""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_aqe.data import Depends, Identity, NodeId, Version
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
from pytest_aqe.learning.impact import Decision, Known, decide

if TYPE_CHECKING:
    from pytest_aqe.evidence.differences import Differences


class Base(NamedTuple):
    """A commit that the change is measured against as well, and the files that differ."""

    commit: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """What selection decided, or why it cannot: then ``full`` says why everything runs."""

    decision: Decision | None
    full: str | None
    files: tuple[str, ...] = ()  # that differ from what the latest run saw
    new: tuple[str, ...] = ()  # pytest arguments, from the root: tests the latest run had not
    ran: frozenset[Identity] = frozenset()  # tests that ran what changed, not only imported it
    only: Mapping[Identity, frozenset[NodeId]] = field(default_factory=dict)  # see `data.Plan`
    unvisited: Mapping[str, int] = field(default_factory=dict)  # see `data.Plan`
    state: Mapping[str, Version | None] = field(default_factory=dict)  # what was looked at
    carried: Mapping[Identity, Depends] = field(default_factory=dict)  # see `data.Plan`
    since: Mapping[str, Sequence[Identity]] = field(default_factory=dict)
    """The tests that are left out, by the run since which nothing of them has changed."""


@contextmanager
def _without_sweeping() -> Iterator[None]:
    """Look for no garbage meanwhile.

    A syntax tree is tens of thousands of objects without a circle, which are looked through.
    """
    sweeping = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if sweeping:
            gc.enable()


@_without_sweeping()
def select(
    connection: Connection,
    ground: Ground,
    *,
    base: Base | None,
    failed: Collection[Identity],
    probe: float,
    seed: str,
    runs_all: bool = False,
) -> Selected:
    """Decide which known tests run. Reads the history and the work tree, writes neither.

    Of a test the newest run that knows it is compared, and an older one only where a file that
    differs is again as it was there, as it is back on a branch: each run takes its time.
    Where the session ``runs_all`` anyway, what those depend on that need not is looked up too.
    """
    usable, reason = _usable_runs(connection, ground)
    if not usable:
        return Selected(None, reason)
    newest = [run.run_no for run in usable if run.newest]
    older = [run.run_no for run in usable if not run.newest]
    compared = _compare(connection, ground, base, newest)
    if older and compared.differing:
        back = _returned_to(connection, ground, older, compared)
        if back:
            compared = _compare(connection, ground, base, sorted({*newest, *back}, reverse=True))
    if compared.full is not None:
        return Selected(None, compared.full)
    runs, effect, tests = compared.runs, compared.effect, compared.tests
    files = {run: sorted(found) for run, found in effect.files.items()}
    decision = decide(
        [Known(each.identity, each.clean, each.piece, each.doubt, each.globs) for each in tests],
        failed=failed,
        differing=files,
        since_base=base.files if base else (),
        probe=probe,
        seed=seed,
        hidden={file for found in files.values() for file in found if _is_hidden(file)},
    )
    only = affected.shared_names(
        connection,
        ground.suite,
        {each.identity: each.clean for each in tests if each.identity in decision.left_out},
    )
    left_out = {
        each.identity: each.clean[0] for each in tests if each.identity in decision.left_out
    }
    unvisited = _unvisited(
        affected.collected(connection, runs),
        {(each.run_no, each.file) for each in compared.differing},
        {
            each.identity: (each.clean, len(only.get(each.identity, "1")))
            for each in tests
            if each.identity in decision.left_out
        },
    )
    carried: dict[Identity, Depends] = {}
    since: dict[str, list[Identity]] = {}
    if runs_all:
        alone = {name: run for name, run in left_out.items() if name not in only}
        carried = affected.carried(connection, ground.suite, alone)
    else:
        run_ids = {run.run_no: run.run_id for run in usable}
        for each in tests:
            if each.identity in left_out and _is_there(each, unvisited):
                since.setdefault(run_ids[each.clean[0]], []).append(each.identity)
    gone = {name for name in decision.runs if name.partition("::")[0] in unvisited}
    decision = decision._replace(
        runs={name: why for name, why in decision.runs.items() if name not in gone}
    )
    return Selected(
        decision,
        None,
        tuple(file for file in files.get(runs[0], ()) if file != tree.PROJECT),
        tuple(sorted(_new_tests(effect, runs[0]))),
        frozenset(each.identity for each in tests if each.ran),
        only,
        {file: tests for file, (tests, _) in unvisited.items()},
        compared.now,
        carried,
        since,
    )


class _Compared(NamedTuple):
    """What differs now from each of some runs, and what that does to the tests they know.

    ``runs`` are those of which something is still known; where that is none, ``full`` says why.
    """

    runs: list[int]
    now: Mapping[str, Version | None]
    differing: Sequence[Differing] = ()
    effect: Effect = Effect()
    tests: Sequence[Reached] = ()
    full: str | None = None


def _compare(
    connection: Connection, ground: Ground, base: Base | None, runs: list[int]
) -> _Compared:
    """Compare what is there now with what these runs saw, latest first."""
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
    compared = _Compared(known, now, differing, effect)
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
    connection: Connection, ground: Ground, older: Sequence[int], compared: _Compared
) -> set[int]:
    """Return the older runs that saw something of what differs as it is now."""
    from pytest_aqe.evidence.readings import pieces_of

    seen: dict[str, set[Version | None]] = defaultdict(set)
    for each in compared.differing:
        seen[each.file].add(each.version)
    rows = affected.versions(connection, older, seen)
    back = {run for run, file, version in rows if version == compared.now.get(file)}
    wanted = {(file, version) for file, those in seen.items() for version in those if version}
    wanted |= {(file, version) for run, file, version in rows if version and run not in back}
    known = affected.pieces_at(connection, [each for each in wanted if each[0].endswith(".py")])
    now = {
        file: pieces_of(content_of(ground, file)).checksums
        for file in {file for file, _ in known}
        if compared.now.get(file) not in (None, ABSENT)
    }
    changed = {
        file: {
            piece
            for version in seen[file]
            if (file, version or "") in known
            for piece, _ in known[file, version or ""].checksums.items() ^ now[file].items()
        }
        for file in now
    }
    for run, file, version in rows:
        pieces = known.get((file, version or ""))
        if run not in back and pieces is not None and file in now:
            then = pieces.checksums
            if any(then.get(piece) == now[file].get(piece) for piece in changed[file]):
                back.add(run)
    return back


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


def forget() -> None:
    """Give back what was read of the project's files, where any was: see `readings.forget`."""
    readings = sys.modules.get("pytest_aqe.evidence.readings")
    if readings is not None:
        readings.forget()


def _unvisited(
    collected: Sequence[tuple[int, str, int]],
    differing: Collection[tuple[int, str]],
    left_out: Mapping[Identity, tuple[tuple[int, ...], int]],
) -> dict[str, tuple[int, int]]:
    """Return the files from which nothing can come that runs, with their tests, and a run.

    The run saw the very same file, and as many tests as it collected there are left out,
    all of them because nothing they use has changed since that run.
    """
    held: dict[tuple[int, str], int] = defaultdict(int)
    for identity, (clean, names) in left_out.items():
        file = identity.partition("::")[0]
        for run in clean:
            held[run, file] += names
    return {
        file: (tests, run)
        for run, file, tests in collected
        if (run, file) not in differing and held[run, file] == tests
    }


def _is_there(test: Reached, unvisited: Mapping[str, tuple[int, int]]) -> bool:
    """Tell a test that exists from one that was named by the day, where nobody will look."""
    _, run = unvisited.get(test.identity.partition("::")[0], (0, None))
    return run is None or run in test.clean


def _new_tests(effect: Effect, run: int) -> Iterator[str]:
    """Yield what pytest would collect by its default names and the run did not have."""
    for run_no, file, name in effect.added:
        if run_no != run or not _is_test_module(file):
            continue
        if not name:
            yield file
        elif name.rpartition(".")[2].startswith("test"):
            yield f"{file}::{name.replace('.', '::')}"


def _usable_runs(connection: Connection, ground: Ground) -> tuple[list[Usable], str]:
    """Return the runs whose knowledge holds here, latest first, or why there are none."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = affected.runs_to_compare(connection, ground.suite, ground.environment)
    runs = [run for run in found if run.python == python]
    if runs:
        return runs, ""
    if found:
        return [], f"Python was {found[0].python} when tests were last followed, now it is {python}"
    return [], "no run here has recorded yet what each test depends on"


def _is_hidden(file: str) -> bool:
    """Tell a file that something that cannot be followed does not see, unless it says so.

    Nothing but pytest reads a test module that the test does not import, and documents are
    for people: who reads them as data opens them in the open, or names them by `aqe_depends`.
    """
    return _is_test_module(file) or file.endswith(_PROSE) or file.startswith(_FOR_PEOPLE)


_PROSE = (".md", ".rst")
_FOR_PEOPLE = ("docs/", "doc/", ".github/", ".gitlab/")


def _is_test_module(file: str) -> bool:
    """Tell what pytest collects by its default names."""
    name = file.rpartition("/")[2]
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _at(root: Path, commit: str) -> Callable[[str], bytes | None]:
    """Return what reads a file as it was in a commit; None where it was not there."""
    return lambda file: git_bytes(root, "show", f"{commit}:{file}")
