"""What it costs to be told that a function started, from CPython 3.12 on.

Calls of small functions, by themselves and watched with `sys.monitoring` in three ways: by a
callback that keeps what started, by one that asks what is to be done (both are `Monitor`'s), and
silenced by the first start and watched again; and taken by nobody, while `Monitor` rests. In
nanoseconds a call above the call itself, the least of several rounds. No bar: it says which way
`Monitor` should prefer when.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from types import FunctionType

import measuring

FUNCTIONS = 50
CALLS = 500
_TEXT = """
def f(a, b=2):
    c = a + b
    d = [a, b, c]
    if c > 3:
        d.append(str(c))
    return d
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, metavar="N")
    asked = parser.parse_args()
    if sys.version_info < (3, 12):
        print("sys.monitoring is newer")
        return 0
    from pytest_aqe.evidence import monitoring

    tools = monitoring.free_tools()
    if tools is None:
        sys.exit("too many tool ids are taken")
    monitor = monitoring.Monitor(tools)
    monitor.start(lambda _code, _frame: False, lambda _code, _frame: None)
    alone, kept, special, silenced = ([_function() for _ in range(FUNCTIONS)] for _ in range(4))
    monitor.adopt_loaded("f.py", kept)
    for function in special:
        monitor.watch_starts(function.__code__)
    (tool,) = {3, 4, 5} - {*tools}
    start = sys.monitoring.events.PY_START
    sys.monitoring.use_tool_id(tool, "silencing")
    sys.monitoring.register_callback(tool, start, lambda _code, _offset: sys.monitoring.DISABLE)

    def keeping() -> None:
        _call(kept)
        monitor.drain()

    def resting() -> None:
        monitor.rest()
        _call(kept)
        monitor.go_on()

    def silencing() -> None:
        for function in silenced:
            sys.monitoring.set_local_events(tool, function.__code__, start)
        _call(silenced)
        for function in silenced:
            sys.monitoring.set_local_events(tool, function.__code__, 0)

    variants: dict[str, Callable[[], None]] = {
        "the call alone": lambda: _call(alone),
        "kept, and looked at": keeping,
        "taken by nobody": resting,
        "asked about": lambda: _call(special),
        "silenced, and watched again": silencing,
    }
    least = dict.fromkeys(variants, float("inf"))
    for _ in range(asked.rounds):
        for name, variant in variants.items():
            begun = time.process_time()
            for _ in range(CALLS):
                variant()
            spent = time.process_time() - begun
            least[name] = min(least[name], spent / CALLS / FUNCTIONS * 1e9)
    monitor.stop()
    sys.monitoring.free_tool_id(tool)
    plain = least.pop("the call alone")
    print(f"{asked.rounds} rounds; {measuring.machine()}; a call {plain:.0f} ns")
    measuring.table(
        ("a start that is", "ns more"),
        [(name, f"{spent - plain:.0f}") for name, spent in least.items()],
    )
    return 0


def _function() -> FunctionType:
    names: dict[str, FunctionType] = {}
    exec(compile(_TEXT, "f.py", "exec"), names)
    return names["f"]


def _call(functions: list[FunctionType]) -> None:
    for function in functions:
        function(1)


if __name__ == "__main__":
    sys.exit(main())
