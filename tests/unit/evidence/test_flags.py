"""Modules rewritten so that each function raises a flag."""

from __future__ import annotations

import ast
import pickle
import sys
import types
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_aqe.evidence.flags import Flags, rewrite


def run(text: str):
    engine = Flags(lambda _: True, None)
    code = engine.load("shop.py", dedent(text).encode())
    names = {each.mark: each.name for each in engine.adopt(code)}
    namespace = {}
    exec(code, namespace)

    def ran():
        return sorted(names[mark] for mark in engine.drain())

    return namespace, ran


def test_each_function_raises_its_own_flag():
    """Methods by qualified name, what is nested by the outermost function's."""
    shop, ran = run(
        """
        def f():
            def g(): return 1
            return g
        class C:
            def m(self): return [x for x in range(2)]
        k = lambda x=f: x
        """
    )
    assert ran() == []
    inner = shop["f"]()
    assert ran() == ["f"]
    inner()
    assert ran() == ["f"]
    shop["C"]().m()
    assert ran() == ["C.m"]
    assert shop["k"](3) == 3
    assert ran() == ["<module>"]


def test_generators_and_coroutines_stay_what_they_are():
    """They raise their flag when they first run, as they always did their first line."""
    shop, ran = run("def g():\n  '''Doc.'''\n  yield 1\nasync def a(): return 2")
    generator = shop["g"]()
    assert ran() == []
    assert list(generator) == [1]
    assert ran() == ["g"]
    with pytest.raises(StopIteration, match="2"):
        shop["a"]().send(None)
    assert ran() == ["a"]


def test_what_goes_on_later_raises_its_flag_again():
    """Another test may take a generator or a coroutine further.

    While it waits for another one, it is that which goes on; leaving ``async with`` and
    ``async for`` is no code of its own.
    """
    shop, ran = run(
        """
        def g():
            got = [(yield 1), (yield 2)]
            yield from got
        async def a(pauses):
            async with pauses as each:
                await each
            async for each in pauses:
                await each
            return (await each) or 5
        l = lambda: [(yield 7)]
        """
    )
    generator = shop["g"]()
    assert [next(generator), ran(), generator.send("x"), ran()] == [1, ["g"], 2, ["g"]]
    assert [generator.send("y"), ran(), next(generator), ran()] == ["x", ["g"], "y", []]
    coroutine = shop["a"](Pauses())
    told = []
    for _ in range(7):
        assert coroutine.send(None) == "pause"
        told.append(ran())
    with pytest.raises(StopIteration, match="5"):
        coroutine.send(None)
    assert told == [["a"], ["a"], ["a"], [], ["a"], ["a"], []]
    assert ran() == ["a"]
    waiting = shop["l"]()
    assert [next(waiting), ran()] == [7, ["<module>"]]
    with pytest.raises(StopIteration, match="x"):
        waiting.send("x")
    assert ran() == ["<module>"]


class Pauses:
    """Wait at every turn of ``async with`` and ``async for``."""

    left = 1

    def __await__(self):
        yield "pause"

    async def __aenter__(self):
        await self
        return self

    async def __aexit__(self, *error):
        await self

    def __aiter__(self):
        return self

    async def __anext__(self):
        await self
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self


def test_code_needs_nothing_of_its_namespace():
    """A function made of another's code runs, and what holds code may hash and pickle it."""
    shop, ran = run("def f(): return 1\ndef g(x=(1, 2)): return x")
    made = types.FunctionType(shop["f"].__code__, {})
    assert [made(), ran()] == [1, ["f"]]
    assert {shop["f"].__code__: 1}[made.__code__] == 1
    assert shop["f"].__code__.co_names == ()
    flags = next(each for each in made.__code__.co_consts if isinstance(each, dict))
    assert pickle.loads(pickle.dumps(flags)) == {}


def test_docstrings_and_future_imports_stay_first():
    """A function of a docstring alone has it still."""
    shop, ran = run(
        '''
        """Module."""
        from __future__ import annotations
        def f(x: Unknown):
            """Doc."""
        '''
    )
    assert shop["__doc__"] == "Module."
    assert shop["f"].__doc__ == "Doc."
    assert shop["f"](1) is None
    assert ran() == ["f"]


def _lines(code, found):
    found.update(line for _, _, line in code.co_lines() if line)
    for constant in code.co_consts:
        if hasattr(constant, "co_lines"):
            _lines(constant, found)
    return found


SOURCES = sorted(Path(ast.__file__).parent.glob("*.py"))[::12]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_line_is_added_to_the_code_of_a_module(path):
    """Every line of the rewritten standard library is one of the original."""
    source = path.read_bytes()
    plain = _lines(compile(source, str(path), "exec", dont_inherit=True), set())
    code, _ = rewrite(source, str(path))
    assert _lines(code, set()) <= plain


def test_rewritten_code_is_kept_for_the_very_text(tmp_path):
    """Another text, or a damaged file, is rewritten anew."""
    path = str(tmp_path / "shop.py")
    for text in (b"def f(): pass", b"def g(): pass"):
        keeper, reader = (Flags(lambda _: True, tmp_path / "flags") for _ in range(2))
        kept, read = (each.load(path, text) for each in (keeper, reader))
        assert [f.name for f in keeper.adopt(kept)] == [f.name for f in reader.adopt(read)]
        files = list(tmp_path.glob("flags/*"))
        assert len(files) == (0 if sys.dont_write_bytecode else 1)
    for file in (tmp_path / "flags").glob("*"):
        file.write_bytes(b"\x00damaged")
    again = Flags(lambda _: True, tmp_path / "flags")
    assert [f.name for f in again.adopt(again.load(path, b"def h(): pass"))] == ["h"]


def test_flags_are_told_once():
    """Draining takes them down, over all modules."""
    engine = Flags(lambda _: True, None)
    names = {}
    for file in ("a.py", "b.py"):
        code = engine.load(file, b"def f(): pass\ndef g(): pass")
        names.update({each.mark: file + each.name for each in engine.adopt(code)})
        namespace = {}
        exec(code, namespace)
        namespace["g"]()
    assert sorted(names[mark] for mark in engine.drain()) == ["a.pyg", "b.pyg"]
    assert engine.drain() == set()


def test_functions_that_are_there_run_rewritten_code_from_now_on(tmp_path):
    """Where it is the same text; others are not told, nor those that nobody can reach."""
    file = tmp_path / "shop.py"
    text = dedent(
        """
        def price(rate=2):
            def twice(): return rate * 2
            return twice()
        class Shop:
            def name(self): return __class__.__name__
        def gone(): pass
        del gone
        """
    )
    file.write_text(text + "def other(): return 1", encoding="utf-8")
    namespace = {"__name__": "shop"}
    other = compile(text + "def other(): return 2", str(file), "exec", dont_inherit=True)
    exec(other, namespace)
    loaded = [namespace["price"], namespace["Shop"].name, namespace["other"]]
    engine = Flags(lambda _: True, None)
    functions = {each.name: each for each in engine.adopt_loaded(str(file), loaded)}
    assert {name for name, each in functions.items() if each.told} == {"price", "Shop.name"}
    assert functions.keys() == {"price", "Shop.name", "gone", "other"}
    assert namespace["other"].__code__ in functions["other"].codes
    assert (namespace["price"](), namespace["Shop"]().name()) == (4, "Shop")
    assert namespace["other"]() == 2
    assert engine.drain() == {functions["price"].mark, functions["Shop.name"].mark}


@pytest.mark.parametrize("content", [None, b"def f(:", b"\x00"])
def test_functions_whose_file_cannot_be_read_are_not_told(tmp_path, content):
    """They stay what they are."""
    file = tmp_path / "shop.py"
    if content is not None:
        file.write_bytes(content)
    namespace = {}
    exec(compile("def f(): return 1", str(file), "exec"), namespace)
    code = namespace["f"].__code__
    (only,) = Flags(lambda _: True, None).adopt_loaded(str(file), [namespace["f"]])
    assert (only.name, only.codes, only.told) == ("f", (code,), False)
    assert namespace["f"].__code__ is code
