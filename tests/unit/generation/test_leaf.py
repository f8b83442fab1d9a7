"""A fork says what it found, or is ended by its own time: that of its CPU, not of the clock."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a leaf is a fork")

if sys.platform != "win32":
    from pytest_aqe.generation.leaf import leaf, telling_leaf


def spin(*ignored: signal.Signals) -> None:
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)
    while True:
        pass


@pytest.mark.parametrize(
    "run, said",
    [
        (lambda: {"cases": [1, "two"]}, {"cases": [1, "two"]}),
        (lambda: None, None),
        (spin, "slow"),
        (lambda: spin(signal.SIGPROF), "slow"),
        (lambda: os._exit(0), "its process ended by an exit"),
        (lambda: signal.raise_signal(signal.SIGTERM), "its process ended by signal 15"),
        (lambda: 1 / 0, "its process ended by an exit"),
        (lambda: {1, 2}, "its process ended by an exit"),
    ],
    ids=["value", "nothing", "spins", "no timer", "exits", "is ended", "raises", "odd"],
)
def test_what_becomes_of_a_leaf(run: Callable[[], Any], said: Any) -> None:
    """Nothing it does ends its parent, and what is endless ends."""
    assert leaf(run, 0.3) == said


@pytest.mark.parametrize(
    "then, said",
    [
        (lambda: 3, 3),
        (spin, "slow"),
        (lambda: os._exit(0), "its process ended by an exit"),
    ],
    ids=["value", "spins", "exits"],
)
def test_what_was_told_stays(then: Callable[[], Any], said: Any) -> None:
    def run(tell: Callable[[Any], None]) -> Any:
        tell({"first": "line\n"})
        tell(2)
        return then()

    assert telling_leaf(run, 0.3) == (said, [{"first": "line\n"}, 2])


@pytest.mark.parametrize("line", [b'{"returned": 2}\n', b'{"told": 2}\n', b"odd\n"])
def test_what_it_writes_itself_is_not_taken(line: bytes) -> None:
    def is_open(descriptor: int) -> bool:
        with suppress(OSError):
            return bool(os.fstat(descriptor))
        return False

    free = [each for each in range(3, 99) if not is_open(each)]

    def run() -> int:
        own = next(each for each in free if is_open(each))
        return os.write(own, line)

    assert isinstance(leaf(run, 1.0), str)


def test_waiting_costs_a_leaf_none_of_its_time() -> None:
    """Its seconds are of CPU: a machine that is busy makes nothing slow."""
    assert leaf(lambda: time.sleep(0.4) or "done", 0.1) == "done"
