"""What no test runs: gaps."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from pytest_aqe.cli.answer import Answer, reading
from pytest_aqe.cli.arguments import count
from pytest_aqe.errors import NotFound
from pytest_aqe.history import gaps as rows
from pytest_aqe.report.uncovered import gap_table, total_line


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    gaps = commands.add_parser(
        "gaps",
        parents=[common],
        help="what no test runs, most urgent first",
        description="what no test runs, by function, most urgent first: as the latest whole run "
        "with --aqe-gaps saw it",
    )
    gaps.add_argument("--suite", default="", metavar="NAME", help="as --aqe-suite")
    gaps.add_argument("--limit", type=count, metavar="N", help="rows to show (default: all)")
    gaps.set_defaults(run=_gaps)


def _gaps(asked: argparse.Namespace) -> Answer:
    with reading(asked.history) as connection:
        covered = rows.covered(connection, asked.suite)
        found = rows.gaps(connection, asked.suite, asked.limit)
    if not covered:
        raise NotFound("no run has measured coverage yet: run `pytest --aqe --aqe-gaps`")
    return Answer(
        {
            "suite": asked.suite,
            "files": [asdict(each) for each in covered],
            "gaps": [gap._asdict() for gap in found],
        },
        [total_line(covered), *gap_table(found)],
    )
