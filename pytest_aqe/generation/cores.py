"""The cores that write tests: each is lent to one search, or to one trial.

Searches alone would keep all of them busy, and what is found counts only once it was tried:
a trial goes first. Where there is nothing to try, every core searches.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_aqe.errors import AqeError

MOST = 4  # searches and trials at once, on however many cores


class Cores:
    """As many as this process may use, at most `MOST`."""

    def __init__(self, number: int | None = None) -> None:
        self.number = number or min(_usable(), MOST)
        self._free = self.number
        self._trials = 0  # that wait
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def one(self, *, trial: bool = False) -> Iterator[None]:
        """Wait for a core and hold it; raise `AqeError` if there is none any more."""
        with self._changed:
            self._trials += trial
            self._changed.wait_for(lambda: self._is_for(trial=trial) or self._closed)
            self._trials -= trial
            if self._closed:
                raise AqeError("the session is over")
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def close(self) -> None:
        """Lend none to whoever waits, or comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_for(self, *, trial: bool) -> bool:
        return self._free > 0 and (trial or not self._trials)


def _usable() -> int:
    if hasattr(os, "sched_getaffinity"):  # a container may be given some of the machine's
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
