"""Which lines and jumps of one file run, in coverage.py's terms, for one test or call."""

from __future__ import annotations

import ast
import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from pytest_aqe.data import Arc


class Tracer:
    """Lines and jumps of one file, in coverage.py's terms: see `statement_starts`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._arcs: set[Arc] = set()
        self._ours: dict[str, bool] = {}
        self._starts = statement_starts(Path(file).read_text("utf-8"))

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
        ours = self._ours.get(name)
        if ours is None:
            ours = self._ours[name] = name == self._file or os.path.realpath(name) == self._file
        if not ours:
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
            elif event == "return":
                arcs.add((last, start))
            return line

        return line


def _is_resumed(code: CodeType, frame: FrameType) -> bool:
    """Tell a generator that goes on from one that starts."""
    return bool(code.co_flags & 0x2A0) and frame.f_lineno != code.co_firstlineno


def _first(starts: dict[int, int], line: int) -> int:
    return starts.get(line, line) if line > 0 else -starts.get(-line, -line)


def statement_starts(source: str) -> dict[int, int]:
    """Return the first line of the statement that each continuation line belongs to.

    Coverage names a statement by its first line; of a compound one only the head counts.
    """
    starts: dict[int, int] = {}
    for node in ast.walk(ast.parse(source)):
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
