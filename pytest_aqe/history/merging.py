"""Runs of other machines: their run files, and whole histories, into ours.

All there is to merging is that a run has an id and a known run is passed over.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from pytest_aqe.errors import AqeError, HistoryBroken
from pytest_aqe.history import agents, dependencies, gaps, runfile
from pytest_aqe.history.store import Connection
from pytest_aqe.history.writes import (
    Ingested,
    apply_renames,
    create_staged,
    fold,
    ingest,
    known_runs,
    next_number,
)

_PLAIN = re.compile(r"\w[\w.+-]{0,99}", re.ASCII)  # a run id that can be a file's name


@dataclass(frozen=True, slots=True)
class Merged:
    """What one source gave."""

    runs: int
    results: int
    known: int


def merge_run_files(connection: Connection, paths: Iterable[Path]) -> Ingested:
    """Take in run files that lie elsewhere and are readable; leave them as they are.

    Each becomes a waiting run file of ours first, and so is kept like our own runs, from
    which a lost history is rebuilt. A kill anywhere leaves it waiting.
    """
    folder = connection.path.parent
    known = known_runs(connection)
    passed_over = still_running = 0
    ours: list[Path] = []
    (folder / runfile.WAITING).mkdir(parents=True, exist_ok=True)
    for path in paths:
        if runfile.is_running(path):
            still_running += 1
            continue
        run_id = runfile.read_run(path).run_id
        if run_id in known:
            passed_over += 1
            continue
        known.add(run_id)
        ours.append(_take_over(path, run_id, folder / runfile.WAITING))
    done = ingest(connection, ours)
    done.known += passed_over
    done.still_running += still_running
    return done


def _take_over(path: Path, run_id: str, waiting: Path) -> Path:
    plain = _PLAIN.fullmatch(run_id)
    name = (
        run_id if plain else blake2b(run_id.encode("utf-8", "replace"), digest_size=8).hexdigest()
    )
    target = waiting / f"{name}.jsonl{'.gz' if path.suffix == '.gz' else ''}"
    if target.exists():
        return target
    partial = target.with_name(f"{target.name}.partial")
    shutil.copyfile(path, partial)
    partial.replace(target)
    return target


def merge_history(connection: Connection, path: Path) -> Merged:
    """Copy the runs of another history that ours does not know, in one transaction.

    Raise a `HistoryError` that names the file when it cannot be read.
    """
    with connection.attached(path):
        try:
            _stage(connection)
        except AqeError as error:
            raise HistoryBroken(path, f"{path} cannot be read ({error})") from error
        ((runs, known),) = connection.execute(
            "select (select count(*) from coming), (select count(*) from other.runs)"
        )
        renames = connection.execute(
            """
            select coming.run_no, suite, old, new
            from other.renames join coming on coming.theirs = renames.run_no
            order by renames.run_no, renames.rowid
            """
        )
        with connection.transaction():
            connection.execute(
                """
                insert into runs by name
                select runs.* replace (coming.run_no as run_no)
                from other.runs join coming on coming.theirs = runs.run_no
                order by coming.run_no
                """
            )
            connection.execute(
                """
                insert into changed_files
                select coming.run_no, path
                from other.changed_files as files join coming on coming.theirs = files.run_no
                order by files.rowid
                """
            )
            connection.wrote("runs", "changed_files")
            for run_no, suite, old, new in renames:
                apply_renames(connection, run_no, suite, [(old, new)])
            results = fold(connection) if runs else 0
            if runs:
                dependencies.merge(connection)
                gaps.merge(connection)
                agents.merge(connection)
    return Merged(runs, results, known - runs)


def _stage(connection: Connection) -> None:
    """Number the runs to come, and put their results into ``staged``."""
    connection.read("runs")
    connection.exchange(
        """
        create or replace temp table coming as
        select
            run_no as theirs,
            $1::integer - 1 + row_number() over (order by started_at nulls last, run_no) as run_no
        from other.runs
        where run_id not in (select run_id from history.runs)
        """,
        (next_number(connection, "runs", "run_no"),),
    )
    create_staged(connection)
    connection.exchange(
        """
        insert into staged by name
        select
            coming.run_no,
            tests.identity,
            tests.file,
            nodes.node_id,
            results.attempt,
            results.attempt_mode,
            results.outcome,
            results.duration,
            results.setup,
            results.teardown,
            results.position,
            results.collected,
            results.worker,
            results.environment,
            results.signature,
            results.code,
            tests.body,
            results.evidence
        from other.results as results
            join coming on coming.theirs = results.run_no
            join other.tests as tests on tests.test_no = results.test_no
            join other.nodes as nodes on nodes.node_no = results.node_no
        order by coming.run_no, results.rowid
        """
    )


def is_history(path: Path) -> bool:
    """Tell a DuckDB file by its magic bytes."""
    try:
        with path.open("rb") as file:
            return file.read(12)[8:] == b"DUCK"
    except OSError:
        return False
