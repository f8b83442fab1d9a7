"""Which tests a change can have broken, for scripts and coding agents: affected."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_aqe import FULL_RUN_PATHS, selecting
from pytest_aqe.cli.answer import Answer, reading
from pytest_aqe.comparing import Base
from pytest_aqe.errors import AqeError
from pytest_aqe.evidence import changes, environment
from pytest_aqe.evidence.ground import Ground
from pytest_aqe.evidence.identity import git_root, prefix_of
from pytest_aqe.history import browse, queries
from pytest_aqe.history.store import Connection
from pytest_aqe.learning.impact import Because
from pytest_aqe.report.terminal import counted

EVERYTHING = "."  # as a pytest argument: all there is to collect


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
    affected.add_argument("--suite", default="", metavar="NAME", help="as --aqe-suite")
    affected.add_argument(
        "--full-run-paths",
        default=FULL_RUN_PATHS,
        metavar="GLOBS",
        help="as --aqe-full-run-paths, where that is set",
    )
    affected.set_defaults(run=_affected)


def ground_of(history: Path, suite: str, full_run_paths: str = FULL_RUN_PATHS) -> Ground:
    """Return where selection looks, given where the history lies: in ``.aqe`` of rootdir."""
    rootdir = history.parent.parent
    return Ground(
        root=git_root(rootdir) or rootdir,
        prefix=prefix_of(rootdir),
        suite=suite,
        environment=environment.label(),
        full_run_paths=tuple(full_run_paths.replace(",", " ").split()),
        folder=history.parent,
    )


def select_now(
    connection: Connection, ground: Ground, base: str | None = None
) -> selecting.Selected:
    """Decide as a session that starts now would, but for the random probe."""
    return selecting.select(
        connection,
        ground,
        base=_base(ground.root, base) if base else None,
        failed={
            test.identity for test in queries.rollups(connection, ground.suite) if test.failed_last
        },
        probe=0.0,
        seed="0",
    )


def _affected(asked: argparse.Namespace) -> Answer:
    ground = ground_of(asked.history, asked.suite, asked.full_run_paths)
    with reading(asked.history) as connection:
        selected = select_now(connection, ground, asked.base)
        runs = selected.decision.runs if selected.decision else {}
        node_ids = browse.node_ids(connection, ground.suite, list(runs))
    new = [file.removeprefix(ground.prefix) for file in selected.new]
    left_out = len(selected.decision.left_out) if selected.decision else 0
    tests = [
        (node_id, runs[identity])
        for identity, names in sorted(node_ids.items())
        for node_id in names
    ]
    data = {
        "full_run": selected.full,
        "changed_files": list(selected.files),
        "tests": [
            {"node_id": node_id, "why": why.kind, "reason": why.reason} for node_id, why in tests
        ],
        "new": new,
        "left_out": left_out,
    }
    if asked.format == "ids":
        lines = [EVERYTHING] if selected.full else [*(node_id for node_id, _ in tests), *new]
    else:
        lines = _lines(selected.full, tests, new, left_out)
    return Answer(data, lines)


def _lines(
    full: str | None, tests: list[tuple[str, Because]], new: list[str], left_out: int
) -> list[str]:
    if full:
        return [f"everything: {full}"]
    return [
        f"{counted(len(tests), 'known test')} to run, {left_out:,} that nothing has changed for",
        *(f"{node_id}  {why.reason}" for node_id, why in tests),
        *(f"{argument}  new" for argument in new),
    ]


def _base(root: Path, asked: str) -> Base:
    change = changes.since(environment.checkout(root), asked, None)
    if change.base is None or change.files is None:
        raise AqeError(f"--base: {change.origin}")
    return Base(change.base, change.files)
