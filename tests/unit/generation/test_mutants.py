"""Faults are put in and taken out again; a function can be given one while it lives."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_aqe.evidence.codes import whole
from pytest_aqe.generation.mutants import exchange, living, mutants
from pytest_aqe.generation.tracing import Tracer, statement_starts

SOURCE = '''
def price(amount, rate=2):
    """A docstring is no place for a fault."""
    if amount > 10 and rate:
        return amount * rate
    total = amount + 1
    return total


class Till:
    def open(self):
        return "open"


def dated(function):
    def wrapper(amount):
        return function(amount), "today"
    return wrapper


sell = dated(price)
'''


def load(path: Path) -> ModuleType:
    path.write_text(SOURCE, "utf-8")
    module = ModuleType("shop")
    exec(compile(SOURCE, str(path), "exec"), vars(module))
    return module


def test_every_fault_changes_what_the_code_does(tmp_path: Path) -> None:
    """One at a time; the code compiles with each, and comes back as it was."""
    path = tmp_path / "shop.py"
    load(path)
    lines = frozenset(range(1, 13))
    found = list(mutants(SOURCE, str(path), lines))
    assert {each.what for each in found} >= {"return", "negate", "compare", "arithmetic", "and/or"}
    changed = 0
    for each in found:
        space: dict[str, Any] = {}
        exec(SOURCE, space)
        exec(each.code, space)
        results = [space["price"](a, r) for a, r in ((20, 3), (3, 3), (20, 0))]
        changed += results != [60, 4, 21] or space["Till"]().open() != "open"
    assert changed >= len(found) - 2  # a default's value may not matter


def test_a_fault_comes_with_nothing_but_its_function_and_the_classes_around_it() -> None:
    """To compile a long class for each of its faults takes longer than to try them."""
    source = """
class Till(Base):
    rate = key(2)

    class Drawer:
        @kept
        def open(self):
            return super().open()

        def close(self):
            return 2

    def total(self):
        return 3
"""
    found = {
        each.line: [code.co_name for code in whole(each.code)]
        for each in mutants(source, "shop.py", frozenset({8, 11, 14}))
        if each.what == "return"
    }
    assert found == {
        8: ["<module>", "Till", "Drawer", "open"],
        11: ["<module>", "Till", "Drawer", "close"],
        14: ["<module>", "Till", "total"],
    }


def test_lines_that_nothing_is_left_for_get_no_fault() -> None:
    """What has been noticed meanwhile is not made wrong again."""
    open_ = {5, 7}
    found = []
    for each in mutants(SOURCE, "shop.py", frozenset({4, 5, 6, 7}), lambda line: line in open_):
        found.append(each.line)
        open_.discard(each.line)
    assert found == [5, 7]


def test_a_living_function_gets_the_fault(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    module = load(path)
    till = module.Till()
    (fault,) = [
        each for each in mutants(SOURCE, str(path), frozenset({12})) if each.what == "return"
    ]
    assert exchange(fault.code, living(str(path)), fault.line)
    assert till.open() is None
    assert module.price(3) == 4
    assert not exchange(fault.code, living(str(tmp_path / "other.py")), fault.line)


def test_what_a_decorator_made_at_import_gets_the_fault(tmp_path: Path) -> None:
    """It is another function than the one that made it."""
    path = tmp_path / "shop.py"
    module = load(path)
    (fault,) = [
        each for each in mutants(SOURCE, str(path), frozenset({17})) if each.what == "return"
    ]
    assert exchange(fault.code, living(str(path)), fault.line)
    assert module.sell(3) is None
    assert module.price(3) == 4


def test_lines_and_jumps_are_those_of_coverage(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    module = load(path)
    tracer = Tracer(str(path))
    tracer.start()
    module.price(3)
    tracer.stop()
    lines, arcs = tracer.found()
    assert lines == {4, 6, 7}
    assert (4, 6) in arcs
    assert (7, -2) in arcs
    assert tracer.found() == (set(), set())


def test_a_statement_is_known_by_its_first_line() -> None:
    source = "x = [\n    1,\n    2,\n]\nif (x and\n        x):\n    y = (1 +\n         2)\n"
    assert statement_starts(source) == {2: 1, 3: 1, 4: 1, 6: 5, 8: 7}
    assert statement_starts(ast.unparse(ast.parse("a = 1"))) == {}
