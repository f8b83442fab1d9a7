"""``pytest-aqe``: look at the history and move runs in and out of it.

Each command returns an `Answer`, which is printed as text or, with ``--format json``, as
one JSON document. Exit codes: 0 done, 1 what was asked for is not there or not well, 2 a
wrong call or an unusable file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_aqe import DEFAULT_HISTORY, __version__
from pytest_aqe.cli import agents, choose, cover, exchange, flaky, learn, look, propose, quarantine
from pytest_aqe.cli.answer import Answer
from pytest_aqe.errors import AqeError, HistoryBroken, NotFound
from pytest_aqe.history.browse import as_json
from pytest_aqe.history.store import set_aside
from pytest_aqe.report.terminal import printable


def parser() -> argparse.ArgumentParser:
    """Return the whole command line, which the reference page is generated from."""
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--history",
        type=Path,
        metavar="PATH",
        help=f"the history (default: PYTEST_AQE_HISTORY, else {DEFAULT_HISTORY} here or above)",
    )
    common = argparse.ArgumentParser(add_help=False, parents=[place])
    common.add_argument(
        "--format", choices=("text", "json"), default="text", help="how to print the answer"
    )
    whole = argparse.ArgumentParser(
        prog="pytest-aqe", description="What a test suite learned from its own past."
    )
    whole.add_argument("--version", action="version", version=f"pytest-aqe {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    look.add(commands, common)
    choose.add(commands, place)
    flaky.add(commands, common)
    quarantine.add(commands, common)
    learn.add(commands, common)
    cover.add(commands, common)
    agents.add(commands, common)
    propose.add(commands, common)
    exchange.add(commands, common)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    asked = parser().parse_args(arguments)
    asked.history = find_history(asked.history, Path.cwd())
    try:
        answer = _answer(asked)
    except NotFound as error:
        print(printable(f"pytest-aqe: {error}"), file=sys.stderr)
        return 1
    except AqeError as error:
        print(printable(f"pytest-aqe: {error}"), file=sys.stderr)
        return 2
    except OSError as error:
        place, reason = error.filename or asked.history, error.strerror or error
        print(printable(f"pytest-aqe: {place} cannot be used ({reason})"), file=sys.stderr)
        return 2
    try:
        if asked.format == "json" and not answer.as_lines:
            print(json.dumps(answer.data, default=as_json, indent=2))
        else:
            for line in answer.lines:
                print(printable(line))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return answer.exit_code


def _answer(asked: argparse.Namespace) -> Answer:
    """Run the command; once more on a history that was rebuilt because it was broken."""
    try:
        answer: Answer = asked.run(asked)
    except HistoryBroken as broken:
        if broken.path != asked.history or set_aside(asked.history) is None:
            raise
        answer = asked.run(asked)
        print(f"pytest-aqe: {broken}; kept aside and rebuilt from run files", file=sys.stderr)
    return answer


def find_history(asked: Path | None, start: Path) -> Path:
    """Return the history that a command means: asked for, by variable, here, or above."""
    if asked is not None:
        return asked.absolute()
    variable = os.environ.get("PYTEST_AQE_HISTORY")
    if variable:
        return Path(variable).absolute()
    for folder in (start, *start.parents):
        if (folder / DEFAULT_HISTORY).exists():
            return folder / DEFAULT_HISTORY
    return start / DEFAULT_HISTORY
