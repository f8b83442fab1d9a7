"""The one net under our hooks: a fault of ours costs a line of text, never the run.

pytest ends a session with exit code 3 when a hook raises (measured, research on pytest),
so every hook of ours does its work inside ``with faults.guard("what it was doing"):``.
An `AqeError` is already written for people and becomes its own message; anything else is
a bug, whose traceback is saved under ``.aqe/faults/``.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from pathlib import Path
from types import TracebackType

from pytest_aqe.errors import AqeError

_UNAFFECTED = "; your run is not affected"


class Faults:
    """Collect what went wrong on our side during one session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: Counter[str] = Counter()

    def guard(self, doing: str) -> _Guard:
        """Return a context manager that records an exception instead of raising it."""
        return _Guard(self, doing)

    def record(self, doing: str, error: Exception) -> None:
        """Turn ``error`` into one line; save the traceback of the first of its kind."""
        if isinstance(error, AqeError):
            self._lines[str(error)] += 1
            return
        what = f"internal fault while {doing} ({type(error).__name__})"
        known = next((line for line in self._lines if line.startswith(what)), None)
        self._lines[known or f"{what}{_UNAFFECTED}; {self._save(doing, error)}"] += 1

    def take(self, lines: list[str]) -> None:
        """Add the lines that a worker process sent, but for what another one said already."""
        for line in lines:
            kind = line.partition(_UNAFFECTED)[0]  # each process saved a traceback of its own
            if not any(known.startswith(kind) for known in self._lines):
                self._lines[line] += 1

    def lines(self) -> list[str]:
        """Return one line per kind of fault, repeated ones counted."""
        return [
            line if count == 1 else f"{line} ({count} times)" for line, count in self._lines.items()
        ]

    def _save(self, doing: str, error: Exception) -> str:
        name = f"{os.getpid()}-{len(self._lines) + 1}-{doing.replace(' ', '-')}.txt"
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as unsaved:
            return f"its traceback could not be saved ({unsaved.strerror})"
        return f"traceback: {self._folder / name}"


class _Guard:
    __slots__ = ("_doing", "_faults")

    def __init__(self, faults: Faults, doing: str) -> None:
        self._faults = faults
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, BrokenPipeError):
            return False  # a reader that went away (`pytest | head`) is pytest's to handle
        self._faults.record(self._doing, error)
        return True
