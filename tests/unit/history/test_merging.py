"""Merging: every run of every source once, and the sources as they were."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.errors import HistoryBroken, HistoryError
from pytest_aqe.history import merging, runfile, writes
from pytest_aqe.history.store import open_history

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def record(
    folder: Path, day: int, results: list[Result], run_id: str = "", suite: str = ""
) -> Path:
    """Leave a finished run file in ``folder``."""
    started = (START + timedelta(days=day)).isoformat()
    run = Run(
        run_id=run_id or f"r{day}",
        started_at=started,
        suite=suite,
        base="b0",
        changed_files=(f"src/{day}.py",),
    )
    writer = runfile.RunFileWriter(folder, run)
    for result in results:
        writer.append(result)
    writer.close(RunEnd(started, "complete", 0, len(results), 0, len(results)))
    return writer.path


def result(name: str, outcome: Any = "passed", **more: Any) -> Result:
    return Result(f"t.py::{name}", outcome, setup=0.25, call=0.5, teardown=0.125, **more)


def rows(history: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_history(history, write=False) as connection:
        return connection.execute(sql)


WHOLE = (
    "select runs.* exclude (run_no) from runs order by run_id",
    "select run_id, path from changed_files join runs using (run_no) order by all",
    "select tests.* exclude (test_no, first_run_no) from tests order by all",
    "select results.* exclude (run_no, test_no, node_no), run_id, identity, node_id "
    "from results join runs using (run_no) join tests using (test_no) join nodes using (node_no) "
    "order by all",
    "select identity, tests.suite, rollups.* exclude (test_no, last_run_no, last_failed_run_no) "
    "from rollups join tests using (test_no) order by 1, 2",
    "select suite, old, new from renames order by all",
)


def whole(history: Path) -> list[list[tuple[Any, ...]]]:
    return [rows(history, sql) for sql in WHOLE]


RUNS: tuple[tuple[int, list[Result], str], ...] = (
    (0, [result("f", "failed", signature="E@t.py#1"), result("g", body="b1")], ""),
    (1, [result("f", attempt=0, outcome="failed"), result("f", attempt=1)], ""),
    (2, [result("f", worker="gw0", position=3, collected=9, evidence={"a": 1})], "py314"),
    (3, [result("f", "crashed"), Result("t.py::x", "skipped")], ""),
)


def histories(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return histories of the even runs, of the odd ones, and of all."""
    paths = tuple(tmp_path / name / "history.duckdb" for name in ("even", "odd", "all"))
    for day, results, suite in RUNS:
        for path in (paths[day % 2], paths[2]):
            record(path.parent, day, results, suite=suite)
    for path in paths:
        writes.remember(path)
    return paths[0], paths[1], paths[2]


def merge(history: Path, other: Path) -> merging.Merged:
    with open_history(history, write=True) as connection:
        return merging.merge_history(connection, other)


def test_two_halves_make_the_whole(tmp_path: Path) -> None:
    """A history that merges another equals one that had all runs from the start."""
    even, odd, everything = histories(tmp_path)
    before = odd.read_bytes()
    assert merge(even, odd) == merging.Merged(2, 4, 0)
    assert whole(even) == whole(everything)
    assert odd.read_bytes() == before


def test_merging_again_changes_nothing(tmp_path: Path) -> None:
    """Runs are known by their ids, even those that took another way."""
    even, odd, everything = histories(tmp_path)
    merge(even, odd)
    before = whole(even)
    assert merge(even, odd) == merging.Merged(0, 0, 2)
    assert merge(even, everything) == merging.Merged(0, 0, 4)
    assert whole(even) == before


def test_a_rename_that_the_other_history_saw_holds_here(tmp_path: Path) -> None:
    """The test keeps one line of results under its new name."""
    old = [Result("t.py::old", "failed", body="b1")]
    new = [Result("t.py::new", "passed", body="b1")]
    one, other = (tmp_path / name / "history.duckdb" for name in ("one", "other"))
    record(one.parent, 0, old)
    writes.remember(one)
    record(other.parent, 0, old)
    record(other.parent, 1, new)
    writes.remember(other, vanished=lambda old, _: old.endswith("old"))
    merge(one, other)
    assert whole(one) == whole(other)
    assert rows(one, "select identity from tests") == [("t.py::new",)]


def test_a_file_that_is_no_history_is_named(tmp_path: Path) -> None:
    """Its fault is not told of our own."""
    even, _, _ = histories(tmp_path)
    other = tmp_path / "other.duckdb"
    other.write_bytes(b"\0" * 8 + b"DUCK" + b"\0" * 4096)
    with pytest.raises(HistoryBroken) as caught:
        merge(even, other)
    assert caught.value.path == other


def test_a_history_of_another_schema_is_refused(tmp_path: Path) -> None:
    """What its columns mean is not known here."""
    even, odd, _ = histories(tmp_path)
    with open_history(odd, write=True) as connection, connection.transaction():
        connection.execute("update meta set value = '99' where name = 'schema_version'")
    with pytest.raises(HistoryError, match="schema 99"):
        merge(even, odd)


def test_run_files_of_others_are_kept_like_ours(tmp_path: Path) -> None:
    """A history that is lost afterwards is rebuilt with them; the sources stay."""
    history = tmp_path / "one" / "history.duckdb"
    path = record(tmp_path / "shard", 0, RUNS[0][1])
    before = path.read_bytes()
    with open_history(history, write=True) as connection:
        assert merging.merge_run_files(connection, [path, path]).known == 1
    merged = whole(history)
    history.unlink()
    writes.remember(history)
    assert whole(history) == merged
    assert path.read_bytes() == before


def test_run_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    """Every shard may call its file the same; the run's id tells them apart."""
    history = tmp_path / "one" / "history.duckdb"
    paths = []
    for day in (0, 1):
        path = record(tmp_path / f"shard{day}", day, RUNS[day][1])
        paths.append(path.rename(path.with_name("run.jsonl")))
    with open_history(history, write=True) as connection:
        assert merging.merge_run_files(connection, paths).runs == 2


def test_a_run_id_cannot_name_a_place_outside(tmp_path: Path) -> None:
    """Run files come from strangers."""
    path = record(tmp_path / "shard", 0, RUNS[0][1])
    evil = path.with_name("evil.jsonl")
    evil.write_text(path.read_text().replace('"r0"', '"../../../evil"'))
    history = tmp_path / "one" / "history.duckdb"
    with open_history(history, write=True) as connection:
        assert merging.merge_run_files(connection, [evil]).runs == 1
    (kept,) = (history.parent / runfile.INGESTED).iterdir()
    assert "evil" not in kept.name
