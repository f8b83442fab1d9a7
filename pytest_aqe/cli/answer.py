"""What a command answers, and how commands open the history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_aqe.errors import HistoryBusy, HistoryDenied
from pytest_aqe.evidence.identity import git_root, is_gone
from pytest_aqe.history import runfile, writes
from pytest_aqe.history.store import Connection, open_history

PATIENCE = 10.0  # seconds; a person who asks can wait longer than a test session


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` for ``--format json``, ``lines`` for people."""

    data: Any
    lines: list[str] = field(default_factory=list)
    exit_code: int = 0


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """Open the history to look at it, with everything that waits taken up first.

    Falls back to reading only where it cannot be written.
    """
    if runfile.waiting(path.parent) or path.exists():
        try:
            root = git_root(path.parent) or path.parent.parent
            writes.remember(path, vanished=lambda identity: is_gone(identity, root), wait=PATIENCE)
        except (HistoryBusy, HistoryDenied):
            pass  # what is there can still be read
    with open_history(path, write=False, wait=PATIENCE) as connection:
        yield connection
        read = set(connection.read_tables)
    try:
        with open_history(path, write=True, wait=0.0) as connection, connection.transaction():
            connection.read(*read)
    except (HistoryBusy, HistoryDenied):
        pass  # `doctor` then shows an earlier last read
