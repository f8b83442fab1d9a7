"""Cores are lent to searches and trials."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_aqe.errors import AqeError
from pytest_aqe.generation.cores import MOST, Cores


def test_no_more_are_lent_than_there_are() -> None:
    cores = Cores(2)
    both = threading.Barrier(2)
    held: list[int] = []
    most: list[int] = []

    def hold(number: int) -> None:
        with cores.one(trial=number % 3 == 0):
            held.append(number)
            most.append(len(held))
            if number < 2:
                both.wait(10)  # two hold one at the same time, or this ends with an error
            held.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(2)))
        list(pool.map(hold, range(2, 50)))
    assert max(most) == 2


def test_a_trial_goes_before_a_search_that_waited_longer() -> None:
    cores = Cores(1)
    order: list[str] = []

    def wait(name: str) -> None:
        with cores.one(trial=name == "trial"):
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with cores.one():
            waiting = [pool.submit(wait, "search"), pool.submit(wait, "trial")]
            while not cores._trials:
                pass
        for each in waiting:
            each.result(10)
    assert order == ["trial", "search"]


def test_who_waits_is_told_when_none_is_lent_any_more() -> None:
    cores = Cores(1)

    def wait() -> None:
        with cores.one(trial=True):
            raise AssertionError("a core was lent")

    with ThreadPoolExecutor(1) as pool, cores.one():
        waiting = pool.submit(wait)
        while not cores._trials:
            pass
        cores.close()
        with pytest.raises(AqeError, match="the session is over"):
            waiting.result(10)
    with pytest.raises(AqeError), cores.one():
        pass


def test_an_error_gives_the_core_back() -> None:
    cores = Cores(1)
    with pytest.raises(ValueError, match="a fault"), cores.one():
        raise ValueError("a fault")
    with cores.one():
        pass


def test_a_machine_of_many_cores_is_not_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert Cores().number == MOST
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {5})
    assert Cores().number == 1


def test_where_nobody_says_how_many_may_be_used_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert Cores().number == 3
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert Cores().number == 1
