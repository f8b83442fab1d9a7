"""Beliefs are what the results say, however these came in."""

from __future__ import annotations

import random
import tempfile
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pytest_aqe.beliefs import Belief, Judgement
from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.history import flakes, retention, runfile, suspects, writes
from pytest_aqe.history.store import Connection, open_history
from pytest_aqe.learning.flaky import LaneBayes, p_flaky

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
BELIEFS = """
    select suite, identity, rates, signatures, weights, hits, flagged, executions, lanes
    from flake_tests
        join tests using (test_no)
        left join (
            select test_no, list((branch, environment, broken, code, tree) order by all) as lanes
            from flake_lanes
            group by test_no
        ) using (test_no)
    order by suite, identity
"""

VERDICTS = """
    select run_id, identity, verdicts.environment, p_flaky, p_broken, flagged, suppressed, outage
    from flake_verdicts as verdicts join runs using (run_no) join tests using (test_no)
    order by all
"""
Judged = list[tuple[Judgement, Belief]]


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / "history.duckdb"


def record(folder: Path, day: int, results: list[Result], **run: Any) -> Path:
    """Leave a finished run file in ``folder``."""
    started = (START + timedelta(days=day)).isoformat()
    about: dict[str, Any] = {"tree": f"t{day // 3}", "branch": "main", "environment": "e"}
    writer = runfile.RunFileWriter(folder, Run(f"r{day:03}", started, **{**about, **run}))
    for result in results:
        writer.append(result)
    writer.close(RunEnd(started, "complete", 0, len(results), 0, len(results)))
    return writer.path


def passed(name: str = "f", position: int | None = None) -> Result:
    return Result(f"t.py::{name}", "passed", position=position)


def failed(name: str = "f", position: int | None = None) -> Result:
    return Result(f"t.py::{name}", "failed", signature=f"E@{name}", position=position)


def flaked(name: str = "f") -> list[Result]:
    again = Result(f"t.py::{name}", "passed", attempt=1, attempt_mode="inproc")
    return [failed(name), again]


def days(seed: int, count: int) -> list[list[Result]]:
    """Return days of five tests, two of which flake."""
    chance = random.Random(seed)
    return [
        [
            each
            for test in range(5)
            for each in (
                flaked(f"f{test}")
                if test < 2 and chance.random() < 0.2
                else [failed(f"f{test}") if chance.random() < 0.03 else passed(f"f{test}")]
            )
        ]
        for _ in range(count)
    ]


learn = partial(flakes.catch_up, make=LaneBayes)


def judge(history: Path, day: int, suite: str = "", waiting: int = 50) -> Judged | None:
    """Judge a day's failures in memory."""
    with open_history(history, write=False) as connection:
        return flakes.judge(connection, suite, f"r{day:03}", LaneBayes, waiting=waiting)


def judged(history: Path, day: int) -> Judged:
    """Return what was concluded of a day's failures."""
    with open_history(history, write=False) as connection:
        return flakes.judged(connection, f"r{day:03}")


def rows(history: Path, sql: str = BELIEFS) -> list[tuple[Any, ...]]:
    with open_history(history, write=False) as connection:
        return connection.execute(sql)


@pytest.mark.parametrize("seed", [0, 1])
def test_run_by_run_is_all_at_once(tmp_path: Path, seed: int) -> None:
    """Beliefs moved after every run are those worked out from all runs together."""
    for day, results in enumerate(days(seed, 20)):
        for name in ("each", "all"):
            record(tmp_path / name, day, results)
        writes.remember(tmp_path / "each" / "h.duckdb", learn=learn)
    writes.remember(tmp_path / "all" / "h.duckdb", learn=learn)
    assert rows(tmp_path / "each" / "h.duckdb") == rows(tmp_path / "all" / "h.duckdb") != []
    same = "select run_no, p_flaky, p_broken, suppressed from flake_verdicts order by all"
    assert rows(tmp_path / "each" / "h.duckdb", same) == rows(tmp_path / "all" / "h.duckdb", same)


def test_chunks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that fails late is worked out from its passes in earlier chunks."""
    for day, results in enumerate(days(7, 20)):
        for name in ("small", "big"):
            record(tmp_path / name, day, results)
    writes.remember(tmp_path / "big" / "h.duckdb", learn=learn)
    monkeypatch.setattr(flakes, "CHUNK", 4)
    writes.remember(tmp_path / "small" / "h.duckdb", learn=learn)
    assert rows(tmp_path / "small" / "h.duckdb") == rows(tmp_path / "big" / "h.duckdb")


HAPPENS = ("pass", "pass", "pass", "fail", "flake", "skip", "late fail")


def what_happened(name: str, how: str) -> list[Result]:
    """Return the results of one test in one run."""
    return {
        "pass": [passed(name)],
        "fail": [failed(name)],
        "flake": flaked(name),
        "skip": [Result(f"t.py::{name}", "skipped")],
        "late fail": [passed(name), failed(name)._replace(attempt=1, attempt_mode="inproc")],
        "alike": [failed(name)._replace(signature="E@all")],
    }[how]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, list[Result], dict[str, Any], str]]:
    """Return runs as they come in: their day, results, what is said of them, what is done then."""
    count = draw(st.integers(2, 7))
    order = draw(st.one_of(st.just(list(range(count))), st.permutations(range(count))))
    found = []
    for day in order:
        hows = draw(st.lists(st.sampled_from(HAPPENS), min_size=6, max_size=6))
        if draw(st.integers(0, 3)) == 0:
            hows = ["alike"] * 4 + hows[4:]
        results = [
            each for number, how in enumerate(hows) for each in what_happened(f"f{number}", how)
        ]
        said = {
            "environment": draw(st.sampled_from(("e", "e", "other"))),
            "trust": draw(st.sampled_from((None, None, "untrusted"))),
            "suite": draw(st.sampled_from(("", "", "windows"))),
        }
        found.append((day, results, said, draw(st.sampled_from(("learn", "judge", "wait")))))
    return found


@given(histories())
@settings(max_examples=12, derandomize=True, phases=[Phase.generate])
def test_waiting_makes_no_difference(
    came: list[tuple[int, list[Result], dict[str, Any], str]],
) -> None:
    """What is judged before it is learnt is what is concluded then, whatever waits how long."""
    with tempfile.TemporaryDirectory() as name:
        lazy, eager, whole = (Path(name) / each / "h.duckdb" for each in ("lazy", "eager", "whole"))
        for day, results, said, what in came:
            for path in (lazy, eager, whole):
                record(path.parent, day, results, **said)
            writes.remember(eager, learn=learn)
            writes.remember(lazy, learn=learn if what == "learn" else None)
            if what == "judge":
                found = judge(lazy, day, said["suite"])
                if found is not None:
                    assert [each for each, _ in found] == [each for each, _ in judged(eager, day)]
        for path in (lazy, whole):
            writes.remember(path, learn=learn)
        for sql in (BELIEFS, VERDICTS):
            assert rows(lazy, sql) == rows(eager, sql) == rows(whole, sql)


def test_a_run_is_judged_and_left_waiting(tmp_path: Path) -> None:
    """As if it had been learnt from, and nothing is kept; so it is for the next ones."""
    lazy, eager = (tmp_path / each / "h.duckdb" for each in ("lazy", "eager"))
    for day, results in enumerate(days(6, 30)):
        for path in (lazy, eager):
            record(path.parent, day, results)
        writes.remember(lazy, learn=learn if day == 12 else None)
        writes.remember(eager, learn=learn)
        if day != 12:
            assert judge(lazy, day) == judged(eager, day)
    assert rows(lazy, "select runs from flake_marks") == [(13,)]
    assert rows(eager, "select count(distinct run_no) > 5 from flake_verdicts") == [(True,)]


def test_what_waits_is_believed(tmp_path: Path) -> None:
    """Whoever asks for the beliefs of a suite gets them with the runs that wait."""
    lazy, eager = (tmp_path / each / "h.duckdb" for each in ("lazy", "eager"))
    for day, results in enumerate(days(6, 20)):
        for path in (lazy, eager):
            record(path.parent, day, results)
        writes.remember(lazy, learn=learn if day == 8 else None)
    writes.remember(eager, learn=learn)
    with open_history(lazy, write=False) as one, open_history(eager, write=False) as other:
        assert suspects.believed(one, "", LaneBayes) == suspects.believed(other, "", LaneBayes)


@pytest.mark.parametrize("why", ["late", "many", "together", "learnt"])
def test_what_is_not_judged_in_memory(history: Path, why: str) -> None:
    """A run that came late, one of many, one in which many tests failed, one that is known."""
    for day in range(3):
        record(history.parent, day + 10, [passed(f"f{test}") for test in range(20)])
    writes.remember(history, learn=learn)
    alike = 10 if why == "together" else 1
    tests = [failed(f"f{test}") if test < alike else passed(f"f{test}") for test in range(20)]
    day = 5 if why == "late" else 20
    record(history.parent, day, tests)
    writes.remember(history, learn=learn if why == "learnt" else None)
    assert judge(history, day, waiting=0 if why == "many" else 50) is None


def test_a_late_run_is_taken_in_its_place(tmp_path: Path) -> None:
    """A shard that arrives after later runs changes nothing about the outcome."""
    for day, results in enumerate(days(3, 20)):
        record(tmp_path / "whole", day, results)
        if day != 8:
            record(tmp_path / "late", day, results)
    late = tmp_path / "late" / "h.duckdb"
    writes.remember(late, learn=learn)
    record(tmp_path / "late", 8, days(3, 20)[8])
    writes.remember(late, learn=learn)
    writes.remember(tmp_path / "whole" / "h.duckdb", learn=learn)
    assert rows(late) == rows(tmp_path / "whole" / "h.duckdb")


def test_a_forgotten_run_is_not_believed(tmp_path: Path) -> None:
    """After a prune the beliefs are those of a history that never saw the forgotten runs."""
    for day, results in enumerate(days(4, 20)):
        record(tmp_path / "pruned", day, results)
        if day >= 5:
            record(tmp_path / "young", day, results)
    pruned, young = tmp_path / "pruned" / "h.duckdb", tmp_path / "young" / "h.duckdb"
    writes.remember(pruned, learn=learn)
    writes.remember(young, learn=learn)
    with open_history(pruned, write=True) as connection:
        retention.forget(connection, retention.find(connection, retention.Rule(keep_runs=15)))
        assert connection.execute("select * from flake_tests") == []
        learn(connection)
    assert rows(pruned) == rows(young)


def test_without_patience_the_rest_waits(history: Path) -> None:
    """What time does not allow is learnt the next time, and that is said."""
    for day, results in enumerate(days(5, 5)):
        record(history.parent, day, results)
    writes.remember(history)
    with open_history(history, write=True) as connection:
        assert not learn(connection, patience=-1.0)
        assert learn(connection)
        assert learn(connection, patience=-1.0)


def test_a_test_that_never_failed_has_no_state(history: Path) -> None:
    """A pass costs nothing but its record."""
    for day in range(5):
        record(history.parent, day, [passed("good"), failed("bad")])
    writes.remember(history, learn=learn)
    assert [row[1] for row in rows(history)] == ["t.py::bad"]


def test_suites_are_believed_apart(history: Path) -> None:
    """The same test flakes in one suite and not in another."""
    for day in range(8):
        record(history.parent, day, flaked() if day % 2 else [passed()], suite="windows")
    record(history.parent, 9, [passed()], suite="linux")
    record(history.parent, 10, [failed()], suite="linux")
    writes.remember(history, learn=learn)
    with open_history(history, write=False) as connection:
        likely = {each.suite: p_flaky(each.belief) for each in suspects.suspects(connection)}
    assert likely["windows"] > 0.95 > likely["linux"]


def test_an_untrusted_run_moves_nothing(history: Path) -> None:
    """A pull request's failures are judged and not believed."""
    record(history.parent, 0, [passed()])
    record(history.parent, 1, flaked())
    writes.remember(history, learn=learn)
    before = rows(history)
    record(history.parent, 2, flaked(), trust="untrusted")
    writes.remember(history, learn=learn)
    assert rows(history) == before
    assert rows(history, "select count(*) from flake_verdicts") == [(2,)]


class TestShuffled:
    def order(self, day: int, tests: list[int], failing: int) -> list[Result]:
        return [
            failed(f"f{test:02}", place) if test < failing else passed(f"f{test:02}", place)
            for place, test in enumerate(tests)
        ]

    def is_shuffled(self, connection: Connection, run_id: str) -> bool:
        ((number,),) = connection.execute("select run_no from runs where run_id = $1", (run_id,))
        return flakes.is_shuffled(connection, number)

    def test_told_by_the_order_of_neighbours(self, history: Path) -> None:
        """A random order agrees with no earlier one; a moved block does."""
        declared = list(range(40))
        moved = [*range(20, 40), *range(20)]
        random_order = random.Random(2).sample(declared, 40)
        for day, tests in enumerate([declared, declared, random_order, moved]):
            record(history.parent, day, self.order(day, tests, 0))
        writes.remember(history)
        with open_history(history, write=False) as connection:
            told = [self.is_shuffled(connection, f"r{day:03}") for day in range(4)]
        assert told == [False, False, True, False]

    def test_many_failures_in_a_shuffled_run_are_no_outage(self, history: Path) -> None:
        """The same failures in declared order are taken for one."""
        declared = list(range(40))
        for day in range(3):
            record(history.parent, day, self.order(day, declared, 0))
        random_order = random.Random(2).sample(declared, 40)
        record(history.parent, 3, self.order(3, random_order, 20))
        record(history.parent, 4, self.order(4, declared, 20))
        writes.remember(history, learn=learn)
        outages = rows(
            history, "select run_no, max(outage) from flake_verdicts group by run_no order by 1"
        )
        assert outages == [(4, 0.0), (5, 0.98)]


def test_verdicts_tell_every_failed_attempt(history: Path) -> None:
    """One line a failed attempt, with what the whole run made of the test."""
    record(history.parent, 0, [passed()])
    record(history.parent, 1, flaked())
    writes.remember(history, learn=learn)
    with open_history(history, write=False) as connection:
        (found,) = suspects.verdicts(connection)
        (suspect,) = suspects.suspects(connection)
        streak = suspects.streak(connection, suspect.number)
    assert (found.run_id, found.node_id, found.attempt) == ("r001", "t.py::f", 0)
    ((judgement, belief),) = judged(history, 1)
    assert judgement.execution.attempts == (("first", True), ("inproc", False))
    assert (judgement.p_broken, belief) == (found.p_broken, suspect.belief)
    assert (suspect.runs, suspect.failures, suspect.flipped_run) == (2, 1, "r001")
    assert (suspect.evidence, suspect.signature, streak.runs) == (("r001",), "E@f", 0)


def test_a_streak_counts_the_latest_failures(history: Path) -> None:
    """Since the last run in which it passed, with the commit of the first."""
    for day, result in enumerate([failed(), passed(), failed(), failed()]):
        record(history.parent, day, [result], commit=f"c{day}")
    writes.remember(history, learn=learn)
    with open_history(history, write=False) as connection:
        (suspect,) = suspects.suspects(connection)
        assert suspects.streak(connection, suspect.number) == suspects.Streak(2, "c2")
