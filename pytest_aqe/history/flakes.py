"""What is believed of tests that failed: kept up run by run, from whatever results there are.

Beliefs move in the order in which runs started. `catch_up` walks the runs that they do not know
yet; where a run turns up that is older than what they know (a merged shard, an import), or one
was forgotten, they are worked out again from the results. A test has a state from its first
failure on: its passes before are read then, once.

`judge` and `believed` walk the same runs in memory and keep nothing. So a session may leave
its run for later and still say what `catch_up` will: a statement that writes costs as much as
one that reads, and a session needs the beliefs of its own failures only.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pytest_aqe.beliefs import Belief, Conditions, Execution, Judgement, Lane, Learner
from pytest_aqe.data import FAILING, AttemptMode
from pytest_aqe.history.store import FAILED, Connection

TABLES = ("flake_tests", "flake_lanes", "flake_signatures", "flake_verdicts", "flake_marks")
CHUNK = 100  # runs walked in one transaction
_COMPARED = 10  # earlier runs whose order is compared to tell a shuffled run
_ALIKE = 0.75  # share of neighbours in one order from which two runs have the same
_GATED, _GATED_SHARE = 8, 0.1  # failures, and share of tests, below which no run is an outage
_READ = 50_000  # results of waiting runs beyond which reading them again costs more than keeping

# Tests that failed before, and those that fail in these runs.
_SUSPECTS = f"""
    test_no in (select test_no from flake_tests)
    or test_no in (
        select test_no
        from results
        where outcome in ({FAILED}) and list_contains($1::integer[], run_no)
    )
"""
_ORDER = "coalesce(started_at, 'infinity'::timestamp)"  # a run without a start comes last


_Executions = dict[tuple[int, str], list[Execution]]
"""What tests did, by run and environment."""

_Judged = list[tuple[int, str, Judgement]]
"""What was concluded of failures, each with its run and environment."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run to be walked."""

    number: int
    run_id: str
    results: int
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
    """A suite whose beliefs do not know as many runs as there are."""

    suite: str
    mark: _Mark | None
    runs: int


def catch_up(
    connection: Connection,
    make: Callable[[], Learner],
    *,
    patience: float = float("inf"),
    leaving: str | None = None,
) -> bool:
    """Move the beliefs of every suite by the runs they do not know; tell whether all are known.

    After ``patience`` seconds the rest is left for the next time, and so is the run ``leaving``.
    """
    stop = time.monotonic() + patience
    done = [
        _catch_up(connection, pending, make(), stop, leaving) for pending in _pending(connection)
    ]
    return all(done)


def _pending(connection: Connection) -> list[_Pending]:
    connection.read("runs", "flake_marks")
    marks = {
        suite: _Mark(started_at, number, known)
        for suite, started_at, number, known in connection.execute(
            "select suite, started_at, run_no, runs from flake_marks"
        )
    }
    runs = dict(connection.execute("select suite, count(*) from runs group by suite"))
    return [
        _Pending(suite, mark, runs.get(suite, 0))
        for suite in sorted({*marks, *runs})
        if (mark := marks.get(suite)) is None or mark.runs != runs.get(suite, 0)
    ]


def judge(
    connection: Connection, suite: str, run_id: str, make: Callable[[], Learner], *, waiting: int
) -> list[tuple[Judgement, Belief]] | None:
    """Return what `catch_up` would conclude of a run's failures, with the tests' beliefs.

    None where it must be asked: more than ``waiting`` runs are not known yet, many results, one
    that came late, one in which so many tests failed that its order matters, or all are known.
    """
    mark, runs = _waiting(connection, suite)
    place = next((place for place, run in enumerate(runs) if run.run_id == run_id), None)
    if place is None or len(runs) > waiting or not _in_memory(mark, runs):
        return None
    runs = runs[: place + 1]
    executions = _executions(
        connection,
        [run.number for run in runs],
        f"""
        outcome in ({FAILED})
        or test_no in (
            select test_no from results where outcome in ({FAILED}) and run_no = $2::integer
        )
        """,
        (runs[place].number,),
    )
    tests = {
        each.test
        for (number, _), found in executions.items()
        if number == runs[place].number
        for each in found
        if any(failed for _, failed in each.attempts)
    }
    learner = make()
    conditions = _conditions(connection, runs, executions, learner.together)
    if any(_gated(each) for each in conditions.values()):
        return None
    if any(each.tests for each in conditions.values()):
        _recall_events(connection, suite, learner)
    judged = _move(connection, suite, learner, mark, runs, executions, conditions, tests)
    return [
        (found, learner.beliefs[found.execution.test])
        for number, _, found in judged
        if number == runs[place].number
    ]


def judged(connection: Connection, run_id: str) -> list[tuple[Judgement, Belief]]:
    """Return what was concluded of a run's failures, with what is believed of the tests now."""
    connection.read("flake_verdicts", "runs")
    rows = connection.execute(
        """
        select
            run_no,
            test_no,
            node_no,
            verdicts.environment,
            p_flaky,
            p_broken,
            flagged,
            suppressed,
            outage
        from flake_verdicts as verdicts join runs using (run_no)
        where run_id = $1
        order by node_no, verdicts.environment
        """,
        (run_id,),
    )
    if not rows:
        return []
    tests = sorted({row[1] for row in rows})
    held = beliefs(connection, "list_contains($1::integer[], test_no)", (tests,))
    executions = {
        (each.node, environment): each
        for (_, environment), found in _executions(
            connection, [rows[0][0]], "list_contains($2::integer[], test_no)", (tests,)
        ).items()
        for each in found
    }
    return [
        (Judgement(executions[node, environment], *said), held[test])
        for _, test, node, environment, *said in rows
    ]


def believed(connection: Connection, suite: str, make: Callable[[], Learner]) -> dict[int, Belief]:
    """Return the beliefs of a suite, moved by the runs that wait, by the tests' numbers."""
    connection.read("tests")
    held = beliefs(connection, "test_no in (select test_no from tests where suite = $1)", (suite,))
    mark, runs = _waiting(connection, suite)
    if not runs or len(runs) > CHUNK or not _in_memory(mark, runs):
        return held
    learner = make()
    _recall_events(connection, suite, learner)
    _learn(connection, suite, learner, mark, runs)
    return {**held, **learner.beliefs}


def _waiting(connection: Connection, suite: str) -> tuple[_Mark | None, list[_Run]]:
    """Return how far the beliefs of a suite have come, and the runs that they do not know.

    What was forgotten takes all marks with it. A run that came late has a number above the
    mark's; one that patience left has a later start.
    """
    connection.read("flake_marks")
    rows = connection.execute(
        "select started_at, run_no, runs from flake_marks where suite = $1", (suite,)
    )
    mark = _Mark(*rows[0]) if rows else None
    return mark, _runs_after(connection, suite, mark, or_late=True)


def _in_memory(mark: _Mark | None, runs: Sequence[_Run]) -> bool:
    """Tell whether runs follow the mark, and are soon read."""
    if sum(run.results for run in runs) > _READ:
        return False
    return mark is None or _place(runs[0]) > (mark.started_at or datetime.max, mark.number)


def _place(run: _Run) -> tuple[datetime, int]:
    return run.started_at or datetime.max, run.number


def _catch_up(
    connection: Connection, pending: _Pending, learner: Learner, stop: float, leaving: str | None
) -> bool:
    suite, mark = pending.suite, pending.mark
    runs = _runs_after(connection, suite, mark)
    if mark is not None and mark.runs != pending.runs - len(runs):  # one came late, or is gone
        with connection.transaction():
            forget(connection, suite)
        mark = None
        runs = _runs_after(connection, suite, mark)
    runs = [run for run in runs if run.run_id != leaving]
    _recall_events(connection, suite, learner)
    for start in range(0, len(runs), CHUNK):
        if time.monotonic() > stop:
            return False
        with connection.transaction():
            mark = _walk(connection, suite, learner, mark, runs[start : start + CHUNK])
    return True


def _recall_events(connection: Connection, suite: str, learner: Learner) -> None:
    connection.read("flake_signatures")
    learner.events.update(
        dict(
            connection.execute(
                "select signature, events from flake_signatures where suite = $1", (suite,)
            )
        )
    )


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


def _runs_after(
    connection: Connection, suite: str, mark: _Mark | None, *, or_late: bool = False
) -> list[_Run]:
    after = "true"
    parameters: tuple[Any, ...] = (suite,)
    if mark is not None:
        after = f"""({_ORDER}, run_no)
            > (coalesce($2::timestamp, 'infinity'::timestamp), $3::integer)"""
        if or_late:
            after = f"({after} or run_no > $3::integer)"
        parameters = (suite, mark.started_at, mark.number)
    rows = connection.execute(
        f"""
        select run_no, run_id, recorded, started_at, branch, source, tree, "commit", trust
        from runs
        where suite = $1 and {after}
        """,
        parameters,
    )
    runs = [
        _Run(
            number,
            run_id,
            recorded or 0,
            started_at,
            branch or "",
            source == "local",
            tree if tree is not None or source == "local" else commit,
            trust != "untrusted",
        )
        for number, run_id, recorded, started_at, branch, source, tree, commit, trust in rows
    ]
    return sorted(runs, key=_place)


def _walk(
    connection: Connection, suite: str, learner: Learner, mark: _Mark | None, runs: Sequence[_Run]
) -> _Mark:
    """Move the beliefs by some runs after the mark, and keep what was concluded."""
    events = dict(learner.events)
    touched, judged = _learn(connection, suite, learner, mark, runs)
    _keep(connection, learner, touched, judged)
    if learner.events != events:
        _keep_events(connection, suite, learner)
    reached = _Mark(runs[-1].started_at, runs[-1].number, len(runs) + (mark.runs if mark else 0))
    _set_mark(connection, suite, reached, first=mark is None)
    return reached


def _learn(
    connection: Connection, suite: str, learner: Learner, mark: _Mark | None, runs: Sequence[_Run]
) -> tuple[set[int], _Judged]:
    """Move the beliefs of all suspects by some runs after the mark; return who moved, and how."""
    executions = _executions(connection, [run.number for run in runs], _SUSPECTS)
    suspects = {each.test for found in executions.values() for each in found}
    conditions = {
        key: replace(each, shuffled=_gated(each) and is_shuffled(connection, key[0]))
        for key, each in _conditions(connection, runs, executions, learner.together).items()
    }
    return suspects, _move(connection, suite, learner, mark, runs, executions, conditions, suspects)


def _move(
    connection: Connection,
    suite: str,
    learner: Learner,
    mark: _Mark | None,
    runs: Sequence[_Run],
    executions: _Executions,
    conditions: Mapping[tuple[int, str], Conditions],
    tests: set[int],
) -> _Judged:
    """Move the beliefs of some tests by what they did in runs after the mark."""
    known = beliefs(connection, "list_contains($1::integer[], test_no)", (sorted(tests),))
    learner.beliefs.update(known)
    for run, environment, passes in _past(connection, suite, mark, tests - known.keys()):
        learner.see(_bare(run, environment), passes)
    judged: _Judged = []
    for run in runs:
        for number, environment in sorted(key for key in executions if key[0] == run.number):
            key = number, environment
            said = conditions.get(key) or _bare(run, environment)
            moved = [each for each in executions[key] if each.test in tests]
            judged += [(*key, each) for each in learner.see(said, moved)]
    return judged


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
    connection: Connection, suite: str, mark: _Mark | None, fresh: Collection[int]
) -> Iterator[tuple[_Run, str, list[Execution]]]:
    """Yield the runs of fresh suspects before the first that the beliefs do not know: passes."""
    if mark is None or not fresh:
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
    executions = _executions(
        connection, numbers, "list_contains($2::integer[], test_no)", (sorted(fresh),)
    )
    for number, run in before.items():
        for environment in sorted(name for known, name in executions if known == number):
            yield run, environment, executions[number, environment]


def _bare(run: _Run, environment: str) -> Conditions:
    return Conditions(run.branch, environment, run.local, run.tree, trusted=run.trusted)


def _executions(
    connection: Connection, numbers: Sequence[int], which: str, parameters: Sequence[Any] = ()
) -> _Executions:
    """Return what tests did in these runs, by run and environment."""
    connection.read("results")
    rows = connection.execute(
        f"""
        select
            run_no,
            test_no,
            node_no,
            attempt,
            environment,
            attempt_mode,
            outcome,
            signature,
            code
        from results
        where run_no >= {min(numbers, default=0)} -- else DuckDB reads every block
            and list_contains($1::integer[], run_no)
            and outcome <> 'skipped'
            and ({which})
        """,
        (list(numbers), *parameters),
    )
    grouped: dict[tuple[int, int, int, str], list[tuple[Any, ...]]] = defaultdict(list)
    for run_no, test, node, attempt, environment, *rest in rows:
        grouped[run_no, test, node, environment or ""].append((attempt, *rest))
    found: _Executions = defaultdict(list)
    for run_no, test, node, environment in sorted(grouped):
        tried = sorted(grouped[run_no, test, node, environment], key=lambda each: int(each[0]))
        attempts: tuple[tuple[AttemptMode, bool], ...] = tuple(
            (mode or ("inproc" if number else "first"), outcome in FAILING)
            for number, mode, outcome, _, _ in tried
        )
        signature = tried[0][3] if attempts[0][1] else None
        code = next((code for *_, code in tried if code is not None), None)
        found[run_no, environment].append(Execution(test, attempts, signature or None, code, node))
    return found


def _conditions(
    connection: Connection, runs: Sequence[_Run], executions: _Executions, together: int
) -> dict[tuple[int, str], Conditions]:
    """Return what runs with a failure say as a whole, by run and environment.

    How many tests ran is counted only where so many failed ``together`` that it matters.
    """
    by_number = {run.number: run for run in runs}
    found = {}
    for key, seen in executions.items():
        failed = [each for each in seen if each.failed_first]
        if failed:
            groups = Counter(each.signature for each in failed if each.signature is not None)
            found[key] = replace(
                _bare(by_number[key[0]], key[1]), failed=len(failed), groups=groups
            )
    many = sorted({run_no for (run_no, _), each in found.items() if each.failed >= together})
    if many:
        for run_no, environment, tests in connection.execute(
            f"""
            select run_no, coalesce(environment, ''), count(distinct node_no)
            from results
            where run_no >= {many[0]} -- as in `_executions`
                and attempt = 0
                and outcome <> 'skipped'
                and list_contains($1::integer[], run_no)
            group by all
            """,
            (many,),
        ):
            if (run_no, environment) in found:
                key = run_no, environment
                found[key] = replace(found[key], tests=tests)
    return found


def _gated(conditions: Conditions) -> bool:
    """Tell whether so many tests failed that it matters whether the run was shuffled."""
    failed = conditions.failed
    return failed >= _GATED and failed > _GATED_SHARE * conditions.tests


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
    judged: _Judged,
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


def _keep_verdicts(connection: Connection, judged: _Judged) -> None:
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


def _set_mark(connection: Connection, suite: str, mark: _Mark, *, first: bool) -> None:
    connection.execute(
        "insert into flake_marks values ($1, $2::integer, $3::timestamp, $4::integer)"
        if first
        else "update flake_marks set run_no = $2, started_at = $3, runs = $4 where suite = $1",
        (suite, mark.number, mark.started_at, mark.runs),
    )
    connection.wrote("flake_marks")
