"""What a module's top level binds, and which of its expressions do nothing but give a value.

Both decide whether a function is *inert*: whether adding or removing it changes nothing at
import. An expression is *quiet* when evaluating it runs no code of the project and cannot
fail for want of a name: constants, names bound further up, attributes, subscripts, operators
and displays of those, but no ``>>`` of two names. What fails otherwise (``int | "C"``,
``typing.Lits``) fails where pytest imports the file, before anything is selected; only in a
module that a test imports lately can such a mistake wait, so what fails most (a name that is
not there yet, a forward reference without quotes, ``"C" | None``) counts as not quiet.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pytest_aqe.evidence.syntax import fields, is_type_checking, text_of

# The builtins that defaults and annotations name; spelled out, because every Python has others.
_NAMES = """
    ArithmeticError AssertionError AttributeError BaseException BytesWarning ConnectionError
    DeprecationWarning EOFError Ellipsis Exception FileExistsError FileNotFoundError
    FutureWarning GeneratorExit IOError ImportError IndexError IsADirectoryError KeyError
    KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError NotADirectoryError
    NotImplemented NotImplementedError OSError OverflowError PendingDeprecationWarning
    PermissionError RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning
    StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit
    TimeoutError TypeError UnicodeDecodeError UnicodeEncodeError UnicodeError UserWarning
    ValueError Warning ZeroDivisionError __file__ __name__ abs all any bool bytearray bytes
    callable chr classmethod complex dict divmod enumerate filter float format frozenset hash
    hex id input int isinstance iter len list map max memoryview min next object open ord pow
    print property range repr reversed round set slice sorted staticmethod str sum super tuple
    type zip
"""
_BUILTINS = frozenset(_NAMES.split())

# Decorators that do nothing to anything else at import and read neither the annotations nor
# the docstring of what they decorate.
_DECORATORS = """
    abc.abstractmethod classmethod contextlib.asynccontextmanager contextlib.contextmanager
    functools.cache functools.cached_property functools.lru_cache functools.wraps property
    pytest.fixture pytest.param staticmethod typing.final typing.no_type_check typing.overload
    typing.override typing_extensions.final typing_extensions.overload
    typing_extensions.override unittest.expectedFailure unittest.mock.patch
    unittest.mock.patch.dict unittest.mock.patch.multiple unittest.mock.patch.object
    unittest.skip unittest.skipIf unittest.skipUnless
"""
_HARMLESS = frozenset(_DECORATORS.split())
_BUILTIN_DECORATORS = frozenset({"classmethod", "property", "staticmethod"})
_ACCESSORS = frozenset({"setter", "deleter", "getter"})  # of a property in the same class

# Decorators of classes that change the class and nothing else.
_OF_CLASSES = """
    attr.define attr.frozen attr.s attrs.define attrs.frozen attrs.mutable dataclasses.dataclass
    enum.unique functools.total_ordering typing.final typing.runtime_checkable
"""
_CLASS_DECORATORS = frozenset(_OF_CLASSES.split())

# Calls that make a value of their arguments and do nothing else.
_VALUES = """
    attr.Factory attr.attrib attr.field attr.ib attrs.Factory attrs.field collections.namedtuple
    contextvars.ContextVar dataclasses.field datetime.date datetime.datetime datetime.time
    datetime.timedelta datetime.timezone decimal.Decimal enum.auto fractions.Fraction
    logging.getLogger operator.attrgetter operator.itemgetter os.path.abspath os.path.basename
    os.path.dirname os.path.join os.path.normpath os.path.realpath pathlib.Path pathlib.PurePath
    pathlib.PurePosixPath re.compile string.Template struct.Struct threading.Event
    threading.Lock threading.RLock threading.local types.SimpleNamespace typing.NewType
    typing.ParamSpec typing.TypeVar typing.TypeVarTuple typing_extensions.NewType
    typing_extensions.ParamSpec typing_extensions.TypeVar typing_extensions.TypeVarTuple
    uuid.UUID
"""
_MAKES_VALUES = frozenset(_VALUES.split())

# Those that go through what they are given, which may be used up by it: of literals alone.
_CONTAINERS = """
    builtins.bytearray builtins.bytes builtins.complex builtins.dict builtins.float
    builtins.frozenset builtins.int builtins.list builtins.object builtins.range builtins.set
    builtins.str builtins.tuple collections.Counter collections.OrderedDict
    collections.defaultdict collections.deque types.MappingProxyType weakref.WeakKeyDictionary
    weakref.WeakSet weakref.WeakValueDictionary
"""
_GOES_THROUGH = frozenset(_CONTAINERS.split())

_GLOBAL = re.compile(rb"(?:^|[;:])[ \t\f]*global[ \t\\]", re.MULTILINE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Bindings:
    """The names a module binds at its top level: where first, which more than once, from where.

    ``position`` is the index of the statement that is being read; only what stands above it
    is bound there.
    """

    def __init__(self, tree: ast.Module, source: bytes) -> None:
        self.position = 0
        self.repeated: set[str] = set()
        self._first: dict[str, int] = {}
        self._origins: dict[str, str] = {}
        self._imported: dict[str, str] = {}  # relative imports too, with their dots
        self._classes: set[str] = set()
        self._functions: set[str] = set()
        for position, statement in enumerate(tree.body):
            if is_type_checking(statement):
                continue
            origins = _origins(statement)
            for name in bound_by(statement):
                if self._first.setdefault(name, position) != position and (
                    name not in origins or self._origins.get(name) != origins[name]
                ):  # `import a.b` and `import a.c` bind one `a`
                    self.repeated.add(name)
            self._origins |= origins
            self._imported |= origins or _relative(statement)
            if isinstance(statement, ast.ClassDef):
                self._classes.add(statement.name)
            elif isinstance(statement, _DEFINITIONS):
                self._functions.add(statement.name)
        if b"global" in source and _GLOBAL.search(source):
            self.repeated |= _declared_global(tree)

    def origin(self, node: ast.expr) -> str:
        """Return what a decorator is called where it comes from, or "" when nothing tells."""
        path: list[str] = []
        while isinstance(node, ast.Attribute):
            path.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        root = node.id
        if root in self.repeated:
            return ""
        known = root in _BUILTIN_DECORATORS and root not in self._first
        path.append(root if known else self._origins.get(root, ""))
        return ".".join(reversed(path))

    def path(self, base: ast.expr) -> str:
        """Return where a class's base comes from; "" when nothing here tells.

        ``enum.Enum``, ``..shapes.Shape``, ``builtins.dict``; a class of this module by its name.
        """
        while isinstance(base, ast.Subscript):
            base = base.value
        path: list[str] = []
        while isinstance(base, ast.Attribute):
            path.append(base.attr)
            base = base.value
        if not isinstance(base, ast.Name) or base.id in self.repeated:
            return ""
        if base.id in self._imported:
            return ".".join([self._imported[base.id], *reversed(path)])
        if path:
            return ""
        if base.id in self._classes:
            return base.id
        known = base.id in _BUILTINS and base.id not in self._first
        return f"builtins.{base.id}" if known else ""

    def may_be_function(self, value: ast.expr | None) -> bool:
        """Tell another name for a function of this module, or for anything imported."""
        plain = value
        while isinstance(plain, ast.Attribute):
            plain = plain.value
        if not isinstance(plain, ast.Name):
            return False
        return plain.id in self._functions or plain.id in self._imported

    def ignores(self, decorator: ast.expr) -> bool:
        """Tell a decorator that reads neither annotations nor docstring of what it is given."""
        if isinstance(decorator, ast.Call):
            decorator = decorator.func
        if isinstance(decorator, ast.Attribute) and decorator.attr in _ACCESSORS:
            return isinstance(decorator.value, ast.Name)
        return self._is_harmless(decorator)

    def ignores_doc(self, decorator: ast.expr) -> bool:
        """Tell a decorator of classes that does not read what their docstring says."""
        origin = self.origin(decorator.func if isinstance(decorator, ast.Call) else decorator)
        return origin == "dataclasses.dataclass" or self.ignores(decorator)

    def reads_nothing(self, called: ast.expr) -> bool:
        """Tell a call that looks at neither annotations nor docstring of what it is given."""
        if isinstance(called, ast.Name) and called.id in _BUILTINS:
            return called.id not in self._first
        return self.ignores(called) or self.origin(called) in _MAKES_VALUES

    def leaves_no_trace(self, decorator: ast.expr) -> bool:
        """Tell a harmless decorator with quiet arguments, of no fixture that is used unasked."""
        if not isinstance(decorator, ast.Call):
            return self._is_harmless(decorator)
        unasked = any(keyword.arg in _UNASKED for keyword in decorator.keywords)
        if unasked and self.origin(decorator.func) == "pytest.fixture":
            return False
        return self.are_quiet([decorator])

    def makes_plain(self, decorator: ast.expr) -> bool:
        """Tell a decorator that changes the class it is given and nothing else."""
        origin = self.origin(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if origin not in _CLASS_DECORATORS and not origin.startswith("pytest.mark."):
            return False
        return not isinstance(decorator, ast.Call) or self.are_quiet(
            [*decorator.args, *(each.value for each in decorator.keywords)]
        )

    def makes_value(self, call: ast.Call) -> bool:
        """Tell a call that does nothing but make a value of its arguments, as far as it goes."""
        origin = self.origin(call.func)
        if not origin and isinstance(call.func, ast.Name):
            known = call.func.id in _BUILTINS and call.func.id not in self._first
            origin = f"builtins.{call.func.id}" if known else ""
        if origin not in _GOES_THROUGH:
            return origin in _MAKES_VALUES
        given = [*call.args, *(each.value for each in call.keywords)]
        return not any(
            isinstance(node, ast.Name) and (node.id not in _BUILTINS or node.id in self._first)
            for each in given
            for node in ast.walk(each)
        )

    def _is_harmless(self, node: ast.expr) -> bool:
        name = self.origin(node)
        return name in _HARMLESS or name.startswith("pytest.mark.")

    def are_quiet(self, expressions: Iterable[ast.expr | None]) -> bool:
        """Tell whether evaluating these runs nothing of the project (see the module's text)."""
        left: list[Any] = [*expressions]
        while left:
            node = left.pop()
            kind = node.__class__
            if kind is ast.Name:
                if self._first.get(node.id, self.position) >= self.position and (
                    node.id not in _BUILTINS or node.id in self._first
                ):
                    return False
            elif kind is list:
                left += node
            elif kind is ast.BinOp:
                sides = (node.left, node.right)
                if isinstance(node.op, ast.BitOr) and any(text_of(side) for side in sides):
                    return False
                if ties(node):
                    return False
                left += sides
            elif kind is ast.Call:
                if not (self._is_harmless(node.func) or self.makes_value(node)):
                    return False
                left += node.args
                left += node.keywords
            elif kind in _QUIET:
                left += fields(node)
            elif isinstance(node, ast.AST) and not isinstance(node, _OPERATORS):
                return False
        return True


# Keywords that let a fixture act on tests which do not ask for it by the function's name.
_UNASKED = frozenset({"autouse", "name", None})

_QUIET = frozenset(
    {
        ast.Attribute,
        ast.BoolOp,
        ast.Compare,
        ast.Constant,
        ast.Dict,
        ast.IfExp,
        ast.List,
        ast.Set,
        ast.Slice,
        ast.Subscript,
        ast.Tuple,
        ast.UnaryOp,
        ast.keyword,
    }
)
_OPERATORS = (ast.boolop, ast.cmpop, ast.unaryop)


def ties(node: ast.AST) -> bool:
    """Tell ``extract >> load``, which is written for what it does to both.

    Other operators of names nobody writes for that; a number is only shifted.
    """
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, (ast.LShift, ast.RShift))
        and not (isinstance(node.left, ast.Constant) and isinstance(node.left.value, int))
    )


def bound_by(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds in its own scope, once for each time it does."""
    left: list[ast.AST] = [statement]
    while left:
        node = left.pop()
        if isinstance(node, _DEFINITIONS):
            yield node.name
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id
        elif isinstance(node, ast.alias):
            yield _root(node.asname or node.name)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)):
            if node.name:
                yield node.name
            left += ast.iter_child_nodes(node)
        elif isinstance(node, ast.MatchMapping):
            if node.rest:
                yield node.rest
            left += node.patterns
        elif isinstance(node, ast.Assign):
            left += node.targets
        elif not isinstance(node, (ast.Lambda, ast.Constant)):
            left += ast.iter_child_nodes(node)


def _declared_global(tree: ast.Module) -> set[str]:
    """Return the names that functions bind in the module. Only statements are looked at."""
    names: set[str] = set()
    left: list[ast.AST] = [*tree.body]
    while left:
        node = left.pop()
        if isinstance(node, ast.Global):
            names.update(node.names)
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                left += inner
    return names


def _origins(statement: ast.stmt) -> dict[str, str]:
    """Map the names of an import to what they are called where they come from."""
    if isinstance(statement, ast.Import):
        return {
            each.asname or _root(each.name): each.name if each.asname else _root(each.name)
            for each in statement.names
        }
    if not isinstance(statement, ast.ImportFrom) or statement.level:
        return {}
    return {each.asname or each.name: f"{statement.module}.{each.name}" for each in statement.names}


def _relative(statement: ast.stmt) -> dict[str, str]:
    """Map the names of a relative import to where they come from, dots included."""
    if not isinstance(statement, ast.ImportFrom) or not statement.level:
        return {}
    start = "." * statement.level + (f"{statement.module}." if statement.module else "")
    return {each.asname or each.name: start + each.name for each in statement.names}


def _root(path: str) -> str:
    return path.partition(".")[0]
