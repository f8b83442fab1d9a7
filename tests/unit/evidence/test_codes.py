"""Pieces, imports and names read from code objects."""

from __future__ import annotations

import ast
import sys
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.codes import Import


def compiled(text: str):
    return compile(dedent(text), "shop.py", "exec")


def pieces(text: str) -> list[str]:
    return [name for name, _ in codes.functions(compiled(text))]


def test_a_piece_is_the_outermost_function():
    """Nested functions, lambdas and comprehensions belong to the function around them."""
    assert set(pieces("def f():\n  def g():\n    return lambda: 1\n  return g")) == {"f"}


def test_methods_have_qualified_names():
    """Classes in classes count, properties and their setters are one piece."""
    found = pieces(
        """
        class C:
            @property
            def p(self): ...
            @p.setter
            def p(self, value): ...
            class D:
                async def m(self): ...
        """
    )
    assert found == ["C.p", "C.p", "C.D.m"]


def test_a_class_inside_a_function_is_the_functions():
    """It exists only once the function has run."""
    assert set(pieces("def f():\n  class C:\n    def m(self): ...")) == {"f"}


def test_what_a_module_evaluates_late_is_the_modules():
    """Lambdas and generators at module and class level are not functions by name."""
    assert set(pieces("f = lambda: 1\ng = (x for x in y)\nclass C:\n  k = lambda: 2")) == {
        codes.MODULE
    }


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of 3.12")
def test_type_parameters_are_transparent():
    """A generic function or method keeps its name."""
    assert pieces("def f[T](x: T): ...\nclass C[T]:\n  def m[S](self): ...") == ["f", "C.m"]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("import a", [Import("a", (), 0)]),
        ("import a.b as c, d", [Import("a.b", (), 0), Import("d", (), 0)]),
        ("from a import b, c", [Import("a", ("b", "c"), 0)]),
        ("from . import b", [Import("", ("b",), 1)]),
        ("from ..a import *", [Import("a", ("*",), 2)]),
    ],
)
def test_imports_are_read_from_bytecode(text, expected):
    """Names, what is taken from them, and the dots."""
    if "*" not in text:
        assert codes.imports(
            next(c for _, c in codes.functions(compiled("def f():\n " + text)))
        ) == (expected)
    assert codes.imports(compiled(text)) == expected


_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,4}", fullmatch=True).filter(str.isidentifier)
_IMPORTS = st.builds(
    Import,
    st.lists(_NAMES, min_size=1, max_size=3).map(".".join),
    st.lists(_NAMES, max_size=3).map(tuple),
    st.integers(0, 3),
)


@given(st.lists(_IMPORTS, min_size=1, max_size=300), st.integers(0, 400))
def test_as_many_imports_as_there_are_are_found(statements, constants):
    """However far the constants and names lie: bytecode has long arguments then."""
    lines = [f"v{number} = {number + 1000}" for number in range(constants)]
    for each in statements:
        if each.names:
            lines.append(f"from {'.' * each.level}{each.name} import {', '.join(each.names)}")
        else:
            lines.append(f"import {each.name}")
    text = "\n".join(lines)
    try:
        ast.parse(text)
    except SyntaxError:  # a keyword
        return
    expected = [each if each.names else Import(each.name, (), 0) for each in statements]
    assert codes.imports(compile(text, "a.py", "exec")) == expected


def test_functions_that_rebind_globals_are_told():
    """Only those that do, not those that read."""
    found = {
        name: codes.stored_globals(code)
        for name, code in codes.functions(
            compiled("def f():\n  global x, y\n  x = y = z\ndef g():\n  global x\n  return x")
        )
    }
    assert found == {"f": {"x", "y"}, "g": set()}


def test_texts_count_where_modules_are_imported_by_name():
    """Elsewhere a text is a text."""
    assert "a.b" in codes.imported_by_name(compiled("import_module('a.b')"))
    assert codes.imported_by_name(compiled("print('a.b')")) == []
