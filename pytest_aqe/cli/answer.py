"""What a command answers, and how commands open the history."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pytest_aqe.errors import HistoryBusy, HistoryDenied
from pytest_aqe.evidence.identity import git_root, is_gone
from pytest_aqe.history import runfile, writes
from pytest_aqe.history.store import Connection, is_current, open_history
from pytest_aqe.report.terminal import printable

PATIENCE = 10.0  # seconds; a person who asks can wait longer than a test session


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` for ``--format json``, ``lines`` for people.

    ``as_lines`` tells that the lines are JSON themselves, one document each.
    """

    data: Any
    lines: list[str] = field(default_factory=list)
    exit_code: int = 0
    as_lines: bool = False


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """Open the history to look at it, with everything that waits taken up first.

    Falls back to reading only where it cannot be written.
    """
    if runfile.waiting(path.parent) or not path.exists() or not is_current(path):
        with suppress(HistoryBusy, HistoryDenied):  # what is there can still be read
            _take_up(path)
    with open_history(path, write=False, wait=PATIENCE) as connection:
        yield connection
        read = set(connection.read_tables)
    try:
        with open_history(path, write=True, wait=0.0) as connection, connection.transaction():
            connection.read(*read)
    except (HistoryBusy, HistoryDenied):
        pass  # `doctor` then shows an earlier last read


@contextmanager
def writing(path: Path) -> Iterator[Connection]:
    """Open the history to change it, with everything that waits taken up first."""
    _take_up(path)
    with open_history(path, write=True, wait=PATIENCE) as connection:
        yield connection


def _take_up(path: Path) -> None:
    """Ingest what waits beside the history, or rebuild a lost one from what is kept there.

    What could not be taken, and that a damaged one was rebuilt, is said as a session says it.
    """
    folder = path.parent
    if path.exists() or runfile.waiting(folder) or any((folder / runfile.INGESTED).glob("*")):
        root = git_root(folder) or folder.parent
        done = writes.remember(path, vanished=partial(is_gone, root=root), wait=PATIENCE)
        for note in done.notes:
            print(printable(f"pytest-aqe: {note}"), file=sys.stderr)
