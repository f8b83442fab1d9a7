"""A fork says what it found, or is ended by its own time: that of its CPU, not of the clock."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a leaf is a fork")

if sys.platform != "win32":
    from pytest_aqe.generation.leaf import leaf


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


def test_waiting_costs_a_leaf_none_of_its_time() -> None:
    """Its seconds are of CPU: a machine that is busy makes nothing slow."""
    assert leaf(lambda: time.sleep(0.4) or "done", 0.1) == "done"
