"""A cause is named where the attempts show it, and not where chance may."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.learning.causes import UNKNOWN, Seen, cause, neighbours
from pytest_aqe.learning.orders import orders

FAILED, PASSED = (("first", True),), (("first", False),)


def in_random_orders(victim: bool, count: int = 24) -> list[Seen]:
    """Test 0 fails after test 7, or without it; the orders are random."""
    chance = random.Random(3)
    seen = []
    for _ in range(count):
        order = chance.sample(range(30), 30)
        before = frozenset(order[: order.index(0)])
        failed = (7 in before) == victim
        seen.append(Seen(FAILED if failed else PASSED, before=before))
    return seen


def test_a_victim_and_its_polluter() -> None:
    """It failed whenever the polluter ran before it."""
    found = cause(in_random_orders(victim=True))
    assert (found.name, found.others) == ("order-dependent (victim)", (7,))


def test_a_brittle_test_and_its_setter() -> None:
    """It failed whenever the setter had not run yet."""
    found = cause(in_random_orders(victim=False))
    assert (found.name, found.others) == ("order-dependent (brittle)", (7,))


def test_few_runs_name_nobody() -> None:
    """With four runs some test always ran before by chance."""
    assert neighbours(in_random_orders(victim=True, count=4)) == ([], [])


def test_an_isolated_pass_names_a_victim_too() -> None:
    """Beside the others it fails again, alone it passes."""
    attempts = (("first", True), ("inproc", True), ("isolated", False))
    found = cause([Seen(attempts), Seen(attempts), Seen(PASSED)])
    assert found.name == "order-dependent (victim)"


def test_non_idempotent() -> None:
    """It passes first and fails the second time in one process."""
    again = (("first", False), ("inproc", True))
    assert cause([Seen(again), Seen(again)]).name == "non-idempotent"


def test_environment_and_time() -> None:
    """One environment, or one part of the day, holds the failures."""
    somewhere = [Seen(FAILED, environment="windows") for _ in range(6)]
    assert cause(somewhere + [Seen(PASSED, environment="linux")] * 12).name == "environment"
    midnight = [Seen(FAILED if hour in (22, 23, 0, 1) else PASSED, hour=hour) for hour in range(24)]
    assert cause(midnight * 4).evidence == "16 of 16 failures and 0 of 80 passes at 22-02 UTC"
    at_night = [Seen(FAILED, hour=2) for _ in range(6)]
    assert cause(at_night + [Seen(PASSED, hour=hour) for hour in range(6, 24)]).name == (
        "time of day"
    )


def test_network_outage_and_load() -> None:
    """The type of error, the company in which it failed, or its slowness."""
    network = [Seen(FAILED, signature="URLError@net.py#1") for _ in range(3)]
    assert cause([*network, Seen(PASSED)]).name == "network"
    assert cause([Seen(FAILED, outage=0.9)] * 3 + [Seen(PASSED)]).name == "shared outage"
    slow = [Seen(FAILED, seconds=9.0 + i) for i in range(6)]
    usual = [Seen(PASSED, seconds=1.0 + i / 100) for i in range(12)]
    assert cause(slow + usual).name == "load or resources"


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 1000))
def test_chance_is_no_cause(failures: list[bool], seed: int) -> None:
    """What is alike in failures and passes names nothing."""
    seen = [Seen(FAILED if failed else PASSED, environment="e", hour=9) for failed in failures]
    assert cause(seen) == UNKNOWN


def test_orders_cover_new_pairs() -> None:
    """The first is the reverse of what always ran; all are permutations; each adds pairs."""
    import numpy as np

    found = orders(20, [list(range(20))], 3, np.random.default_rng(0))
    assert found[0] == list(range(20))[::-1]
    assert all(sorted(order) == list(range(20)) for order in found)
    assert orders(0, [], 2, np.random.default_rng(0)) == [[], []]
