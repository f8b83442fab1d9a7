"""Flaky tests told from broken ones: flaky."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_aqe import suspecting
from pytest_aqe.cli.answer import Answer, reading, writing
from pytest_aqe.errors import HistoryBusy, HistoryDenied
from pytest_aqe.history import suspects
from pytest_aqe.history.store import Connection
from pytest_aqe.history.suspects import Suspect
from pytest_aqe.learning import flaky
from pytest_aqe.report.terminal import counted, table

_SUSPECTED = 0.5


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    flaky_ = commands.add_parser(
        "flaky",
        parents=[common],
        help="tests that fail by themselves, how often, and whether they are broken now",
        description="tests that are known to fail by themselves, with the probability that each "
        "is flaky, and that it is broken in the lane (branch, environment) where it ran last",
    )
    flaky_.add_argument("--all", action="store_true", help="every test that ever failed")
    flaky_.set_defaults(run=_flaky)


@contextmanager
def believing(asked: argparse.Namespace) -> Iterator[Connection]:
    """Open the history with beliefs up to date, or as they are where it cannot be written."""
    if asked.history.exists() or asked.history.parent.exists():
        try:
            with writing(asked.history) as connection:
                suspecting.learn(connection)
        except (HistoryBusy, HistoryDenied):
            pass
    with reading(asked.history) as connection:
        yield connection


def _flaky(asked: argparse.Namespace) -> Answer:
    with believing(asked) as connection:
        held = suspects.suspects(connection)
    shown = [each for each in held if asked.all or each.belief.flagged]
    data = [_row(each) for each in shown]
    lines = table(
        ("test", "flake rate", "95 % interval", "P(flaky)", "P(broken)", "cause", "last flip"),
        [
            (
                each.node_id,
                row["flake_rate"],
                "{:.3g} - {:.3g}".format(*row["interval"]),
                row["p_flaky"],
                row["p_broken"],
                row["cause"],
                each.flipped_at,
            )
            for each, row in zip(shown, data, strict=True)
        ],
    )
    suspected = sum(
        not each.belief.flagged and flaky.p_flaky(each.belief) >= _SUSPECTED for each in held
    )
    if not shown:
        lines = ["no test is known to be flaky"]
    if suspected and not asked.all:
        lines.append(f"{counted(suspected, 'more test')} may be flaky: --all shows them")
    return Answer(data, lines)


def _row(suspect: Suspect) -> dict[str, Any]:
    belief = suspect.belief
    return {
        "node_id": suspect.node_id,
        "suite": suspect.suite,
        "flagged": belief.flagged,
        "flake_rate": flaky.flake_rate(belief),
        "interval": list(flaky.interval(belief)),
        "p_flaky": flaky.p_flaky(belief),
        "p_broken": flaky.p_broken(belief, belief.latest),
        "cause": "unknown",
        "last_flip": suspect.flipped_at,
        "last_flip_run": suspect.flipped_run,
        "last_flip_commit": suspect.flipped_commit,
        "evidence_runs": list(suspect.evidence),
        "signature": suspect.signature,
        "runs": suspect.runs,
        "failures": suspect.failures,
    }
