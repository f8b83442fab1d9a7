"""Which tests a change can have broken, for scripts and coding agents: affected."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pytest_aqe import DEFAULT_HISTORY, FULL_RUN_PATHS, selecting
from pytest_aqe.cli.answer import Answer, reading
from pytest_aqe.cli.naming import BY_MARK, Naming, Patterns, Standing, named
from pytest_aqe.comparing import Base
from pytest_aqe.data import Identity
from pytest_aqe.errors import AqeError
from pytest_aqe.evidence import changes, environment
from pytest_aqe.evidence.ground import Ground
from pytest_aqe.evidence.identity import git_root, prefix_of
from pytest_aqe.evidence.rootdir import configured
from pytest_aqe.history import browse, queries
from pytest_aqe.history.store import Connection
from pytest_aqe.learning.impact import FAILED, UNKNOWN
from pytest_aqe.report.terminal import counted

_NOTHING: dict[str, Any] = {"changed_files": [], "tests": [], "new": [], "gone": [], "left_out": 0}


def add(commands: Any, place: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    affected = commands.add_parser(
        "affected",
        parents=[place],
        help="the tests that --aqe-mode=select would run now",
        description="the tests that --aqe-mode=select would run now, without importing the "
        "project. With --format ids there is one pytest argument on each line, and '.' where "
        "everything has to run; nothing at all where no test can have been broken",
    )
    affected.add_argument(
        "--format", choices=("text", "json", "ids"), default="text", help="how to print the answer"
    )
    affected.add_argument("--base", metavar="REF", help="as --aqe-base")
    affected.add_argument("--suite", metavar="NAME", help="as --aqe-suite (default: as configured)")
    affected.add_argument(
        "--full-run-paths",
        metavar="GLOBS",
        help="as --aqe-full-run-paths (default: as configured)",
    )
    affected.set_defaults(run=_affected)


class Place(NamedTuple):
    """Where a session would run, and what its configuration says."""

    ground: Ground
    rootdir: Path
    settings: dict[str, str]


def place_of(
    history: Path,
    start: Path,
    suite: str | None = None,
    full_run_paths: str | None = None,
) -> Place:
    """Return where a session that is started in a folder selects.

    Its rootdir holds the history in ``.aqe``, or is below that and has a configuration of its
    own; where the history is elsewhere, what this folder belongs to.
    """
    home = history.parent.parent
    if start.is_relative_to(home):
        rootdir, settings = configured(start, home)
    elif history.parent.name == Path(DEFAULT_HISTORY).parent.name:
        rootdir, settings = configured(home, home)
    else:
        rootdir, settings = configured(start, git_root(start) or start)

    prefix = "PYTEST_AQE_"
    settings = settings | {
        f"aqe_{name.removeprefix(prefix).lower()}": value
        for name, value in os.environ.items()
        if name.startswith(prefix) and value
    }
    paths = full_run_paths or settings.get("aqe_full_run_paths", FULL_RUN_PATHS)
    ground = Ground(
        root=git_root(rootdir) or rootdir,
        prefix=prefix_of(rootdir),
        suite=settings.get("aqe_suite", "") if suite is None else suite,
        environment=environment.label(),
        full_run_paths=_words(paths),
        folder=history.parent,
        environ=_words(settings.get("aqe_environ", "")),
    )
    return Place(ground, rootdir, settings)


def place_with(history: Path, suite: str, identity: Identity) -> Place:
    """Return where a session selects that runs a test: here, or where the test is."""
    here = place_of(history, Path.cwd(), suite)
    file = here.ground.root / identity.partition("::")[0]
    if file.is_relative_to(here.rootdir) or not file.exists():
        return here
    return place_of(history, file.parent, suite)


def is_gone(identity: Identity, place: Place, selected: selecting.Selected) -> bool:
    """Tell a test that surely stands no more where it stood."""
    file, _, name = identity.partition("[")[0].partition("::")
    standing = Standing(place.ground, Patterns.of(place.settings), selected)
    return file != BY_MARK and standing.tells(file, name, seen=True) is False


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def select_now(
    connection: Connection, ground: Ground, base: str | None = None
) -> selecting.Selected:
    """Decide as a session that starts now would, but for the random probe.

    Of tests that were never seen to pass selection has no opinion, and they run: so it is said.
    """
    tests = queries.rollups(connection, ground.suite)
    selected = selecting.select(
        connection,
        ground,
        base=_base(ground.root, base) if base else None,
        failed={test.identity for test in tests if test.failed_last},
        probe=0.0,
        seed="0",
    )
    decision = selected.decision
    if decision is None:
        return selected
    unknown = {
        test.identity: FAILED if test.failed_last else UNKNOWN
        for test in tests
        if test.identity not in decision.left_out
        and test.identity.partition("::")[0] not in selected.unvisited
    }
    return replace(selected, decision=decision._replace(runs=unknown | dict(decision.runs)))


def _affected(asked: argparse.Namespace) -> Answer:
    ground, rootdir, settings = place_of(
        asked.history, Path.cwd(), asked.suite, asked.full_run_paths
    )
    with reading(asked.history) as connection:
        selected = select_now(connection, ground, asked.base or settings.get("aqe_base"))
        if selected.decision is None:
            everything = os.path.relpath(rootdir)
            full = f"{selected.full}{_others(browse.suites(connection), ground.suite)}"
            data = {"full_run": full, "arguments": [everything], **_NOTHING}
            return Answer(data, [everything if asked.format == "ids" else f"everything: {full}"])
        patterns = Patterns.of(settings)
        found = named(connection, ground, patterns, selected, selected.decision)
    arguments = [_from_here(ground.root, each, rootdir) for each in found.arguments]
    data = {
        "full_run": None,
        "arguments": arguments,
        "changed_files": list(selected.files),
        "tests": [
            {"node_id": each.node_id, "why": each.why.kind, "reason": each.why.reason}
            for each in found.tests
        ],
        "new": [each.removeprefix(ground.prefix) for each in found.new],
        "gone": list(found.gone),
        "left_out": found.left_out,
    }
    return Answer(data, arguments if asked.format == "ids" else _lines(found, ground.prefix))


def _others(suites: Sequence[str], suite: str) -> str:
    """Say which suites there are, where the one that was asked for is not among them."""
    if suite in suites:
        return ""
    there = ", ".join(each or "(none)" for each in suites)
    return f"; there is no suite {suite or '(none)'} but {there}: see --suite"


def _lines(found: Naming, prefix: str) -> list[str]:
    tests = f"{counted(len(found.tests), 'known test')} to run"
    return [
        f"{tests}, {found.left_out:,} that nothing has changed for",
        *(f"{each.node_id}  {each.why.reason}" for each in found.tests),
        *(f"{each.removeprefix(prefix)}  new" for each in found.new),
    ]


def _from_here(root: Path, argument: str, rootdir: Path) -> str:
    """Write an argument as pytest takes it in this folder; everything where there is no file."""
    file, colons, name = argument.partition("::")
    path = root / file
    return os.path.relpath(path) + colons + name if path.exists() else os.path.relpath(rootdir)


def _base(root: Path, asked: str) -> Base:
    change = changes.since(environment.checkout(root), asked, None)
    if change.base is None or change.files is None:
        raise AqeError(f"--base: {change.origin}")
    return Base(change.base, change.files)
