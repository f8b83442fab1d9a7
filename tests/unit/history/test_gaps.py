"""Coverage, gaps and trials: what goes in by a run file comes out of the tables."""

from __future__ import annotations

from pathlib import Path

from pytest_aqe.data import Candidate, Gap, Run, RunEnd, Trial, Verdict
from pytest_aqe.history import gaps, merging, writes
from pytest_aqe.history.runfile import RunFileWriter
from pytest_aqe.history.store import open_history

START = "2026-01-01T00:00:00+00:00"
FILE = {"file": "a.py", "statements": 4, "ran": 2, "changed": 1, "changed_ran": 0}
GAP = Gap("a.py", "f", 3, 9, (4, 5), ((3, 4), (5, -3)), 4, 2.5, (4,), 7, 3, 2, 0.5, False, ("t",))
BARE = Gap("a.py", "", 1, 1, (), None, 1)


def record(folder: Path, run_id: str, *found: Gap, trials: tuple[Trial, ...] = ()) -> None:
    writer = RunFileWriter(folder, Run(run_id, START))
    writer.append_told("covered", [FILE])
    writer.append_told("gaps", gaps.gap_rows(found))
    writer.append_told("generations", map(gaps.generation_row, trials))
    writer.close(RunEnd(START, "complete", 0, 0, 0, 0))


def test_gaps_come_back_as_they_went_in(tmp_path: Path) -> None:
    """Unmeasured branches are None, measured ones that are not missing are empty."""
    record(tmp_path, "r1", GAP, BARE)
    writes.remember(tmp_path / "h.duckdb")
    with open_history(tmp_path / "h.duckdb", write=False) as connection:
        assert gaps.gaps(connection, "") == [GAP, BARE]
        assert gaps.gaps(connection, "", 1) == [GAP]
        assert gaps.gaps(connection, "other") == []
        assert gaps.covered(connection, "") == [gaps.Covered("a.py", 4, 2, None, None, 1, 0)]


def test_only_the_latest_run_says_what_is_missing(tmp_path: Path) -> None:
    """Trials of all runs stay: they are what a learner learns from."""
    trial = Trial(
        Candidate(GAP, "text", "offline"), Verdict("accepted"), "text", ("test_a",),
        lines=(4,), branches=(), mutants=2, killed=1, seconds=0.5, layer="landlock",
    )  # fmt: skip
    record(tmp_path, "r1", GAP, BARE, trials=(trial,))
    record(tmp_path, "r2", BARE, trials=(trial,))
    writes.remember(tmp_path / "h.duckdb")
    with open_history(tmp_path / "h.duckdb", write=False) as connection:
        assert gaps.gaps(connection, "") == [BARE]
        assert len(gaps.covered(connection, "")) == 1
        expected = ("a.py", "f", 4, 3, True, "offline", False, "accepted", 1, 0, 1, 0.5, None, None)
        assert gaps.generations(connection) == [
            gaps.Generation(number, *expected) for number in (1, 2)
        ]


def test_a_merge_brings_trials_and_the_gaps_of_suites_that_have_none(tmp_path: Path) -> None:
    """A suite that was measured here keeps what was measured here."""
    record(tmp_path / "a", "r1", GAP)
    record(tmp_path / "b", "r2", BARE)
    for name in "ab":
        writes.remember(tmp_path / name / "h.duckdb")
    for target, expected in (("a", [GAP]), ("c", [BARE])):
        with open_history(tmp_path / target / "h.duckdb", write=True) as connection:
            merging.merge_history(connection, tmp_path / "b" / "h.duckdb")
            assert gaps.gaps(connection, "") == expected
