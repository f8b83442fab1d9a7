"""What tells which functions ran: one interface, two ways, by the version of Python.

`monitoring.Monitor` from CPython 3.12 on, `flags.Flags` before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType
from typing import NamedTuple, Protocol

Mark = int
"""What stands for a function while a process lives."""

mark_of: Callable[[object], Mark] = object.__hash__
"""A code object's or a frame's mark is its identity: `hash` would read all of a code object,
`id` is audited."""

Ended = Callable[[CodeType, FrameType, object], None]
Started = Callable[[CodeType, FrameType], bool]


class Function(NamedTuple):
    """A piece of a module, and the code objects that one mark stands for.

    Of one that is not ``told`` nobody will say whether it ran.
    """

    mark: Mark
    name: str
    codes: tuple[CodeType, ...]
    told: bool = True


class Engine(Protocol):
    """Watch functions by mark.

    A ``precise`` one tells of single calls as they start and return; another only ever says
    afterwards that something ran.
    """

    precise: bool

    def start(self, started: Started, ended: Ended) -> None:
        """Begin; call ``started`` and ``ended`` for what `watch_calls`, `watch_end` name.

        Where ``started`` returns True, the next start is told after the next `drain` only.
        """

    def stop(self) -> None:
        """Leave nothing behind."""

    def adopt(self, module: CodeType) -> list[Function] | None:
        """Watch every function of a module about to be executed; None where it cannot."""

    def adopt_loaded(self, path: str, loaded: Iterable[FunctionType]) -> list[Function]:
        """Watch the functions of a module at ``path`` that was executed before."""

    def watch_calls(self, code: CodeType) -> None:
        """Tell of every call at once."""

    def watch_starts(self, code: CodeType) -> None:
        """Tell of every start at once."""

    def watch_end(self, code: CodeType) -> None:
        """Tell of every return at once."""

    def drain(self) -> set[Mark]:
        """Return what ran since the last call."""

    def count(self) -> int:
        """Count what was told since the last `drain`, where the engine is precise."""

    def told(self, since: int) -> set[Mark]:
        """Return what was told after so many, without watching again what fell silent."""

    def heed(self, before: Callable[[FrameType], None] | None) -> None:
        """Call ``before`` with the frame of all that starts, until this is called with None."""

    def rest(self) -> None:
        """Be told only of what was named, where that costs less: `drain` has nothing to say."""

    def go_on(self) -> None:
        """Watch again, after `rest`."""
