"""What the history holds after an ingest: every run once, and rollups equal to the results."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.errors import HistoryBusy, HistoryNewer, NotFound
from pytest_aqe.history import browse, queries, rollups, runfile, writes
from pytest_aqe.history.store import open_history

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def record(
    folder: Path, run_id: str, results: list[Result], *, day: int = 0, suite: str = ""
) -> Path:
    """Leave a finished run file in ``folder``."""
    started = (START + timedelta(days=day)).isoformat()
    writer = runfile.RunFileWriter(folder, Run(run_id=run_id, started_at=started, suite=suite))
    for result in results:
        writer.append(result)
    writer.close(RunEnd(started, "complete", 0, len(results), 0, len(results)))
    return writer.path


def rows(history: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_history(history, write=False) as connection:
        return connection.execute(sql)


PASSED, FAILED = Result("t.py::f", "passed", call=1.0), Result("t.py::f", "failed", call=1.0)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / "history.duckdb"


class TestIngest:
    def test_a_run_is_there_once_however_often_it_is_ingested(self, history: Path) -> None:
        """Ingesting a file twice changes nothing."""
        path = record(history.parent, "r1", [PASSED])
        copy = path.with_name("copy.jsonl")
        copy.write_bytes(path.read_bytes())
        done = writes.remember(history)
        assert (done.runs, done.known) == (1, 1)
        assert rows(history, "select count(*) from results") == [(1,)]

    def test_a_file_name_is_no_pattern(self, history: Path, tmp_path: Path) -> None:
        """Brackets in a name mean themselves, not the file beside it that they would match."""
        elsewhere = tmp_path / "elsewhere"
        record(elsewhere, "r1", [PASSED]).rename(elsewhere / "r1.jsonl")
        asked = record(elsewhere, "r[1]", [FAILED]).rename(elsewhere / "r[1].jsonl")
        with open_history(history, write=True) as connection:
            writes.ingest(connection, [asked])
        assert rows(history, "select outcome from results") == [("failed",)]

    def test_a_killed_run_keeps_its_whole_lines(self, history: Path) -> None:
        """A file without a footer and with a torn last line is a killed run's."""
        path = record(history.parent, "r1", [PASSED, FAILED])
        text = path.read_text().splitlines(keepends=True)
        path.write_text("".join(text[:2]) + text[2][:20])
        done = writes.remember(history)
        assert rows(history, "select status, recorded from runs") == [("killed", 1)]
        assert any("1 unreadable" in note for note in done.notes)

    def test_bytes_that_are_no_text_do_not_hide_the_others(self, history: Path) -> None:
        """Garbage between two results costs neither of them."""
        path = record(history.parent, "r1", [PASSED, FAILED])
        text = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*text[:2], b"\xff\x00\xfe{]\n", *text[2:]]))
        writes.remember(history)
        assert rows(history, "select count(*) from results") == [(2,)]

    def test_a_file_that_is_no_run_file_is_set_aside(self, history: Path) -> None:
        """A stranger in the folder is moved, named, and stops nobody."""
        record(history.parent, "r1", [PASSED])
        stranger = history.parent / runfile.WAITING / "a.jsonl"
        stranger.write_bytes(b"\x00\x01\x02\n")
        import os

        os.utime(stranger, (0, 0))
        done = writes.remember(history)
        assert done.runs == 1
        assert (history.parent / runfile.REFUSED / "a.jsonl").exists()
        assert "a.jsonl is not a run file" in done.notes[0]

    def test_a_running_session_is_left_alone(self, history: Path) -> None:
        """A file that is still being written is not ingested."""
        writer = runfile.RunFileWriter(history.parent, Run("r1", START.isoformat()))
        writer.append(PASSED)
        done = writes.remember(history)
        assert (done.runs, done.still_running) == (0, 1)
        writer.close(RunEnd(START.isoformat(), "complete", 0, 1, 0, 1))
        assert writes.remember(history).runs == 1

    def test_an_unknown_outcome_is_not_recorded(self, history: Path) -> None:
        """A line whose outcome is none of ours is left out."""
        record(history.parent, "r1", [PASSED, Result("t.py::g", "exploded")])  # type: ignore[arg-type]
        writes.remember(history)
        assert rows(history, "select count(*) from results") == [(1,)]

    def test_suites_are_kept_apart(self, history: Path) -> None:
        """One test in two suites is two tests with rollups of their own."""
        record(history.parent, "r1", [PASSED], suite="linux")
        record(history.parent, "r2", [FAILED], suite="windows")
        writes.remember(history)
        with open_history(history, write=False) as connection:
            (linux,) = queries.rollups(connection, "linux")
            (windows,) = queries.rollups(connection, "windows")
        assert (linux.failures, windows.failures) == (0, 1)

    def test_the_duration_adds_up_the_phases(self, history: Path) -> None:
        """A result's duration is the sum of its phases."""
        record(history.parent, "r1", [Result("t", "passed", setup=1.0, call=2.0, teardown=0.5)])
        writes.remember(history)
        assert rows(history, "select duration, setup, teardown from results") == [(3.5, 1.0, 0.5)]


class TestRebuild:
    def test_a_broken_history_is_kept_and_rebuilt(self, history: Path) -> None:
        """Random bytes in place of the history are set aside; the run files rebuild it."""
        record(history.parent, "r1", [PASSED])
        writes.remember(history)
        history.write_bytes(b"garbage" * 5000)
        record(history.parent, "r2", [FAILED], day=1)
        done = writes.remember(history)
        assert rows(history, "select run_id from runs order by 1") == [("r1",), ("r2",)]
        assert len(list(history.parent.glob("history.duckdb.broken-*"))) == 1
        assert "rebuilt from 2 run files" in done.notes[0]

    def test_a_truncated_history_is_rebuilt(self, history: Path) -> None:
        """A history cut in half is rebuilt from the run files."""
        record(history.parent, "r1", [PASSED])
        writes.remember(history)
        history.write_bytes(history.read_bytes()[:8192])
        writes.remember(history)
        assert rows(history, "select run_id from runs") == [("r1",)]

    def test_a_history_with_damage_in_one_place_is_rebuilt(self, history: Path) -> None:
        """A history that opens, but cannot be read to its end, is rebuilt too."""
        results = [Result(f"t.py::f[{number}]", "passed", call=1.0) for number in range(500)]
        record(history.parent, "r1", results)
        writes.remember(history)
        whole = history.read_bytes()
        for place in range(12_288, len(whole), 262_144):
            history.write_bytes(whole[:place] + b"spoiled" * 500 + whole[place + 3500 :])
            history.with_name("history.duckdb.wal").unlink(missing_ok=True)
            record(history.parent, f"r2-{place}", [FAILED], day=1)
            writes.remember(history)
            assert rows(history, f"select count(*) from runs where run_id = 'r2-{place}'") == [(1,)]

    def test_a_lost_history_is_rebuilt(self, history: Path) -> None:
        """A kill between setting aside and rebuilding leaves no history; the next run has it."""
        record(history.parent, "r1", [PASSED])
        writes.remember(history)
        history.unlink()
        writes.remember(history)
        assert rows(history, "select run_id from runs") == [("r1",)]

    def test_a_later_schema_is_refused_politely(self, history: Path) -> None:
        """A history of a later version is left exactly as it is."""
        record(history.parent, "r1", [PASSED])
        writes.remember(history)
        with open_history(history, write=True) as connection:
            connection.execute("update meta set value = '99' where name = 'schema_version'")
        before = history.read_bytes()
        path = record(history.parent, "r2", [PASSED])
        with pytest.raises(HistoryNewer, match="upgrade pytest-aqe"):
            writes.remember(history)
        assert history.read_bytes() == before
        assert path.exists()

    def test_reading_what_is_not_there_creates_nothing(self, history: Path) -> None:
        """Opening an absent history to read raises and leaves no file."""
        with pytest.raises(NotFound), open_history(history, write=False):
            pass
        assert not history.exists()

    def test_a_held_lock_is_named(self, history: Path) -> None:
        """While another process holds the file, opening it says so by name."""
        import subprocess
        import sys

        code = (
            "import sys\n"
            "from pathlib import Path\n"
            "from pytest_aqe.history.store import open_history\n"
            "with open_history(Path(sys.argv[1]), write=True):\n"
            "    print('held', flush=True)\n"
            "    sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(history)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdin is not None
            holder.stdout.readline()
            with pytest.raises(HistoryBusy), open_history(history, write=True, wait=0.0):
                pass
            holder.stdin.close()


class TestRollups:
    def test_one_failure_decays_with_every_pass(self, history: Path) -> None:
        """A failure two executions ago weighs .81 of three decayed executions."""
        for day, result in enumerate((FAILED, PASSED, PASSED)):
            record(history.parent, f"r{day}", [result], day=day)
        writes.remember(history)
        with open_history(history, write=False) as connection:
            (test,) = queries.rollups(connection, "")
        assert test.failing == pytest.approx(0.81)
        assert test.weight == pytest.approx(1 + 0.9 + 0.81)
        assert (test.runs, test.failures, test.failed_last) == (3, 1, False)

    def test_a_skip_is_no_execution(self, history: Path) -> None:
        """A skipped test keeps what was known of it."""
        record(history.parent, "r0", [FAILED], day=0)
        record(history.parent, "r1", [Result("t.py::f", "skipped")], day=1)
        writes.remember(history)
        with open_history(history, write=False) as connection:
            (test,) = queries.rollups(connection, "")
        assert (test.runs, test.failed_last) == (1, True)

    def test_the_last_attempt_decides(self, history: Path) -> None:
        """A test that failed first and passed on a later attempt did not fail, it flaked."""
        again = Result("t.py::f", "passed", attempt=1, attempt_mode="inproc")
        record(history.parent, "r0", [FAILED, again])
        writes.remember(history)
        assert rows(history, "select failures, flaked from rollups") == [(0, 1)]

    def test_streaks_and_flips(self, history: Path) -> None:
        """The streak is negative while failing; a flip is a change of outcome."""
        for day, result in enumerate((PASSED, FAILED, FAILED)):
            record(history.parent, f"r{day}", [result], day=day)
            writes.remember(history)
        assert rows(history, "select streak, flips from rollups") == [(-2, 1)]

    def test_runs_of_one_test_under_several_ids_are_averaged(self, history: Path) -> None:
        """Parameters that share an identity share its duration, on average."""
        results = [
            Result(f"t.py::f[x{n}]", "passed", identity="t.py::f[x*]", call=float(n))
            for n in range(3)
        ]
        record(history.parent, "r0", results)
        writes.remember(history)
        with open_history(history, write=False) as connection:
            (test,) = queries.rollups(connection, "")
        assert test.seconds == pytest.approx(1.0)


def test_rounding_is_no_difference(history: Path) -> None:
    """Results keep seconds in four bytes; their sum still equals what was rolled up."""
    for day in range(30):
        record(history.parent, f"r{day:02}", [Result("t.py::f", "passed", call=0.1)], day=day)
        writes.remember(history)
    with open_history(history, write=False) as connection:
        assert browse.stale_rollups(connection) == 0


OUTCOMES = st.sampled_from(["passed", "failed", "error", "skipped", "xfailed", "crashed"])
HISTORIES = st.lists(
    st.tuples(
        st.integers(0, 5),  # day
        st.lists(st.tuples(st.sampled_from("abc"), OUTCOMES, st.integers(0, 2)), max_size=4),
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(runs=HISTORIES, together=st.booleans())
def test_rollups_always_equal_the_results(
    tmp_path_factory: pytest.TempPathFactory,
    runs: list[tuple[int, list[tuple[str, Any, int]]]],
    together: bool,
) -> None:
    """Ingested in any order, one by one or at once, rollups are what the results say."""
    history = tmp_path_factory.mktemp("h") / "history.duckdb"
    for number, (day, results) in enumerate(runs):
        record(
            history.parent,
            f"{number:03}",
            [Result(name, outcome, attempt=n, call=1.0) for name, outcome, n in results],
            day=day,
        )
        if not together:
            writes.remember(history)
    writes.remember(history)
    columns = (
        "test_no, runs, failures, flips, flaked, streak, round(weight, 9), round(failing, 9), "
        "round(seconds_sum, 6), round(seconds_weight, 9), first_at, last_at, last_run_no, "
        "last_failed_at, last_failed_run_no"
    )
    sql = f"select {columns} from rollups order by test_no"
    with open_history(history, write=True) as connection:
        kept = connection.execute(sql)
        assert browse.stale_rollups(connection) == 0
        with connection.transaction():
            rollups.roll_up_again(connection)
        assert connection.execute(sql) == kept


class TestRenames:
    OLD = Result("t.py::test_old", "failed", body="abc")
    NEW = Result("t.py::test_new", "passed", body="abc")

    def names(self, history: Path) -> list[tuple[Any, ...]]:
        return rows(
            history, "select identity, runs, failures from tests join rollups using (test_no)"
        )

    def test_a_renamed_test_keeps_its_history(self, history: Path) -> None:
        """Same body under a new name, the old one gone: one test with both runs."""
        record(history.parent, "r1", [self.OLD])
        writes.remember(history)
        record(history.parent, "r2", [self.NEW], day=1)
        done = writes.remember(history, vanished=lambda *_: True)
        assert done.renames == [("t.py::test_old", "t.py::test_new")]
        assert self.names(history) == [("t.py::test_new", 2, 1)]

    def test_a_copy_is_no_rename(self, history: Path) -> None:
        """While the old test is still there, the new one is new."""
        record(history.parent, "r1", [self.OLD])
        writes.remember(history)
        record(history.parent, "r2", [self.NEW], day=1)
        writes.remember(history, vanished=lambda *_: False)
        assert len(self.names(history)) == 2

    def test_doubt_is_no_rename(self, history: Path) -> None:
        """Two candidates with one body and nothing else in common are not guessed between."""
        record(history.parent, "r1", [self.OLD, Result("t.py::test_older", "passed", body="abc")])
        writes.remember(history)
        record(history.parent, "r2", [self.NEW], day=1)
        assert writes.remember(history, vanished=lambda *_: True).renames == []

    def test_moved_twins_are_told_by_name(self, history: Path) -> None:
        """Tests with one body that moved together are matched by their names."""
        record(history.parent, "r1", [Result(f"a.py::{n}", "passed", body="x") for n in "pq"])
        writes.remember(history)
        record(
            history.parent, "r2", [Result(f"b.py::{n}", "passed", body="x") for n in "pq"], day=1
        )
        done = writes.remember(history, vanished=lambda *_: True)
        assert sorted(done.renames) == [("a.py::p", "b.py::p"), ("a.py::q", "b.py::q")]

    def test_parameters_move_with_their_function(self, history: Path) -> None:
        """Each parameter of a renamed function finds its own past."""
        record(history.parent, "r1", [Result(f"t.py::f[{n}]", "passed", body="x") for n in "12"])
        writes.remember(history)
        record(
            history.parent, "r2", [Result(f"t.py::g[{n}]", "passed", body="x") for n in "12"], day=1
        )
        done = writes.remember(history, vanished=lambda *_: True)
        assert sorted(done.renames) == [("t.py::f[1]", "t.py::g[1]"), ("t.py::f[2]", "t.py::g[2]")]

    def test_a_rebuilt_history_knows_the_rename(self, history: Path) -> None:
        """The rename is noted in the run file, for a rebuild cannot look at the old place."""
        record(history.parent, "r1", [self.OLD])
        writes.remember(history)
        record(history.parent, "r2", [self.NEW], day=1)
        writes.remember(history, vanished=lambda *_: True)
        history.unlink()
        writes.remember(history)
        assert self.names(history) == [("t.py::test_new", 2, 1)]


class TestPatience:
    def test_what_a_session_has_no_time_for_keeps_waiting(self, history: Path) -> None:
        """With no patience nothing is begun, everything stays, and the rest is counted."""
        record(history.parent, "r1", [PASSED])
        done = writes.remember(history, patience=-1.0)
        assert "run files still waiting: 1" in done.notes[0]
        assert writes.remember(history).runs == 1

    def test_one_bad_file_does_not_stop_the_others(self, history: Path) -> None:
        """A run with an impossible start is set aside by name; the next file is taken up."""
        path = record(history.parent, "r1", [PASSED])
        path.write_text(path.read_text().replace("2026-01-01", "2026-99-01"))
        record(history.parent, "r2", [PASSED])
        done = writes.remember(history)
        assert rows(history, "select run_id from runs") == [("r2",)]
        assert "r1.jsonl cannot be taken up" in done.notes[0]
        assert (history.parent / runfile.REFUSED / "r1.jsonl").exists()

    def test_nested_beyond_reason_is_no_obstacle(self, history: Path) -> None:
        """A file that would exhaust the JSON parser's stack stops nobody."""
        record(history.parent, "r2", [PASSED])
        deep = history.parent / runfile.WAITING / "deep.jsonl"
        deep.write_text("[" * 200_000)
        writes.remember(history)
        assert rows(history, "select run_id from runs") == [("r2",)]
