"""Statements that only bind names, and the keys they stand under."""

from __future__ import annotations

import re
import sys

import pytest

from pytest_aqe.evidence.pieces import MODULE, pieces
from pytest_aqe.evidence.plain import (
    STANDARD,
    bases_of,
    is_class,
    is_doc,
    modules_of,
    names_of,
    paths_of,
    signed,
)


def keys(text: str) -> set[str]:
    """Return the keys of a file's statements, with the word ``module`` for all the others."""
    empty = pieces(b"").checksums[MODULE]
    found = dict(pieces(text.encode()).checksums)
    rest = {"module"} if found.pop(MODULE) != empty else set()
    return rest | {key.removeprefix("<module>:") for key in found if key.startswith(MODULE)}


class TestKeys:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("A = 1", "A"),
            ("A: int = 1", "A"),
            ("A = B = 1", "A,B"),
            ("B, (A, C) = 1, (2, 3)", "A,B,C"),
            ("class C: pass", "C()"),
            ("class C(dict, ValueError): x = 1", "C(builtins.ValueError,builtins.dict)"),
            ("class C:\n class D(str): pass", "C(builtins.str)"),
            ("import os", "os<os>"),
            ("import os.path as p", "p<os.path>"),
            ("from unittest import mock", "mock<unittest,unittest.mock>"),
            ("from collections.abc import Sequence as S", "S<collections.abc>"),
        ],
    )
    def test_what_only_binds(self, text: str, expected: str) -> None:
        """A quiet assignment, a plain class and an import of a standard module stand apart."""
        assert keys(text) == {expected}

    @pytest.mark.parametrize(
        ("value", "quiet"), [("1 << 2", True), ("1 << B", True), ("B >> B", False), ("B | B", True)]
    )
    def test_operators(self, value: str, quiet: bool) -> None:
        """Names are shifted to tie them together; no other operator is written for that."""
        assert keys(f"B = 1\nA = {value}") == ({"A", "B"} if quiet else {"B", "module"})

    @pytest.mark.parametrize(
        "text",
        [
            "import re\nA = re.compile('a', re.I)",
            "from operator import attrgetter\nA = attrgetter('a', 'b.c')",
            "from re import compile as c\nA = c('a')",
            "from typing import TypeVar\nA = TypeVar('A', bound='B')",
            "from os import path\nA = path.join(path.dirname(__file__), 'a')",
            "A = frozenset({1, 2})",
            "A = dict(a=(1, [2]), b=set())",
            "from collections import defaultdict\nA = defaultdict(list)",
        ],
    )
    def test_calls_that_make_a_value(self, text: str) -> None:
        """Some classes of the standard library do nothing but make an object."""
        found = keys(text)
        assert "A" in found
        assert "module" not in found

    @pytest.mark.parametrize(
        "text",
        [
            "B = 1\nA = list(B)",
            "from collections import deque\nB = [1]\nA = deque(B)",
            "A = set(*make)",
            "A = frozenset(x for x in 'a')",
            "def set(): pass\nA = set()",
            "from .re import compile\nA = compile('a')",
            "import re\nA = re.compile(make())",
            "import re\nre = 1\nA = re.compile('a')",
        ],
    )
    def test_calls_that_may_do_more(self, text: str) -> None:
        """A container uses up what it is given, and a name may stand for something else."""
        found = keys(text)
        assert "A" not in found
        assert "module" in found

    def test_each_name_of_an_import_stands_for_itself(self) -> None:
        """Nobody who uses one name of a statement minds the others."""
        assert keys("import os.path as p, typing") == {"p<os.path>", "typing<typing>"}
        assert keys("from os import sep, path") == {"sep<os>", "path<os>"}

    def test_the_docstring_of_a_class_with_bases(self) -> None:
        """A base may read it, whatever the body of the class does."""
        text = "from m import B\nclass C(B):\n 'Doc.'\n x = make()"
        assert keys(text) == {"module", "C.__doc__(m.B)"}
        assert is_class("<module>:C.__doc__(m.B)")
        assert is_doc("<module>:C.__doc__(m.B)")
        assert not is_doc("<module>:C(m.B)")

    @pytest.mark.parametrize(
        ("imports", "base", "path"),
        [
            ("from enum import Enum as E", "E", "enum.Enum"),
            ("import a.b", "a.b.C", "a.b.C"),
            ("from . import shapes", "shapes.Shape", ".shapes.Shape"),
            ("from ..shapes import Shape", "Shape", "..shapes.Shape"),
            ("from typing import Generic", "Generic[int]", "typing.Generic"),
            ("class B: pass", "B", "B"),
        ],
    )
    def test_where_a_base_comes_from(self, imports: str, base: str, path: str) -> None:
        """A class's key says where its bases come from."""
        assert f"X({path})" in keys(f"{imports}\nclass X({base}): pass")

    @pytest.mark.parametrize(
        "text",
        [
            "A = make()",
            "A = [x for x in 'a']",
            "A = lambda: 1",
            "A = B",
            "A += 1",
            "A[0] = 1",
            "[A, B] = 1, 2",
            "A, *B = 1, 2",
            "A = 1\nA = 2",
            "if x: A = 1",
            "def f():\n global A\nA = 1",
            "import requests",
            "from . import a",
            "from os import *",
            "import test.helpers",
            "from __future__ import division",
            "__all__ = ['A']",
            "pytestmark = 1",
            "collect_ignore = ['a']",
            "test_a = 1",
            "TestA = 1",
            "import m\nA = m.a",
            "from m import a\nA = a",
            "def f(): pass\nA = f",
            "class C(make()): pass",
            "class C(metaclass=type): pass",
            "@register\nclass C: pass",
            "class C: x = make()",
            "class C:\n if x: y = 1",
            "class C:\n print()",
            "class C:\n import os",
            "class C:\n @register\n def m(self): pass",
            "class C:\n def m(self, x=make()): pass",
            "class C:\n def m(self, x: make()): pass",
            "x = 1\nclass C(x): pass",
            "x = 1\nclass C(x.Y): pass",
        ],
    )
    def test_what_does_more(self, text: str) -> None:
        """Whatever may run code, is bound twice or is read by its name stays in the module."""
        assert "module" in keys(text)
        assert not [key for key in keys(text) if re.match(r"A|B,|C\(|[Tt]est", key)]

    def test_reading_a_key(self) -> None:
        """A key gives back the names, the bases and the modules."""
        assert names_of("<module>:A,B") == ("A", "B")
        assert names_of("<module>:C(.a.B,enum.Enum)") == ("C",)
        assert bases_of("<module>:C(.a.B,enum.Enum)") == (".a.B", "enum.Enum")
        assert bases_of("<module>:C()") == ()
        assert is_class("<module>:C()")
        assert not is_class("<module>:C")
        assert names_of("<module>:p,t<os,typing>") == ("p", "t")
        assert modules_of("<module>:p,t<os,typing>") == ("os", "typing")
        assert modules_of("<module>:xml<xml.dom>") == ("xml",)
        assert paths_of("<module>:xml<xml.dom>") == ("xml.dom",)
        assert names_of("<module>:C.D.m") == ("D", "m")
        assert names_of("<module>:C.m:annotations") == ("C", "m")
        assert signed("<module>:C.m:annotations") == signed("<module>:C.m") == "C.m"


def test_the_order_among_others_counts() -> None:
    """A name bound above or below a statement that does more is another one."""
    above, below = pieces(b"A = 1\nrun()").checksums, pieces(b"run()\nA = 1").checksums
    assert above[MODULE] == below[MODULE]
    assert above["<module>:A"] != below["<module>:A"]


def test_names_that_every_python_has() -> None:
    """What counts as standard is there on this Python, so on no other it means another thing."""
    assert sys.stdlib_module_names >= STANDARD
