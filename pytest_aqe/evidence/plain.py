"""Which statements of a module do nothing but bind names, and the key each stands under.

Such a statement (a quiet assignment, a plain class, an import from the standard library) is no
part of ``<module>``: when it differs, it matters to who uses the names. Its key says what follows
the names: a constant's are bare, ``<module>:A,B``; a class names its bases and where they come
from, ``<module>:C(.shapes.Shape,enum.Enum)``, for what those do when a class is made from them
stands elsewhere; an imported name its module, ``<module>:t<typing>``, which the project may hide,
and modules in that, ``<module>:xml<xml.dom>``, which others may then use; the docstring of a class
that a base may read ``<module>:C.__doc__(.Shape)``; a function's is ``<module>:f`` and a method's
``<module>:C.m``, for its signature, and ``<module>:C.m:annotations`` for the annotations in it,
which only few projects read.

When unsure, a statement stays in ``<module>``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable

from pytest_aqe.evidence.bindings import Bindings, bound_by
from pytest_aqe.evidence.syntax import Function, is_type_checking, text_of

BINDING = "<module>:"  # before the names
ANNOTATIONS = ":annotations"  # after them
DOCS = f"{BINDING}:docs"  # all docstrings that stand nowhere else
POSTPONED = f"{BINDING}annotations<__future__>"  # they become texts; the name is bound as well
TYPE_CHECKING = f"{BINDING}:TYPE_CHECKING"  # what stands under that, which runs if one sets it
_DOC = ".__doc__("

# Names that act by being bound, and those that star imports, Python or pytest read.
_ACTING = re.compile(r"pytest\w*|collect_ignore\w*|load_tests|[Tt]est\w*")
_UNBOUND = frozenset({"__all__", "__getattr__", "__dir__", "__path__", "__test__", "__name__"})

# Spelled out, because checksums are compared between Pythons and each has other modules; only
# those that act by being imported, or that projects often hide, are missing.
_MODULES = """
    abc argparse array ast asyncio atexit base64 binascii bisect builtins bz2 cProfile calendar
    cmath codecs collections colorsys concurrent configparser contextlib contextvars copy copyreg
    csv ctypes dataclasses datetime decimal difflib dis email enum errno faulthandler fnmatch
    fractions functools gc getopt getpass gettext glob graphlib gzip hashlib heapq hmac html http
    imaplib importlib inspect io ipaddress itertools json keyword linecache locale logging lzma
    mailbox marshal math mimetypes mmap multiprocessing netrc numbers operator optparse os pathlib
    pdb pickle pickletools pkgutil platform plistlib posixpath pprint profile pstats queue quopri
    random re reprlib runpy sched secrets select selectors shelve shlex shutil signal smtplib
    socket socketserver sqlite3 ssl stat statistics string stringprep struct subprocess symtable
    sys sysconfig tarfile tempfile textwrap threading time timeit token tokenize trace traceback
    tracemalloc types typing unicodedata unittest urllib uuid warnings wave weakref webbrowser
    wsgiref xml xmlrpc zipfile zipimport zlib zoneinfo
"""
STANDARD = frozenset(_MODULES.split())
# Those that do not import their own submodules: who imports one gives it to everybody.
_OUTER = """
    concurrent ctypes email html http importlib logging multiprocessing unittest urllib wsgiref
    xml xmlrpc
"""
_PACKAGES = frozenset(_OUTER.split())


def names_of(key: str) -> tuple[str, ...]:
    """Return the names that a key stands for; a method's are its own and its class's."""
    names = re.split("[(<:]", key.removeprefix(BINDING))[0]
    return tuple(names.split(".")[-2:] if "." in names else names.split(","))


def bases_of(key: str) -> tuple[str, ...]:
    """Return the paths of a class's bases: ``.shapes.Shape``, ``enum.Enum``, ``Local``."""
    return _between(key, "(", ")")


def modules_of(key: str) -> tuple[str, ...]:
    """Return the top-level modules that an import names."""
    return tuple(map(_root, paths_of(key)))


def paths_of(key: str) -> tuple[str, ...]:
    """Return the dotted paths that an import names, and of a package also what it takes."""
    return _between(key, "<", ">")


def order_of(keys: Iterable[str]) -> list[str]:
    """Return the names that a module binds, in the order of their keys; no method's."""
    own = [key for key in keys if key.startswith(BINDING) and not is_doc(key)]
    return [
        name
        for key in own
        if not (key in (DOCS, TYPE_CHECKING) or is_annotations(key))
        and "." not in re.split("[(<]", key)[0]
        for name in names_of(key)
    ]


def is_class(key: str) -> bool:
    """Tell the key of a class."""
    return key.endswith(")")


def is_doc(key: str) -> bool:
    """Tell the key of a class's docstring."""
    return _DOC in key


def is_annotations(key: str) -> bool:
    """Tell the key of a function's annotations."""
    return key.endswith(ANNOTATIONS)


def signed(key: str) -> str:
    """Return the function, or method, whose signature or annotations a key stands for."""
    return key.removeprefix(BINDING).removesuffix(ANNOTATIONS)


def _between(key: str, start: str, end: str) -> tuple[str, ...]:
    if not key.startswith(BINDING):
        return ()
    found = key.removeprefix(BINDING).partition(start)[2].removesuffix(end)
    return tuple(found.split(",")) if found else ()


def does_nothing(statement: ast.stmt) -> bool:
    """Tell ``if TYPE_CHECKING:`` and a text on a line of its own."""
    return is_type_checking(statement) or (
        isinstance(statement, ast.Expr) and text_of(statement.value) is not None
    )


class Plain:
    """Tell the statements of one module apart. ``leaves`` says what a method leaves in a class."""

    def __init__(self, bindings: Bindings, leaves: Callable[[Function], bool]) -> None:
        self._bindings = bindings
        self._leaves = leaves

    def key(self, statement: ast.stmt) -> str | None:
        """Return the key of a statement that only binds names; None for any other."""
        names = sorted(set(bound_by(statement)))
        if not names or any(name in self._bindings.repeated or name in _UNBOUND for name in names):
            return None
        key = f"{BINDING}{','.join(names)}"
        if isinstance(statement, ast.ClassDef):
            if not self._is_plain(statement):
                return None
            bases = {self._bindings.path(base) for base in _all_bases(statement)}
            return None if "" in bases else f"{key}({','.join(sorted(bases))})"
        if any(map(_ACTING.fullmatch, names)):
            return None
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            modules = _standard(statement)
            return f"{key}<{','.join(modules)}>" if modules else None
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)):
            return None
        # another name for what may be a fixture, which pytest finds by its name
        named_again = self._bindings.may_be_function(statement.value)
        return key if self._only_binds(statement) and not named_again else None

    def doc_key(self, node: ast.ClassDef) -> str | None:
        """Return the key of a class's docstring; None where more than its bases may read it."""
        if node.keywords or not all(map(self._bindings.ignores_doc, node.decorator_list)):
            return None
        if node.name in self._bindings.repeated:
            return None
        bases = {self._bindings.path(base) for base in node.bases}
        return None if "" in bases else f"{BINDING}{node.name}{_DOC}{','.join(sorted(bases))})"

    def _only_binds(self, statement: ast.stmt) -> bool:
        """Tell an assignment of a quiet value to names."""
        if isinstance(statement, ast.Assign):
            return only_names(statement) and self._quiet([statement.value])
        if isinstance(statement, ast.AnnAssign):
            quiet = self._quiet([statement.annotation, statement.value])
            return quiet and isinstance(statement.target, ast.Name)
        return False

    def _is_plain(self, node: ast.ClassDef) -> bool:
        """Tell a class whose making does nothing but bind names, as far as it can be seen here."""
        if node.keywords or not self._quiet(node.bases):
            return False
        if not all(self._bindings.makes_plain(each) for each in node.decorator_list):
            return False
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                defaults = [*statement.args.defaults, *statement.args.kw_defaults]
                if self._leaves(statement) or not self._quiet(defaults):
                    return False
                if not all(map(self._bindings.leaves_no_trace, statement.decorator_list)):
                    return False
            elif isinstance(statement, ast.ClassDef):
                if not self._is_plain(statement):
                    return False
            elif not (
                does_nothing(statement)
                or isinstance(statement, ast.Pass)
                or self._only_binds(statement)
            ):
                return False
        return True

    def _quiet(self, expressions: Iterable[ast.expr | None]) -> bool:
        return self._bindings.are_quiet(expressions)


def _all_bases(node: ast.ClassDef) -> list[ast.expr]:
    """Return the bases of a class and of the classes inside it."""
    inner = [each for each in node.body if isinstance(each, ast.ClassDef)]
    return [*node.bases, *(base for each in inner for base in _all_bases(each))]


def only_names(statement: ast.Assign) -> bool:
    """Tell an assignment to names and tuples of names, not to ``a[0]`` or ``a.b``."""
    targets: list[ast.expr] = [*statement.targets]
    for target in targets:
        if isinstance(target, ast.Tuple):
            targets += target.elts
        elif not isinstance(target, ast.Name):
            return False
    return True


def is_standard(statement: ast.Import | ast.ImportFrom) -> bool:
    """Tell an import of single names from the standard library alone."""
    return bool(_standard(statement))


def _standard(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the dotted paths of an import that names the standard library alone."""
    if isinstance(statement, ast.Import):
        paths = {each.name for each in statement.names}
    elif statement.level or any(each.name == "*" for each in statement.names):
        return []
    else:
        module = statement.module or ""
        paths = {module}
        if _root(module) in _PACKAGES:
            paths |= {f"{module}.{each.name}" for each in statement.names if each.name.islower()}
    return sorted(paths) if STANDARD.issuperset(map(_root, paths)) else []


def _root(path: str) -> str:
    return path.partition(".")[0]
