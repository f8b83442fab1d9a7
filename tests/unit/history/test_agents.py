"""Calls, examples and memory: written by the run file, read by who asks again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.history import agents, merging, runfile, writes
from pytest_aqe.history.store import open_history

START = "2026-01-01T00:00:00+00:00"
NOW = datetime.now(timezone.utc)


def call(key: str, text: str | None, **more: Any) -> dict[str, Any]:
    """Return a row of ``calls``."""
    base = {"key": key, "model": "m/x", "role": "author", "sample": 0, "bytes": 5,
            "cached": False, "requests": 1, "tokens_in": 100, "tokens_out": 10, "cost": 0.5,
            "seconds": 1.0, "cut": False, "error": None, "text": text, "data": None}  # fmt: skip
    return base | more


def entry(key: str, value: str | None, *, age: int = 0, ttl: int | None = None) -> dict[str, Any]:
    """Return a row of ``memory``, stored hours ago, to expire in hours from now."""
    expires = None if ttl is None else (NOW + timedelta(hours=ttl)).isoformat()
    stored = (NOW - timedelta(hours=age)).isoformat()
    return {"partition": "p", "key": key, "value": value, "stored_at": stored,
            "expires_at": expires}  # fmt: skip


def record(folder: Path, run_id: str, **rows: list[Mapping[str, Any]]) -> None:
    """Leave a run file with these rows in ``folder``."""
    writer = runfile.RunFileWriter(folder, Run(run_id=run_id, started_at=START))
    writer.append(Result("t.py::f", "passed", call=1.0))
    for kind, told in rows.items():
        writer.append_told(kind, told)
    writer.close(RunEnd(START, "complete", 0, 1, 0, 1))


def test_a_reply_is_found_by_its_question(tmp_path: Path) -> None:
    """The latest one; none where there was an error or the row says that it was cached."""
    record(tmp_path, "r1", calls=[call("a", "old"), call("b", None, error="HTTP 500")])
    record(
        tmp_path,
        "r2",
        calls=[call("a", "new", data="{}", cut=True), call("a", None, cached=True)],
    )
    writes.remember(tmp_path / "h.duckdb")
    with open_history(tmp_path / "h.duckdb", write=False) as connection:
        assert agents.said(connection, ["a", "b", "c"]) == [agents.Said("a", "new", "{}", True)]
        assert agents.said(connection, []) == []


def test_what_was_not_measured_is_null_and_counted(tmp_path: Path) -> None:
    """Sums are of what was measured."""
    record(
        tmp_path,
        "r1",
        calls=[
            call("a", "x"),
            call("b", None, tokens_in=None, tokens_out=None, cost=None, error="silence"),
            call("c", None, model="m/y", tokens_in=None, tokens_out=None, cost=None),
        ],
    )
    writes.remember(tmp_path / "h.duckdb")
    with open_history(tmp_path / "h.duckdb", write=False) as connection:
        first, second = agents.uses(connection)
    assert first == agents.Use("m/x", "author", 2, 0, 1, 100, 10, 0.5, 1)
    assert (second.tokens_in, second.cost, second.unmeasured) == (None, None, 1)


def test_of_a_key_the_latest_value_is_remembered(tmp_path: Path) -> None:
    """Whichever run comes in last; what expired or was deleted is gone."""
    record(
        tmp_path,
        "r2",
        memory=[entry("aqe/a", "2"), entry("aqe/b", "3"), entry("aqe/b", None)],
    )
    writes.remember(tmp_path / "h.duckdb")
    record(
        tmp_path,
        "r1",
        memory=[
            entry("aqe/a", "1", age=5),
            entry("aqe/c", "4", ttl=1),
            entry("aqe/d", "5", ttl=-1),
        ],
    )
    writes.remember(tmp_path / "h.duckdb")
    with open_history(tmp_path / "h.duckdb", write=False) as connection:
        found = agents.memory(connection)
    assert [(key, value) for _, key, value, _, _ in found] == [("aqe/a", "2"), ("aqe/c", "4")]
    assert found[1][4] is not None


def test_an_example_helps_that_tests_came_of_more_often_than_not(tmp_path: Path) -> None:
    """One use shows nothing yet."""

    def uses(test: str, *accepted: bool) -> list[Mapping[str, Any]]:
        return [
            {"test": test, "gap_file": "a.py", "gap_name": "f", "author": "m/x", "accepted": each}
            for each in accepted
        ]

    record(
        tmp_path,
        "r1",
        examples=[
            *uses("t.py::good", True, True, False),
            *uses("t.py::better", True, True, True),
            *uses("t.py::bad", False, True),
            *uses("t.py::once", True),
        ],
    )
    writes.remember(tmp_path / "h.duckdb")
    with open_history(tmp_path / "h.duckdb", write=False) as connection:
        assert agents.helpful_examples(connection) == ["t.py::better", "t.py::good"]


def test_a_merge_brings_calls_and_the_later_memory(tmp_path: Path) -> None:
    """What was paid for there need not be paid for here."""
    record(tmp_path / "a", "r1", memory=[entry("aqe/k", "1", age=2)])
    record(tmp_path / "b", "r2", calls=[call("a", "x")], memory=[entry("aqe/k", "2")])
    for name in "ab":
        writes.remember(tmp_path / name / "h.duckdb")
    with open_history(tmp_path / "a" / "h.duckdb", write=True) as connection:
        merging.merge_history(connection, tmp_path / "b" / "h.duckdb")
        assert [said.text for said in agents.said(connection, ["a"])] == ["x"]
        assert [value for _, _, value, _, _ in agents.memory(connection)] == ["2"]
