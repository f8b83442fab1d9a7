"""Forgetting old runs: the only thing that deletes results.

What is left is what the history would hold had it never seen the forgotten runs: rollups
are computed again, tests without results go, numbers that name a forgotten run go. So a
rollup's counts are those of the results that are there, not of a test's whole life.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pytest_aqe.errors import RunFileError
from pytest_aqe.history import flakes, policies, runfile
from pytest_aqe.history.dependencies import forget_unused
from pytest_aqe.history.rollups import roll_up_again
from pytest_aqe.history.store import Connection


@dataclass(frozen=True, slots=True)
class Rule:
    """What goes: runs that started before a time, or all but each suite's latest ones.

    A run without a start is older than none, and among the latest it comes last.
    """

    before: datetime | None = None
    keep_runs: int | None = None


@dataclass(frozen=True, slots=True)
class Doomed:
    """The runs that a rule names, with what goes with them."""

    run_ids: frozenset[str]
    results: int
    files: tuple[Path, ...]
    undated: int  # runs that no age can reach


def find(connection: Connection, rule: Rule) -> Doomed:
    """Return what a prune would remove. Leaves them in the temporary table ``doomed``.

    A run whose file still waits is not among them: it would come back.
    """
    waiting = _waiting_runs(connection.path.parent)
    connection.execute(
        """
        create or replace temp table doomed as
        select run_no, run_id
        from (
            select
                run_no,
                run_id,
                started_at,
                row_number() over (
                    partition by suite order by started_at desc nulls last, run_no desc
                ) as place
            from runs
        )
        where (started_at < $1::timestamp or place > $2::integer)
            and not list_contains($3::varchar[], run_id)
        """,
        (rule.before, rule.keep_runs, sorted(waiting)),
    )
    connection.read("runs", "results")
    ((results,),) = connection.execute(
        "select count(*) from results where run_no in (select run_no from doomed)"
    )
    undated = 0
    if rule.before is not None:
        ((undated,),) = connection.execute("select count(*) from runs where started_at is null")
    run_ids = frozenset(run_id for (run_id,) in connection.execute("select run_id from doomed"))
    return Doomed(run_ids, results, tuple(_kept_files(connection.path.parent, run_ids)), undated)


def _waiting_runs(folder: Path) -> set[str]:
    runs = set()
    for path in runfile.waiting(folder):
        with suppress(RunFileError):
            runs.add(runfile.read_run(path).run_id)
    return runs


def _kept_files(folder: Path, run_ids: Collection[str]) -> list[Path]:
    files = []
    for path in sorted((folder / runfile.INGESTED).glob("*.jsonl.gz")) if run_ids else []:
        if path.name.removesuffix(".jsonl.gz") in run_ids:
            files.append(path)
            continue
        with suppress(RunFileError):
            if runfile.read_run(path).run_id in run_ids:
                files.append(path)
    return files


def forget(connection: Connection, doomed: Doomed) -> int:
    """Remove what `find` found, in one transaction; return how many tests went with it.

    What learners and beliefs had made of it goes too, to be worked out again from what is left.
    Where nothing was found they stay; rollups are computed again all the same, for `doctor`.

    Kept run files go first. A kill in between leaves runs that the next prune removes; the
    other way round it would leave files that bring forgotten runs back.
    """
    for path in doomed.files:
        path.unlink(missing_ok=True)
    with connection.transaction():
        for table in (
            "results",
            "changed_files",
            "renames",
            "dependencies",
            "run_files",
            "collected",
            "selections",
            "flake_episodes",
            "covered",
            "gaps",
            "generations",
            "calls",
            "examples",
            "runs",
        ):
            connection.execute(f"delete from {table} where run_no in (select run_no from doomed)")
        connection.execute("delete from dependencies where ran_no in (select run_no from doomed)")
        ((before,),) = connection.execute("select count(*) from tests")
        connection.execute("delete from tests where test_no not in (select test_no from results)")
        connection.execute("delete from nodes where node_no not in (select node_no from results)")
        connection.execute(
            """
            update tests set first_run_no = seen.run_no
            from (select test_no, min(run_no) as run_no from results group by test_no) as seen
            where seen.test_no = tests.test_no
                and tests.first_run_no in (select run_no from doomed)
            """
        )
        ((after,),) = connection.execute("select count(*) from tests")
        roll_up_again(connection)
        connection.execute(
            "delete from flake_causes where test_no not in (select test_no from tests)"
        )
        if doomed.run_ids:
            flakes.forget_all(connection)
            policies.forget_all(connection)
        forget_unused(connection)
        connection.wrote("results", "changed_files", "renames", "runs", "tests", "nodes")
    return int(before - after)
