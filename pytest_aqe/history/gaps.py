"""Coverage, gaps and generated tests: taken from run files, asked by commands and learners.

A gap is a state, not an event: only the latest run of a suite that measured coverage keeps
its rows. Trials are what the gap learner learns from, so all of them stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_aqe.data import Candidate, Gap, Trial
from pytest_aqe.history.store import Connection

BODY_LIMIT = 20_000  # characters of a candidate that are kept; a good one has a tenth

_COLUMNS: dict[str, dict[str, str]] = {
    "covered": {
        "file": "varchar",
        "statements": "integer",
        "ran": "integer",
        "branches": "integer",
        "taken": "integer",
        "changed": "integer",
        "changed_ran": "integer",
    },
    "gaps": {
        "place": "integer",
        "file": "varchar",
        "name": "varchar",
        "line": "integer",
        "end_line": "integer",
        "lines": "integer[]",
        "sources": "integer[]",
        "destinations": "integer[]",
        "statements": "integer",
        "risk": "double",
        "changed": "integer[]",
        "churn": "integer",
        "complexity": "integer",
        "callers": "integer",
        "failures": "double",
        "flaky_only": "boolean",
        "tests": "varchar[]",
    },
    "generations": {
        "gap_file": "varchar",
        "gap_name": "varchar",
        "missing": "integer",
        "complexity": "integer",
        "reached": "boolean",
        "author": "varchar",
        "model": "boolean",
        "attempt": "integer",
        "prompt": "varchar",
        "tokens_in": "integer",
        "tokens_out": "integer",
        "cost": "double",
        "outcome": "varchar",
        "stage": "varchar",
        "reason": "varchar",
        "lines": "integer",
        "branches": "integer",
        "mutants": "integer",
        "killed": "integer",
        "tests": "integer",
        "seconds": "double",
        "layer": "varchar",
        "body": "varchar",
    },
}


@dataclass(frozen=True, slots=True)
class Covered:
    """What a run covered of one file: counts. None is unmeasured, or an unknown change."""

    file: str
    statements: int
    ran: int
    branches: int | None
    taken: int | None
    changed: int | None
    changed_ran: int | None


@dataclass(frozen=True, slots=True)
class Generation:
    """One trial as the gap learner sees it; ``outcome`` "nothing" is an author without an idea."""

    run: int
    file: str
    name: str
    missing: int
    complexity: int
    reached: bool | None
    author: str
    model: bool
    outcome: str
    lines: int | None
    branches: int | None
    killed: int | None
    seconds: float | None
    tokens: int | None
    cost: float | None


def gap_rows(gaps: Sequence[Gap]) -> Iterable[dict[str, Any]]:
    """Return gaps, most at risk first, as rows for the run file."""
    for place, gap in enumerate(gaps):
        branches = gap.branches
        yield {
            "place": place,
            "file": gap.file,
            "name": gap.name,
            "line": gap.line,
            "end_line": gap.end,
            "lines": list(gap.lines),
            "sources": None if branches is None else [arc[0] for arc in branches],
            "destinations": None if branches is None else [arc[1] for arc in branches],
            "statements": gap.statements,
            "risk": gap.risk,
            "changed": None if gap.changed is None else list(gap.changed),
            "churn": gap.churn,
            "complexity": gap.complexity,
            "callers": gap.callers,
            "failures": gap.failures,
            "flaky_only": gap.flaky_only,
            "tests": list(gap.tests),
        }


def generation_row(trial: Trial) -> dict[str, Any]:
    """Return a trial as a row for the run file."""
    candidate, verdict = trial.candidate, trial.verdict
    return {
        **_who(candidate),
        "outcome": verdict.outcome,
        "stage": verdict.stage,
        "reason": verdict.reason,
        "lines": None if trial.lines is None else len(trial.lines),
        "branches": None if trial.branches is None else len(trial.branches),
        "mutants": trial.mutants,
        "killed": trial.killed,
        "tests": len(trial.tests),
        "seconds": trial.seconds,
        "layer": trial.layer,
        "body": trial.text[:BODY_LIMIT],
    }


def nothing_row(gap: Gap, author: str, seconds: float | None) -> dict[str, Any]:
    """Return the row that says that an author had nothing to offer for a gap."""
    return {**_who(Candidate(gap, "", author)), "outcome": "nothing", "seconds": seconds}


def _who(candidate: Candidate) -> dict[str, Any]:
    gap = candidate.gap
    return {
        "gap_file": gap.file,
        "gap_name": gap.name,
        "missing": gap.size,
        "complexity": gap.complexity,
        "reached": None if gap.failures is None else bool(gap.tests),
        "author": candidate.author,
        "model": candidate.model,
        "attempt": candidate.attempt,
        "prompt": candidate.prompt,
        "tokens_in": candidate.tokens_in,
        "tokens_out": candidate.tokens_out,
        "cost": candidate.cost,
    }


def take(connection: Connection, run_no: int, suite: str, lines: Iterable[tuple[str, str]]) -> None:
    """Fold what a run file says of coverage into the tables."""
    told: dict[str, list[Mapping[str, Any]]] = {}
    for kind, text in lines:
        if kind in _COLUMNS:
            told.setdefault(kind, []).append(json.loads(text))
    if "covered" in told:
        _forget_earlier(connection, run_no, suite)
    for table, rows in told.items():
        _append(connection, table, run_no, rows)


def _append(
    connection: Connection, table: str, run_no: int, rows: Sequence[Mapping[str, Any]]
) -> None:
    columns = _COLUMNS[table]
    listed = ", ".join(f'"{name}"' for name in columns)
    # Columns that hold lists are handed over as JSON: DuckDB cannot tell the type of [[], []].
    values = [
        [
            json.dumps(row[name])
            if kind.endswith("[]") and row.get(name) is not None
            else row.get(name)
            for row in rows
        ]
        for name, kind in columns.items()
    ]
    selected = ", ".join(
        f"unnest(${number}::varchar[])::json::{kind} as {name}"
        if kind.endswith("[]")
        else f"unnest(${number}::{kind}[]) as {name}"
        for number, (name, kind) in enumerate(columns.items(), 2)
    )
    connection.execute(
        f"insert into {table} (run_no, {listed}) select $1::integer, {selected}",
        (run_no, *values),
    )
    connection.wrote(table)


def _forget_earlier(connection: Connection, run_no: int, suite: str) -> None:
    """Remove what earlier runs of a suite said: what is covered now is what counts."""
    for table in ("covered", "gaps"):
        connection.execute(
            f"""
            delete from {table}
            where run_no in (select run_no from runs where suite = $1 and run_no <> $2)
            """,
            (suite, run_no),
        )


def merge(connection: Connection) -> None:
    """Copy what the runs in the temporary table ``coming`` say, from the attached history.

    Their coverage counts where the suite has none of its own.
    """
    for table in _COLUMNS:
        absent = (
            ""
            if table == "generations"
            else f"""
            where (select suite from runs where runs.run_no = coming.run_no) not in (
                select suite from runs join {table} using (run_no)
            )
            """
        )
        connection.execute(
            f"""
            insert into {table} by name
            select rows.* replace (coming.run_no as run_no)
            from other.{table} as rows join coming on coming.theirs = rows.run_no
            {absent}
            """
        )
        connection.wrote(table)


def covered(connection: Connection, suite: str) -> list[Covered]:
    """Return what the latest measured run of a suite covered, file by file."""
    connection.read("covered")
    return [
        Covered(*row)
        for row in connection.execute(
            """
            select file, statements, ran, branches, taken, changed, changed_ran
            from covered join runs using (run_no)
            where suite = $1
            order by file
            """,
            (suite,),
        )
    ]


def gaps(connection: Connection, suite: str, limit: int | None = None) -> list[Gap]:
    """Return the gaps of a suite, most at risk first."""
    connection.read("gaps")
    return [
        Gap(
            file=file,
            name=name,
            line=line,
            end=end,
            lines=tuple(lines),
            branches=None if sources is None else tuple(zip(sources, leads, strict=True)),
            statements=statements,
            risk=risk,
            changed=None if changed is None else tuple(changed),
            churn=churn,
            complexity=complexity,
            callers=callers,
            failures=failures,
            flaky_only=flaky_only,
            tests=tuple(tests),
        )
        for (
            file, name, line, end, lines, sources, leads, statements, risk, changed, churn,
            complexity, callers, failures, flaky_only, tests,
        ) in connection.execute(
            """
            select
                file, name, line, end_line, lines, sources, destinations, gaps.statements, risk,
                changed, churn, complexity, callers, failures, flaky_only, tests
            from gaps join runs using (run_no)
            where suite = $1
            order by place
            limit $2
            """,
            (suite, limit),
        )
    ]  # fmt: skip


def generations(connection: Connection) -> list[Generation]:
    """Return every trial of every run, oldest first: what the gap learner learns from."""
    connection.read("generations")
    return [
        Generation(*row)
        for row in connection.execute(
            """
            select
                run_no, gap_file, gap_name, missing, complexity, reached, author, model, outcome,
                lines, branches, killed, seconds, tokens_in + tokens_out, cost
            from generations
            order by run_no, rowid
            """
        )
    ]
