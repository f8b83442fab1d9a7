"""What is believed of tests that failed: kept up run by run, from whatever results there are.

Beliefs move in the order in which runs started. `catch_up` walks the runs that they do not know
yet; where a run turns up that is older than what they know (a merged shard, an import), or one
was forgotten, they are worked out again from the results. A test has a state from its first
failure on: its passes before are read then, once.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_aqe.beliefs import Belief, Conditions, Execution, Judgement, Lane, Learner
from pytest_aqe.data import FAILING
from pytest_aqe.history.store import Connection

TABLES = ("flake_tests", "flake_lanes", "flake_signatures", "flake_verdicts", "flake_marks")
CHUNK = 100  # runs walked in one transaction
_COMPARED = 10  # earlier runs whose order is compared to tell a shuffled run
_ALIKE = 0.75  # share of neighbours in one order from which two runs have the same
_GATED, _GATED_SHARE = 8, 0.1  # failures, and share of tests, below which no run is an outage

_FAILING = ", ".join(f"'{outcome}'" for outcome in sorted(FAILING))
_ORDER = "coalesce(started_at, 'infinity'::timestamp)"  # a run without a start comes last


@dataclass(frozen=True, slots=True)
class _Run:
    """A run to be walked."""

    number: int
    started_at: datetime | None
    branch: str
    local: bool
    tree: str | None
    trusted: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    """The latest run that the beliefs of a suite know, and how many they know."""

    started_at: datetime | None
    number: int
    runs: int


@dataclass(frozen=True, slots=True)
class _Pending:
    """A suite whose beliefs lack a run, or know one that is gone or came late."""

    suite: str
    mark: _Mark | None
    before: int  # runs that there are up to the mark

    @property
    def stale(self) -> bool:
        """Whether other runs lie before the mark than those that the beliefs know."""
        return self.mark is not None and self.mark.runs != self.before


def catch_up(
    connection: Connection, make: Callable[[], Learner], *, patience: float = float("inf")
) -> bool:
    """Move the beliefs of every suite by the runs they do not know; tell whether all are known.

    After ``patience`` seconds the rest is left for the next time.
    """
    stop = time.monotonic() + patience
    done = [_catch_up(connection, pending, make(), stop) for pending in _pending(connection)]
    return all(done)


def unknown(connection: Connection) -> int:
    """Return how many runs the beliefs do not know."""
    connection.read("runs", "flake_marks")
    ((runs,),) = connection.execute(
        "select (select count(*) from runs) - coalesce(sum(runs), 0) from flake_marks"
    )
    return int(runs)


def _pending(connection: Connection) -> list[_Pending]:
    connection.read("runs", "flake_marks")
    return [
        _Pending(suite, _Mark(started_at, number, known) if known is not None else None, before)
        for suite, started_at, number, known, before in connection.execute(
            """
            select
                suite,
                any_value(marks.started_at),
                any_value(marks.run_no),
                any_value(marks.runs) as known,
                count(*) filter (
                    (coalesce(held.started_at, 'infinity'::timestamp), held.run_no)
                    <= (coalesce(marks.started_at, 'infinity'::timestamp), marks.run_no)
                )
            from runs as held full join flake_marks as marks using (suite)
            group by suite
            having count(held.run_no) is distinct from known
            order by suite
            """
        )
    ]


def _catch_up(connection: Connection, pending: _Pending, learner: Learner, stop: float) -> bool:
    suite, mark = pending.suite, pending.mark
    if pending.stale:
        with connection.transaction():
            forget(connection, suite)
        mark = None
    runs = _runs_after(connection, suite, mark)
    learner.events.update(
        dict(
            connection.execute(
                "select signature, events from flake_signatures where suite = $1", (suite,)
            )
        )
    )
    connection.read("flake_signatures")
    for start in range(0, len(runs), CHUNK):
        if time.monotonic() > stop:
            return False
        with connection.transaction():
            mark = _walk(connection, suite, learner, mark, runs[start : start + CHUNK])
    return True


def forget(connection: Connection, suite: str) -> None:
    """Drop what is believed of a suite, to be worked out again from its results."""
    for table in ("flake_signatures", "flake_marks"):
        connection.execute(f"delete from {table} where suite = $1", (suite,))
    for table in ("flake_tests", "flake_lanes", "flake_verdicts"):
        connection.execute(
            f"delete from {table} where test_no in (select test_no from tests where suite = $1)",
            (suite,),
        )
    connection.wrote(*TABLES)


def forget_all(connection: Connection) -> None:
    """Drop all beliefs, to be worked out again from the results that are left."""
    for table in TABLES:
        connection.execute(f"delete from {table}")
    connection.wrote(*TABLES)


def _runs_after(connection: Connection, suite: str, mark: _Mark | None) -> list[_Run]:
    after = "true"
    parameters: tuple[Any, ...] = (suite,)
    if mark is not None:
        after = f"""({_ORDER}, run_no)
            > (coalesce($2::timestamp, 'infinity'::timestamp), $3::integer)"""
        parameters = (suite, mark.started_at, mark.number)
    return [
        _Run(*row)
        for row in connection.execute(
            f"""
            select
                run_no,
                started_at,
                coalesce(branch, ''),
                source is not distinct from 'local',
                coalesce(tree, case when source is distinct from 'local' then "commit" end),
                trust is distinct from 'untrusted'
            from runs
            where suite = $1 and {after}
            order by {_ORDER}, run_no
            """,
            parameters,
        )
    ]


def _walk(
    connection: Connection, suite: str, learner: Learner, mark: _Mark | None, runs: Sequence[_Run]
) -> _Mark:
    """Move the beliefs by some runs after the mark, and keep what was concluded."""
    numbers = [run.number for run in runs]
    _find_suspects(connection, suite, numbers)
    _load(connection, learner)
    for run, environment, passes in _past(connection, suite, mark):
        learner.see(_bare(run, environment), passes)
    events = dict(learner.events)
    conditions = _conditions(connection, runs)
    executions = _executions(connection, numbers)
    judged: list[tuple[int, str, Judgement]] = []
    touched: set[int] = set()
    for run in runs:
        environments = {name for number, name in executions if number == run.number}
        for environment in sorted(environments):
            key = run.number, environment
            touched.update(each.test for each in executions[key])
            said = conditions.get(key) or _bare(run, environment)
            judged += [(*key, each) for each in learner.see(said, executions[key])]
    _keep(connection, learner, touched, judged)
    if learner.events != events:
        _keep_events(connection, suite, learner)
    reached = _Mark(runs[-1].started_at, runs[-1].number, len(runs) + (mark.runs if mark else 0))
    _set_mark(connection, suite, reached)
    return reached


def _find_suspects(connection: Connection, suite: str, numbers: Sequence[int]) -> None:
    """Put the tests that failed by the end of these runs into the temporary table ``suspects``."""
    connection.execute(
        f"""
        create or replace temp table suspects as
        select test_no, false as fresh
        from flake_tests join tests using (test_no)
        where tests.suite = $1
            and test_no in (
                select test_no from results where list_contains($2::integer[], run_no)
            )
        union all
        select distinct test_no, true
        from results
        where list_contains($2::integer[], run_no)
            and outcome in ({_FAILING})
            and test_no not in (select test_no from flake_tests)
        """,
        (suite, list(numbers)),
    )
    connection.read("flake_tests", "tests", "results")


def _load(connection: Connection, learner: Learner) -> None:
    """Give the learner what is believed of the suspects."""
    learner.beliefs.update(
        beliefs(connection, "test_no in (select test_no from suspects where not fresh)")
    )


def beliefs(
    connection: Connection, which: str = "true", parameters: Sequence[Any] = ()
) -> dict[int, Belief]:
    """Return the beliefs of the tests that a condition on ``test_no`` names, by their number."""
    connection.read("flake_tests", "flake_lanes")
    found: dict[int, Belief] = {}
    for (
        number,
        rates,
        names,
        weights,
        hits,
        flagged,
        seen,
        branch,
        environment,
    ) in connection.execute(
        f"""
            select
                test_no, rates, signatures, weights, hits, flagged, executions, branch, environment
            from flake_tests
            where {which}
            """,
        parameters,
    ):
        latest = (branch, environment) if branch is not None else None
        signatures = dict(zip(names, weights, strict=True))
        found[number] = Belief(list(rates), {}, signatures, hits, flagged, seen, latest)
    for number, branch, environment, broken, code, tree in connection.execute(
        f"""
        select test_no, branch, environment, broken, code, tree
        from flake_lanes
        where {which}
        """,
        parameters,
    ):
        found[number].lanes[branch, environment] = Lane(list(broken), code, tree)
    return found


def _past(
    connection: Connection, suite: str, mark: _Mark | None
) -> Iterator[tuple[_Run, str, list[Execution]]]:
    """Yield the runs of fresh suspects before the first that the beliefs do not know: passes."""
    if mark is None or not connection.execute("select 1 from suspects where fresh limit 1"):
        return
    numbers = [
        number
        for (number,) in connection.execute(
            f"""
            select run_no
            from runs
            where suite = $1
                and ({_ORDER}, run_no)
                    <= (coalesce($2::timestamp, 'infinity'::timestamp), $3::integer)
            """,
            (suite, mark.started_at, mark.number),
        )
    ]
    before = {run.number: run for run in _runs_after(connection, suite, None)}
    executions = _executions(connection, numbers, "where fresh")
    for number, run in before.items():
        for environment in sorted(name for known, name in executions if known == number):
            yield run, environment, executions[number, environment]


def _bare(run: _Run, environment: str) -> Conditions:
    return Conditions(run.branch, environment, run.local, run.tree, trusted=run.trusted)


def _executions(
    connection: Connection, numbers: Sequence[int], which: str = ""
) -> dict[tuple[int, str], list[Execution]]:
    """Return what suspects did in these runs, by run and environment."""
    found: dict[tuple[int, str], list[Execution]] = defaultdict(list)
    for run_no, test, node, environment, modes, failed, signature, code in connection.execute(
        f"""
        select
            run_no,
            test_no,
            node_no,
            coalesce(environment, '') as environment,
            list(
                coalesce(attempt_mode, case when attempt > 0 then 'inproc' else 'first' end)
                order by attempt
            ),
            list(outcome in ({_FAILING}) order by attempt),
            arg_min(coalesce(signature, ''), attempt),
            any_value(code)
        from results
        where outcome <> 'skipped'
            and list_contains($1::integer[], run_no)
            and test_no in (select test_no from suspects {which})
        group by run_no, test_no, node_no, coalesce(environment, '')
        order by run_no, environment, test_no, node_no
        """,
        (list(numbers),),
    ):
        attempts = tuple(zip(modes, failed, strict=True))
        found[run_no, environment].append(
            Execution(test, attempts, (signature or None) if failed[0] else None, code, node)
        )
    return found


def _conditions(connection: Connection, runs: Sequence[_Run]) -> dict[tuple[int, str], Conditions]:
    """Return what each run with a failure says as a whole, by run and environment."""
    numbers = [run.number for run in runs]
    by_number = {run.number: run for run in runs}
    tests: Counter[tuple[int, str]] = Counter()
    failed: Counter[tuple[int, str]] = Counter()
    groups: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for run_no, environment, failing, signature, count in connection.execute(
        f"""
        select
            run_no,
            coalesce(environment, '') as environment,
            outcome in ({_FAILING}) as failing,
            case when failing then signature end as told,
            count(distinct node_no)
        from results
        where attempt = 0
            and outcome <> 'skipped'
            and run_no in (
                select run_no
                from results
                where outcome in ({_FAILING}) and list_contains($1::integer[], run_no)
            )
        group by all
        """,
        (numbers,),
    ):
        key = run_no, environment
        tests[key] += count
        if failing:
            failed[key] += count
            if signature is not None:
                groups[key][signature] = count
    found = {}
    for key in tests:
        run_no, environment = key
        run = by_number[run_no]
        gated = failed[key] >= _GATED and failed[key] > _GATED_SHARE * tests[key]
        found[key] = Conditions(
            run.branch,
            environment,
            run.local,
            run.tree,
            tests[key],
            failed[key],
            groups[key],
            shuffled=gated and is_shuffled(connection, run_no),
            trusted=run.trusted,
        )
    return found


def is_shuffled(connection: Connection, run_no: int) -> bool:
    """Tell a run whose order is that of no run shortly before it.

    Two runs in declared order agree on neighbours, whatever whole modules were moved; two
    random orders agree on half of them. Without positions, or without an earlier run, a run
    counts as ordered.
    """
    rows = connection.execute(
        f"""
        with this as (from runs where run_no = $1),
        others as (
            select runs.run_no
            from runs join this on runs.suite = this.suite
            where (coalesce(runs.started_at, 'infinity'::timestamp), runs.run_no)
                < (coalesce(this.started_at, 'infinity'::timestamp), this.run_no)
            order by coalesce(runs.started_at, 'infinity'::timestamp) desc, runs.run_no desc
            limit {_COMPARED}
        ),
        order_now as (
            select node_no, worker, environment, position
            from results
            where run_no = $1 and attempt = 0 and position is not null
        ),
        order_then as (
            select run_no, node_no, environment, coalesce(collected, position) as place
            from results join others using (run_no)
            where attempt = 0 and position is not null
        ),
        neighbours as (
            select
                order_then.run_no,
                place > lag(place) over (
                    partition by order_then.run_no, worker, order_now.environment
                    order by position
                ) as ascends
            from order_now
                join order_then
                    on order_then.node_no = order_now.node_no
                    and order_then.environment is not distinct from order_now.environment
        )
        select avg(ascends::integer)
        from neighbours
        where ascends is not null
        group by run_no
        """,
        (run_no,),
    )
    return bool(rows) and all(share < _ALIKE for (share,) in rows)


def _keep(
    connection: Connection,
    learner: Learner,
    touched: set[int],
    judged: Sequence[tuple[int, str, Judgement]],
) -> None:
    """Write the beliefs that moved, and what was concluded."""
    tests = sorted(touched)
    held = [learner.beliefs[number] for number in tests]
    for table in ("flake_tests", "flake_lanes"):
        connection.execute(
            f"delete from {table} where list_contains($1::integer[], test_no)", (tests,)
        )
    if tests:
        connection.execute(
            """
            insert into flake_tests
            select
                unnest($1::integer[]),
                unnest($2::double[][]),
                unnest($3::varchar[][]),
                unnest($4::double[][]),
                unnest($5::integer[]),
                unnest($6::boolean[]),
                unnest($7::integer[]),
                unnest($8::varchar[]),
                unnest($9::varchar[])
            """,
            (
                tests,
                [each.rates for each in held],
                [list(each.signatures) for each in held],
                [list(each.signatures.values()) for each in held],
                [each.hits for each in held],
                [each.flagged for each in held],
                [each.executions for each in held],
                [each.latest[0] if each.latest else None for each in held],
                [each.latest[1] if each.latest else None for each in held],
            ),
        )
    lanes = [
        (number, *name, lane.broken, lane.code, lane.tree)
        for number, each in zip(tests, held, strict=True)
        for name, lane in each.lanes.items()
    ]
    if lanes:
        connection.execute(
            """
            insert into flake_lanes
            select
                unnest($1::integer[]),
                unnest($2::varchar[]),
                unnest($3::varchar[]),
                unnest($4::double[][]),
                unnest($5::varchar[]),
                unnest($6::varchar[])
            """,
            [list(column) for column in zip(*lanes, strict=True)],
        )
    _keep_verdicts(connection, judged)
    connection.wrote("flake_tests", "flake_lanes", "flake_verdicts")


def _keep_verdicts(connection: Connection, judged: Sequence[tuple[int, str, Judgement]]) -> None:
    rows = [
        (
            run_no,
            found.execution.test,
            found.execution.node,
            environment,
            found.p_flaky,
            found.p_broken,
            found.flagged,
            found.suppressed,
            found.outage,
        )
        for run_no, environment, found in judged
    ]
    if rows:
        connection.execute(
            """
            insert into flake_verdicts
            select
                unnest($1::integer[]),
                unnest($2::integer[]),
                unnest($3::integer[]),
                unnest($4::varchar[]),
                unnest($5::double[]),
                unnest($6::double[]),
                unnest($7::boolean[]),
                unnest($8::boolean[]),
                unnest($9::double[])
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def _keep_events(connection: Connection, suite: str, learner: Learner) -> None:
    connection.execute("delete from flake_signatures where suite = $1", (suite,))
    connection.execute(
        """
        insert into flake_signatures
        select $1, unnest($2::varchar[]), unnest($3::integer[])
        """,
        (suite, list(learner.events), list(learner.events.values())),
    )
    connection.wrote("flake_signatures")


def _set_mark(connection: Connection, suite: str, mark: _Mark) -> None:
    connection.execute("delete from flake_marks where suite = $1", (suite,))
    connection.execute(
        "insert into flake_marks values ($1, $2::integer, $3::timestamp, $4::integer)",
        (suite, mark.number, mark.started_at, mark.runs),
    )
    connection.wrote("flake_marks")
