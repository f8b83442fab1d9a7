"""Results out of the history, in the interchange format (docs/reference/interchange.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_aqe.errors import AqeError
from pytest_aqe.history.store import Connection
from pytest_aqe.history.tables import sql_text


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    path: Path
    rows: int
    size: int


def export(
    connection: Connection,
    out: Path,
    *,
    runs_out: Path | None = None,
    prefix: str = "",
    force: bool = False,
) -> tuple[Exported, Exported | None]:
    """Write every result to ``out``, and every run to ``runs_out``.

    A test goes by its latest name, as seen from the rootdir that is ``prefix`` away from
    the git root: an import there finds the same tests. A file that is there is replaced
    only by ``force``, and by a whole one.
    """
    targets = [path for path in (out, runs_out) if path is not None]
    for path in targets:
        _refuse_target(path, force)
    connection.read("runs", "tests", "results")
    ((results,),) = connection.execute("select count(*) from results")
    if not results:
        raise AqeError(f"{connection.path} holds no results to export")
    with _whole(out) as partial:
        _copy(connection, _results_sql(out, prefix), out, partial)
        if runs_out is not None:
            connection.read("changed_files")
            with _whole(runs_out) as partial_runs:
                _copy(connection, _runs_sql(runs_out), runs_out, partial_runs)
    done = Exported(out, results, out.stat().st_size)
    if runs_out is None:
        return done, None
    ((runs,),) = connection.execute("select count(*) from runs")
    return done, Exported(runs_out, runs, runs_out.stat().st_size)


def _refuse_target(path: Path, force: bool) -> None:
    if not path.name.endswith((".parquet", ".csv", ".csv.gz")):
        raise AqeError(f"{path}: an export ends with .parquet, .csv or .csv.gz")
    if path.exists() and not force:
        raise AqeError(f"{path} is there already; --force replaces it")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a place to write to, which takes the name ``path`` when all went well."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch()
        yield partial
        partial.replace(path)
    except OSError as error:
        raise AqeError(f"{path} cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(connection: Connection, sql: str, path: Path, partial: Path) -> None:
    how = "format parquet, compression zstd"
    if not path.name.endswith(".parquet"):
        compression = "gzip" if path.name.endswith(".gz") else "none"
        how = f"format csv, header true, compression '{compression}'"
    try:
        connection.exchange(f"copy ({sql}) to {sql_text(str(partial))} ({how})")
    except AqeError as error:
        raise AqeError(f"{path} cannot be written ({error})") from error


def _results_sql(path: Path, prefix: str) -> str:
    return f"""
        select
            runs.run_id,
            {_time(path)} as started_at,
            runs.commit,
            runs.tree,
            runs.branch,
            runs.source,
            results.environment,
            results.worker,
            results.position,
            {_without("tests.identity", prefix)} as node_id,
            {_without("tests.file", prefix)} as file,
            results.attempt,
            results.attempt_mode,
            results.outcome,
            results.duration,
            results.code,
            results.signature
        from results
            join runs using (run_no)
            join tests using (test_no)
        order by runs.started_at nulls last, run_no, results.rowid
        """


def _without(column: str, prefix: str) -> str:
    starts = f"starts_with({column}, {sql_text(prefix)})"
    return f"case when {starts} then substr({column}, {len(prefix) + 1}) else {column} end"


def _runs_sql(path: Path) -> str:
    changed = "changed" if path.name.endswith(".parquet") else "to_json(changed)"
    return f"""
        select
            run_id,
            {_time(path)} as started_at,
            "commit",
            branch,
            {changed} as changed_files
        from (
            select
                runs.*,
                coalesce(files.paths, case when base is not null then [] end) as changed
            from runs left join (
                select run_no, list(path order by path) as paths from changed_files group by run_no
            ) as files using (run_no)
        ) as runs
        order by started_at nulls last, run_no
        """


def _time(path: Path) -> str:
    if path.name.endswith(".parquet"):
        return "runs.started_at"
    return "strftime(runs.started_at, '%Y-%m-%dT%H:%M:%S.%fZ')"
