"""Which lines and jumps of a file run: the same by either way, and as coverage.py counts them."""

from __future__ import annotations

import importlib.util
import runpy
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_aqe.generation.mutants import living
from pytest_aqe.generation.tracing import Tracer, tracer

SOURCE = """\
import threading


def branch(x):
    if x:
        return 1
    return 2


def loop(n):
    total = 0
    for each in range(n):
        total += each
    else:
        total += (
            1
        )
    return total


def fails(x):
    try:
        return 1 / x
    except ZeroDivisionError:
        raise ValueError(x)


def generated(n):
    for each in range(n):
        yield each
    yield -1


def delegated(n):
    yield from generated(n)


def recursive(n):
    if n:
        return recursive(n - 1)
    return 0


def made():
    def inner(x):
        return x + 1

    class Local:
        def method(self):
            return inner(1)

    return Local().method()


def threaded():
    found = []
    thread = threading.Thread(target=lambda: found.append(branch(1)))
    thread.start()
    thread.join()
    return found


async def awaited(x):
    return await waits(x)


async def waits(x):
    return x


def closing():
    try:
        yield 1
    finally:
        branch(0)


class Kind:
    @property
    def value(self):
        return [
            x
            for x in range(3)
            if x
        ]
"""


def raised(kind: type[Exception], call: Callable[..., object], *given: object) -> None:
    with pytest.raises(kind):
        call(*given)


CALLS: dict[str, Callable[[Any], object]] = {
    "a branch": lambda m: m.branch(1),
    "the other branch": lambda m: m.branch(0),
    "a loop": lambda m: m.loop(2),
    "an empty loop": lambda m: m.loop(0),
    "what is raised and caught": lambda m: raised(ValueError, m.fails, 0),
    "a generator": lambda m: list(m.generated(2)),
    "two generators in turn": lambda m: list(zip(m.generated(2), m.generated(3), strict=False)),
    "yield from": lambda m: list(m.delegated(2)),
    "recursion": lambda m: m.recursive(3),
    "an inner function and class": lambda m: m.made(),
    "a thread": lambda m: m.threaded(),
    "coroutines": lambda m: raised(StopIteration, m.awaited(1).send, None),
    "a property": lambda m: m.Kind().value,
    "the module once more": lambda m: runpy.run_path(m.__file__)["branch"](1),
}


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "traced_module.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    yield made
    if sys.version_info >= (3, 12):
        for tool in (5, 4, 3):
            if sys.monitoring.get_tool(tool) == "pytest-aqe":
                sys.monitoring.set_events(tool, 0)
                sys.monitoring.free_tool_id(tool)


def ran(by: Tracer, module: ModuleType, call: Callable[[Any], object]) -> set[tuple[int, int]]:
    by.prepare(living(str(module.__file__)))
    by.start()
    try:
        call(module)
    finally:
        by.stop()
    lines, arcs = by.found()
    assert lines == {each for arc in arcs for each in arc if each > 0}
    return arcs


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_both_ways_agree(module: ModuleType, call: Callable[[Any], object]) -> None:
    file = str(module.__file__)
    assert ran(tracer(file), module, call) == ran(Tracer(file), module, call)


def at(text: str) -> int:
    """Return the line in which something stands first."""
    return 1 + SOURCE[: SOURCE.index(text)].count("\n")


def test_jumps_are_those_of_coverage(module: ModuleType) -> None:
    def calls(module: Any) -> None:
        module.branch(1)
        module.loop(2)

    assert ran(tracer(str(module.__file__)), module, calls) == {
        (-4, 5), (5, 6), (6, -4),
        (-10, 11), (11, 12), (12, 13), (13, 12), (12, 15), (15, 15), (15, 18), (18, -10),
    }  # fmt: skip


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is one way only")
def test_greenlets_are_told_apart_by_their_frames(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They change places where no event says so."""
    assert type(tracer(str(module.__file__))) is not Tracer
    monkeypatch.setitem(sys.modules, "greenlet", ModuleType("greenlet"))
    assert type(tracer(str(module.__file__))) is Tracer


def test_nothing_is_told_while_it_is_stopped(module: ModuleType) -> None:
    by = tracer(str(module.__file__))
    assert ran(by, module, lambda module: module.branch(1))
    module.branch(0)
    assert by.found() == (set(), set())


def test_what_never_goes_on_is_left_behind(module: ModuleType) -> None:
    by = tracer(str(module.__file__))
    waiting = []
    arcs = ran(by, module, lambda module: waiting.append(module.closing()) or next(waiting[0]))
    assert not {arc for arc in arcs if arc[1] < 0}
    assert ran(by, module, lambda module: module.branch(1)) == {(-4, 5), (5, 6), (6, -4)}
    first = at("def closing")
    assert ran(by, module, lambda module: waiting[0].close()) >= {
        (at("yield 1"), first + 4), (first + 4, -first), (-4, 5), (5, 7), (7, -4),
    }  # fmt: skip


def test_threads_do_not_mix(module: ModuleType) -> None:
    by = tracer(str(module.__file__))
    barrier = threading.Barrier(2)

    def steps(count: int) -> None:
        for _ in module.generated(count):
            barrier.wait(10)

    by.prepare(living(str(module.__file__)))
    by.start()
    threads = [threading.Thread(target=steps, args=(3,)) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    by.stop()
    _, arcs = by.found()
    first = at("def generated")
    assert {arc for arc in arcs if arc[1] > 0} == {
        (-first, first + 1), (first + 1, first + 2), (first + 2, first + 1), (first + 1, first + 3),
    }  # fmt: skip
