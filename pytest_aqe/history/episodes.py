"""What became of failures that were run again: how each turned out, and what that taught.

Whether a failure was a flake or a regression shows when its test next runs in the same lane.
Where it passes although nothing has changed it was a flake; where it fails again on every
attempt, or passes only now that its code has changed and was taken for broken, a regression.
Anything else stays open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_aqe.history.store import FAILED, Connection

KEY = "aqe_rerun"  # in results.evidence: the steps of an episode
_BROKEN = 0.5


@dataclass(frozen=True, slots=True)
class Episode:
    """One failure that was followed up: states and actions, and the truth that came out."""

    run_no: int
    node_no: int
    steps: tuple[tuple[int, int], ...]
    real: bool


def come_out(connection: Connection, suite: str) -> list[Episode]:
    """Return the episodes whose truth has come out since the last look."""
    connection.read("results", "runs", "flake_verdicts", "flake_episodes")
    return [
        Episode(run_no, node_no, _steps(steps), real)
        for run_no, node_no, steps, real in connection.execute(
            f"""
            with followed as (
                select
                    results.run_no,
                    node_no,
                    results.environment,
                    evidence,
                    code,
                    tree,
                    branch,
                    source,
                    started_at
                from results join runs using (run_no)
                where suite = $1
                    and contains(evidence, '{KEY}')
                    and trust is distinct from 'untrusted'
                    and (results.run_no, node_no) not in (
                        select run_no, node_no from flake_episodes
                    )
            ),
            later as (
                select
                    followed.run_no,
                    followed.node_no,
                    results.run_no as next_no,
                    bool_and(outcome in ({FAILED})) as failed,
                    arg_min(outcome in ({FAILED}), attempt) as failed_first,
                    bool_or(
                        coalesce(results.code <> followed.code, runs.tree <> followed.tree, true)
                    ) as changed
                from followed
                    join results
                        on results.node_no = followed.node_no
                        and results.environment is not distinct from followed.environment
                    join runs
                        on runs.run_no = results.run_no
                        and runs.branch is not distinct from followed.branch
                        and runs.source is not distinct from followed.source
                        and runs.started_at > followed.started_at
                where outcome <> 'skipped'
                group by followed.run_no, followed.node_no, results.run_no
                qualify row_number() over (
                    partition by followed.run_no, followed.node_no order by results.run_no
                ) = 1
            )
            select run_no, node_no, evidence, truth
            from (
                select
                    followed.run_no,
                    followed.node_no,
                    evidence,
                    case
                        when later.failed then true
                        when not failed_first and not changed then false
                        when not failed_first and p_broken >= {_BROKEN} then true
                    end as truth
                from followed
                    join later using (run_no, node_no)
                    left join flake_verdicts as verdicts
                        on verdicts.run_no = followed.run_no
                        and verdicts.node_no = followed.node_no
            )
            where truth is not null
            order by run_no, node_no
            """,
            (suite,),
        )
    ]


def _steps(evidence: str) -> tuple[tuple[int, int], ...]:
    return tuple((int(state), int(action)) for state, action in json.loads(evidence)[KEY])


def values(connection: Connection, suite: str) -> dict[int, tuple[list[float], list[int]]]:
    """Return what was learnt here, by state: values and visits of every action."""
    connection.read("flake_values")
    return {
        state: (list(found), list(visits))
        for state, found, visits in connection.execute(
            "select state, q, visits from flake_values where suite = $1", (suite,)
        )
    }


def keep(
    connection: Connection,
    suite: str,
    learnt: Mapping[int, tuple[Sequence[float], Sequence[int]]],
    done: Iterable[Episode],
) -> None:
    """Keep what was learnt, and from which episodes, in one transaction."""
    episodes = list(done)
    with connection.transaction():
        connection.execute("delete from flake_values where suite = $1", (suite,))
        connection.execute(
            """
            insert into flake_values
            select $1, unnest($2::integer[]), unnest($3::double[][]), unnest($4::integer[][])
            """,
            (
                suite,
                list(learnt),
                [list(found) for found, _ in learnt.values()],
                [list(visits) for _, visits in learnt.values()],
            ),
        )
        connection.execute(
            """
            insert into flake_episodes
            select unnest($1::integer[]), unnest($2::integer[]), unnest($3::boolean[])
            """,
            (
                [each.run_no for each in episodes],
                [each.node_no for each in episodes],
                [each.real for each in episodes],
            ),
        )
        connection.wrote("flake_values", "flake_episodes")
