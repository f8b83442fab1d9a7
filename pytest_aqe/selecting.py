"""Selection, from the history and the work tree to a decision; asked by sessions and commands.

The history says what each test depended on when it last passed, the work tree what of that
is different now (`comparing`), and `learning.impact` what follows.
"""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pytest_aqe.comparing import Base, compare
from pytest_aqe.data import Depends, Identity, NodeId, Version
from pytest_aqe.evidence import tree
from pytest_aqe.evidence.ground import Effect, Ground
from pytest_aqe.history import affected
from pytest_aqe.history.affected import Reached, Usable
from pytest_aqe.history.store import Connection
from pytest_aqe.learning.impact import Decision, Known, decide


@dataclass(frozen=True, slots=True)
class Selected:
    """What selection decided, or why it cannot: then ``full`` says why everything runs."""

    decision: Decision | None
    full: str | None
    files: tuple[str, ...] = ()  # that differ from what a newest run of some test saw
    effect: Effect = field(default_factory=Effect)
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

    Where the session ``runs_all`` anyway, what those depend on that need not is looked up too.
    """
    usable, reason = _usable_runs(connection, ground)
    if not usable:
        return Selected(None, reason)
    compared = compare(connection, ground, usable, base)
    if compared.full is not None:
        return Selected(None, compared.full)
    tests = {each.identity: each for each in compared.tests}
    files = {run: sorted(found) for run, found in compared.effect.files.items()}
    pieces = {it.piece for it in tests.values() if it.piece is not None and not it.clean}
    causes = {piece: compared.cause(piece) for piece in pieces}
    decision = decide(
        [
            Known(name, it.clean, it.piece, it.doubt, it.globs, it.piece and causes.get(it.piece))
            for name, it in tests.items()
        ],
        failed=failed,
        differing=files,
        since_base=base.files if base else (),
        probe=probe,
        seed=seed,
        hidden={file for found in files.values() for file in found if _is_hidden(file)},
    )
    left_out = {name: it for name, it in tests.items() if name in decision.left_out}
    only = affected.shared_names(
        connection, ground.suite, {name: it.clean for name, it in left_out.items()}
    )
    unvisited = _unvisited(
        affected.collected(connection, compared.runs),
        {(each.run_no, each.file) for each in compared.differing},
        {name: (it.clean, len(only.get(name, "1"))) for name, it in left_out.items()},
    )
    carried: dict[Identity, Depends] = {}
    since: dict[str, list[Identity]] = defaultdict(list)
    if runs_all:
        alone = {name: it.clean[0] for name, it in left_out.items() if name not in only}
        carried = affected.carried(connection, ground.suite, alone)
    else:
        run_ids = {run.run_no: run.run_id for run in usable}
        for name, it in left_out.items():
            if _is_there(it, unvisited):
                since[run_ids[it.clean[0]]].append(name)
    runs = {
        name: why for name, why in decision.runs.items() if name.partition("::")[0] not in unvisited
    }
    newest = [run.run_no for run in usable if run.newest]
    return Selected(
        decision._replace(runs=runs),
        None,
        tuple(sorted({file for run in newest for file in files.get(run, ())} - {tree.PROJECT})),
        compared.effect,
        frozenset(name for name, it in tests.items() if it.ran),
        only,
        {file: count for file, (count, _) in unvisited.items()},
        compared.now,
        carried,
        since,
    )


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
