"""What a session asks of the history before it starts. Costs the tests, not the past."""

from __future__ import annotations

from pytest_aqe.data import Rollup
from pytest_aqe.history.store import Connection


def rollups(connection: Connection, suite: str) -> list[Rollup]:
    """Return every test of a suite: all that the plan of a session is made from."""
    connection.read("tests", "rollups")
    return [
        Rollup(*row)
        for row in connection.execute(
            """
            select
                identity,
                runs,
                failures,
                weight,
                failing,
                streak < 0,
                case when seconds_weight > 0 then seconds_sum / seconds_weight end,
                flaked
            from rollups join tests using (test_no)
            where suite = $1
            """,
            (suite,),
        )
    ]


def run_count(connection: Connection, suite: str) -> int:
    """Return how many runs of a suite the history holds."""
    connection.read("runs")
    ((count,),) = connection.execute("select count(*) from runs where suite = $1", (suite,))
    return int(count)


def ever_failed(connection: Connection) -> bool:
    """Tell whether any test ever failed, on its last attempt or before it."""
    connection.read("rollups")
    return bool(connection.execute("select 1 from rollups where failures + flaked > 0 limit 1"))
