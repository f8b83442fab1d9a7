"""The agents' memory: keys, partitions, expiry, and a record of every change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pytest_aqe.errors import AqeError
from pytest_aqe.generation.memory import Entry, Memory

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Clock:
    """A time that is told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def test_what_is_stored_is_retrieved_from_its_partition_alone() -> None:
    """The same key in another partition is another."""
    memory = Memory()
    memory.store("aqe/a", {"x": [1, None]}, partition="p")
    assert memory.retrieve("aqe/a", partition="p") == {"x": [1, None]}
    assert memory.retrieve("aqe/a") is None


def test_what_expired_is_gone_everywhere() -> None:
    """And counted as such."""
    clock = Clock()
    memory = Memory(now=clock)
    memory.store("aqe/short", 1, ttl=timedelta(hours=1))
    memory.store("aqe/long", 2)
    clock.now += timedelta(hours=1)
    assert memory.retrieve("aqe/short") is None
    assert memory.list_keys() == ["aqe/long"]
    assert memory.search("aqe/*") == {"aqe/long": 2}
    assert memory.get_stats().expired == 1
    assert not memory.delete("aqe/short")


def test_keys_are_searched_by_glob() -> None:
    """In one partition."""
    memory = Memory()
    for number, partition in enumerate("pqp"):
        memory.store(f"aqe/k{number}", number, partition=partition)
    assert memory.search("aqe/k*", partition="p") == {"aqe/k0": 0, "aqe/k2": 2}
    assert memory.search("*1", partition="p") == {}
    assert memory.list_keys(partition="q") == ["aqe/k1"]


def test_a_partition_is_cleared() -> None:
    """It says how much was in it; others stay."""
    memory = Memory()
    memory.store("aqe/a", 1, partition="p")
    memory.store("aqe/b", 2, partition="p")
    memory.store("aqe/a", 3, partition="q")
    assert memory.clear_partition("p") == 2
    assert memory.get_stats().entries == {"q": 1}


@pytest.mark.parametrize(("key", "value"), [("a", 1), ("", 1), ("aqe/x", {1, 2})])
def test_what_cannot_be_kept_is_refused(key: str, value: object) -> None:
    """A foreign key, or a value that is no JSON; nothing is recorded."""
    told: list[Mapping[str, Any]] = []
    with pytest.raises(AqeError, match="memory: "):
        Memory(record=told.append).store(key, value)
    assert not told


class Twins(RuleBasedStateMachine):
    """A memory, and another made from what the first told: they are the same."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.rows: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.memory = Memory(record=self.tell, now=self.clock)

    def tell(self, row: Mapping[str, Any]) -> None:
        self.rows[row["partition"], row["key"]] = row

    keys = st.sampled_from(["aqe/a", "aqe/b", "aqe/c"])
    partitions = st.sampled_from(["p", "q"])

    @rule(key=keys, partition=partitions, value=st.integers(), hours=st.none() | st.integers(1, 3))
    def store(self, key: str, partition: str, value: int, hours: int | None) -> None:
        ttl = None if hours is None else timedelta(hours=hours)
        self.memory.store(key, value, partition=partition, ttl=ttl)
        assert self.memory.retrieve(key, partition=partition) == value

    @rule(key=keys, partition=partitions)
    def delete(self, key: str, partition: str) -> None:
        there = self.memory.retrieve(key, partition=partition) is not None
        assert self.memory.delete(key, partition=partition) is there
        assert self.memory.retrieve(key, partition=partition) is None

    @rule(hours=st.integers(1, 2))
    def wait(self, hours: int) -> None:
        self.clock.now += timedelta(hours=hours)

    @invariant()
    def same(self) -> None:
        kept = [Entry(**row) for row in self.rows.values() if row["value"] is not None]
        twin = Memory(kept, now=self.clock)
        for partition in "pq":
            found = self.memory.search("*", partition=partition)
            assert twin.search("*", partition=partition) == found
        assert twin.get_stats().entries == self.memory.get_stats().entries


TestTwins = Twins.TestCase
