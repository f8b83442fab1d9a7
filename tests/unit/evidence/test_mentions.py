"""Mentions: who names a function, looks names up, or keeps what a function gave."""

from __future__ import annotations

import textwrap

import pytest

from pytest_aqe.data import MAIN
from pytest_aqe.evidence.mentions import mentions, reflects
from pytest_aqe.evidence.pieces import MODULE


def of(text: str) -> bytes:
    """Return an indented text as a file's bytes."""
    return textwrap.dedent(text).encode()


class TestMentions:
    @pytest.mark.parametrize(
        "body",
        [
            "return foo",
            "return a.foo",
            "foo = 1",
            "call(foo=1)",
            "import foo",
            "import a.foo.b",
            "from .foo import a",
            "from a import foo as b",
            "from a import b as foo",
            "getattr(m, 'foo')",
            "monkeypatch.setattr('pkg.m.foo', 1)",
            "call('say', f'do {x} foo now')",
            "global foo",
            "def g(foo): pass",
            "lambda: foo",
            "'''\n    >>> foo()\n    '''",
        ],
    )
    def test_every_way_to_name(self, body: str) -> None:
        """An identifier in any role, or a word of a text, is a mention."""
        found = mentions(f"def f():\n    {body}\ndef other(): pass\n".encode(), ["foo", "bar"])
        assert found == {"f": frozenset({"foo"})}

    @pytest.mark.parametrize("body", ["food", "a_foo", "'foo1'", "x  # foo", "'''Say foo.'''"])
    def test_what_is_no_mention(self, body: str) -> None:
        """Longer names, comments and docstrings do not mention."""
        assert mentions(f"def f():\n    {body}\n".encode(), ["foo"]) == {}

    def test_a_program_is_a_piece(self) -> None:
        """What stands under the test for __main__ is no part of the module."""
        text = "if __name__ == '__main__':\n    def f(): foo()\n    f()\nbar = foo\n"
        found = mentions(text.encode(), ["foo"])
        assert found == {MAIN: frozenset({"foo"}), MODULE: frozenset({"foo"})}
        assert mentions(text.encode(), ["f"]) == {MAIN: frozenset({"f"})}

    def test_an_argument_is_a_fixture(self) -> None:
        """A test mentions the fixtures it asks for, by argument or by mark."""
        found = mentions(
            of("""
                import pytest
                def test_a(foo): pass
                class TestB:
                    @pytest.mark.usefixtures("foo")
                    def test_b(self): pass
            """),
            ["foo"],
        )
        assert found == {"test_a": {"foo"}, "TestB.test_b": {"foo"}}

    def test_a_name_may_hide_another(self) -> None:
        """A function mentions itself, for a new one may override it."""
        assert mentions(b"class A:\n def test_x(self): pass", ["test_x"]) == {
            "A.test_x": {"test_x"}
        }

    def test_what_defining_runs_is_the_modules_too(self) -> None:
        """A decorator or default that is not inert is evaluated at import."""
        found = mentions(b"@register(foo)\ndef f(): pass\ndef g(a=foo()): pass", ["foo"])
        assert found == {name: {"foo"} for name in (MODULE, "f", "g")}

    def test_the_module_mentions(self) -> None:
        """What stands outside functions is mentioned by the module."""
        assert mentions(b"class C:\n x = foo", ["foo"]) == {MODULE: {"foo"}}

    def test_a_file_that_does_not_parse(self) -> None:
        """Where the syntax is wrong, the text decides."""
        assert mentions(b"def f(: foo", ["foo", "bar"]) == {MODULE: {"foo"}}


class TestReflects:
    @pytest.mark.parametrize(
        "body",
        [
            "globals()[x]()",
            "vars(m)",
            "dir(m)",
            "inspect.getmembers(m)",
            "m.__dict__[x]",
            "getattr(m, name)",
            "getattr(m, 'do_' + x)",
            "hasattr(m, f'do_{x}')",
            "map(getattr, a, b)",
            "importlib.import_module(name)",
            "__import__(name)",
            "request.getfixturevalue(name)",
            "eval(text)",
            "exec(text)",
            "from operator import attrgetter as get",
        ],
    )
    def test_what_looks_names_up(self, body: str) -> None:
        """A piece that finds things by a text it computes looks names up."""
        assert reflects(f"def f():\n    {body}\ndef g(): pass".encode()) == {"f"}

    @pytest.mark.parametrize(
        "body",
        [
            "getattr(m, 'foo')",
            "importlib.import_module('a.b')",
            "for dir in a: print(dir)",
            "frame.eval(x)",
            "setattr(m, name, 1)",
            "return 'globals'",
        ],
    )
    def test_what_does_not(self, body: str) -> None:
        """A literal text is a mention, and a variable may have any name."""
        assert reflects(f"def f():\n    {body}\n".encode()) == frozenset()

    def test_a_star_takes_all(self) -> None:
        """A star-import takes what is there."""
        assert reflects(b"from m import *") == {MODULE}
