"""A budget is never exceeded, and is spent on the riskiest tests first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.data import Budget, Rank
from pytest_aqe.learning.budget import cut
from pytest_aqe.learning.selection import MIN_SECONDS

RANKS = st.lists(
    st.builds(
        Rank,
        tier=st.integers(0, 2),
        score=st.floats(0, 10),
        seconds=st.none() | st.floats(0, 20),
        reason=st.just(""),
    ),
    max_size=30,
)
MEASURED = st.lists(
    st.builds(
        Rank,
        tier=st.integers(0, 2),
        score=st.floats(0, 10),
        seconds=st.floats(MIN_SECONDS, 20),
        reason=st.just(""),
    ),
    max_size=30,
)


def over(ranks: list[Rank], budget: Budget, workers: int = 1) -> set[int]:
    """Cut tests of these ranks."""
    tests = [f"t.py::test_{number}" for number in range(len(ranks))]
    return cut(tests, dict(zip(tests, ranks, strict=True)), budget, workers)


@given(MEASURED, st.floats(0.01, 60), st.integers(1, 4))
def test_never_exceeded(ranks: list[Rank], seconds: float, workers: int) -> None:
    """What is left takes at most the seconds given, on so many processes."""
    dropped = over(ranks, Budget(seconds, None), workers)
    spent = sum(rank.seconds or 0 for index, rank in enumerate(ranks) if index not in dropped)
    assert spent <= seconds * workers * (1 + 1e-9)


@given(MEASURED, st.floats(0.01, 60))
def test_nothing_that_fits_is_cut(ranks: list[Rank], seconds: float) -> None:
    """No test that was cut would fit into what is left over."""
    dropped = over(ranks, Budget(seconds, None))
    spent = sum(rank.seconds or 0 for index, rank in enumerate(ranks) if index not in dropped)
    assert all(spent + (ranks[index].seconds or 0) > seconds * (1 - 1e-9) for index in dropped)


@given(RANKS, st.floats(0, 1), st.integers(1, 4))
def test_the_riskiest_are_taken(ranks: list[Rank], share: float, workers: int) -> None:
    """A test is cut in favour of a less risky one only where the latter is quicker."""
    dropped = over(ranks, Budget(None, share), workers)
    for gone in dropped:
        for kept in set(range(len(ranks))) - dropped:
            one, other = ranks[gone], ranks[kept]
            if (one.tier, -one.score) < (other.tier, -other.score) and None not in (
                one.seconds,
                other.seconds,
            ):
                assert (one.seconds or 0) > (other.seconds or 0)


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_share_of_the_count_when_nothing_is_measured(count: int, percent: int) -> None:
    """Tests of unknown duration count alike: 30 % of ten are three."""
    ranks = [Rank(2, 0.0, None, "")] * count
    assert count - len(over(ranks, Budget(None, percent / 100))) == count * percent // 100


@given(RANKS)
def test_the_whole_budget_cuts_nothing(ranks: list[Rank]) -> None:
    """A budget of 100 % lets everything run."""
    assert over(ranks, Budget(None, 1.0)) == set()


def test_failed_then_new_then_known() -> None:
    """What failed last fits first, then what is new, however high the score of another."""
    tests = ["t.py::known", "t.py::new", "t.py::failed"]
    ranks = {
        "t.py::known": Rank(2, 9.0, 1.0, ""),
        "t.py::failed": Rank(0, 0.1, 1.0, ""),
    }
    assert cut(tests, ranks, Budget(1.5, None), 1) == {0, 1}
    assert cut(tests, ranks, Budget(2.5, None), 1) == {0}


def test_an_unmeasured_test_counts_as_the_median_one() -> None:
    """Among tests of one, two and nine seconds, a new one counts two."""
    ranks = [Rank(2, 1.0, seconds, "") for seconds in (1.0, 2.0, 9.0)]
    ranks.append(Rank(1, 0.0, None, ""))
    assert over(ranks, Budget(2.0, None)) == {0, 1, 2}
    assert over(ranks, Budget(1.9, None)) == {1, 2, 3}


def test_some_of_the_time_goes_to_the_stalest() -> None:
    """A tenth of the budget is for tests that nobody ran for long, whatever their rank."""
    ranks = [Rank(2, 100.0 - index, 1.0, "") for index in range(40)]
    tests = [f"t.py::{index}" for index in range(40)]
    found = cut(tests, dict(zip(tests, ranks, strict=True)), Budget(20.0, None), 1, tests[::-1])
    assert set(range(40)) - found == {*range(18), 38, 39}


@given(MEASURED, st.floats(0.01, 60), st.randoms())
def test_exploring_exceeds_no_budget(ranks: list[Rank], seconds: float, random) -> None:
    """With stale tests too, what is left takes at most the seconds given."""
    tests = [f"t.py::{index}" for index in range(len(ranks))]
    stale = random.sample(tests, len(tests))
    found = cut(tests, dict(zip(tests, ranks, strict=True)), Budget(seconds, None), 1, stale)
    spent = sum(rank.seconds or 0 for index, rank in enumerate(ranks) if index not in found)
    assert spent <= seconds * (1 + 1e-9)


def test_workers_share_the_time() -> None:
    """Two processes do twice as much in the same wall time."""
    ranks = [Rank(2, 1.0, 1.0, "")] * 4
    assert len(over(ranks, Budget(2.0, None), 1)) == 2
    assert len(over(ranks, Budget(2.0, None), 2)) == 0
