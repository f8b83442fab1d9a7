"""What language models were asked and said, what they remember, which examples helped.

Rows come by the run file, each as soon as it is known, so that nothing that was paid for is lost
when a session is killed. ``calls`` is the ledger and, read by key, the cache of replies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pytest_aqe.data import NodeId
from pytest_aqe.history.store import Connection

TOMBSTONE = timedelta(days=30)  # how long a deletion outlives, to reach merged histories
FEW = 2  # uses; an example that was shown less often has shown nothing yet

_COLUMNS: dict[str, dict[str, str]] = {
    "calls": {
        "key": "varchar",
        "model": "varchar",
        "role": "varchar",
        "sample": "integer",
        "bytes": "integer",
        "cached": "boolean",
        "requests": "integer",
        "tokens_in": "integer",
        "tokens_out": "integer",
        "cost": "double",
        "seconds": "double",
        "cut": "boolean",
        "error": "varchar",
        "text": "varchar",
        "data": "varchar",
    },
    "examples": {
        "test": "varchar",
        "gap_file": "varchar",
        "gap_name": "varchar",
        "author": "varchar",
        "accepted": "boolean",
    },
}
_MEMORY = ("partition", "key", "value", "stored_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Said:
    """A reply of an earlier call. ``data`` is JSON text, None where no schema was asked for."""

    key: str
    text: str
    data: str | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Use:
    """What a model was asked in all sessions, by role: counts, tokens, dollars.

    Tokens and cost are sums of what was measured; ``unmeasured`` counts the calls without.
    """

    model: str
    role: str
    calls: int
    cached: int
    failed: int
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    unmeasured: int


def take(connection: Connection, run_no: int, lines: Iterable[tuple[str, str]]) -> None:
    """Fold what a run file says of agents into the tables."""
    told: dict[str, list[Mapping[str, Any]]] = {}
    for kind, text in lines:
        if kind in _COLUMNS or kind == "memory":
            told.setdefault(kind, []).append(json.loads(text))
    for table, columns in _COLUMNS.items():
        rows = told.get(table)
        if rows:
            values = [[row.get(name) for row in rows] for name in columns]
            selected = ", ".join(
                f"unnest(${number}::{kind}[])" for number, kind in enumerate(columns.values(), 2)
            )
            listed = ", ".join(columns)
            connection.execute(
                f"insert into {table} (run_no, {listed}) select $1::integer, {selected}",
                (run_no, *values),
            )
            connection.wrote(table)
    if "memory" in told:
        _remember(connection, told["memory"])


def _remember(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    """Apply changes to the memory: of a key the latest counts, whichever comes in last."""
    connection.execute(
        """
        insert into memory by name
        select
            unnest($1::varchar[]) as partition,
            unnest($2::varchar[]) as key,
            unnest($3::varchar[]) as value,
            unnest($4::varchar[])::timestamptz at time zone 'UTC' as stored_at,
            unnest($5::varchar[])::timestamptz at time zone 'UTC' as expires_at
        """,
        [[change.get(name) for change in changes] for name in _MEMORY],
    )
    _tidy(connection)


def _tidy(connection: Connection) -> None:
    """Keep the latest entry of each key, as long as it lives; a deletion for a while."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    connection.execute(
        """
        delete from memory
        where rowid not in (
            select last(rowid order by stored_at, rowid) from memory group by partition, key
        )
            or expires_at <= $1
            or (value is null and stored_at <= $2)
        """,
        (now, now - TOMBSTONE),
    )
    connection.wrote("memory")


def merge(connection: Connection) -> None:
    """Copy what the runs in the temporary table ``coming`` say, from the attached history."""
    for table in _COLUMNS:
        connection.execute(
            f"""
            insert into {table} by name
            select rows.* replace (coming.run_no as run_no)
            from other.{table} as rows join coming on coming.theirs = rows.run_no
            """
        )
        connection.wrote(table)
    connection.execute("insert into memory by name select * from other.memory")
    _tidy(connection)


def said(connection: Connection, keys: Sequence[str]) -> list[Said]:
    """Return what models answered to these questions before, the latest answer to each."""
    connection.read("calls")
    return [
        Said(*row)
        for row in connection.execute(
            """
            select key, last(text order by run_no, rowid), last(data order by run_no, rowid),
                last(cut order by run_no, rowid)
            from calls
            where list_contains($1::varchar[], key) and text is not null and error is null
            group by key
            """,
            (list(keys),),
        )
    ]


def memory(connection: Connection) -> list[tuple[str, str, str, str, str | None]]:
    """Return what is remembered and lives: partition, key, JSON value, stored and expiry time."""
    connection.read("memory")
    return [
        (partition, key, value, _utc(stored), None if expires is None else _utc(expires))
        for partition, key, value, stored, expires in connection.execute(
            """
            select partition, key, value, stored_at, expires_at
            from memory
            where value is not null and (expires_at is null or expires_at > $1)
            order by partition, key
            """,
            (datetime.now(timezone.utc).replace(tzinfo=None),),
        )
    ]


def _utc(time: datetime) -> str:
    return time.replace(tzinfo=timezone.utc).isoformat()


def helpful_examples(connection: Connection) -> list[NodeId]:
    """Return the tests that a test came of more often than not when shown, best first.

    The share is (accepted + 1) / (uses + 2), Laplace's rule: few uses prove little.
    """
    connection.read("examples")
    return [
        test
        for (test,) in connection.execute(
            """
            select test
            from examples
            group by test
            having count(*) >= $1 and (count_if(accepted) + 1) / (count(*) + 2) > 0.5
            order by (count_if(accepted) + 1) / (count(*) + 2) desc, test
            """,
            (FEW,),
        )
    ]


def uses(connection: Connection) -> list[Use]:
    """Return what each model was asked, in all sessions."""
    connection.read("calls")
    return [
        Use(*row)
        for row in connection.execute(
            """
            select
                model,
                role,
                count(*),
                count_if(cached),
                count_if(error is not null),
                sum(tokens_in)::bigint,
                sum(tokens_out)::bigint,
                sum(cost),
                count_if(tokens_in is null)
            from calls
            group by model, role
            order by model, role
            """
        )
    ]
