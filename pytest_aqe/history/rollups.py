"""What the executions of each test come to: one row a test, so that a session start is O(tests)."""

from __future__ import annotations

from pytest_aqe.history.store import FAILED, Connection

DECAY = 0.9  # per execution: the decay of the measured order (docs: how ordering works)


def roll_up(connection: Connection) -> None:
    """Bring the rollups of the tests in ``placed`` up to date.

    A test whose new executions all come later than what is rolled up costs nothing but
    them. Where one comes earlier (a merged shard, an import), decay and streaks depend on
    the order, so the test is rolled up again from its results. A run without a start (an
    import may not know it) counts as later than all that have one.
    """
    connection.execute(
        """
        create or replace temp table late as
        select placed.test_no
        from placed
            join rollups using (test_no)
            left join runs on runs.run_no = rollups.last_run_no
        group by placed.test_no
        having min(placed.started_at) < any_value(rollups.last_at)
            or (count(placed.started_at) > 0 and any_value(runs.started_at) is null)
        """
    )
    connection.execute(
        """
        create or replace temp table attempts as
        select run_no, test_no, started_at, attempt, outcome, duration
        from placed
        where outcome <> 'skipped' and test_no not in (from late)
        """
    )
    ((late,),) = connection.execute("select count(*) from late")
    if late:
        connection.execute(
            """
            insert into attempts
            select run_no, test_no, started_at, attempt, outcome, duration
            from results join runs using (run_no)
            where outcome <> 'skipped' and test_no in (from late)
            """
        )
        connection.execute("delete from rollups where test_no in (from late)")
        connection.read("results")
    _roll_up_attempts(connection)


def roll_up_again(connection: Connection) -> None:
    """Recompute every rollup from the results alone."""
    recompute(connection)
    connection.execute("delete from rollups")
    connection.execute("insert into rollups by name select * from rolled")
    connection.wrote("rollups")


def recompute(connection: Connection) -> None:
    """Put into the temporary table ``rolled`` what the rollups are by the results alone."""
    connection.execute(
        """
        create or replace temp table attempts as
        select run_no, test_no, started_at, attempt, outcome, duration
        from results join runs using (run_no)
        where outcome <> 'skipped'
        """
    )
    connection.read("results", "runs")
    connection.execute("create or replace temp table unrolled as from rollups limit 0")
    _compute(connection, onto="unrolled")


def _roll_up_attempts(connection: Connection) -> None:
    """Fold the temporary table ``attempts`` into the rollups that are there."""
    _compute(connection, onto="rollups")
    connection.execute("delete from rollups where test_no in (select test_no from rolled)")
    connection.execute("insert into rollups by name select * from rolled")
    connection.wrote("rollups")


# What k executions of a test come to, in their order: of the i-th, whether the one before failed.
_MANY_RUNS = """
    select
        numbered.test_no,
        any_value(k) as k,
        count(*) filter (failed) as failures,
        count(*) filter (failed <> coalesce(before, case when i = 1 then streak < 0 end)) as flips,
        count(*) filter (ever_failed and not failed) as flaked,
        arg_max(failed, i) as failed_last,
        any_value(k) - coalesce(max(i) filter (failed), 0) as passing,
        any_value(k) - coalesce(max(i) filter (not failed), 0) as failing_streak,
        sum(pow({DECAY}, k - i)) as weight,
        coalesce(sum(pow({DECAY}, k - i)) filter (failed), 0) as failing,
        coalesce(sum(seconds * pow({DECAY}, k - i)), 0) as seconds_sum,
        coalesce(sum(pow({DECAY}, k - i)) filter (seconds is not null), 0) as seconds_weight,
        min(numbered.started_at) as first_at,
        max(numbered.started_at) as last_at,
        arg_max(numbered.run_no, i) as last_run_no,
        max(numbered.started_at) filter (failed) as last_failed_at,
        arg_max(numbered.run_no, i) filter (failed) as last_failed_run_no
    from
        (
            select
                *,
                row_number() over byday as i,
                count(*) over (partition by test_no) as k,
                lag(failed) over byday as before
            from executions
            window byday as (partition by test_no order by started_at nulls last, run_no)
        ) as numbered
        left join {onto} using (test_no)
    group by numbered.test_no
"""
# The same where each test has one: planning seventeen aggregates takes longer than running them.
_ONE_RUN = """
    select
        executions.test_no,
        1 as k,
        failed::integer as failures,
        coalesce((failed <> (streak < 0))::integer, 0) as flips,
        (ever_failed and not failed)::integer as flaked,
        failed as failed_last,
        (not failed)::integer as passing,
        failed::integer as failing_streak,
        1 as weight,
        failed::integer as failing,
        coalesce(executions.seconds, 0) as seconds_sum,
        (executions.seconds is not null)::integer as seconds_weight,
        executions.started_at as first_at,
        executions.started_at as last_at,
        executions.run_no as last_run_no,
        case when failed then executions.started_at end as last_failed_at,
        case when failed then executions.run_no end as last_failed_run_no
    from executions left join {onto} using (test_no)
"""


def _compute(connection: Connection, onto: str) -> None:
    """Put into ``rolled`` the rollups of the table ``onto`` with ``attempts`` folded in.

    An execution is a test's attempts in one run; the last one decides. With k new
    executions, a decayed sum s becomes s * DECAY^k + sum over i of x_i * DECAY^(k - i).
    """
    ((runs,),) = connection.execute("select count(distinct run_no) from attempts")
    connection.execute(
        f"""
        create or replace temp table rolled as
        with executions as (
            select
                run_no,
                test_no,
                any_value(started_at) as started_at,
                max(attempt * 2 + (outcome in ({FAILED}))::integer) % 2 = 1 as failed,
                bool_or(outcome in ({FAILED})) as ever_failed,
                avg(duration) as seconds
            from attempts
            group by run_no, test_no
        ),
        folded as ({(_ONE_RUN if runs <= 1 else _MANY_RUNS).format(DECAY=DECAY, onto=onto)})
        select
            test_no,
            coalesce(old.runs, 0) + new.k as runs,
            coalesce(old.failures, 0) + new.failures as failures,
            coalesce(old.flips, 0) + new.flips as flips,
            coalesce(old.flaked, 0) + new.flaked as flaked,
            case
                when new.failed_last
                then -(
                    new.failing_streak
                    + case when new.failing_streak = new.k and old.streak < 0
                        then -old.streak else 0 end
                )
                else new.passing
                    + case when new.passing = new.k and old.streak > 0
                        then old.streak else 0 end
            end as streak,
            coalesce(old.weight, 0) * pow({DECAY}, new.k) + new.weight as weight,
            coalesce(old.failing, 0) * pow({DECAY}, new.k) + new.failing as failing,
            coalesce(old.seconds_sum, 0) * pow({DECAY}, new.k) + new.seconds_sum
                as seconds_sum,
            coalesce(old.seconds_weight, 0) * pow({DECAY}, new.k) + new.seconds_weight
                as seconds_weight,
            coalesce(old.first_at, new.first_at) as first_at,
            coalesce(new.last_at, old.last_at) as last_at,
            new.last_run_no,
            coalesce(new.last_failed_at, old.last_failed_at) as last_failed_at,
            coalesce(new.last_failed_run_no, old.last_failed_run_no) as last_failed_run_no
        from folded as new left join {onto} as old using (test_no)
        """
    )
