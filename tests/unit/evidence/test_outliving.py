"""What functions change that may outlive their calls."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.outliving import Root, changes


def _found(text: str, name: str) -> set[str]:
    """Return the changes of a function in a text, written as an assignment would be."""
    module = compile(dedent(text), "shop.py", "exec")
    found = [code for _, code in codes.functions(module) if code.co_name == name]
    assert len(found) == 1
    return {
        f"{each.root.name.lower()} {'.'.join((each.name, *each.names))}{' =' * each.binds}"
        for each in changes(found[0])
    }


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("_memo[key] = load(key)", "global _memo"),
        ("_memo[self.key(key, 1)] = load(key)", "global _memo"),
        ("_memo.append(load(key))", "global _memo"),
        ("_memo.setdefault(key, load(key))", "global _memo"),
        ("shop.RATES[key] = load(key)", "global shop.RATES"),
        ("shop.RATE = load(key)", "global shop.RATE ="),
        ("shop.till.rate = load(key)", "global shop.till.rate ="),
        ("self.rate = load(key)", "receiver self.rate ="),
        ("self.rates[key] = load(key)", "receiver self.rates"),
        ("self.till.rates.update(load(key))", "receiver self.till.rates"),
        ("self[key] = load(key)", "receiver self"),
        ("type(self).rate = load(key)", "kind self.rate ="),
        ("setattr(self, 'rate', load(key))", "receiver self.rate"),
        ("setattr(self.till, key, load(key))", "receiver self.till"),
        ("setattr(Shop, 'rate', load(key))", "global Shop.rate"),
        ("_memo[key]['gold'] = load(key)", "global _memo"),
        ("self.rates[key].append(load(key))", "receiver self.rates"),
        ("self.__class__.rates[key] = load(key)", "kind self.rates"),
        ("memo = _memo; memo[key] = load(key)", "global _memo"),
        ("rates = self.rates; rates[key] = load(key)", "receiver self.rates"),
        ("rates = self.till; rates.rate = load(key)", "receiver self.till.rate ="),
        ("for till in tills: till.rate = load(key)", "global tills.rate ="),
        ("for till in self.tills[key]: till.rate = load(key)", "receiver self.tills.rate ="),
        ("for key, till in tills.items(): till.rate = load(key)", "global tills.rate ="),
        ("for key, till in enumerate(tills): till.rate = load(key)", "global tills.rate ="),
        ("globals()['rate'] = load(key)", "global rate ="),
        ("memo[key] = load(key)", "argument memo"),
        ("memo.append(load(key))", "argument memo"),
    ],
)
def test_what_outlives_a_call_is_found(line: str, change: str) -> None:
    if sys.version_info < (3, 12) and any(each in line for each in ("type(", "for ", "globals(")):
        pytest.skip("asked only where single calls are told")
    text = f"""
    class Shop:
        def price(self, key, memo={{}}):
            {line}
    """
    found = _found(text, "price")
    assert change in found
    assert {each.partition(".")[0] for each in found} <= {change.partition(".")[0], "argument self"}


@pytest.mark.parametrize(
    "line",
    [
        "rates = {}; rates[key] = load(key)",
        "rates = []; rates.append(load(key))",
        "rates = Rates(); rates.rate = load(key)",
        "memo.rate = load(key)",
        "self.load(key)[key] = 1",
        "return [each.price for each in _memo]",
    ],
)
def test_what_a_call_made_itself_does_not(line: str) -> None:
    text = f"""
    class Shop:
        def price(self, key, memo):
            {line}
    """
    assert _found(text, "price") == set()


def test_what_is_being_made_is_nobodys_yet() -> None:
    text = """
    class Shop:
        def __init__(self, rates):
            self.rates = load(rates)
            self.shops.append(load(self))
    """
    assert _found(text, "__init__") == {"receiver self.shops"}


def test_a_variable_of_the_function_around_lives_on() -> None:
    text = """
    def remember(function):
        memo, last = {}, None
        def ask(key):
            nonlocal last
            last = function(key)
            memo[key] = last
            return last
        return ask
    """
    assert _found(text, "ask") == {"free memo", "free last ="}


@pytest.mark.parametrize("name", ["cls", "mcs"])
def test_a_class_goes_by_its_name(name: str) -> None:
    text = f"""
    class Shop:
        @classmethod
        def only({name}):
            {name}.shop = {name}()
    """
    assert _found(text, "only") == {f"class {name}.shop ="}


def test_an_argument_that_a_function_inside_uses_is_found() -> None:
    text = """
    class Shop:
        def price(self, key):
            self.rates[key] = sorted(key, key=lambda each: self.rank(each))
    """
    assert _found(text, "price") == {"receiver self.rates"}


@pytest.mark.parametrize(
    ("line", "calls"),
    [
        ("self.count = len(self.names)", False),
        ("self.names.append(str(key).strip())", False),
        ("self.rate = load(key)", True),
        ("self.rate = self.load(key)", True),
        ("self.rate = key()", True),
        ("import shop; self.rate = shop.RATE", True),
    ],
)
def test_what_calls_nothing_of_the_projects_says_so(line: str, calls: bool) -> None:
    module = compile(f"class Shop:\n    def price(self, key):\n        {line}\n", "shop.py", "exec")
    ((_, code),) = codes.functions(module)
    (change,) = changes(code)
    assert change.root is Root.RECEIVER
    assert change.calls is calls or sys.version_info < (3, 12)


@pytest.mark.parametrize(
    ("lines", "asks"),
    [
        ("self.rate = load(key)", False),
        ("self.rate = load(key); return self.rate", False),
        ("self.rate = self.rate or load(key)", True),
        ("if key:\n            self.rate = load(key)", True),
        ("hasattr(self, 'rate'); self.rate = load(key)", True),
        ("self.rates.append(load(key))", True),
    ],
)
def test_what_may_find_it_there_says_so(lines: str, asks: bool) -> None:
    module = compile(
        f"class Shop:\n    def price(self, key):\n        {lines}\n", "shop.py", "exec"
    )
    ((_, code),) = codes.functions(module)
    (change,) = changes(code)
    assert change.asks is asks
