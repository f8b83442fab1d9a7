"""Everything that writes the history: results staged, then folded into the tables.

Whatever the source (a run file, JUnit, CSV, Parquet), results first stand in the temporary
table ``staged`` and then take one path into the tables, in one transaction. DuckDB reads
run files itself: 10,000 results in 15 ms, against 36 ms for parsing them in Python and 40
more for handing the columns over (measured).
"""

from __future__ import annotations

import math
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_aqe.data import Identity, Run
from pytest_aqe.errors import (
    HistoryBroken,
    HistoryBusy,
    HistoryDenied,
    HistoryError,
    RunFileError,
)
from pytest_aqe.history import dependencies, rollups, runfile
from pytest_aqe.history.store import WAIT, Connection, open_history, set_aside

_NEWBORN = 60.0  # seconds; a run file without its first line may just be coming to be

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed")
_KNOWN = ", ".join(f"'{outcome}'" for outcome in OUTCOMES)

Vanished = Callable[[Identity, Identity], bool]
"""Tells whether a test is no longer where its first identity says, the second being what it
may be called now."""


def never_vanished(_: Identity, __: Identity) -> bool:
    """Say of every test that it may still be there: the safe answer away from its project."""
    return False


@dataclass(slots=True)
class Ingested:
    """What an ingest did: counts, and lines about what it could not take."""

    runs: int = 0
    results: int = 0
    known: int = 0
    still_running: int = 0
    renames: list[tuple[Identity, Identity]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def remember(
    path: Path,
    *,
    vanished: Vanished = never_vanished,
    wait: float = WAIT,
    read_tables: Iterable[str] = (),
    patience: float = math.inf,
    learn: Callable[[Connection], object] | None = None,
) -> Ingested:
    """Ingest every run file that waits beside the history at ``path``.

    After ``patience`` seconds the rest is left waiting, and said. A broken history is set
    aside and rebuilt from all run files. Raise a `HistoryError` when the history cannot be
    opened or written; the run files then simply stay. ``read_tables`` are those the session
    read before, for `doctor`. ``learn`` is called while the history is still open.
    """
    try:
        return _remember(path, vanished, wait, read_tables, patience, learn)
    except HistoryBroken as broken:
        aside = set_aside(path)
        if aside is None:
            raise
        done = _remember(path, vanished, wait, read_tables, patience, learn)
        done.notes.insert(
            0, f"{broken}; kept as {aside.name} and rebuilt from {done.runs} run files"
        )
        return done


def _remember(
    path: Path,
    vanished: Vanished,
    wait: float,
    read_tables: Iterable[str],
    patience: float,
    learn: Callable[[Connection], object] | None,
) -> Ingested:
    if not path.exists():  # new, or lost: a kill may have come between setting aside and now
        runfile.wait_again(path.parent)
    with open_history(path, write=True, wait=wait) as connection:
        connection.read(*read_tables)
        files = runfile.waiting(path.parent)
        done = ingest(connection, files, vanished=vanished, patience=patience)
        if learn is not None:
            learn(connection)
        return done


def ingest(
    connection: Connection,
    files: Sequence[Path],
    *,
    vanished: Vanished = never_vanished,
    patience: float = math.inf,
) -> Ingested:
    """Take run files into the history, each in its own transaction.

    After ``patience`` seconds no further file is begun. A run that is already known is
    passed over, so that taking a file twice changes nothing. Files that wait beside the
    history are compressed into ``runs/ingested/`` after their commit; a file there that is
    no run file is set aside. Files elsewhere are left as they are.
    """
    done = Ingested()
    known = known_runs(connection)
    stop = time.monotonic() + patience
    for number, path in enumerate(files):
        if time.monotonic() > stop:
            done.notes.append(
                f"run files still waiting: {len(files) - number}; `pytest-aqe status` takes them up"
            )
            break
        try:
            _take(connection, path, known, done, vanished)
        except (OSError, RecursionError) as error:
            done.notes.append(f"{path.name} cannot be taken up ({error}); it stays where it is")
    return done


def _take(
    connection: Connection, path: Path, known: set[str], done: Ingested, vanished: Vanished
) -> None:
    """Take one run file, unless its run is known, still going, or none."""
    folder = connection.path.parent
    ours = path.parent == folder / runfile.WAITING
    try:
        run = runfile.read_run(path)
    except RunFileError as error:
        if runfile.is_running(path):
            done.still_running += 1
        elif not ours:
            done.notes.append(str(error))
        elif not _is_newborn(path):
            done.notes.append(f"{error}; moved to {runfile.refuse(path, folder)}")
        return
    if runfile.is_running(path):  # asked now: a writer locks before it writes its first line
        done.still_running += 1
        return
    if run.run_id in known:
        done.known += 1
    else:
        try:
            _ingest_one(connection, path, run, done, vanished if ours else never_vanished)
        except (HistoryBroken, HistoryBusy, HistoryDenied):
            raise
        except HistoryError as error:  # something in this one file
            where = f"moved to {runfile.refuse(path, folder)}" if ours else "left out"
            done.notes.append(f"{path.name} cannot be taken up ({error}); {where}")
            return
        known.add(run.run_id)
    if ours:
        runfile.retire(path, folder)


def known_runs(connection: Connection) -> set[str]:
    """Return the ids of the runs that the history holds."""
    connection.read("runs")
    return {run_id for (run_id,) in connection.execute("select run_id from runs")}


def _is_newborn(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _NEWBORN
    except OSError:
        return True


def _ingest_one(
    connection: Connection, path: Path, run: Run, done: Ingested, vanished: Vanished
) -> None:
    _stage_lines(connection, path)
    ((unreadable,),) = connection.execute("select count(*) from lines where type is null")
    if unreadable:
        done.notes.append(f"{path.name}: {unreadable} unreadable lines were left out")
    run_no = next_number(connection, "runs", "run_no")
    with connection.transaction():
        _insert_run(connection, run_no, run)
        create_staged(connection)
        connection.execute(
            f"""
            insert into staged by name
            select
                $1::integer as run_no,
                coalesce(identity, $2 || node_id) as identity,
                node_id,
                coalesce(attempt, 0) as attempt,
                coalesce(attempt_mode, 'first') as attempt_mode,
                outcome,
                case
                    when coalesce(setup, call, teardown) is not null
                    then coalesce(setup, 0) + coalesce(call, 0) + coalesce(teardown, 0)
                end as duration,
                setup,
                teardown,
                position,
                collected,
                worker,
                $3 as environment,
                signature,
                body,
                evidence
            from lines
            where type = 'result' and node_id is not null and outcome in ({_KNOWN})
            """,
            (run_no, run.prefix, run.environment),
        )
        renames = [
            (old, new)
            for old, new in connection.execute(
                "select old, new from lines where type = 'rename' and old <> new"
            )
        ]
        apply_renames(connection, run_no, run.suite, renames)

        def look_for_renames() -> bool:
            found = [] if renames else _find_renames(connection, run.suite, vanished)
            apply_renames(connection, run_no, run.suite, found)
            if found:
                runfile.append_renames(path, found)
            done.renames.extend(found)
            return bool(found)

        done.renames += renames
        done.results += fold(connection, look_for_renames)
        dependencies.take(connection, run_no, run.prefix, run.suite)
        _take_told(connection, run_no, run.suite)
        done.runs += 1


def _take_told(connection: Connection, run_no: int, suite: str) -> None:
    """Take what the run file says of coverage and of agents, which most do not."""
    told = connection.execute("select type, told from lines where told is not null order by rowid")
    if told:
        from pytest_aqe.history import agents, gaps

        gaps.take(connection, run_no, suite, told)
        agents.take(connection, run_no, told)


def _stage_lines(connection: Connection, path: Path) -> None:
    """Read the file's lines into the temporary table ``lines``; unreadable ones are null."""
    sql = """
        create or replace temp table lines as
        select * from read_json(
            $1,
            format = 'newline_delimited',
            ignore_errors = true,
            compression = 'auto_detect',
            hive_partitioning = false,
            columns = {
                type: 'varchar', node_id: 'varchar', identity: 'varchar', outcome: 'varchar',
                attempt: 'smallint', attempt_mode: 'varchar', setup: 'double', call: 'double',
                teardown: 'double', position: 'integer', worker: 'varchar',
                signature: 'varchar', body: 'varchar', evidence: 'varchar',
                old: 'varchar', new: 'varchar', ended_at: 'timestamp', status: 'varchar',
                exit_status: 'smallint', collected: 'integer', deselected: 'integer',
                own: 'varchar', base: 'varchar', doubt: 'varchar[]', globs: 'varchar[]',
                key: 'varchar', sets: 'map(varchar, varchar[])', files: 'map(varchar, varchar)',
                file: 'varchar', version: 'varchar', names: 'varchar[]', checksums: 'varchar[]',
                inert: 'varchar[]', counts: 'map(varchar, integer)',
                since: 'map(varchar, varchar[])',
                mode: 'varchar', known: 'integer', selected: 'integer',
                seconds: 'double', selected_seconds: 'double', failures: 'integer',
                caught: 'integer', escaped: 'integer', unstable: 'integer', told: 'varchar'
            }
        )
        """
    try:
        connection.execute(sql, (literal(path),))
    except HistoryError:
        import tempfile

        # Bytes that are no text stop DuckDB's reader even when told to ignore errors.
        handle, name = tempfile.mkstemp(suffix=".jsonl")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.writelines(runfile.salvage(path))
            connection.execute(sql, (literal(Path(name)),))
        finally:
            Path(name).unlink()


def literal(path: Path) -> str:
    """Return the pattern that matches this path alone: DuckDB takes every file name for one."""
    return re.sub(r"([*?[])", r"[\1]", str(path))


def _insert_run(connection: Connection, run_no: int, run: Run) -> None:
    """Write the run and how it ended; a file without a footer is a killed run's."""
    connection.execute(
        """
        insert into runs by name
        select
            $1::integer as run_no,
            $2 as run_id,
            'session' as origin,
            $3::timestamp as started_at,
            ended.ended_at,
            coalesce(ended.status, 'killed') as status,
            ended.exit_status,
            ended.collected,
            ended.deselected,
            counted.recorded,
            $4 as suite,
            $5 as mode,
            $6 as policy,
            $7 as commit,
            $8 as tree,
            $9 as branch,
            $10 as base,
            $11 as source,
            $12 as ci,
            $13 as trust,
            $14 as environment,
            $15 as python,
            $16 as platform,
            $17 as pytest,
            $18::varchar[] as plugins
        from
            (select count(*) filter (type = 'result') as recorded from lines) as counted
            left join (from lines where type = 'end' limit 1) as ended on true
        """,
        (
            run_no,
            run.run_id,
            run.started_at,
            run.suite,
            run.mode,
            run.policy,
            run.commit,
            run.tree,
            run.branch,
            run.base,
            run.source,
            run.ci,
            run.trust,
            run.environment,
            run.python,
            run.platform,
            run.pytest,
            list(run.plugins),
        ),
    )
    connection.execute(
        "insert into changed_files select $1::integer, unnest($2::varchar[])",
        (run_no, list(run.changed_files or ())),
    )
    connection.wrote("runs", "changed_files")


def next_number(connection: Connection, table: str, column: str) -> int:
    """Return the number after the highest in use."""
    ((number,),) = connection.execute(f"select coalesce(max({column}), 0) + 1 from {table}")
    return int(number)


def create_staged(connection: Connection) -> None:
    """Create the empty temporary table that `fold` reads."""
    connection.execute(
        """
        create or replace temp table staged (
            run_no integer,
            identity varchar,
            file varchar,
            node_id varchar,
            attempt smallint,
            attempt_mode varchar,
            outcome varchar,
            duration double,
            setup double,
            teardown double,
            position integer,
            collected integer,
            worker varchar,
            environment varchar,
            signature varchar,
            code varchar,
            body varchar,
            evidence varchar
        )
        """
    )


def fold(connection: Connection, before_new_tests: Callable[[], bool] = lambda: False) -> int:
    """Move ``staged`` into the tables and bring the rollups up to date; return its rows.

    The runs it names must be in ``runs`` already. ``before_new_tests`` is called when an
    identity is unknown, the last moment at which a known test can be renamed to it; it returns
    whether one was.
    """
    _place(connection)
    ((rows, tests, nodes, bodies),) = connection.execute(
        """
        select
            count(*),
            count(*) filter (test_no is null),
            count(*) filter (node_no is null),
            count(*) filter (body <> known_body)
        from placed
        """
    )
    if tests:
        if before_new_tests():
            _place(connection)
        _insert_tests(connection)
        _place(connection)
    if nodes:
        _insert_nodes(connection)
        _place(connection)
    if bodies:
        _update_bodies(connection)
    connection.execute(
        """
        insert into results
        select
            run_no,
            test_no,
            node_no,
            attempt,
            attempt_mode,
            outcome,
            duration,
            setup,
            teardown,
            position,
            collected,
            worker,
            environment,
            signature,
            code,
            evidence
        from placed
        order by row
        """
    )
    connection.read("runs", "tests", "nodes", "rollups")
    connection.wrote("results")
    rollups.roll_up(connection)
    return int(rows)


def _place(connection: Connection) -> None:
    """Find the test and node id of every staged row: null where the history has none yet."""
    connection.execute(
        """
        create or replace temp table placed as
        select
            staged.*,
            staged.rowid as row,
            runs.suite,
            runs.started_at,
            tests.test_no,
            tests.body as known_body,
            nodes.node_no
        from staged
            join runs using (run_no)
            left join tests on tests.suite = runs.suite and tests.identity = staged.identity
            left join nodes
                on nodes.test_no = tests.test_no and nodes.node_id = staged.node_id
        """
    )


def _insert_tests(connection: Connection) -> None:
    connection.execute(
        """
        insert into tests
        select
            (select coalesce(max(test_no), 0) from tests) + row_number() over (order by first_row),
            suite,
            identity,
            coalesce(file, split_part(identity, '::', 1)),
            body,
            run_no
        from (
            select
                suite,
                identity,
                min(row) as first_row,
                any_value(file) as file,
                any_value(body) as body,
                min(run_no) as run_no
            from placed
            where test_no is null
            group by suite, identity
        )
        """
    )
    connection.wrote("tests")


def _insert_nodes(connection: Connection) -> None:
    connection.execute(
        """
        insert into nodes
        select
            (select coalesce(max(node_no), 0) from nodes) + row_number() over (order by first_row),
            test_no,
            node_id
        from (
            select test_no, node_id, min(row) as first_row
            from placed
            where node_no is null
            group by test_no, node_id
        )
        """
    )
    connection.wrote("nodes")


def _update_bodies(connection: Connection) -> None:
    connection.execute(
        """
        update tests set body = seen.body
        from (
            select test_no, any_value(body) as body
            from placed
            where body <> known_body
            group by test_no
        ) as seen
        where tests.test_no = seen.test_no
        """
    )
    connection.wrote("tests")


def _find_renames(
    connection: Connection, suite: str, vanished: Vanished
) -> list[tuple[Identity, Identity]]:
    """Find known tests that came back under a new identity with the same body.

    The old place must be gone and the pairing beyond doubt: one old test and one new one
    with this body and these parameters, or failing that with the same name or file too.
    """
    pairs: list[tuple[Identity, Identity]] = []
    candidates: dict[tuple[str, str], tuple[set[Identity], set[Identity]]] = defaultdict(
        lambda: (set(), set())
    )
    for body, old, new in connection.execute(
        """
        select distinct fresh.body, tests.identity, fresh.identity
        from
            (
                select distinct identity, body
                from staged
                where body is not null
                    and identity not in (select identity from tests where suite = $1)
            ) as fresh
            join tests on tests.body = fresh.body and tests.suite = $1
        where tests.identity not in (select identity from staged)
        """,
        (suite,),
    ):
        if _parameters(old) == _parameters(new):
            olds, news = candidates[body, _parameters(new)]
            olds.add(old)
            news.add(new)
    for olds, news in candidates.values():
        gone = {old for old in olds if any(vanished(old, new) for new in news)}
        for part in (_whole, _name, _file):
            for key in {part(old) for old in gone}:
                one = [old for old in gone if part(old) == key]
                other = [new for new in news if part(new) == key]
                if len(one) == len(other) == 1:
                    pairs.append((one[0], other[0]))
                    gone.discard(one[0])
                    news.discard(other[0])
    return pairs


def _parameters(identity: Identity) -> str:
    return identity[identity.find("[") :] if identity.endswith("]") else ""


def _whole(_: Identity) -> str:
    return ""


def _name(identity: Identity) -> str:
    return identity.partition("::")[2]


def _file(identity: Identity) -> str:
    return identity.partition("::")[0]


def apply_renames(
    connection: Connection, run_no: int, suite: str, renames: list[tuple[Identity, Identity]]
) -> None:
    """Let each test keep its number, and so its results, under the new identity."""
    for old, new in renames:
        connection.execute(
            """
            update tests set identity = $1, file = split_part($1, '::', 1)
            where suite = $2
                and identity = $3
                and not exists (from tests where suite = $2 and identity = $1)
            """,
            (new, suite, old),
        )
        connection.execute("insert into renames values ($1, $2, $3, $4)", (run_no, suite, old, new))
        connection.wrote("tests", "renames")
