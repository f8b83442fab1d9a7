"""Ranks and arrangements: plain values in, plain values out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.data import Rank, Rollup
from pytest_aqe.learning.selection import (
    FAILED_LAST,
    KNOWN,
    DecayedFailureRate,
    Place,
    arrange,
)


def rollup(
    identity: str = "t.py::t",
    *,
    runs: int = 10,
    failures: int = 0,
    weight: float = 6.5,
    failing: float = 0.0,
    failed_last: bool = False,
    seconds: float | None = 1.0,
) -> Rollup:
    return Rollup(identity, runs, failures, weight, failing, failed_last, seconds)


def places(*names: str) -> list[Place]:
    """Places from ``module::test``; every module is its own file."""
    return [Place(name, name.partition("::")[0]) for name in names]


def ordered(collected: list[Place], ranks: dict[str, Rank]) -> list[str]:
    return [collected[index].identity for index in arrange(collected, ranks)]


PASSING = Rank(KNOWN, 0.0, 1.0, "")


class TestDecayedFailureRate:
    def test_a_test_that_failed_last_stands_in_the_first_tier(self) -> None:
        """A test that failed in its last execution is in the first tier."""
        (rank,) = DecayedFailureRate().rank([rollup(failures=1, failing=1.0, failed_last=True)])
        assert rank.tier == FAILED_LAST

    def test_the_score_is_failures_per_execution_and_second(self) -> None:
        """The score is the decayed failure rate divided by the seconds it costs to see it."""
        (rank,) = DecayedFailureRate().rank(
            [rollup(failures=2, weight=5.0, failing=1.0, seconds=2.0)]
        )
        assert rank.score == pytest.approx(0.1)

    def test_an_unmeasured_duration_costs_no_division_by_zero(self) -> None:
        """A test without any measured duration still has a finite score."""
        (rank,) = DecayedFailureRate().rank([rollup(failures=1, failing=0.5, seconds=None)])
        assert 0 < rank.score < float("inf")

    def test_a_test_without_failures_has_no_reason_to_move(self) -> None:
        """A test that never failed scores zero."""
        (rank,) = DecayedFailureRate().rank([rollup()])
        assert (rank.tier, rank.score) == (KNOWN, 0.0)

    def test_a_test_that_a_change_can_have_broken_has_one(self) -> None:
        """It is taken to fail once in two executions more than it has, and says why."""
        test = rollup(weight=8.0, seconds=2.0)
        (rank,) = DecayedFailureRate({test.identity}).rank([test])
        assert (rank.tier, rank.score) == (KNOWN, 0.05)
        assert rank.reason.endswith(", uses what changed")

    def test_a_change_adds_nothing_to_a_higher_rate(self) -> None:
        """A test that failed more often than that keeps its own rate."""
        test = rollup(failures=4, weight=8.0, failing=4.0)
        ranks = [
            policy.rank([test])[0]
            for policy in (DecayedFailureRate(), DecayedFailureRate({test.identity}))
        ]
        assert ranks[0].score == ranks[1].score

    @given(st.floats(0.0, 1e6), st.floats(0.0, 1e6))
    def test_the_slower_of_two_equally_failing_tests_is_never_more_urgent(
        self, one: float, other: float
    ) -> None:
        """With equal failure rates the cheaper test comes first."""
        fast, slow = sorted((one, other))
        ranks = DecayedFailureRate().rank(
            [rollup(failing=1.0, seconds=fast), rollup(failing=1.0, seconds=slow)]
        )
        assert ranks[0].score >= ranks[1].score


class TestArrange:
    def test_nothing_moves_without_a_reason(self) -> None:
        """Tests that never failed stay in collected order."""
        collected = places("a.py::1", "b.py::1", "a.py::2")
        ranks = {place.identity: PASSING for place in collected}
        assert ordered(collected, ranks) == ["a.py::1", "a.py::2", "b.py::1"]

    def test_the_module_that_failed_last_runs_first(self) -> None:
        """A module with a test that failed last runs before all others."""
        collected = places("a.py::1", "b.py::1", "c.py::1")
        ranks = {place.identity: PASSING for place in collected}
        ranks["c.py::1"] = Rank(FAILED_LAST, 0.1, 1.0, "")
        assert ordered(collected, ranks) == ["c.py::1", "a.py::1", "b.py::1"]

    def test_a_new_test_runs_before_known_passing_ones(self) -> None:
        """A module with a test that the history does not know runs before passing ones."""
        collected = places("a.py::1", "b.py::new")
        assert ordered(collected, {"a.py::1": PASSING}) == ["b.py::new", "a.py::1"]

    def test_a_new_test_runs_after_what_failed_last(self) -> None:
        """What failed last is more urgent than what is new."""
        collected = places("a.py::new", "b.py::1")
        ranks = {"b.py::1": Rank(FAILED_LAST, 0.1, 1.0, "")}
        assert ordered(collected, ranks) == ["b.py::1", "a.py::new"]

    def test_a_test_that_failed_last_leads_its_module(self) -> None:
        """Inside a module that shares nothing, what failed last comes first."""
        collected = places("a.py::1", "a.py::2")
        ranks = {"a.py::1": PASSING, "a.py::2": Rank(FAILED_LAST, 0.1, 1.0, "")}
        assert ordered(collected, ranks) == ["a.py::2", "a.py::1"]

    def test_a_module_with_shared_fixtures_keeps_its_inner_order(self) -> None:
        """Where a fixture wider than a function is shared, the module is not touched inside."""
        collected = [Place("a.py::1", "a.py", shared=True), Place("a.py::2", "a.py")]
        ranks = {"a.py::1": PASSING, "a.py::2": Rank(FAILED_LAST, 0.1, 1.0, "")}
        assert ordered(collected, ranks) == ["a.py::1", "a.py::2"]

    def test_a_failure_behind_slow_tests_is_less_urgent(self) -> None:
        """Of two modules failing alike, the one that tells sooner runs first."""
        failing = Rank(FAILED_LAST, 1.0, 1.0, "")
        collected = [
            Place("slow.py::setup", "slow.py", shared=True),
            Place("slow.py::bad", "slow.py", shared=True),
            Place("fast.py::bad", "fast.py"),
        ]
        ranks = {
            "slow.py::setup": Rank(KNOWN, 0.0, 60.0, ""),
            "slow.py::bad": failing,
            "fast.py::bad": failing,
        }
        assert ordered(collected, ranks)[0] == "fast.py::bad"

    def test_a_pinned_module_keeps_its_place(self) -> None:
        """A module with a test that another plugin placed stays where it was put."""
        collected = [
            Place("a.py::1", "a.py", pinned=True),
            Place("b.py::1", "b.py"),
            Place("c.py::1", "c.py"),
        ]
        ranks = {
            "a.py::1": PASSING,
            "b.py::1": PASSING,
            "c.py::1": Rank(FAILED_LAST, 0.1, 1.0, ""),
        }
        assert ordered(collected, ranks) == ["a.py::1", "c.py::1", "b.py::1"]

    def test_a_block_stays_together(self) -> None:
        """Modules that share a parametrized session fixture are not torn apart."""
        collected = [
            Place("a.py::1", "a.py", block=("db=0",)),
            Place("b.py::1", "b.py", block=("db=0",)),
            Place("c.py::1", "c.py"),
            Place("a.py::2", "a.py", block=("db=1",)),
            Place("b.py::2", "b.py", block=("db=1",)),
        ]
        ranks = {place.identity: PASSING for place in collected}
        ranks["b.py::2"] = Rank(FAILED_LAST, 0.1, 1.0, "")
        assert ordered(collected, ranks) == [
            "b.py::2",
            "a.py::2",
            "a.py::1",
            "b.py::1",
            "c.py::1",
        ]

    def test_a_later_phase_never_overtakes(self) -> None:
        """A phase is finished before the next begins, however urgent that one is."""
        collected = [Place("a.py::1", "a.py", phase=0), Place("b.py::1", "b.py", phase=1)]
        ranks = {"a.py::1": PASSING, "b.py::1": Rank(FAILED_LAST, 9.0, 1.0, "")}
        assert ordered(collected, ranks) == ["a.py::1", "b.py::1"]


MODULES = st.sampled_from(["a.py", "b.py", "c.py", "d.py"])
PLACES = st.lists(
    st.builds(
        Place,
        identity=st.text("xyz", min_size=1, max_size=3),
        module=MODULES,
        phase=st.integers(0, 1),
        block=st.sampled_from([(), ("p",), ("q",)]),
        shared=st.booleans(),
        pinned=st.booleans(),
    ),
    max_size=30,
)
RANKS = st.dictionaries(
    st.text("xyz", min_size=1, max_size=3),
    st.builds(
        Rank,
        tier=st.sampled_from([FAILED_LAST, KNOWN]),
        score=st.floats(0, 1e9),
        seconds=st.none() | st.floats(0, 1e6),
        reason=st.just(""),
    ),
)


class TestLaws:
    @given(PLACES, RANKS)
    def test_no_test_is_lost_or_doubled(
        self, collected: list[Place], ranks: dict[str, Rank]
    ) -> None:
        """Every arrangement is a permutation of what was collected."""
        assert sorted(arrange(collected, ranks)) == list(range(len(collected)))

    @given(PLACES, RANKS)
    def test_workers_agree(self, collected: list[Place], ranks: dict[str, Rank]) -> None:
        """The same places and ranks give the same order, whatever the ranks' own order."""
        backwards = dict(reversed(list(ranks.items())))
        assert arrange(collected, ranks) == arrange(collected, backwards)

    @given(PLACES)
    def test_equal_ranks_keep_each_module_in_collected_order(self, collected: list[Place]) -> None:
        """Without a reason no test overtakes another of its module and block."""
        order = arrange(collected, {place.identity: PASSING for place in collected})
        for key in {(place.module, place.block, place.phase) for place in collected}:
            indices = [
                index
                for index in order
                if (collected[index].module, collected[index].block, collected[index].phase) == key
            ]
            assert indices == sorted(indices)
