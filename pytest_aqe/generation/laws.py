"""Laws that functions keep, as property tests: the one file that imports hypothesis.

Two are looked for, where names suggest them: a function that undoes another (decode, encode),
and one that changes nothing the second time (strip, normalize). A law is proposed when it
holds for every value that hypothesis tries and says more than that nothing happens. What
holds for generated values is no proof; it is what a property test checks.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import re
import string
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pytest_aqe.generation.values import is_a

TRIED = 150  # values before a law is proposed
EXAMPLES = 50  # values in the proposed test

_PAIRS = (
    ("encode", "decode"), ("dumps", "loads"), ("pack", "unpack"), ("quote", "unquote"),
    ("escape", "unescape"), ("compress", "decompress"), ("serialize", "deserialize"),
    ("encrypt", "decrypt"), ("flatten", "unflatten"), ("format", "parse"), ("hexlify", "unhexlify"),
    ("wrap", "unwrap"), ("join", "split"), ("zip", "unzip"), ("mask", "unmask"), ("pad", "unpad"),
    ("to", "from"), ("write", "read"), ("stringify", "parse"), ("int2", "2int"),
)  # fmt: skip
_SETTLING = re.compile(
    r"strip|normali[sz]e|clean|slug|dedup|uniq|canonical|collapse|trim|sorted|squeeze|sanitize"
    r"|simplify|lower|upper|abs|clamp|deaccent|unwrap|flatten"
)
_TEXT = "st.text(alphabet=string.printable)"  # all of Unicode takes a second to be set up
_STRATEGIES = (
    _TEXT,
    'st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1)',
    "st.integers()",
    "st.integers(min_value=0)",
    "st.binary()",
    "st.lists(st.integers())",
    f"st.lists({_TEXT})",
    f"st.dictionaries({_TEXT}, st.integers())",
    "st.floats(allow_nan=False, allow_infinity=False)",
)


@dataclass(frozen=True, slots=True)
class Law:
    """A property of ``first``, with ``second`` the one that undoes it, or itself."""

    first: str
    second: str
    strategy: str

    @property
    def claim(self) -> str:
        """The assertion of the test."""
        if self.first == self.second:
            return f"assert {self.first}({self.first}(value)) == {self.first}(value)"
        return f"assert {self.second}({self.first}(value)) == value"

    @property
    def marks(self) -> list[str]:
        """What stands above the test: the same values every time, no file of hypothesis' own."""
        return [
            f"@settings(derandomize=True, database=None, deadline=None, max_examples={EXAMPLES})",
            f"@given(value={self.strategy})",
        ]

    @property
    def title(self) -> str:
        """What the test is called, after ``test_``."""
        if self.first == self.second:
            return f"{self.first}_again_changes_nothing"
        return f"{self.second}_undoes_{self.first}"


IMPORTS = ("import string", "from hypothesis import given", "from hypothesis import settings",
           "from hypothesis import strategies as st")  # fmt: skip


def are_tried() -> bool:
    """Tell whether hypothesis is there, which tries them and runs the tests."""
    return importlib.util.find_spec("hypothesis") is not None


def laws(module: types.ModuleType, names: frozenset[str], stop: float = math.inf) -> Iterator[Law]:
    """Yield laws that hold among the functions of a module; ``names`` are those with gaps.

    At ``stop``, in seconds of CPU of this process, no other is tried.
    """
    for first, second in candidates(module, names):
        for strategy in _STRATEGIES:
            if time.process_time() > stop:
                return
            one, two = (getattr(module, name) for name in (first, second))
            if _holds(one, two, strategy, same=first == second):
                yield Law(first, second, strategy)
                break


def candidates(module: types.ModuleType, names: frozenset[str]) -> list[tuple[str, str]]:
    """Return the functions of a module that belong together by their names, or settle."""
    if not are_tried():
        return []
    functions = sorted(
        name
        for name, value in vars(module).items()
        if is_a(value, types.FunctionType)
        and value.__module__ == module.__name__
        and _takes_one(value)
    )
    return [pair for pair in _candidates(functions) if {*pair} & names]


def _candidates(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield names that belong together, and names that suggest to settle."""
    for first in names:
        for second in names:
            if first != second and _are_inverse(first, second):
                yield first, second
    for name in names:
        if _SETTLING.search(name.lower()):
            yield name, name


def _are_inverse(first: str, second: str) -> bool:
    one, two = first.lower(), second.lower()
    left, sign, right = one.partition("2")
    if sign and left and right and two == f"{right}2{left}":
        return True
    return any(
        there in one and one.replace(there, back, 1) == two for there, back in _PAIRS
    ) or any(back in one and one.replace(back, there, 1) == two for there, back in _PAIRS)


def _takes_one(function: Any) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return False
    required = [each for each in parameters if each.default is each.empty
                and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]  # fmt: skip
    positional = required and required[0].kind is not required[0].KEYWORD_ONLY
    return len(required) == 1 and bool(positional)


def _holds(
    first: Callable[[Any], Any], second: Callable[[Any], Any], strategy: str, *, same: bool
) -> bool:
    """Try a law; it must hold for every value, and something must happen to one at least."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    happened: list[bool] = []

    @settings(derandomize=True, database=None, deadline=None, max_examples=TRIED,
              phases=(Phase.generate,),  # to shrink what breaks it would take seconds
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(value=eval(strategy, {"st": st, "string": string}))
    def law(value: Any) -> None:
        through = first(value)
        happened.append(type(through) is not type(value) or through != value)
        assert second(through) == (through if same else value)

    try:
        law()
    except Exception:
        return False
    return any(happened)
