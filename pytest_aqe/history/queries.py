"""What a session asks of the history before it starts. Costs the tests, not the past."""

from __future__ import annotations

from pytest_aqe.data import Identity, Rollup
from pytest_aqe.history.store import Connection

_ROLLUPS = """
    select
        identity,
        coalesce(runs, 0),
        coalesce(failures, 0),
        coalesce(weight, 0.0),
        coalesce(failing, 0.0),
        coalesce(streak < 0, false),
        case when seconds_weight > 0 then seconds_sum / seconds_weight end,
        coalesce(flaked, 0),
        q,
        test_no,
        last_run_no,
        coalesce(flagged, false)
    from tests
        left join rollups using (test_no)
        left join test_scores using (test_no)
        left join flake_tests using (test_no)
    where suite = $1
"""


def rollups(connection: Connection, suite: str) -> list[Rollup]:
    """Return every test of a suite: all that the plan of a session is made from."""
    connection.read("tests", "rollups", "test_scores", "flake_tests")
    return [Rollup(*row) for row in connection.execute(_ROLLUPS, (suite,))]


def rollup(connection: Connection, suite: str, identity: Identity) -> Rollup | None:
    """Return one test of a suite, None when no run recorded it."""
    connection.read("tests", "rollups", "test_scores", "flake_tests")
    rows = connection.execute(f"{_ROLLUPS} and identity = $2", (suite, identity))
    return Rollup(*rows[0]) if rows else None


def run_count(connection: Connection, suite: str) -> int:
    """Return how many runs of a suite the history holds."""
    connection.read("runs")
    ((count,),) = connection.execute("select count(*) from runs where suite = $1", (suite,))
    return int(count)


def whole_files(connection: Connection, suite: str) -> list[str]:
    """Return the files of the tests of a suite's last whole run, from the git root.

    Whole is what was kept as such: the run that coverage is of, or the latest that selection
    was judged by. Where there is neither, it is the complete run of most tests.
    """
    connection.read("runs", "covered", "selections", "results", "tests")
    return [
        file
        for (file,) in connection.execute(
            """
            with whole as (
                select max(run_no) as run_no
                from (
                    select run_no from covered
                    union all
                    select run_no from selections where mode = 'shadow'
                )
                    join runs using (run_no)
                where suite = $1
            ),
            most as (
                select run_no
                from runs join results using (run_no)
                where suite = $1 and status = 'complete'
                group by run_no
                order by count(distinct test_no) desc, run_no desc
                limit 1
            )
            select distinct file
            from results join tests using (test_no)
            where run_no = coalesce((select run_no from whole), (select run_no from most))
            """,
            (suite,),
        )
    ]


def unlearnt(connection: Connection) -> int:
    """Return how many runs the beliefs of `flakes` do not know."""
    connection.read("runs", "flake_marks")
    ((runs,),) = connection.execute(
        "select (select count(*) from runs) - coalesce(sum(runs), 0) from flake_marks"
    )
    return int(runs)


def ever_failed(connection: Connection) -> bool:
    """Tell whether any test ever failed, on its last attempt or before it."""
    connection.read("rollups")
    return bool(connection.execute("select 1 from rollups where failures + flaked > 0 limit 1"))
