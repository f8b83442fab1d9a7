"""What selection would have missed is counted from outcomes that were seen, and no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.data import Outcome, Result, Rollup, Selection
from pytest_aqe.learning.impact import Because, Decision
from pytest_aqe.learning.judging import Judge

AFFECTED = Because("affected", "src/a.py changed")
PROBE = Because("probe", "drawn")
DECISION = Decision(
    {"t.py::affected": AFFECTED, "t.py::probed": PROBE}, frozenset({"t.py::out", "t.py::other"})
)


def judged(*results: Result, flaky: str = "", prefix: str = "") -> Selection:
    """Judge `DECISION` by these results; the test named ``flaky`` has flaked before."""
    judge = Judge("shadow", prefix, DECISION, {flaky: Rollup(flaky, 9, 1, 9, 1, False, 1.0, 1)})
    for result in results:
        judge.take(result)
    return judge.verdict()


def result(name: str, outcome: Outcome, attempt: int = 0, **more: float) -> Result:
    return Result(f"t.py::{name}", outcome, attempt=attempt, **more)  # type: ignore[arg-type]


def test_a_failure_that_was_selected_is_caught() -> None:
    """It counts once, as caught."""
    verdict = judged(result("affected", "failed"))
    assert (verdict.failures, verdict.caught, verdict.escaped) == (1, 1, 0)


def test_a_failure_that_was_left_out_escapes() -> None:
    """Whether it failed, could not be set up or took its process down."""
    for outcome in ("failed", "error", "crashed"):
        verdict = judged(result("out", outcome))
        assert (verdict.failures, verdict.caught, verdict.escaped) == (1, 0, 1)


def test_a_failure_of_a_probe_escapes() -> None:
    """It ran by chance; without the probe nobody would have seen it."""
    verdict = judged(result("probed", "failed"))
    assert (verdict.selected, verdict.escaped) == (0, 1)


def test_a_new_test_says_nothing() -> None:
    """Selection had no opinion on a test it did not know."""
    verdict = judged(result("new", "failed"))
    assert (verdict.known, verdict.failures, verdict.escaped) == (0, 0, 0)


def test_what_did_not_run_says_nothing() -> None:
    """A known test that is gone, or was not asked for, is in no count; one left out is."""
    judge = Judge("select", "", DECISION, {})
    judge.take(result("affected", "passed"))
    verdict = judge.verdict(not_run=2)
    assert (verdict.known, verdict.selected) == (3, 1)


def test_the_last_attempt_counts() -> None:
    """A test that failed first and passed when tried again is no failure."""
    verdict = judged(result("out", "failed"), result("out", "passed", 1))
    assert verdict.failures == 0


def test_an_escape_of_a_flaky_test_is_unstable() -> None:
    """Known to change by itself from earlier runs, or because it was tried again here."""
    assert judged(result("out", "failed"), flaky="t.py::out").unstable == 1
    assert judged(result("out", "failed"), result("out", "failed", 1)).unstable == 1
    assert judged(result("out", "failed")).unstable == 0
    assert judged(result("affected", "failed"), flaky="t.py::affected").unstable == 0


def test_an_escape_of_a_test_known_to_be_flaky_is_unstable() -> None:
    """Whether or not it was ever tried again."""
    flagged = Rollup("t.py::out", 9, 1, 9, 1, False, 1.0, flagged=True)
    judge = Judge("shadow", "", DECISION, {"t.py::out": flagged})
    judge.take(result("out", "failed"))
    assert judge.verdict().unstable == 1


def test_seconds_add_up_phases_and_attempts() -> None:
    """What a selected run takes is measured, never assumed."""
    verdict = judged(
        result("affected", "failed", setup=1.0, call=2.0),
        result("affected", "passed", 1, call=4.0, teardown=0.5),
        result("out", "passed", call=8.0),
        result("probed", "passed", call=16.0),
        result("new", "passed", call=32.0),
    )
    assert (verdict.seconds, verdict.selected_seconds) == (31.5, 7.5)


def test_nothing_measured_is_none() -> None:
    """Without a duration there is no figure."""
    verdict = judged(result("out", "passed"))
    assert (verdict.seconds, verdict.selected_seconds) == (None, None)


def test_a_prefix_makes_the_identity() -> None:
    """A node id below the git root is judged by the test's name in the history."""
    judge = Judge("shadow", "sub/", Decision({}, frozenset({"sub/t.py::out"})), {})
    judge.take(result("out", "failed"))
    assert judge.verdict().escaped == 1


@given(
    st.lists(
        st.builds(
            result,
            st.sampled_from(["affected", "probed", "out", "other", "new"]),
            st.sampled_from(["passed", "failed", "skipped", "error"]),
            st.integers(0, 2),
        )
    )
)
def test_the_counts_agree(results: list[Result]) -> None:
    """Caught and escaped are the failures; unstable ones are some of the escaped."""
    verdict = judged(*results)
    assert verdict.caught + verdict.escaped == verdict.failures <= verdict.known
    assert verdict.unstable <= verdict.escaped
