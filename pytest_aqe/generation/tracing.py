"""Which lines and jumps of one file run, in coverage.py's terms, for one test or call.

From CPython 3.12 on by `sys.monitoring`, of the file's code objects alone: what else runs, most
of it pytest, costs nothing. Earlier by ``sys.settrace``, which hears of every call: about 15
of the 113 seconds of CPU that a session spent on boltons went to it.
"""

from __future__ import annotations

import ast
import dis
import inspect
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

from pytest_aqe.data import Arc
from pytest_aqe.generation.statements import statements

_RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_PAUSES = {dis.opmap[name] for name in ("YIELD_VALUE", "YIELD_FROM", "RESUME") if name in dis.opmap}
_TOOLS = (5, 4, 3)  # 0 is the debugger's, 1 coverage's, 2 the profiler's


def tracer(file: str) -> Tracer:
    """Return what traces a file on this interpreter.

    Greenlets change places where no event says so; `sys.settrace` knows whose frame it is.
    """
    if sys.version_info >= (3, 12) and "greenlet" not in sys.modules:
        for tool in _TOOLS:
            if sys.monitoring.get_tool(tool) is None:
                return Watcher(file, tool)
    return Tracer(file)


class Tracer:
    """Lines and jumps of one file, in coverage.py's terms: see `statement_starts`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._arcs: set[Arc] = set()
        self._ours: dict[str, bool] = {}
        self._starts = statement_starts(Path(file).read_text("utf-8"))

    def prepare(self, functions: Iterable[FunctionType]) -> None:
        """Take the file's functions, with those that they make; forks need not do it again."""

    def start(self) -> None:
        """Trace this thread and those it starts."""
        threading.settrace(self._call)
        sys.settrace(self._call)

    def stop(self) -> None:
        """Trace no more."""
        sys.settrace(None)
        threading.settrace(None)

    def found(self) -> tuple[set[int], set[Arc]]:
        """Return lines and jumps since the last call, by the first lines of statements."""
        starts = self._starts
        arcs = {(_first(starts, source), _first(starts, target)) for source, target in self._arcs}
        self._arcs.clear()
        return {each for arc in arcs for each in arc if each > 0}, arcs

    def _call(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        name = code.co_filename
        if not self._is_ours(name):
            return None
        start = -code.co_firstlineno
        arcs = self._arcs
        last = frame.f_lineno if frame.f_lasti > 4 and _is_resumed(code, frame) else start

        def line(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            if event == "line":
                number = frame.f_lineno
                arcs.add((last, number))
                last = number
            elif event == "return" and not _is_pause(code, frame.f_lasti):
                arcs.add((last, start))
            return line

        return line

    def _is_ours(self, name: str) -> bool:
        ours = self._ours.get(name)
        if ours is None:
            ours = name == self._file
            if not ours and not name.startswith("<"):
                with suppress(OSError, ValueError):  # the working directory may be gone
                    ours = os.path.realpath(name) == self._file
            self._ours[name] = ours
        return ours


class Watcher(Tracer):
    """The same by events of the file's own code, which are told all the time once prepared.

    To let them come and go would instrument everything anew, each time.
    """

    def __init__(self, file: str, tool: int) -> None:
        super().__init__(file)
        self._tool = tool
        self._watched: list[CodeType] = []  # they live, so that their ids stay theirs
        self._known: set[int] = set()
        self._on = False
        self._running: dict[int, list[_Running]] = {}  # by thread, outermost first
        monitoring = sys.monitoring
        events = monitoring.events
        monitoring.use_tool_id(tool, "pytest-aqe")
        for event, heard in (
            (events.PY_START, self._begins),
            (events.LINE, self._line),
            (events.PY_RETURN, self._returns),
            (events.PY_YIELD, self._yields),
            (events.PY_RESUME, self._resumes),
            (events.PY_THROW, self._is_thrown),
            (events.PY_UNWIND, self._unwinds),
        ):
            monitoring.register_callback(tool, event, heard)
        # of these two no event of single code objects tells
        monitoring.set_events(tool, events.PY_THROW | events.PY_UNWIND)
        sys.addaudithook(self._hear)

    def prepare(self, functions: Iterable[FunctionType]) -> None:
        """Take the file's functions, with those that they make; forks need not do it again."""
        for function in functions:
            self._watch(function.__code__)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take the file's code when it is run once more: imported again, or as a program."""
        if event == "exec" and isinstance(arguments[0], CodeType):
            self._watch(arguments[0])

    def _watch(self, code: CodeType) -> None:
        if id(code) in self._known or not self._is_ours(code.co_filename):
            return
        self._known.add(id(code))
        self._watched.append(code)
        events = sys.monitoring.events
        local = (
            events.PY_START | events.LINE | events.PY_RETURN | events.PY_YIELD | events.PY_RESUME
        )
        sys.monitoring.set_local_events(self._tool, code, local)
        for each in code.co_consts:
            if isinstance(each, CodeType):
                self._watch(each)

    def start(self) -> None:
        """Trace all threads."""
        self._running.clear()
        self._on = True

    def stop(self) -> None:
        """Trace no more."""
        self._on = False

    def _begins(self, code: CodeType, offset: int) -> None:
        self._of_thread().append(_Running(code, -code.co_firstlineno))

    def _line(self, code: CodeType, line: int) -> None:
        running = self._innermost(code)
        if self._on:
            self._arcs.add((running.line, line))
        running.line, running.waits = line, False

    def _returns(self, code: CodeType, offset: int, value: object) -> None:
        running = self._innermost(code)
        self._of_thread().pop()
        if self._on and not running.waits:
            self._arcs.add((running.line, -code.co_firstlineno))

    def _unwinds(self, code: CodeType, offset: int, error: BaseException) -> None:
        if id(code) in self._known:
            self._returns(code, offset, error)

    def _yields(self, code: CodeType, offset: int, value: object) -> None:
        self._innermost(code)
        self._of_thread().pop()

    def _resumes(self, code: CodeType, offset: int) -> None:
        self._of_thread().append(_Running(code, _line_at(code, offset)))

    def _is_thrown(self, code: CodeType, offset: int, error: BaseException) -> None:
        """Note what is thrown into a generator: where it only ends that, no line of it ran."""
        if id(code) in self._known:
            self._of_thread().append(_Running(code, _line_at(code, offset), waits=True))

    def _of_thread(self) -> list[_Running]:
        try:
            return self._running[threading.get_ident()]
        except KeyError:
            return self._running.setdefault(threading.get_ident(), [])

    def _innermost(self, code: CodeType) -> _Running:
        """Return what runs now; what a signal ended unheard is taken away."""
        stack = self._of_thread()
        while stack and stack[-1].code is not code:
            stack.pop()
        if not stack:
            stack.append(_Running(code, -code.co_firstlineno))
        return stack[-1]


@dataclass(slots=True)
class _Running:
    """Code that runs, and its last line; ``waits`` while it has not gone on after a pause."""

    code: CodeType
    line: int
    waits: bool = False


def _line_at(code: CodeType, offset: int) -> int:
    """Return the line of an instruction."""
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def _is_pause(code: CodeType, offset: int) -> bool:
    """Tell an instruction at which a generator waits: what ends it there is no jump of its code."""
    return bool(code.co_flags & _RESUMABLE) and code.co_code[offset] in _PAUSES


def _is_resumed(code: CodeType, frame: FrameType) -> bool:
    """Tell a generator that goes on from one that starts."""
    return bool(code.co_flags & _RESUMABLE) and frame.f_lineno != code.co_firstlineno


def _first(starts: dict[int, int], line: int) -> int:
    return starts.get(line, line) if line > 0 else -starts.get(-line, -line)


def statement_starts(source: str) -> dict[int, int]:
    """Return the first line of the statement that each continuation line belongs to.

    Coverage names a statement by its first line; of a compound one only the head counts.
    """
    starts: dict[int, int] = {}
    for node, _ in statements(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
            last = body[0].lineno - 1
            inner = getattr(body[0], "decorator_list", None)
            if inner:
                last = inner[0].lineno - 1
        else:
            last = node.end_lineno or node.lineno
        for line in range(node.lineno + 1, last + 1):
            starts[line] = max(node.lineno, starts.get(line, 0))
    return starts
