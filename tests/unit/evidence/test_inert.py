"""Inert functions, which come and go without changing a module, and laws of all pieces."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aqe.evidence.pieces import Difference, compare, pieces
from pytest_aqe.evidence.plain import BINDING, DOCS, signed


def difference(old: str, new: str) -> Difference:
    """Compare two files given as texts."""
    return compare(pieces(old.encode()).checksums, pieces(new.encode()).checksums)


def changed(old: str, new: str) -> set[str]:
    """Return the pieces that differ, where none came or went."""
    found = difference(old, new)
    assert not found.added | found.removed
    return set(found.changed)


INERT = [
    "def f(): pass",
    "async def f(a, b=1, *c, d=(), **e): pass",
    "from m import A\ndef f(a=A.x, b=-A.y): pass",
    "import pytest\n@pytest.mark.parametrize('a', [1, pytest.param(2, id='b')])\ndef f(a): pass",
    "import pytest as pt\n@pt.fixture(scope='session')\ndef f(): pass",
    "from pytest import fixture\n@fixture\ndef f(): pass",
    "import functools\n@functools.lru_cache(maxsize=None)\ndef f(): pass",
    "import contextlib\n@contextlib.contextmanager\ndef f(): pass",
    "import unittest\nimport unittest.mock\n@unittest.mock.patch('a.b')\ndef f(): pass",
    "import os\ndef f(path: os.PathLike[str] | None = None) -> int: pass",
]

LIVELY_NAMES = ("__getattr__", "pytest_configure", "setup_module", "load_tests")
LIVELY = [
    "def __getattr__(name): pass",
    "def pytest_configure(): pass",
    "def setup_module(): pass",
    "def load_tests(): pass",
    "f = None\ndef f(): pass",
    "def f(): pass\ndef f(): pass",
    "from m import f\ndef f(): pass",
    "def f(): pass\ndef g():\n global f\n f = 1",
    "if x:\n def f(): pass",
    "@register\ndef f(): pass",
    "def f(a=make()): pass",
    "def f(a=lambda: 1): pass",
    "def f(a=missing): pass",
    "import pytest\n@pytest.fixture(autouse=True)\ndef f(): pass",
    "import pytest\n@pytest.fixture(name='g')\ndef f(): pass",
    "import pytest\n@pytest.mark.parametrize('a', [make()])\ndef f(a): pass",
    "import pytest\npytest = 1\n@pytest.fixture\ndef f(): pass",
    "from mine import fixture\n@fixture\ndef f(): pass",
    "@fs.setter\ndef f(): pass",
    "def f(): '''\n>>> g()\n'''",
]


class TestInert:
    @pytest.mark.parametrize("text", INERT)
    def test_inert(self, text: str) -> None:
        """A plain top-level function with harmless decorators and quiet defaults is inert."""
        assert "f" in pieces(text.encode()).inert

    @pytest.mark.parametrize("text", LIVELY)
    def test_not_inert(self, text: str) -> None:
        """What runs code, is found without its name or is bound again is not inert."""
        assert not {"f", *LIVELY_NAMES} & pieces(text.encode()).inert

    @pytest.mark.parametrize("text", INERT)
    def test_adding_it_changes_nothing(self, text: str) -> None:
        """Adding an inert function adds what is its own, and changes no other piece."""
        start = min(
            at for at in (text.find("@"), text.find("def f"), text.find("async")) if at >= 0
        )
        rest = "\nx = 1\ndef g(): pass\n"
        found = difference(text[:start] + rest, text + rest)
        assert {"f", f"{BINDING}f"} <= found.added
        assert not found.changed | found.removed
        assert set(map(signed, found.added)) == {"f"}

    def test_arguments_of_a_mark_count(self) -> None:
        """A changed parameter changes the test and nothing else."""
        old = "import pytest\n@pytest.mark.parametrize('a', [1])\ndef test_a(a): pass"
        assert changed(old, old.replace("[1]", "[2]")) == {"test_a", f"{BINDING}test_a"}

    @pytest.mark.parametrize("head", ["class TestC:", "class C(unittest.TestCase):"])
    def test_a_test_of_a_class(self, head: str) -> None:
        """A new test in a test class changes nothing else."""
        old = f"{head}\n x = 1\n"
        found = difference(old, old + " def test_a(self): pass\n")
        added = "TestC.test_a" if "TestC:" in head else "C.test_a"
        both = frozenset({added, f"{BINDING}{added}"})
        assert found == Difference(frozenset(), both, frozenset())

    @pytest.mark.parametrize(
        "text",
        [
            "class TestC:\n def setup_method(self): pass",
            "class TestC:\n def helper(self): pass",
            "class TestC:\n def test_a(self): pass\n test_a = mark(test_a)",
            "class TestC(metaclass=M):\n def test_a(self): pass",
            "@d\nclass TestC:\n def test_a(self): pass",
            "class C:\n def test_a(self): pass",
            "class C:\n class TestD:\n  def test_a(self): pass",
        ],
    )
    def test_other_methods_are_not(self, text: str) -> None:
        """Methods that are no tests, or whose class may look at them, are not inert."""
        assert not pieces(text.encode()).inert


# Modules of the standard library, in which people wrote most of what can be written.
LIBRARY = """
    abc base64 bisect calendar cmd codeop colorsys contextlib copy csv dataclasses difflib
    filecmp fileinput fnmatch fractions functools getopt glob graphlib heapq hmac keyword
    linecache numbers operator pprint profile queue quopri random reprlib sched selectors shelve
    shlex statistics string stringprep struct textwrap token tokenize trace tty uuid wave weakref
"""
READERS = re.compile("__doc__|getdoc|annotations|signature|getfullargspec|singledispatch|global ")
FILES = [
    path
    for name in LIBRARY.split()
    if (path := Path(ast.__file__).with_name(f"{name}.py")).is_file()
]


def functions(body: list[ast.stmt], prefix: str = "") -> list[tuple[str, ast.FunctionDef]]:
    """List the functions and methods that stand directly in a module or in classes."""
    found: list[tuple[str, ast.FunctionDef]] = []
    for each in body:
        if isinstance(each, ast.FunctionDef):
            found.append((prefix + each.name, each))
        elif isinstance(each, ast.ClassDef):
            found += functions(each.body, f"{prefix}{each.name}.")
    return found


class TestLaws:
    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_reformatting_changes_nothing(self, path: Path) -> None:
        """A file printed anew from its syntax tree has the same pieces."""
        source = path.read_bytes()
        assert pieces(ast.unparse(ast.parse(source)).encode()) == pieces(source)

    @settings(max_examples=25)
    @given(st.data(), st.sampled_from(FILES))
    def test_comments_and_blank_lines_change_nothing(self, data: st.DataObject, path: Path) -> None:
        """Wherever a comment or a blank line may stand, it changes nothing."""
        source = path.read_bytes()
        lines = source.splitlines(keepends=True)
        starts = sorted(
            {
                min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
                for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.stmt)
            }
        )
        inserted = data.draw(st.lists(st.sampled_from(starts), min_size=1, max_size=9))
        for number in sorted(inserted, reverse=True):
            line = data.draw(st.sampled_from([b"\n", b"# __doc__\n", b"   # global x\n", b"\f\n"]))
            lines.insert(number - 1, line)
        assert pieces(b"".join(lines)) == pieces(source)

    @settings(max_examples=25)
    @given(st.data(), st.sampled_from(FILES))
    def test_a_changed_body_is_one_changed_piece(self, data: st.DataObject, path: Path) -> None:
        """Whichever function's body changes, exactly its piece changes."""
        source = path.read_bytes()
        tree = ast.parse(source)
        found = functions(tree.body)
        if not found:
            return
        name, function = data.draw(st.sampled_from(found), label="function")
        function.body.append(ast.Expr(ast.Constant(12345)))
        new = ast.unparse(ast.fix_missing_locations(tree)).encode()
        told = compare(pieces(source).checksums, pieces(new).checksums)
        assert told == Difference(frozenset({name}), frozenset(), frozenset())

    @settings(max_examples=25)
    @given(st.data(), st.sampled_from(FILES))
    def test_removing_an_inert_function_changes_nothing_else(
        self, data: st.DataObject, path: Path
    ) -> None:
        """Whichever inert function goes, no other piece changes.

        That of all docstrings excepted. So are functions that read docstrings or annotations,
        which count only when something does, those that another's default or a statement of the
        module names, and those that bind names of the module.
        """
        source = path.read_bytes()
        tree = ast.parse(source)
        told = pieces(source)
        named = {
            node.id
            for statement in tree.body
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))
            for node in ast.walk(statement)
            if isinstance(node, ast.Name)
        }
        named |= {
            default.id
            for node in ast.walk(tree)
            if isinstance(node, ast.arguments)
            for default in (*node.defaults, *node.kw_defaults)
            if isinstance(default, ast.Name)
        }
        inert = [
            (name, node)
            for name, node in functions(tree.body)
            if name in told.inert and name not in named
            if not READERS.search(ast.unparse(node))
        ]
        if not inert:
            return
        name, function = data.draw(st.sampled_from(inert), label="function")
        tree.body.remove(function)
        new = pieces(ast.unparse(tree).encode())
        own = {key: each for key, each in told.checksums.items() if signed(key) == name}
        before = {key: each for key, each in told.checksums.items() if key != DOCS}
        after = {key: each for key, each in new.checksums.items() if key != DOCS}
        assert before == {**after, **own}
