"""Which functions ran, on CPython 3.10 and 3.11: the project's modules rewritten at import.

Every function sets a byte of its own as it starts: cheaper than any tracer (measured: 1.02
to 1.09 of plain pytest, `sys.setprofile` 1.44). Lines, docstrings and signatures stay what
they were. Rewritten code is kept beside the history, never in ``__pycache__``, and only for
the very text it was made of. Test modules and conftests are pytest's to rewrite, not ours:
of their functions nothing is told.
"""

from __future__ import annotations

import ast
import importlib.machinery
import marshal
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.engine import Function, Mark, Notice, mark_of
from pytest_aqe.evidence.versions import digest

VARIABLE = "__aqe_flags__"
_ROOM = 1 << 20  # functions a session can tell apart; modules beyond it stay as they are
_FORMAT = f"1 {sys.implementation.cache_tag} {sys.hexversion:x}"

Cached = tuple[str, str, int, CodeType, list[str]]


class Flags:
    """Collect the functions whose byte is set. See `engine.Engine`.

    ``is_ours`` tells whether a file is the project's; ``folder`` keeps rewritten code.
    """

    precise = False

    def __init__(self, is_ours: Callable[[str], bool], folder: Path | None) -> None:
        self._is_ours = is_ours
        self._folder = folder
        self._bytes = bytearray(_ROOM)
        self._used = 0
        self._known: dict[Mark, tuple[int, list[str]]] = {}
        self._ranges: dict[tuple[str, int], int] = {}
        self._kept: list[CodeType] = []
        self._finder = _Finder(self)
        self.ended: Notice = lambda code, frame: None

    def start(self, started: Notice, ended: Notice) -> None:
        """Take the place behind pytest's own finder, which comes first."""
        place = next(
            (
                index + 1
                for index, finder in enumerate(sys.meta_path)
                if type(finder).__name__ == "AssertionRewritingHook"
            ),
            0,
        )
        sys.meta_path.insert(place, self._finder)
        self.ended = ended

    def stop(self) -> None:
        """Rewrite nothing any more; what is rewritten goes on setting its bytes."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)

    def adopt(self, module: CodeType) -> list[Function] | None:
        """Say which byte stands for which function, if this code was rewritten."""
        known = self._known.get(mark_of(module))
        if known is None:
            self._kept.append(module)
            return None
        first, names = known
        parts: dict[str, list[CodeType]] = defaultdict(list)
        for name, code in codes.functions(module):
            parts[name].append(code)
        return [
            Function(first + index, name, tuple(parts[name])) for index, name in enumerate(names)
        ]

    def watch(self, code: CodeType) -> Mark:
        """Keep a mark; nobody will tell whether this code ran."""
        self._kept.append(code)
        return mark_of(code)

    def watch_calls(self, code: CodeType) -> None:
        """Do nothing: single calls are not told."""

    def watch_end(self, code: CodeType) -> None:
        """Do nothing: single calls are not told."""

    def drain(self) -> set[Mark]:
        """Return the indices of the bytes that are set, and clear them."""
        flags, used = self._bytes, self._used
        fired = set()
        index = flags.find(1, 0, used)
        while index >= 0:
            flags[index] = 0
            fired.add(index)
            index = flags.find(1, index + 1, used)
        return fired

    def takes(self, path: str) -> bool:
        """Tell whether a module of the project at ``path`` is to be rewritten."""
        return self._is_ours(path)

    def load(self, path: str, source: bytes, module: str) -> CodeType | None:
        """Return the rewritten code of a file, or None where there is no room for it."""
        cached = self._read(path, source)
        if cached is None:
            code, names = rewrite(source, path)
            self._write(path, source, code, names)
        else:
            code, names = cached
        first = self._ranges.get((path, len(names)))
        if first is None:
            first = self._used
            if first + len(names) > _ROOM:
                return None
            self._used += len(names)
            self._ranges[path, len(names)] = first
        self._kept.append(code)
        self._known[mark_of(code)] = (first, names)
        return code

    def window(self, code: CodeType) -> memoryview | None:
        """Return the bytes that a module's functions set, or None if it is not rewritten."""
        known = self._known.get(mark_of(code))
        if known is None:
            return None
        first, names = known
        return memoryview(self._bytes)[first : first + len(names)]

    def _read(self, path: str, source: bytes) -> tuple[CodeType, list[str]] | None:
        if self._folder is None:
            return None
        try:
            cached: Cached = marshal.loads(self._file(path).read_bytes())
            form, version, size, code, names = cached
        except (OSError, EOFError, ValueError, TypeError):
            return None
        if (form, version, size) != (_FORMAT, digest(source), len(source)):
            return None
        return (code, names) if code.co_filename == path else None

    def _write(self, path: str, source: bytes, code: CodeType, names: list[str]) -> None:
        if self._folder is None or sys.dont_write_bytecode:
            return
        file = self._file(path)
        scratch = file.with_suffix(f".{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(marshal.dumps((_FORMAT, digest(source), len(source), code, names)))
            scratch.replace(file)
        except OSError:
            return

    def _file(self, path: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{digest(path.encode(errors='surrogateescape'))}.flags"


class _Finder(MetaPathFinder):
    """Let the other finders find; take over what is the project's source."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        finders = sys.meta_path
        for finder in finders[finders.index(self) + 1 :] if self in finders else ():
            spec = finder.find_spec(fullname, path, target) if _finds(finder) else None
            if spec is None:
                continue
            if (
                type(spec.loader) is importlib.machinery.SourceFileLoader
                and isinstance(spec.origin, str)
                and self._flags.takes(spec.origin)
            ):
                spec.loader = _Loader(spec.name, spec.origin, self._flags)
            return spec
        return None


def _finds(finder: object) -> bool:
    return hasattr(finder, "find_spec")


class _Loader(importlib.machinery.SourceFileLoader):
    """Load a module from its rewritten code; everything else is as ever."""

    def __init__(self, name: str, path: str, flags: Flags) -> None:
        super().__init__(name, path)
        self._flags = flags

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        try:
            return self._flags.load(path, self.get_data(path), fullname) or super().get_code(
                fullname
            )
        except (SyntaxError, ValueError, RecursionError):
            return super().get_code(fullname)  # which raises as it always did

    def exec_module(self, module: ModuleType) -> None:
        code: Any = self.get_code(module.__name__)
        window = self._flags.window(code)
        if window is not None:
            setattr(module, VARIABLE, window)
        try:
            exec(code, module.__dict__)
        finally:
            self._flags.ended(code, sys._getframe())


def rewrite(source: bytes, path: str) -> tuple[CodeType, list[str]]:
    """Compile a module so that each function sets its byte; return the pieces, byte by byte."""
    tree = ast.parse(source, path)
    rewriter = _Rewriter()
    rewriter.visit(tree)
    return compile(tree, path, "exec", dont_inherit=True), rewriter.names


class _Rewriter(ast.NodeTransformer):
    """Put ``__aqe_flags__[n] = 1`` first in every function, on the line of what follows."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._classes: list[str] = []
        self._piece: str | None = None
        self._indices: dict[str, int] = {}

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._classes.append(node.name)
        self.generic_visit(node)
        self._classes.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.args = self.visit(node.args)  # defaults run outside
        outer = self._piece
        self._piece = outer or codes.MODULE
        index = self._index(self._piece)
        node.body = self.visit(node.body)
        self._piece = outer
        setting = ast.Call(
            ast.Attribute(ast.Name(VARIABLE, ast.Load()), "__setitem__", ast.Load()),
            [ast.Constant(index), ast.Constant(1)],
            [],
        )
        body = ast.BoolOp(ast.Or(), [setting, node.body])
        for new in (body, setting, setting.func, setting.func.value, *setting.args):  # type: ignore[attr-defined]
            ast.copy_location(new, node.body)
        node.body = body
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.args = self.visit(node.args)
        if node.returns is not None:
            node.returns = self.visit(node.returns)
        outer, classes = self._piece, self._classes
        self._piece = outer or ".".join([*classes, node.name])
        self._classes = []
        index = self._index(self._piece)
        node.body = [self.visit(each) for each in node.body]
        self._piece, self._classes = outer, classes
        documented = ast.get_docstring(node, clean=False) is not None
        follows = next(
            (
                each
                for each in node.body[documented:]
                if not isinstance(each, (ast.Global, ast.Nonlocal))  # which have no line to run
            ),
            node.body[0],
        )
        target = ast.Subscript(ast.Name(VARIABLE, ast.Load()), ast.Constant(index), ast.Store())
        setting = ast.Assign([target], ast.Constant(1))
        for new in (setting, target, target.value, target.slice, setting.value):
            _place(new, follows)
        node.body.insert(documented, setting)
        return node

    def _index(self, piece: str) -> int:
        if piece not in self._indices:
            self._indices[piece] = len(self.names)
            self.names.append(piece)
        return self._indices[piece]


def _place(new: Any, follows: Any) -> None:
    """Put a node on the first line of the statement that follows it."""
    decorated = getattr(follows, "decorator_list", None)
    first = decorated[0] if decorated else follows
    new.lineno = new.end_lineno = first.lineno
    new.col_offset = new.end_col_offset = first.col_offset
