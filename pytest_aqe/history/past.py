"""The runs of a suite one after the other, as learners replay them."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_aqe.data import Identity, PastRun
from pytest_aqe.history.store import FAILED, Connection

_AT_ONCE = 200_000  # results read at a time; with more, memory grows and time does not fall


def tests_of(connection: Connection, suite: str) -> dict[int, tuple[Identity, str]]:
    """Return the identity and the file of every test of a suite, by number."""
    connection.read("tests")
    return {
        number: (identity, file)
        for number, identity, file in connection.execute(
            "select test_no, identity, file from tests where suite = $1", (suite,)
        )
    }


def run_numbers(connection: Connection, suite: str, after: int | None = None) -> list[int]:
    """Return the trusted runs of a suite: by time, or with ``after`` those taken up later."""
    connection.read("runs")
    order = "started_at nulls last, run_no" if after is None else "run_no"
    return [
        number
        for (number,) in connection.execute(
            f"""
            select run_no
            from runs
            where suite = $1 and trust is distinct from 'untrusted' and run_no > $2
            order by {order}
            """,
            (suite, after or 0),
        )
    ]


def runs(connection: Connection, numbers: list[int]) -> Iterator[PastRun]:
    """Return these runs in the order given. One without an executed test has no tests.

    Skipped tests were not executed. Durations are means over the attempts, as in rollups.
    """
    connection.read("runs", "results", "changed_files")
    for some in _portions(connection, numbers):
        found = {run.run_no: run for run in _read(connection, some)}
        yield from (found[number] for number in some if number in found)


def _portions(connection: Connection, numbers: list[int]) -> Iterator[list[int]]:
    sizes = dict(
        connection.execute(
            "select run_no, recorded from runs where list_contains($1::integer[], run_no)",
            (numbers,),
        )
    )
    portion: list[int] = []
    size = 0
    for number in numbers:
        portion.append(number)
        size += sizes.get(number) or 0
        if size >= _AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _read(connection: Connection, numbers: list[int]) -> Iterator[PastRun]:
    for number, run_id, hours, full, base, changed, tests, failed, seconds in connection.execute(
        f"""
        with wanted as (select unnest($1::integer[]) as run_no),
        executions as (
            select
                run_no,
                test_no,
                max(attempt * 2 + (outcome in ({FAILED}))::integer) % 2 = 1 as failed,
                avg(duration) as seconds,
                min(coalesce(collected, position)) as place,
                min(results.rowid) as row
            from results join wanted using (run_no)
            where outcome <> 'skipped'
            group by run_no, test_no
        ),
        listed as (
            select
                run_no,
                list(test_no order by place nulls last, row) as tests,
                list(failed order by place nulls last, row) as failed,
                list(seconds order by place nulls last, row) as seconds
            from executions
            group by run_no
        ),
        changed as (
            select run_no, list(path order by path) as paths
            from changed_files join wanted using (run_no)
            group by run_no
        )
        select
            run_no,
            run_id,
            epoch(started_at) / 3600,
            coalesce(status, 'complete') = 'complete' and coalesce(mode, '') <> 'select',
            base,
            paths,
            coalesce(tests, []),
            coalesce(listed.failed, []),
            coalesce(listed.seconds, [])
        from wanted
            join runs using (run_no)
            left join listed using (run_no)
            left join changed using (run_no)
        """,
        (numbers,),
    ):
        known = base is not None or changed is not None
        files = tuple(changed or ()) if known else None
        yield PastRun(number, run_id, hours, full, files, tests, failed, seconds)
