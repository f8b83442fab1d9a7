"""Pieces: a checksum for each part of a file that can change on its own."""

from __future__ import annotations

import textwrap

import pytest

from pytest_aqe.data import MAIN
from pytest_aqe.evidence.pieces import MODULE, Difference, compare, pieces
from pytest_aqe.evidence.plain import BINDING, DOCS, TYPE_CHECKING, signed


def of(text: str) -> bytes:
    """Return an indented text as a file's bytes."""
    return textwrap.dedent(text).encode()


def functions_of(text: str) -> dict[str, str]:
    """Return the checksums of an indented text's pieces, not those of signatures and docstrings."""
    found = pieces(of(text)).checksums
    return {
        name: each
        for name, each in found.items()
        if name != DOCS and (signed(name) == name or signed(name) not in found)
    }


def difference(old: str, new: str) -> Difference:
    """Compare two files given as indented texts."""
    return compare(functions_of(old), functions_of(new))


def changed(old: str, new: str) -> set[str]:
    """Return the pieces that differ, where none came or went."""
    found = difference(old, new)
    assert not found.added | found.removed
    return set(found.changed)


DATACLASS = "from dataclasses import dataclass\n@dataclass(frozen=True)\n"
SAMPLE = """
    'A sample.'
    from __future__ import annotations
    import os, typing as t
    from functools import lru_cache

    LIMIT: int = 0x10
    NAMES = {"a": 1_000, **{}}

    @lru_cache(maxsize=None)
    def f(a, /, b: int = 1, *rest: str, key=None, **more) -> str:
        'Say something.'
        value: list[int] = [x for x in a if x]
        with open(a) as one, open(b) as (two, three):
            print(f"{a!r:>{b}}{value}" "tail", file=one)
        return lambda x=1: (yield)

    class C(dict, metaclass=type):
        field: "int" = 2.50

        @property
        async def m(self):
            try:
                await self.m
            except (ValueError, KeyError) as error:
                raise SystemExit from error
            match self:
                case {"a": [1, *_], **rest} if (n := 0):
                    return not -n
"""
EXPECTED = {
    "<module>": "7ac033c8a4c6fafb",
    "<module>:annotations<__future__>": "66d89bf09c64c1e0",
    "<module>:os<os>": "eb30dd13184ae707",
    "<module>:t<typing>": "4591a05e5fb1431e",
    "<module>:lru_cache<functools>": "b8b8c77af9c03e9c",
    "<module>:LIMIT": "b121da7b8b189784",
    "<module>:NAMES": "7946e4959a537a6a",
    "f": "6673707ebb94258b",
    "<module>:f": "b7a400f5d7dafd16",
    "<module>::docs": "3ec857aa2a1659e2",
    "<module>:f:annotations": "7f7372edc5570a1b",
    "C.m": "b499badab88bc908",
    "<module>:C.m": "17a2df9f6cc4ed03",
}


class TestNames:
    def test_functions_and_methods_are_pieces(self) -> None:
        """Outermost functions and methods are pieces, what is inside them belongs to them."""
        found = pieces(
            of("""
                def f():
                    def inner(): ...
                    class Local:
                        def m(self): ...
                class C:
                    def m(self): ...
                    class D:
                        async def m(self): ...
                if f:
                    def g(): ...
                x = lambda: [y for y in z]
            """)
        )
        assert {name for name in found.checksums if BINDING not in name} == {
            MODULE,
            "f",
            "C.m",
            "C.D.m",
            "g",
        }

    def test_an_empty_file_is_a_module(self) -> None:
        """An empty file has its module as the only piece."""
        assert set(pieces(b"").checksums) == {MODULE}

    def test_definitions_of_one_name_are_one_piece(self) -> None:
        """A property and its setter are one piece, and a change in either changes it."""
        text = """
            class C:
                @property
                def x(self): return 1
                @x.setter
                def x(self, value): self.y = value
        """
        assert changed(text, text.replace("return 1", "return 2")) == {"C.x"}
        assert changed(text, text.replace("self.y", "self.z")) == {"C.x"}


class TestUnreadable:
    @pytest.mark.parametrize(
        "source",
        [
            b"def f(:\n",
            b"x = 1\0\n",
            b"# coding: no-such-encoding\n",
            b"x = '\xff'\n",
            b"(" * 5000,
        ],
    )
    def test_what_does_not_parse_is_one_piece(self, source: bytes) -> None:
        """A file that no Python can parse is its bytes."""
        found = pieces(source)
        assert set(found.checksums) == {MODULE}
        assert not found.inert
        assert found != pieces(source + b"\n")

    def test_encodings_are_honoured(self) -> None:
        """One text in two encodings, each declared, is the same."""
        text = "x = 'é'\n"
        latin = b"# -*- coding: latin-1 -*-\n" + text.encode("latin-1")
        assert pieces(latin) == pieces(text.encode())
        assert pieces(text.encode("utf-8-sig")) == pieces(text.encode())

    def test_a_long_expression_is_no_fault(self) -> None:
        """A sum of thousands of terms gives pieces, whether or not it can be parsed."""
        assert MODULE in pieces(b"x = " + b"+".join([b"1"] * 20_000)).checksums

    def test_warnings_about_the_source_are_not_given(self) -> None:
        """An invalid escape warns, here an error, and is still read (this suite runs -W error)."""
        assert "f" in pieces(rb"def f(): return '\d'").checksums


class TestChecksums:
    def test_every_python_gives_the_same(self) -> None:
        """The checksums of a sample are these on every supported Python."""
        found = pieces(of(SAMPLE))
        assert found.checksums == EXPECTED
        assert found.inert == {"f"}

    @pytest.mark.parametrize(
        "old, new",
        [
            ("x = (1)", "x = 1"),
            ("x = 1000", "x = 1_000"),
            ("x = 255", "x = 0xff"),
            ("x = 1e3", "x = 1000.0"),
            ("x = 'a'", 'x = "a"'),
            ("x = 'ab'", "x = 'a' 'b'"),
            ("x = u'a'", "x = 'a'"),
            ("x = f(1,)", "x = f(1)"),
            ("x = 1", "x = 1  # one"),
            ("x = 1; y = 2", "x = 1\n\n\ny = 2"),
            ("x = 1", "x = 1\n'what x is'"),
            ("def f(): x = 1", "def f(): x: int = 1"),
            ("def f(): self.x = 1", "def f(): self.x: list[Undefined] = 1"),
            ("x = 1", "x: int = 1"),
        ],
    )
    def test_spelling_does_not_count(self, old: str, new: str) -> None:
        """Formatting, comments, docstrings and annotations nobody reads change nothing."""
        assert pieces(old.encode()) == pieces(new.encode())

    @pytest.mark.parametrize(
        "old, new",
        [
            ("1", "1.0"),
            ("1", "True"),
            ("0.0", "-0.0"),
            ("'a'", "b'a'"),
            ("'x'", "x"),
            ("None", "'None'"),
            ("a - b", "a + b"),
            ("[a]", "(a,)"),
            ("f(a)", "f(*a)"),
            ("f(a=b)", "f(**{'a': b})"),
            ("a.b", "b.a"),
            ("(a, (b,))", "((a, b),)"),
            ("x[1:]", "x[:1]"),
            ("{**a}", "{a: a}"),
            ("f'{a!r}'", "f'{a!s}'"),
            ("lambda: a", "lambda a: a"),
            ("lambda *, a: a", "lambda a: a"),
            ("[a for a in b]", "{a for a in b}"),
        ],
    )
    def test_meaning_counts(self, old: str, new: str) -> None:
        """What evaluates differently has another checksum, in a function or a module."""
        assert (
            {MODULE, f"{BINDING}x"} >= set(difference(f"x = {old}", f"x = {new}").changed) != set()
        )
        assert changed(f"def f(): return {old}", f"def f(): return {new}") == {"f"}

    @pytest.mark.parametrize(
        "old, new",
        [
            ("def f(a): return a", "def f(b): return a"),
            ("def f(a, b): pass", "def f(a, *, b): pass"),
            ("def f(a): pass", "def f(a, /): pass"),
            ("def f(a=1): pass", "def f(a=2): pass"),
            ("def f(): pass", "async def f(): pass"),
            ("def f(): pass", "import functools\n@functools.cache\ndef f(): pass"),
            ("def f():\n def g(): return 1", "def f():\n def g(): return 2"),
            ("def f():\n class C: x: int", "def f():\n class C: x: str"),
        ],
    )
    def test_a_function_is_all_it_does(self, old: str, new: str) -> None:
        """Arguments, defaults, decorators, async-ness and what is nested count for a piece."""
        assert "f" in difference(old, new).changed


class TestDocstrings:
    @pytest.mark.parametrize(
        "old, new",
        [
            ("x = 1", '"""A module."""\nx = 1'),
            ("def f(): return x", "def f():\n    '''Say.'''\n    return x"),
            ("class C: x = 1", "class C:\n    'Say.'\n    x = 1"),
            (f"{DATACLASS}class C: x: int", f"{DATACLASS}class C:\n    'Say.'\n    x: int"),
        ],
    )
    def test_docstrings_stand_apart(self, old: str, new: str) -> None:
        """Those that nothing in the module reads are one piece of it."""
        found = compare(pieces(of(old)).checksums, pieces(of(new)).checksums)
        assert found == Difference(frozenset(), frozenset({DOCS}), frozenset())

    def test_a_module_that_reads_docstrings_keeps_them(self) -> None:
        """Where ``__doc__`` is used, a docstring is part of what runs at import."""
        old = 'def f(): "one"\nprint(f.__doc__)'
        assert changed(old, old.replace("one", "two")) == {MODULE}

    def test_a_comment_reads_nothing(self) -> None:
        """``__doc__`` in a comment or docstring keeps no docstring."""
        old = 'def f(): "Return __doc__."  # not __doc__'
        assert changed(old, 'def f(): "Else."') == set()

    def test_a_decorator_may_read_the_docstring(self) -> None:
        """A docstring is a command's help; a decorator we do not know may read it."""
        old = "@cli.command()\ndef f(): 'one'"
        assert changed(old, old.replace("one", "two")) == {MODULE}

    @pytest.mark.parametrize(
        "call", ["run = cli.command('x')(f)", "add(f)", "add(callback=f)", "class C: x = add(f)"]
    )
    def test_who_is_given_a_function_may_read_it(self, call: str) -> None:
        """A call at import is to its arguments what a decorator is to what stands below it."""
        old = f"def f(x: int): 'one'\n{call}"
        for new in (old.replace("one", "two"), old.replace("int", "str")):
            assert changed(old, new) == {MODULE}

    def test_each_definition_of_a_name_is_given(self) -> None:
        """Which of two is bound when the call is made cannot be told."""
        old = "if a:\n def f(): 'one'\nelse:\n def f(): 'two'\nadd(f)"
        assert changed(old, old.replace("one", "three")) == {MODULE}
        assert changed(old, old.replace("two", "three")) == {MODULE}

    @pytest.mark.parametrize(
        "call",
        [
            "p = property(f)",
            "import functools\ng = functools.lru_cache(f)",
            "def g(): return add(f)",
            "g = f()",
        ],
    )
    def test_others_that_name_a_function_do_not_read_it(self, call: str) -> None:
        """Calls that are known to read nothing, and those inside functions, keep no docstring."""
        old = f"def f(): 'one'\n{call}"
        assert changed(old, old.replace("one", "two")) == set()

    def test_a_class_may_be_made_by_one_that_reads_it(self) -> None:
        """A docstring counts where bases or metaclasses are not known to ignore it."""
        old = "class C(Model): 'one'"
        assert changed(old, old.replace("one", "two")) == {MODULE}
        old = "class C(ValueError): 'one'"
        assert changed(old, old.replace("one", "two")) == set()

    def test_a_doctest_that_calls_its_function_belongs_to_it(self) -> None:
        """Examples that call the function are part of it."""
        old = "def f(x): '''\n    >>> f(1)\n    2\n    '''"
        assert changed(old, old.replace("2", "3")) == {"f"}

    def test_another_doctest_belongs_to_the_module(self) -> None:
        """Examples that do not call their function would not be found by who ran it."""
        old = "def f(x): '''\n    >>> g(1)\n    2\n    '''"
        assert changed(old, old.replace("2", "3")) == {MODULE}


class TestAnnotations:
    FUTURE = "from __future__ import annotations\n"

    @pytest.mark.parametrize("annotation", ["'C' | None", "Later", "make()", "list[make()]"])
    def test_what_may_fail_or_run_is_kept(self, annotation: str) -> None:
        """An annotation that runs code or may fail is evaluated at import, so it counts."""
        old, new = "def f(x): pass", f"def f(x: {annotation}): pass"
        later = "\nclass Later: x = 1"
        assert MODULE in changed(old + later, new + later)
        assert changed(self.FUTURE + old + later, self.FUTURE + new + later) == set()

    def test_a_name_for_type_checkers_is_not_there(self) -> None:
        """A name imported under TYPE_CHECKING fails where annotations are evaluated."""
        old = "if TYPE_CHECKING:\n    import a\ndef f(x): pass"
        assert changed(old, old.replace("(x)", "(x: a.B)")) == {MODULE}

    def test_what_is_for_type_checkers_stands_apart(self) -> None:
        """It never runs, unless somebody says that types are checked."""
        found = difference("x = 1", "if TYPE_CHECKING:\n    import a\nx = 1")
        assert found == Difference(frozenset(), frozenset({TYPE_CHECKING}), frozenset())

    @pytest.mark.parametrize("test", ['__name__ == "__main__"', '"__main__" == __name__'])
    def test_a_program_is_a_piece(self, test: str) -> None:
        """What runs in no import stands apart, with what it defines."""
        old = f"x = 1\nif {test}:\n    def f(): return 1\n    f(x)"
        assert changed(old, old.replace("return 1", "return 2")) == {MAIN}
        found = difference("x = 1", old)
        assert found == Difference(frozenset(), frozenset({MAIN}), frozenset())
        moved = f"if {test}:\n    def f(): return 1\n    f(x)\nx = 1"
        assert MAIN in changed(old, moved)

    @pytest.mark.parametrize(
        "test", ['__name__ != "__main__"', '__name__ == "shop"', '__name__ == "__main__" and x']
    )
    def test_what_may_run_in_an_import_is_no_program(self, test: str) -> None:
        """Nor is what has an else."""
        old = f"if {test}:\n    f(1)"
        assert changed(old, old.replace("1", "2")) == {MODULE}
        old = 'if __name__ == "__main__":\n    f(1)\nelse:\n    f(2)'
        assert changed(old, old.replace("1", "3")) == {MODULE}

    def test_names_further_up_are_quiet(self) -> None:
        """An annotation of imported names, subscripts and unions is dropped."""
        old = "import typing as t\ndef f(x): pass"
        assert changed(old, old.replace("(x)", "(x: t.Any | dict[str, list[int]])")) == set()

    def test_a_decorator_may_read_annotations(self) -> None:
        """A decorator we do not know may read annotations, quoted or not."""
        old = self.FUTURE + "@app.get('/')\ndef f(x: int): pass"
        assert changed(old, old.replace("int", "str")) == {MODULE}

    def test_a_module_may_read_annotations(self) -> None:
        """Where the module uses what reads annotations, they all count."""
        old = self.FUTURE + "import typer\ndef f(x: int): pass"
        assert changed(old, old.replace("int", "str")) == {MODULE}

    def test_quiet_ones_stand_apart(self) -> None:
        """Annotations are a piece of their own, for those projects that read any."""
        old, new = "class C:\n def m(self, x: int): pass", "class C:\n def m(self, x: str): pass"
        found = compare(pieces(of(old)).checksums, pieces(of(new)).checksums)
        assert found.changed == {f"{BINDING}C.m:annotations"}

    def test_fields_are_kept(self) -> None:
        """Annotations in a class body are fields."""
        old = self.FUTURE + "class C:\n    x: int = 1"
        assert changed(old, old.replace("int", "str")) == {f"{BINDING}C()"}


class TestModule:
    @pytest.mark.parametrize(
        "old, new",
        [
            ("import a", "import b"),
            ("class C(a()): pass", "class C(b()): pass"),
            ("class C(A): x = 1", "class C(A): x = 2"),
            ("@a\nclass C: pass", "@b\nclass C: pass"),
            ("if a: pass", "if b: pass"),
            ("if TYPE_CHECKING: x = 1\nelse: x = 2", "if TYPE_CHECKING: x = 1\nelse: x = 3"),
            ("x = [y for y in a]", "x = [y for y in b]"),
            ("x = lambda: 1", "x = lambda: 2"),
        ],
    )
    def test_what_runs_at_import_is_the_module(self, old: str, new: str) -> None:
        """Imports, class bodies, conditions, comprehensions and lambdas are the module."""
        assert changed(old, new) == {MODULE}

    @pytest.mark.parametrize(
        "old, new",
        [
            ("@a\ndef f(): pass", "@b\ndef f(): pass"),
            ("def f(x=a()): pass", "def f(x=b()): pass"),
            ("class C:\n @a\n def f(self): pass", "class C:\n @b\n def f(self): pass"),
            ("class C:\n def f(self, x=a()): pass", "class C:\n def f(self, x=b()): pass"),
        ],
    )
    def test_what_defining_runs_counts_twice(self, old: str, new: str) -> None:
        """Decorators and defaults run at import, and are part of the function."""
        assert MODULE in changed(old, new)
        assert len(changed(old, new)) == 2

    def test_a_body_is_no_part_of_the_module(self) -> None:
        """A changed body is one changed piece."""
        old = "@a\ndef f(): return 1\nclass C:\n def m(self): return 2"
        assert changed(old, old.replace("1", "3")) == {"f"}
        assert changed(old, old.replace("2", "3")) == {"C.m"}

    def test_a_method_leaves_a_line(self) -> None:
        """A new method may be found by its class, so that changes."""
        found = difference("class C: x = 1", "class C:\n x = 1\n def m(self): pass")
        assert found == Difference(frozenset({f"{BINDING}C()"}), frozenset({"C.m"}), frozenset())
