"""Which functions ran, on CPython 3.10 and 3.11: the project's modules rewritten at import.

Every function sets a flag of its own as it starts, a generator or coroutine also as it goes
on: cheaper than any tracer (measured: 1.02 to 1.09 of plain pytest, `sys.setprofile` 1.44).
Lines, docstrings, signatures and names stay what they were; the flags are a constant of the
code, so that a function needs nothing of the namespace it runs in. Rewritten code is kept
beside the history, never in ``__pycache__``, and only for the very text it was made of. Test
modules and conftests are pytest's to rewrite, not ours: of their functions nothing is told.
"""

from __future__ import annotations

import ast
import importlib.machinery
import marshal
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.engine import Ended, Function, Mark, Started, mark_of
from pytest_aqe.evidence.versions import digest

_RAISED: Any = ("\0aqe flags",)  # what stands for the flags in code that is not bound yet
_FORMAT = f"2 {sys.implementation.cache_tag} {sys.hexversion:x}"

Cached = tuple[str, str, int, CodeType, list[str]]


class _Raised(dict[int, int]):
    """The flags that are up, as a constant of code: that must be hashable, and may be pickled."""

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return dict, ()  # in another process nobody looks


class Flags:
    """Collect the functions whose flag is up. See `engine.Engine`.

    ``is_ours`` tells whether a file is the project's; ``folder`` keeps rewritten code.
    """

    precise = False

    def __init__(self, is_ours: Callable[[str], bool], folder: Path | None) -> None:
        self._is_ours = is_ours
        self._folder = folder
        self._raised = _Raised()
        self._used = 0
        self._known: dict[Mark, tuple[int, list[str]]] = {}
        self._ranges: dict[tuple[str, int], int] = {}
        self._kept: list[CodeType] = []
        self._finder = _Finder(self)
        self.ended: Ended = lambda code, frame, value: None

    def start(self, started: Started, ended: Ended) -> None:
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
        """Rewrite nothing any more; what is rewritten goes on raising its flags."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)

    def adopt(self, module: CodeType) -> list[Function] | None:
        """Say which flag stands for which function, if this code was rewritten."""
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

    def adopt_loaded(self, path: str, loaded: Iterable[FunctionType]) -> list[Function]:
        """Have functions run rewritten code from now on, where they came from the same text.

        Others, and those that are not among ``loaded``, are not told.
        """
        try:
            source = Path(path).read_bytes()
            plain = compile(source, path, "exec", dont_inherit=True)
            module = self.load(path, source)
        except (OSError, SyntaxError, ValueError, RecursionError):
            plain = module = compile("", path, "exec")
        twins = _twins(plain, module)
        taken: set[CodeType] = set()
        others: dict[str, list[CodeType]] = defaultdict(list)
        for function in loaded:
            code = function.__code__
            if code in twins:
                function.__code__ = twins[code]
                taken.add(code)
            else:
                name = getattr(code, "co_qualname", function.__qualname__)
                for piece, inner in codes.pieces(code, name):
                    others[piece].append(inner)
        outermost: set[object] = {code for body in codes.bodies(plain) for code in body.co_consts}
        missing = {
            name for name, code in codes.functions(plain) if code in outermost and code not in taken
        }
        for codes_of_piece in others.values():
            self._kept += codes_of_piece
        functions = []
        for each in self.adopt(module) or []:
            found = others.pop(each.name, [])
            told = not found and each.name not in missing
            functions.append(Function(each.mark, each.name, (*each.codes, *found), told))
        for name, found in others.items():
            functions.append(Function(mark_of(found[0]), name, tuple(found), told=False))
        return functions

    def watch_calls(self, code: CodeType) -> None:
        """Do nothing: single calls are not told."""

    def watch_starts(self, code: CodeType) -> None:
        """Do nothing: single calls are not told."""

    def watch_end(self, code: CodeType) -> None:
        """Do nothing: single calls are not told."""

    def count(self) -> int:
        """Count nothing: single calls are not told."""
        return 0

    def told(self, since: int) -> set[Mark]:
        """Return nothing: single calls are not told."""
        return set()

    def heed(self, before: object) -> None:
        """Do nothing: single calls are not told."""

    def rest(self) -> None:
        """Do nothing: a flag costs the same, whoever looks."""

    def go_on(self) -> None:
        """Do nothing."""

    def drain(self) -> set[Mark]:
        """Return the flags that are up, and take them down."""
        fired = set(self._raised)
        lower = self._raised.pop
        for flag in fired:  # not all at once: another thread may have raised one meanwhile
            lower(flag)
        return fired

    def takes(self, path: str) -> bool:
        """Tell whether a module of the project at ``path`` is to be rewritten."""
        return self._is_ours(path)

    def load(self, path: str, source: bytes) -> CodeType:
        """Return the rewritten code of a file."""
        cached = self._read(path, source)
        if cached is None:
            code, names = rewrite(source, path)
            self._write(path, source, code, names)
        else:
            code, names = cached
        first = self._ranges.setdefault((path, len(names)), self._used)
        if first == self._used:
            self._used += len(names)
        bound = _bound(code, self._raised, first)
        self._kept.append(bound)
        self._known[mark_of(bound)] = (first, names)
        return bound

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
            return self._flags.load(path, self.get_data(path))
        except (SyntaxError, ValueError, RecursionError):
            return super().get_code(fullname)  # which raises as it always did

    def exec_module(self, module: ModuleType) -> None:
        code: Any = self.get_code(module.__name__)
        try:
            exec(code, module.__dict__)
        finally:
            self._flags.ended(code, sys._getframe(), None)


def rewrite(source: bytes, path: str) -> tuple[CodeType, list[str]]:
    """Compile a module so that each function raises its flag; return the pieces, flag by flag.

    The code does not run before `_bound` has put the flags in.
    """
    tree = ast.parse(source, path)
    rewriter = _Rewriter()
    rewriter.visit(tree)
    return compile(tree, path, "exec", dont_inherit=True), rewriter.names


def _twins(plain: CodeType, rewritten: CodeType) -> dict[CodeType, CodeType]:
    """Return the rewritten function for each of those that nothing else can be taken for."""
    found: dict[tuple[object, ...], tuple[list[CodeType], list[CodeType]]] = {}
    for side, module in enumerate((plain, rewritten)):
        for name, code in codes.functions(module):
            place = (name, code.co_name, code.co_firstlineno, code.co_freevars)
            found.setdefault(place, ([], []))[side].append(code)
    return {olds[0]: news[0] for olds, news in found.values() if len(olds) == len(news) == 1}


def _bound(code: CodeType, raised: _Raised, first: int) -> CodeType:
    """Return code whose flags are those of ``raised``, counted from ``first``."""

    def constant(value: Any) -> Any:
        if isinstance(value, CodeType):
            return _bound(value, raised, first)
        if isinstance(value, tuple) and value[:1] == _RAISED:
            return first + value[1] if len(value) > 1 else raised
        return value

    return code.replace(co_consts=tuple(map(constant, code.co_consts)))


class _Rewriter(ast.NodeTransformer):
    """Put ``raised[n] = 1`` first in every function, on the line of what follows."""

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
        both = ast.BoolOp(ast.Or(), [_raising(index, node.body), node.body])
        node.body = ast.copy_location(both, node.body)
        return node

    def visit_Yield(self, node: ast.Yield) -> ast.AST:
        return self._resumed(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.AST:
        return self._resumed(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self._resumed(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self._entered(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        return self._entered(node)

    def _resumed(self, node: ast.Yield | ast.YieldFrom | ast.Await) -> ast.AST:
        """Raise the flag again where a function goes on: another test may have started it."""
        self.generic_visit(node)
        raising = _raising(self._index(self._piece or codes.MODULE), node)
        both = ast.copy_location(ast.Tuple([node, raising], ast.Load()), node)
        first = ast.copy_location(ast.Constant(0), node)
        return ast.copy_location(ast.Subscript(both, first, ast.Load()), node)

    def _entered(self, node: ast.AsyncFor | ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        setting = ast.Expr(_raising(self._index(self._piece or codes.MODULE), node.body[0]))
        _place(setting, node.body[0])
        node.body.insert(0, setting)
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
            node,  # a docstring alone runs where the function begins
        )
        target = ast.Subscript(ast.Constant(_RAISED), _flag(index), ast.Store())
        setting = ast.Assign([target], ast.Constant(1))
        _place(setting, follows)
        node.body.insert(documented, setting)
        return node

    def _index(self, piece: str) -> int:
        if piece not in self._indices:
            self._indices[piece] = len(self.names)
            self.names.append(piece)
        return self._indices[piece]


def _flag(index: int) -> ast.expr:
    constant: Any = (*_RAISED, index)
    return ast.Constant(constant)


def _raising(index: int, place: ast.AST) -> ast.expr:
    """Return a call that raises a flag, standing where ``place`` does; its value is None."""
    method = ast.Attribute(ast.Constant(_RAISED), "__setitem__", ast.Load())
    call = ast.Call(method, [_flag(index), ast.Constant(1)], [])
    for each in ast.walk(call):
        ast.copy_location(each, place)
    return call


def _place(new: ast.stmt, follows: Any) -> None:
    """Put a new statement on the first line of the one that follows it."""
    decorated = getattr(follows, "decorator_list", None)
    first = decorated[0] if decorated else follows
    for each in ast.walk(new):
        if isinstance(each, (ast.stmt, ast.expr)):
            each.lineno = each.end_lineno = first.lineno
            each.col_offset = each.end_col_offset = first.col_offset
