"""Everything that can go wrong by name.

AqeError
├── HistoryError          the history file cannot be used
│   ├── HistoryBusy       another process holds it
│   ├── HistoryNewer      written by a later version of pytest-aqe or of DuckDB
│   ├── HistoryBroken     not a history, or damaged
│   ├── HistoryForeign    a file of somebody else's
│   └── HistoryDenied     no permission, no space, a read-only disk
├── RunFileError          a run file cannot be written or read
├── InterchangeError      an imported file has a row that cannot be taken
├── ModelError            a language model cannot be asked, or gave no answer
│   └── CapReached        the next question could pass the cap on tokens or dollars
└── NotFound              nothing in the history answers to that name
"""

from __future__ import annotations

from pathlib import Path


class AqeError(Exception):
    """A fault with a message for people: what happened, to which file, what to do."""


class HistoryError(AqeError):
    """The history at ``path`` cannot be used."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class HistoryBusy(HistoryError):
    """Another process holds the history."""


class HistoryNewer(HistoryError):
    """The history was written by a later version."""


class HistoryBroken(HistoryError):
    """The file is not a history, or it is damaged."""


class HistoryForeign(HistoryError):
    """The file was never a history, so it is not ours to replace."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"{path} is not a history of pytest-aqe and is left alone; "
            "name another file, or move this one away",
        )


class HistoryDenied(HistoryError):
    """The system refuses to read or write the history."""


class RunFileError(AqeError):
    """A run file cannot be written or read."""


class InterchangeError(AqeError):
    """A row of an imported file cannot be taken; nothing of that file was imported.

    ``unit`` is what ``line`` counts: lines, or the rows of a format that has none.
    """

    def __init__(
        self,
        path: Path,
        line: int | None,
        column: str | None,
        problem: str,
        *,
        unit: str = "line",
    ) -> None:
        place = f"{path}"
        if line is not None:
            place += f", {unit} {line}"
        if column is not None:
            place += f", column {column!r}"
        super().__init__(f"{place}: {problem}; nothing of this file was imported")
        self.path = path
        self.line = line
        self.column = column
        self.problem = problem


class ModelError(AqeError):
    """A language model cannot be asked, or gave no answer that can be used."""


class CapReached(ModelError):
    """The next question could cost more than the session may spend."""


class NotFound(AqeError):
    """Nothing in the history answers to the name asked for."""
