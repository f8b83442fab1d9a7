"""Forgetting: what is left is as if the forgotten runs had never been; nothing else goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.history import retention, runfile, writes
from pytest_aqe.history.store import STORAGE_VERSION, open_history

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def record(folder: Path, day: int, results: list[Result], run_id: str = "") -> None:
    """Leave a finished run file in ``folder``."""
    started = (START + timedelta(days=day)).isoformat()
    writer = runfile.RunFileWriter(folder, Run(run_id=run_id or f"r{day}", started_at=started))
    for result in results:
        writer.append(result)
    writer.close(RunEnd(started, "complete", 0, len(results), 0, len(results)))


def passed(name: str) -> Result:
    return Result(f"t.py::{name}", "passed", call=1.0)


def failed(name: str) -> Result:
    return Result(f"t.py::{name}", "failed", call=1.0)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Return a history of four runs on four days; test ``old`` ran on the first only."""
    path = tmp_path / "one" / "history.duckdb"
    record(path.parent, 0, [failed("f"), passed("old")])
    for day in (1, 2, 3):
        record(path.parent, day, [passed("f"), passed("g")])
    writes.remember(path)
    return path


def forget(path: Path, **rule: Any) -> retention.Doomed:
    with open_history(path, write=True) as connection:
        doomed = retention.find(connection, retention.Rule(**rule))
        retention.forget(connection, doomed)
        assert connection.compact() is None
    return doomed


def contents(path: Path) -> dict[str, Any]:
    with open_history(path, write=False) as connection:
        ask = connection.execute
        return {
            "runs": ask("select run_id from runs order by started_at"),
            "results": ask(
                "select run_id, identity, outcome from results join runs using (run_no) "
                "join tests using (test_no) order by all"
            ),
            "tests": ask("select identity, file from tests order by all"),
            "nodes": ask("select node_id from nodes order by all"),
            "rollups": ask(
                "select identity, rollups.* exclude (test_no, last_run_no, last_failed_run_no) "
                "from rollups join tests using (test_no) order by identity"
            ),
        }


def test_what_is_left_is_as_if_the_old_runs_had_never_been(history: Path, tmp_path: Path) -> None:
    """Runs, results, tests, node ids and rollups equal those of a history without them."""
    forget(history, before=datetime(2026, 1, 2, 12))
    other = tmp_path / "other" / "history.duckdb"
    for day in (2, 3):
        record(other.parent, day, [passed("f"), passed("g")])
    writes.remember(other)
    assert contents(history) == contents(other)


def test_the_latest_runs_can_be_kept_by_number(history: Path) -> None:
    """All others go."""
    doomed = forget(history, keep_runs=1)
    assert doomed.run_ids == {"r0", "r1", "r2"}
    assert contents(history)["runs"] == [("r3",)]


def test_the_kept_run_files_of_forgotten_runs_go_too(history: Path) -> None:
    """Else a history rebuilt from them would remember."""
    forget(history, keep_runs=2)
    kept = (history.parent / runfile.INGESTED).glob("*")
    assert sorted(path.name for path in kept) == ["r2.jsonl.gz", "r3.jsonl.gz"]


def test_a_run_whose_file_waits_is_not_forgotten(history: Path) -> None:
    """It would come back with the next session."""
    record(history.parent, 0, [failed("f")])
    doomed = forget(history, keep_runs=1)
    assert "r0" not in doomed.run_ids
    assert [path.name for path in runfile.waiting(history.parent)] == ["r0.jsonl"]


def test_nothing_to_forget_rolls_up_again(history: Path) -> None:
    """Rollups that were wrong are right afterwards, which `doctor` recommends."""
    before = contents(history)
    with open_history(history, write=True) as connection, connection.transaction():
        connection.execute("update rollups set runs = 99")
    forget(history)
    assert contents(history) == before


def test_the_file_shrinks_and_older_duckdb_can_read_it(history: Path) -> None:
    """The fresh copy has the same storage version and less than half the size."""
    with open_history(history, write=True) as connection, connection.transaction():
        connection.execute(
            "insert into results by name "
            "select 1 as run_no, 1 as test_no, 1 as node_no, random()::float as duration "
            "from range(1000000)"
        )
    before = history.stat().st_size
    forget(history, keep_runs=3)
    assert history.stat().st_size < before / 2
    with open_history(history, write=False) as connection:
        ((tags,),) = connection.execute(
            "select tags from duckdb_databases() where database_name = 'history'"
        )
    assert tags["storage_version"].startswith(STORAGE_VERSION)


COMPACT = """
import sys
from pathlib import Path
from pytest_aqe.history.store import open_history
with open_history(Path(sys.argv[1]), write=True) as connection:
    print("open", flush=True)
    connection.compact()
    print("done", flush=True)
    sys.stdin.read()
"""


def test_a_session_that_waits_for_a_compaction_writes_to_the_new_file(history: Path) -> None:
    """The file that went away stays locked until it is closed, and takes no run."""
    child = subprocess.Popen(
        [sys.executable, "-c", COMPACT, str(history)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in range(2)] == ["open\n", "done\n"]
    record(history.parent, 4, [passed("f")])
    writes.remember(history)
    child.communicate("")
    assert ("r4",) in contents(history)["runs"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("wait", [0.0, 0.005, 0.01, 0.02, 0.03, 0.05])
def test_a_kill_during_a_compaction_loses_nothing(history: Path, wait: float) -> None:
    """Whichever file has the name is whole, and the next compaction clears up."""
    before = contents(history)
    child = subprocess.Popen(
        [sys.executable, "-c", COMPACT, str(history)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(wait)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert contents(history) == before
    forget(history)
    assert contents(history) == before
    assert sorted(path.name for path in history.parent.iterdir() if path.is_file()) == [
        ".gitignore",
        "history.duckdb",
    ]
