"""Which functions ran, from CPython 3.12 on: `sys.monitoring` with two tools of our own.

Only the project's code objects are watched (local events). A callback that merely keeps what
started costs 0.26 microseconds with the look at it, one that asks what is to be done 0.42; to
silence a function and watch it again costs 0.73 and more, for all of its code is walked
(benchmarks/starts.py). So one tool keeps every start. The other asks: it has the functions that
somebody wants to hear of at once, and those that started often between two looks, which it tells
once a look. These go back after some looks, and stay for twice as many whenever they start often
again. A global `restart_events` costs more than all of this.

What a generator or coroutine is thrown is told for all code there is: no event of single code
objects says so, and it is rare.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType
from typing import Any

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.engine import Ended, Function, Mark, Started, mark_of

NAME = "pytest-aqe"
_OFTEN = 48  # starts between two looks from which on a function is told once a look
_SAMPLE = 7  # of so many starts one is counted
_MOST = 4096  # starts that are told between two looks, before everything is silent
_STEP = 128  # starts after which it is seen how deep they are
_DEEP = 4  # nothing is told in what is deeper than this part of the recursion limit
_PAUSE = 4  # looks for which a function is told once that started often once
# 0 is the debugger's, 1 coverage's, 2 the profiler's; the optimizer's, 5, nobody takes but by
# its name, while code that wants just any tries 3 or 4, and hypothesis 3 alone.
_TOOLS = (5, 4, 3)
_EVENTS = ("PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "PY_THROW")


def free_tools() -> tuple[int, int] | None:
    """Return two tool ids that nobody uses, or None."""
    free = [tool for tool in _TOOLS if sys.monitoring.get_tool(tool) is None]
    return (free[0], free[1]) if len(free) > 1 else None


class Monitor:
    """Collect the code objects that start. See `engine.Engine`."""

    precise = True

    def __init__(self, tools: tuple[int, int]) -> None:
        self._keeping, self._asking = tools
        self._fired: list[CodeType] = []
        self._told = [_STEP]  # starts that are told until the next look at how deep they are
        self._often: dict[Mark, int] = {}  # told once a look, for so many looks
        self._pauses: dict[Mark, int] = {}  # for how many the last time
        self._hushed: set[Mark] = set()  # silent from their next start to the next look
        self._codes: dict[Mark, CodeType] = {}  # a mark is unique while its code object lives
        self._special: set[Mark] = set()  # told at once
        self._called: set[Mark] = set()  # of these, with their returns
        self._resumable: set[Mark] = set()
        self._quiet: list[CodeType] = []  # special, and silent until the next look
        self._silent: set[Mark] = set()  # the same
        self._started: Started = _never_quiet
        self._ended: Ended = _ignore
        self._rests = False
        self._before: Callable[[FrameType], None] | None = None

    def start(self, started: Started, ended: Ended) -> None:
        """Take the tool ids."""
        self._started, self._ended = started, ended
        monitoring, events = sys.monitoring, sys.monitoring.events
        monitoring.use_tool_id(self._keeping, NAME)
        monitoring.use_tool_id(self._asking, f"{NAME}, asking")
        self._keep = self._keeping_starts()
        self._heeding = self._heeding_starts(self._keep)
        self._listen()
        monitoring.register_callback(self._asking, events.PY_START, self._ask())
        monitoring.register_callback(self._asking, events.PY_RESUME, self._on_resume)
        monitoring.register_callback(self._asking, events.PY_RETURN, self._on_return)
        monitoring.register_callback(self._asking, events.PY_YIELD, self._on_return)
        monitoring.register_callback(self._keeping, events.PY_THROW, self._on_throw())
        monitoring.set_events(self._keeping, events.PY_THROW)

    def _listen(self) -> None:
        keep: Callable[..., Any] | None = self._keep if self._before is None else self._heeding
        if self._rests:
            keep = None
        monitoring, events = sys.monitoring, sys.monitoring.events
        monitoring.register_callback(self._keeping, events.PY_START, keep)
        monitoring.register_callback(self._keeping, events.PY_RESUME, keep)

    def rest(self) -> None:
        """Keep nothing: a start that nobody takes costs a sixth of one that is kept (starts.py)."""
        self._rests = True
        self._listen()

    def go_on(self) -> None:
        """Keep what starts again."""
        self._rests = False
        self.drain()
        self._listen()

    def heed(self, before: Callable[[FrameType], None] | None) -> None:
        """Call ``before`` with the frame of all that starts and is not told at once."""
        if before != self._before:  # a method is another object each time
            self._before = before
            self._listen()

    def stop(self) -> None:
        """Watch nothing any more, and give the tool ids back."""
        monitoring, events = sys.monitoring, sys.monitoring.events
        monitoring.set_events(self._keeping, 0)
        for tool in (self._keeping, self._asking):
            for code in self._codes.values():
                monitoring.set_local_events(tool, code, 0)
            for event in _EVENTS:
                monitoring.register_callback(tool, getattr(events, event), None)
            monitoring.free_tool_id(tool)
        self._codes.clear()

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
        mark = mark_of(code)
        self._codes[mark] = code
        if codes.suspends(code):
            self._resumable.add(mark)
        sys.monitoring.set_local_events(self._keeping, code, _starting(code))
        return Function(mark, name, (code,))

    def watch_calls(self, code: CodeType) -> None:
        """Tell of every start and every return of this code at once: how it goes on, and rests."""
        events = sys.monitoring.events
        self._called.add(mark_of(code))
        ending = events.PY_RETURN | events.PY_YIELD if codes.suspends(code) else events.PY_RETURN
        self._ask_of(code, _starting(code) | ending)

    def watch_starts(self, code: CodeType) -> None:
        """Tell of every start of this code at once."""
        if mark_of(code) not in self._called:
            self._ask_of(code, _starting(code))

    def _ask_of(self, code: CodeType, events: int) -> None:
        mark = mark_of(code)
        self._codes[mark] = code
        self._special.add(mark)
        self._often.pop(mark, None)
        sys.monitoring.set_local_events(self._keeping, code, 0)
        sys.monitoring.set_local_events(self._asking, code, 0)  # it may be silent already
        sys.monitoring.set_local_events(self._asking, code, events)

    def watch_end(self, code: CodeType) -> None:
        """Tell of every return of this code at once."""
        self._codes[mark_of(code)] = code
        sys.monitoring.set_local_events(self._asking, code, sys.monitoring.events.PY_RETURN)

    def count(self) -> int:
        """Count what was told since the last `drain`."""
        return len(self._fired)

    def told(self, since: int) -> set[Mark]:
        """Return what was told after so many, and what these name of what is silent."""
        if since >= len(self._fired):
            return set()
        fired = self._fired[since:]
        found = set(map(mark_of, fired))
        silent = (self._often.keys() | self._hushed) - found
        if silent:
            named = {name for code in fired for name in code.co_names}
            found |= {mark for mark in silent if self._codes[mark].co_name in named}
        return found

    def drain(self) -> set[Mark]:
        """Return what started since the last call, and watch again what fell silent."""
        if self._rests:
            return set()
        while self._quiet:
            code = self._quiet.pop()
            self._silent.discard(mark_of(code))
            _watch_anew(self._asking, code)
        if not self._fired:
            return set()
        fired = self._fired[:]
        del self._fired[: len(fired)]  # another thread may have appended meanwhile
        self._told[0] = _STEP
        found = set(map(mark_of, fired))
        if self._hushed:
            self._hear(self._hushed & found)
        if not self._often.keys().isdisjoint(found):
            self._look_at(self._often.keys() & found)
        if len(fired) - len(found) >= _OFTEN:
            counted = Counter(map(mark_of, fired[::_SAMPLE]))
            self._set_aside(mark for mark, count in counted.items() if count * _SAMPLE > _OFTEN)
        return found

    def _hear(self, silent: set[Mark]) -> None:
        """Watch again what is silent as everything was."""
        self._hushed -= silent
        for mark in silent:
            tool = self._asking if mark in self._special else self._keeping
            _watch_anew(tool, self._codes[mark])

    def _look_at(self, silent: Iterable[Mark]) -> None:
        """Watch again what is told once a look, or let it go back."""
        for mark in silent:
            code = self._codes[mark]
            self._often[mark] -= 1
            if self._often[mark]:
                _watch_anew(self._asking, code)
            else:
                del self._often[mark]
                sys.monitoring.set_local_events(self._asking, code, 0)
                sys.monitoring.set_local_events(self._keeping, code, _starting(code))

    def _set_aside(self, busy: Iterable[Mark]) -> None:
        """Be told once a look, from now on, of what started often."""
        for mark in busy:
            if mark not in self._special:
                code = self._codes[mark]
                self._often[mark] = self._pauses[mark] = 2 * self._pauses.get(mark, _PAUSE // 2)
                sys.monitoring.set_local_events(self._keeping, code, 0)
                sys.monitoring.set_local_events(self._asking, code, _starting(code))

    def _keeping_starts(self) -> Callable[[CodeType, int], Any]:
        """Return what most starts are told: it must be short."""
        fired, told, goes_on, hush = self._fired, self._told, self._goes_on, self._hush

        def keep(code: CodeType, _offset: int) -> Any:
            if len(fired) < told[0] or goes_on():
                fired.append(code)
                return None
            return hush(code)

        return keep

    def _heeding_starts(self, keep: Callable[[CodeType, int], Any]) -> Callable[..., Any]:
        def heed(code: CodeType, offset: int) -> Any:
            before = self._before
            if before is not None:
                before(sys._getframe(1))
            return keep(code, offset)

        return heed

    def _hush(self, code: CodeType) -> Any:
        """Be told of code for the last time; `drain` may run between any two lines."""
        self._hushed.add(mark_of(code))
        self._fired.append(code)
        return sys.monitoring.DISABLE

    def _ask(self) -> Callable[[CodeType, int], Any]:
        disable, identity, frame = sys.monitoring.DISABLE, mark_of, sys._getframe
        special, started, quiet, fired = self._special, self._started, self._quiet, self._fired
        silent = self._silent

        def ask(code: CodeType, _offset: int) -> Any:
            if identity(code) not in special:  # comparing code objects compares all of them
                before = self._before
                if before is not None:
                    before(frame(1))
                fired.append(code)
                return disable
            if started(code, frame(1)):
                quiet.append(code)
                silent.add(identity(code))
                return disable
            return None

        return ask

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

    def _on_resume(self, code: CodeType, _offset: int) -> Any:
        if mark_of(code) not in self._called:
            return self._hush(code)
        self._started(code, sys._getframe(1))
        return None

    def _on_return(self, code: CodeType, _offset: int, value: object) -> Any:
        if mark_of(code) in self._silent:
            return sys.monitoring.DISABLE
        self._ended(code, sys._getframe(1), value)
        return None

    def _on_throw(self) -> Callable[[CodeType, int, object], None]:
        resumable, called, fired = self._resumable, self._called, self._fired

        def thrown(code: CodeType, _offset: int, _error: object) -> None:
            mark = mark_of(code)
            if mark in called:
                self._started(code, sys._getframe(1))
            elif mark in resumable and not self._rests:
                fired.append(code)

        return thrown


def _watch_anew(tool: int, code: CodeType) -> None:
    """Tell again of what was silenced."""
    events = sys.monitoring.get_local_events(tool, code)
    sys.monitoring.set_local_events(tool, code, 0)
    sys.monitoring.set_local_events(tool, code, events)


def _starting(code: CodeType) -> int:
    """Return the events by which code runs: a test may go on with another one's generator."""
    events = sys.monitoring.events
    if codes.suspends(code):
        return events.PY_START | events.PY_RESUME
    return events.PY_START


def _never_quiet(code: CodeType, frame: object) -> bool:
    """Be told of nothing."""
    return False


def _ignore(code: CodeType, frame: object, value: object) -> None:
    """Be told of nothing."""
