"""Which functions ran, from CPython 3.12 on: `sys.monitoring` with a tool of our own.

Only the project's code objects are watched (local events). To silence a function and watch it
again costs far more than being told of a start. So each start is told, unless a function started
often between two looks: for the next looks it is silent from its first start on and then watched
again. Whenever it starts often after that, it is so for twice as many. A global `restart_events`
costs more than both.

What a generator or coroutine is thrown is told for all code there is: no event of single code
objects says so, and it is rare.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.engine import Function, Mark, Notice, Started, mark_of

NAME = "pytest-aqe"
_OFTEN = 48  # starts between two looks: see benchmarks/tracking.py
_MOST = 4096  # starts that are told between two looks, before everything is silent
_STEP = 32  # starts after which it is seen how deep they are
_DEEP = 4  # nothing is told in what is deeper than this part of the recursion limit
_PAUSE = 4  # looks for which a function is silent that started often once
# 0 is the debugger's, 1 coverage's, 2 the profiler's; the optimizer's, 5, nobody takes but by
# its name, while code that wants just any tries 3 or 4.
_TOOLS = (5, 4, 3)


def free_tool() -> int | None:
    """Return a tool id that nobody uses, or None."""
    return next((tool for tool in _TOOLS if sys.monitoring.get_tool(tool) is None), None)


class Monitor:
    """Collect the code objects that start. See `engine.Engine`."""

    precise = True

    def __init__(self, tool: int) -> None:
        self._tool = tool
        self._fired: list[CodeType] = []
        self._told = [_STEP]  # starts that are told until the next look at how deep they are
        self._often: dict[Mark, int] = {}  # silent from their first start on, for so many looks
        self._pauses: dict[Mark, int] = {}  # for how many the last time
        self._kept: list[CodeType] = []  # a mark is unique while its code object lives
        self._special: dict[str, set[Mark]] = {}  # told at once, by name
        self._called: set[Mark] = set()  # of these, with their returns
        self._resumable: set[Mark] = set()
        self._quiet: list[CodeType] = []  # special, and silent until the next look
        self._started: Started = _never_quiet
        self._ended: Notice = _ignore

    def start(self, started: Started, ended: Notice) -> None:
        """Take the tool id."""
        self._started, self._ended = started, ended
        monitoring = sys.monitoring
        monitoring.use_tool_id(self._tool, NAME)
        events = monitoring.events
        monitoring.register_callback(self._tool, events.PY_START, self._on_start(self._special))
        monitoring.register_callback(self._tool, events.PY_RESUME, self._on_start({}))
        monitoring.register_callback(self._tool, events.PY_RETURN, self._on_return)
        monitoring.register_callback(self._tool, events.PY_THROW, self._on_throw)
        monitoring.set_events(self._tool, events.PY_THROW)

    def stop(self) -> None:
        """Watch nothing any more, and give the tool id back."""
        monitoring = sys.monitoring
        for code in self._kept:
            monitoring.set_local_events(self._tool, code, 0)
        events = monitoring.events
        monitoring.set_events(self._tool, 0)
        for event in (events.PY_START, events.PY_RESUME, events.PY_RETURN, events.PY_THROW):
            monitoring.register_callback(self._tool, event, None)
        monitoring.free_tool_id(self._tool)
        self._kept.clear()

    def adopt(self, module: CodeType) -> list[Function]:
        """Watch every function of a module."""
        return [self._watch(name, code) for name, code in codes.functions(module)]

    def adopt_loaded(self, path: str, loaded: Iterable[FunctionType]) -> list[Function]:
        """Watch functions, and those inside them."""
        return [
            self._watch(name, code)
            for each in loaded
            for name, code in codes.pieces(each.__code__, each.__code__.co_qualname)
        ]

    def _watch(self, name: str, code: CodeType) -> Function:
        self._kept.append(code)
        if codes.suspends(code):
            self._resumable.add(mark_of(code))
        sys.monitoring.set_local_events(self._tool, code, _starting(code))
        return Function(mark_of(code), name, (code,))

    def watch_calls(self, code: CodeType) -> None:
        """Tell of every start and every return of this code at once."""
        events = sys.monitoring.events
        self._kept.append(code)
        self._special.setdefault(code.co_name, set()).add(mark_of(code))
        self._called.add(mark_of(code))
        sys.monitoring.set_local_events(self._tool, code, 0)  # it may be silent already
        sys.monitoring.set_local_events(self._tool, code, events.PY_START | events.PY_RETURN)

    def watch_starts(self, code: CodeType) -> None:
        """Tell of every start of this code at once."""
        if mark_of(code) not in self._called:
            self._kept.append(code)
            self._special.setdefault(code.co_name, set()).add(mark_of(code))
            self._watch_anew(code)

    def watch_end(self, code: CodeType) -> None:
        """Tell of every return of this code at once."""
        self._kept.append(code)
        sys.monitoring.set_local_events(self._tool, code, sys.monitoring.events.PY_RETURN)

    def drain(self) -> set[Mark]:
        """Return what started since the last call, and watch again what fell silent."""
        while self._quiet:
            self._watch_anew(self._quiet.pop())
        if not self._fired:
            return set()
        fired = self._fired[:]
        del self._fired[: len(fired)]  # another thread may have appended meanwhile
        self._told[0] = _STEP
        marks = list(map(mark_of, fired))
        found = set(marks)
        if not self._often.keys().isdisjoint(found):
            self._watch_again(
                {mark: code for mark, code in zip(marks, fired, strict=True) if mark in self._often}
            )
        if len(marks) - len(found) >= _OFTEN:
            for mark, starts in Counter(marks).items():
                if starts > _OFTEN:
                    self._pauses[mark] = 2 * self._pauses.get(mark, _PAUSE // 2)
                    self._often[mark] = self._pauses[mark]
        return found

    def _watch_again(self, silent: Mapping[Mark, CodeType]) -> None:
        for mark, code in silent.items():
            self._often[mark] -= 1
            if not self._often[mark]:
                del self._often[mark]
            if mark not in self._called:  # or it spoke before it became special
                self._watch_anew(code)

    def _watch_anew(self, code: CodeType) -> None:
        sys.monitoring.set_local_events(self._tool, code, 0)
        sys.monitoring.set_local_events(self._tool, code, _starting(code))

    def _on_start(self, special: Mapping[str, set[Mark]]) -> Callable[[CodeType, int], Any]:
        """Tell special code by its name first: comparing code objects compares all of them."""
        disable, identity, frame = sys.monitoring.DISABLE, mark_of, sys._getframe
        started, quiet = self._started, self._quiet
        fired, often, append = self._fired, self._often, self._fired.append
        told, goes_on = self._told, self._goes_on

        def start(code: CodeType, _offset: int) -> Any:
            mark = identity(code)
            name = code.co_name
            if name in special and mark in special[name]:
                if not started(code, frame(1)):
                    return None
                quiet.append(code)
                return disable
            if mark not in often:
                if len(fired) < told[0] or goes_on():
                    append(code)
                    return None
                often[mark] = 1
            append(code)  # after it was called silent: `drain` may run between any two lines
            return disable

        return start

    def _goes_on(self) -> bool:
        """Tell whether more starts are to be told until the next look.

        Being told takes a frame. At the recursion limit there is none, and the error would come
        up one line later than without us.
        """
        starts = len(self._fired)
        if starts < _MOST:
            try:
                sys._getframe(sys.getrecursionlimit() // _DEEP)
            except ValueError:  # the stack is not as deep
                self._told[0] = starts + _STEP
                return True
        self._told[0] = 0
        return False

    def _on_return(self, code: CodeType, _offset: int, _value: object) -> None:
        self._ended(code, sys._getframe(1))

    def _on_throw(self, code: CodeType, _offset: int, _error: object) -> None:
        if mark_of(code) in self._resumable:
            self._fired.append(code)


def _starting(code: CodeType) -> int:
    """Return the events by which code runs: a test may go on with another one's generator."""
    events = sys.monitoring.events
    if codes.suspends(code):
        return events.PY_START | events.PY_RESUME
    return events.PY_START


def _never_quiet(code: CodeType, frame: object) -> bool:
    """Be told of nothing."""
    return False


def _ignore(code: CodeType, frame: object) -> None:
    """Be told of nothing."""
