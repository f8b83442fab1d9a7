"""What tests depended on: taken from run files, asked by selection.

A test has two sets of pieces (``own`` and ``base``), a run has a version for every file, a
Python file has pieces at every version. Sets hold names, not contents, so they stay the same
from run to run; what differs between a run and now are a few files, and in them a few pieces.
Which tests that reaches is a join.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_aqe.data import FAILING, PARTS, Identity, NodeId, Pieces, Version
from pytest_aqe.history import codes
from pytest_aqe.history.queries import ever_failed
from pytest_aqe.history.store import Connection

KEPT_TREES = 4  # different trees a test is remembered on: a branch and back costs no run
ABSENT = 2  # runs of all of its file that did not have a test, after which it is forgotten
# A skipped test was not seen to pass: --runslow, or another machine, may run it.
_UNKNOWN = ", ".join(f"'{outcome}'" for outcome in sorted({*FAILING, "skipped"}))


@dataclass(frozen=True, slots=True)
class Conditional:
    """Pieces that matter only to tests that also depend on the module of ``file``."""

    run_no: int
    file: str
    pieces: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reached:
    """What a change does to one known test.

    ``clean`` are the runs since which nothing that the test depends on has changed, newest
    first; ``piece`` is one that changed since its latest run, None when that run is clean;
    ``ran`` tells that the test itself ran or opened it. ``doubt`` and ``globs`` are those of
    the clean runs; a clean run without a doubt leaves none.
    """

    identity: Identity
    clean: tuple[int, ...]
    piece: tuple[str, str] | None
    ran: bool
    doubt: tuple[str, ...]
    globs: tuple[str, ...] | None


def take(connection: Connection, run_no: int, prefix: str, suite: str) -> None:
    """Fold what the temporary table ``lines`` says of dependencies into the tables."""
    ((tracked, judged),) = connection.execute(
        "select count(own), count(*) filter (type = 'selection') from lines"
    )
    if judged:
        connection.execute(
            """
            insert into selections
            select
                $1, mode, known, selected, seconds, selected_seconds, failures, caught, escaped,
                unstable
            from lines where type = 'selection'
            """,
            (run_no,),
        )
        connection.wrote("selections")
    if tracked:
        _take_sets(connection)
        _take_files(connection, run_no)
        if ever_failed(connection):  # 25 ms a session (measured), which only suspicion needs
            codes.fill(connection, run_no, prefix, suite)
        _take_tests(connection, run_no, prefix, suite)
        _forget_vanished(connection, run_no)
        _forget_old_files(connection)
        connection.wrote("pieces", "sets", "dependencies", "run_files", "collected", "file_pieces")


def _take_sets(connection: Connection) -> None:
    """Add the sets of ``lines`` that are new here, each with what is in its parts.

    One that is only a part is none by itself.
    """
    connection.execute(
        f"""
        create or replace temp table fresh as
        select key, any_value(sets) as content
        from lines
        where type = 'set' and key not in (select key from sets) and key not in (
            select unnest(flatten(map_extract(sets, '{PARTS}'))) from lines where type = 'set'
            except
            select unnest([own, base]) from lines
        )
        group by key
        """
    )
    if not connection.execute("select 1 from fresh limit 1"):
        return  # the usual case: functions changed, and call the same ones
    connection.execute(
        f"""
        create or replace temp table parts as
        select key, key as part from fresh
        union
        select key, unnest(flatten(map_extract(content, '{PARTS}'))) from fresh
        """
    )
    connection.execute(
        f"""
        create or replace temp table members as
        select distinct part, entry.key as file, unnest(entry.value) as name
        from (
            select key as part, unnest(map_entries(any_value(sets))) as entry
            from lines
            where type = 'set' and key in (select part from parts)
            group by key
        )
        where entry.key <> '{PARTS}'
        """
    )
    connection.execute(
        """
        insert into pieces
        select
            (select coalesce(max(piece_no), 0) from pieces)
                + row_number() over (order by file, name),
            file,
            name
        from (select distinct file, name from members) anti join pieces using (file, name)
        """
    )
    connection.execute(
        """
        insert into sets
        select
            (select coalesce(max(set_no), 0) from sets) + row_number() over (order by key),
            key,
            coalesce(list(piece_no order by piece_no) filter (piece_no is not null), [])
        from (
            select distinct key, piece_no
            from parts
                left join (
                    select part, piece_no from members join pieces using (file, name)
                ) using (part)
        )
        group by key
        """
    )


def _take_files(connection: Connection, run_no: int) -> None:
    connection.execute(
        """
        insert into run_files
        select
            $1,
            entry.key,
            case when count(distinct entry.value) > 1 then 'unstable' else max(entry.value) end
        from (select unnest(map_entries(files)) as entry from lines where type = 'files')
        group by entry.key
        """,
        (run_no,),
    )
    connection.execute(
        """
        insert into collected
        select $1, entry.key, max(entry.value)
        from (select unnest(map_entries(counts)) as entry from lines where type = 'collected')
        group by entry.key
        """,
        (run_no,),
    )
    connection.execute(
        """
        insert into file_pieces
        select file, version, any_value(names), any_value(checksums), any_value(inert)
        from lines anti join file_pieces using (file, version)
        where type = 'pieces' and file is not null and version is not null
        group by file, version
        """
    )


def _take_tests(connection: Connection, run_no: int, prefix: str, suite: str) -> None:
    """Remember the tests that passed; several parameters may share an identity."""
    connection.execute(
        f"""
        create or replace temp table fresh as
        with attempts as (
            select
                coalesce(identity, $2 || node_id) as identity,
                arg_max(outcome in ({_UNKNOWN}), coalesce(attempt, 0)) as unknown,
                arg_max(own, coalesce(attempt, 0)) as own,
                arg_max(base, coalesce(attempt, 0)) as base,
                arg_max(coalesce(doubt, []), coalesce(attempt, 0)) as doubt,
                arg_max(coalesce(globs, ['']), coalesce(attempt, 0)) as globs
            from lines
            where type = 'result'
            group by identity, node_id
        )
        select distinct
            tests.test_no,
            $1::integer as run_no,
            own.set_no as own_no,
            base.set_no as base_no,
            doubt,
            case when globs <> [''] then globs end as globs
        from attempts
            join tests on tests.identity = attempts.identity and tests.suite = $3
            left join sets as own on own.key = attempts.own
            left join sets as base on base.key = attempts.base
        where attempts.identity not in (
            select identity from attempts where unknown or own is null or base is null
        )
        """,
        (run_no, prefix, suite),
    )
    connection.execute(
        """
        delete from fresh
        where test_no in (select test_no from fresh where own_no is null or base_no is null)
        """
    )
    connection.read("runs", "tests")
    _add_tests(connection)


def _add_tests(connection: Connection) -> None:
    """Add ``fresh`` to the dependencies; each test keeps its latest runs on different trees."""
    connection.execute("insert into dependencies from fresh")
    connection.execute(
        """
        delete from dependencies
        where test_no in (select test_no from fresh) and (test_no, run_no) not in (
            select test_no, run_no
            from (
                select test_no, environment, max(run_no) as run_no
                from (select distinct test_no, run_no from dependencies) join runs using (run_no)
                where test_no in (select test_no from fresh)
                group by test_no, environment, trust, coalesce(tree, run_id)
            )
            qualify row_number() over (
                partition by test_no, environment order by run_no desc
            ) <= $1
        )
        """,
        (KEPT_TREES,),
    )


def _forget_vanished(connection: Connection, run_no: int) -> None:
    """Forget tests that are gone, such as one that is named by the day: it is new if it returns.

    As long as a test is known, so is the run in which it passed, and every session compares
    that. A run that has as many results from a file as it collected there ran all of it.
    """
    connection.execute(
        """
        create or replace temp view whole as
        select run_no, file
        from collected join (
            select run_no, file, count(distinct node_no) as tests
            from results join tests using (test_no)
            group by run_no, file
        ) using (run_no, file, tests)
        """
    )
    if not connection.execute("select 1 from whole where run_no = $1 limit 1", (run_no,)):
        return
    connection.execute(
        """
        create or replace temp table alike as
        select runs.run_no
        from runs join runs as this on this.run_no = $1
        where runs.suite = this.suite and runs.environment is not distinct from this.environment
        """,
        (run_no,),
    )
    connection.execute(
        """
        create or replace temp table vanished as
        with latest as (
            select test_no, max(run_no) as run_no
            from dependencies
            where run_no in (from alike)
            group by test_no
        )
        select test_no
        from latest
            join tests using (test_no)
            join whole on whole.file = tests.file and whole.run_no > latest.run_no
            anti join results
                on results.run_no = whole.run_no and results.test_no = latest.test_no
        where whole.run_no in (from alike)
        group by test_no
        having count(*) >= $1
        """,
        (ABSENT,),
    )
    connection.execute(
        "delete from dependencies where test_no in (from vanished) and run_no in (from alike)"
    )


def merge(connection: Connection) -> None:
    """Copy what the attached history ``other`` knows of the runs in ``coming``.

    Sets are found by their keys, pieces by their names; numbers are ours.
    """
    connection.execute(
        """
        create or replace temp table lines as
        select
            'set' as type,
            sets.key,
            map_from_entries(list((file, names))) as sets,
            null::varchar as own,
            null::varchar as base
        from (
            select set_no, file, list(name) as names
            from (
                select set_no, unnest(pieces) as piece_no
                from other.sets
                where set_no in (
                    select unnest([own_no, base_no])
                    from other.dependencies as theirs join coming on coming.theirs = theirs.run_no
                )
            )
                join other.pieces using (piece_no)
            group by set_no, file
        )
            join other.sets as sets using (set_no)
        group by sets.key
        union all
        select 'set', key, map(), null, null
        from other.sets
        where len(pieces) = 0
        """
    )
    _take_sets(connection)
    connection.execute(
        """
        insert into run_files
        select coming.run_no, file, version
        from other.run_files as files join coming on coming.theirs = files.run_no
        """
    )
    connection.execute(
        """
        insert into collected
        select coming.run_no, file, tests
        from other.collected as files join coming on coming.theirs = files.run_no
        """
    )
    connection.execute(
        """
        insert into file_pieces
        select theirs.*
        from other.file_pieces as theirs
            anti join file_pieces as ours
                on ours.file = theirs.file and ours.version = theirs.version
        """
    )
    connection.execute(
        """
        insert into selections
        select selections.* replace (coming.run_no as run_no)
        from other.selections as selections join coming on coming.theirs = selections.run_no
        """
    )
    connection.execute(
        """
        create or replace temp table fresh as
        select tests.test_no, coming.run_no, own.set_no as own_no, base.set_no as base_no,
            theirs.doubt, theirs.globs
        from other.dependencies as theirs
            join coming on coming.theirs = theirs.run_no
            join other.tests as their_tests on their_tests.test_no = theirs.test_no
            join tests on tests.identity = their_tests.identity and tests.suite = their_tests.suite
            join other.sets as their_own on their_own.set_no = theirs.own_no
            join other.sets as their_base on their_base.set_no = theirs.base_no
            join sets as own on own.key = their_own.key
            join sets as base on base.key = their_base.key
        """
    )
    _add_tests(connection)
    _forget_old_files(connection)
    connection.wrote(
        "pieces", "sets", "dependencies", "run_files", "collected", "file_pieces", "selections"
    )


def forget_unused(connection: Connection) -> None:
    """Remove what no test that is left depends on."""
    connection.execute("delete from dependencies where test_no not in (select test_no from tests)")
    connection.execute(
        """
        delete from sets
        where set_no not in (select own_no from dependencies)
            and set_no not in (select base_no from dependencies)
        """
    )
    connection.execute(
        "delete from pieces where piece_no not in (select unnest(sets.pieces) from sets)"
    )
    _forget_old_files(connection)
    connection.wrote(
        "dependencies", "run_files", "collected", "file_pieces", "sets", "pieces", "selections"
    )


def _forget_old_files(connection: Connection) -> None:
    connection.execute(
        "delete from run_files where run_no not in (select run_no from dependencies)"
    )
    connection.execute(
        "delete from collected where run_no not in (select run_no from dependencies)"
    )
    connection.execute(
        """
        delete from file_pieces
        where (file, version) not in (select file, version from run_files where version is not null)
        """
    )


def runs_to_compare(
    connection: Connection, suite: str, environment: str
) -> list[tuple[int, str | None]]:
    """Return the runs that tests were last known to pass in: number and Python's version.

    Latest first. Rows of an untrusted run (a pull request's) never let a test be left out.
    """
    connection.read("runs", "dependencies")
    return [
        (number, python)
        for number, python in connection.execute(
            """
            select run_no, python
            from runs
            where suite = $1
                and environment = $2
                and trust is distinct from 'untrusted'
                and run_no in (select run_no from dependencies)
            order by run_no desc
            """,
            (suite, environment),
        )
    ]


def known_files(connection: Connection, runs: Sequence[int]) -> list[str]:
    """Return every file that one of these runs saw."""
    connection.read("run_files")
    return [
        file
        for (file,) in connection.execute(
            "select distinct file from run_files where list_contains($1::integer[], run_no)",
            (list(runs),),
        )
    ]


def parsed(connection: Connection) -> set[tuple[str, Version]]:
    """Return the Python files, by version, whose pieces are known."""
    connection.read("file_pieces")
    return {
        (file, version)
        for file, version in connection.execute("select file, version from file_pieces")
    }


def collected(connection: Connection, runs: Sequence[int]) -> list[tuple[int, str, int]]:
    """Return run, file, and how many tests the run collected from it."""
    connection.read("collected")
    return [
        (run_no, file, tests)
        for run_no, file, tests in connection.execute(
            "select run_no, file, tests from collected where list_contains($1::integer[], run_no)",
            (list(runs),),
        )
    ]


def differing(
    connection: Connection, runs: Sequence[int], now: Mapping[str, Version | None]
) -> list[tuple[int, str, Version | None, bool]]:
    """Return run, file, the version then, and whether the run saw the file at all.

    A file is listed where its version was another, or was used and is ``unstable``; and where
    the run did not know of it. A version of None, then or now, is one that nobody asked for.
    """
    connection.execute(
        """
        create or replace temp table now as
        select unnest($1::varchar[]) as file, unnest($2::varchar[]) as version
        """,
        (list(now), list(now.values())),
    )
    rows = connection.execute(
        """
        select run_files.run_no, file, run_files.version, true
        from run_files join now using (file)
        where list_contains($1::integer[], run_no)
            and run_files.version is not null
            and (run_files.version <> coalesce(now.version, 'absent')
                or run_files.version = 'unstable')
        union all
        select asked.run_no, now.file, null, false
        from (select unnest($1::integer[]) as run_no) as asked
            cross join now
            anti join run_files
                on run_files.run_no = asked.run_no and run_files.file = now.file
        where now.version is distinct from 'absent'
        order by 1, 2
        """,
        (list(runs),),
    )
    return [(run_no, file, version, bool(seen)) for run_no, file, version, seen in rows]


def pieces_at(
    connection: Connection, wanted: Iterable[tuple[str, Version]]
) -> dict[tuple[str, Version], Pieces]:
    """Return the pieces of Python files at old versions, where they are known."""
    pairs = list(wanted)
    connection.read("file_pieces")
    return {
        (file, version): Pieces(dict(zip(names, checksums, strict=True)), frozenset(inert or ()))
        for file, version, names, checksums, inert in connection.execute(
            """
            select file, version, names, checksums, inert
            from file_pieces
            where (file, version) in (
                select unnest($1::varchar[]), unnest($2::varchar[])
            )
            """,
            ([file for file, _ in pairs], [version for _, version in pairs]),
        )
    }


def reached(
    connection: Connection,
    suite: str,
    runs: Sequence[int],
    changed: Iterable[tuple[int, str, str | None]],
    conditional: Sequence[Conditional] = (),
) -> list[Reached]:
    """Return what a change does to every test that one of ``runs`` knows.

    ``changed`` are run, file and piece (None: all of the file's); they differ now from what
    that run saw.
    """
    connection.read("tests", "sets", "pieces", "dependencies")
    _stage_changed(connection, changed, conditional)
    return [
        Reached(
            identity,
            tuple(clean or ()),
            (file, name) if file is not None else None,
            bool(ran),
            tuple(doubt or ()),
            tuple(globs) if globs is not None else None,
        )
        for identity, clean, file, name, ran, doubt, globs in connection.execute(
            """
            with used as (
                select distinct own_no, base_no
                from dependencies
                where list_contains($2::integer[], run_no)
            ),
            parts as (
                select own_no, base_no, own_no as set_no from used
                union
                select own_no, base_no, base_no from used
            ),
            members as materialized (
                select set_no, unnest(pieces) as piece_no
                from sets
                where set_no in (select set_no from parts)
            ),
            hits as (
                select run_no, set_no, min(piece_no) as piece_no
                from members join changed_pieces using (piece_no)
                group by run_no, set_no
            ),
            partial_hits as materialized (
                select set_no, group_no, needed, min(piece_no) as piece_no
                from members join group_pieces using (piece_no)
                group by set_no, group_no, needed
            ),
            paired_sets as (
                select own_no, base_no, one.group_no, min(one.piece_no) as piece_no
                from parts
                    join partial_hits as one on one.set_no = parts.set_no and not one.needed
                    join (
                        select distinct own_no, base_no, group_no
                        from parts join partial_hits using (set_no)
                        where needed
                    ) as other using (own_no, base_no, group_no)
                group by all
            ),
            paired as (
                select run_no, test_no, own_no, base_no, min(piece_no) as piece_no
                from dependencies
                    join group_runs using (run_no)
                    join paired_sets using (own_no, base_no, group_no)
                group by all
            ),
            judged as (
                select
                    dependencies.test_no,
                    dependencies.run_no,
                    max(coalesce(own.piece_no, base.piece_no, paired.piece_no)) as piece_no,
                    bool_or(own.piece_no is not null) as ran,
                    flatten(list(dependencies.doubt)) as doubt,
                    any_value(dependencies.globs) as globs
                from dependencies
                    left join hits as own
                        on own.run_no = dependencies.run_no and own.set_no = dependencies.own_no
                    left join hits as base
                        on base.run_no = dependencies.run_no and base.set_no = dependencies.base_no
                    left join paired
                        on paired.run_no = dependencies.run_no
                        and paired.test_no = dependencies.test_no
                        and paired.own_no = dependencies.own_no
                        and paired.base_no = dependencies.base_no
                where list_contains($2::integer[], dependencies.run_no)
                group by dependencies.test_no, dependencies.run_no
            )
            select
                any_value(identity),
                list(run_no order by run_no desc) filter (piece_no is null),
                arg_max(pieces.file, run_no),
                arg_max(pieces.name, run_no),
                arg_max(ran, run_no),
                case
                    when bool_or(piece_no is null and len(doubt) = 0) then []
                    else flatten(list(doubt) filter (piece_no is null))
                end,
                arg_max(globs, run_no) filter (piece_no is null)
            from judged
                join tests using (test_no)
                left join pieces using (piece_no)
            where tests.suite = $1
            group by test_no
            order by test_no
            """,
            (suite, list(runs)),
        )
    ]


def shared_names(
    connection: Connection, suite: str, clean: Mapping[Identity, Sequence[int]]
) -> dict[Identity, frozenset[NodeId]]:
    """Return which parameters ran in these runs, of tests whose parameters share an identity.

    That one of them is known says nothing of another. One that is named by a memory address
    has another name in every run.
    """
    connection.read("tests", "nodes", "results")
    names: dict[Identity, set[NodeId]] = {}
    for identity, run_no, node_id in connection.execute(
        """
        with shared as (
            select test_no, identity
            from tests
            where suite = $1
                and (
                    identity like '%[%*%'
                    or test_no in (select test_no from nodes where contains(node_id, ' at 0x'))
                )
        )
        select distinct identity, run_no, node_id
        from shared join results using (test_no) join nodes using (node_no)
        """,
        (suite,),
    ):
        if identity in clean:
            found = names.setdefault(identity, set())
            if run_no in clean[identity]:
                found.add(node_id)
    return {identity: frozenset(found) for identity, found in names.items()}


def _stage_changed(
    connection: Connection,
    changed: Iterable[tuple[int, str, str | None]],
    conditional: Sequence[Conditional],
) -> None:
    """Put the changed pieces into ``changed_pieces``, those that need their module too apart.

    Many runs differ in the same: a group of pieces is told once, for all its runs.
    """
    groups: dict[tuple[str, frozenset[tuple[str, str]]], int] = {}
    runs: list[tuple[int, int]] = []
    for each in conditional:
        number = groups.setdefault((each.file, each.pieces), len(groups))
        runs.append((number, each.run_no))
    rows = [
        (number, *piece, needed)
        for (file, pieces), number in groups.items()
        for needed, those in ((True, [(file, "<module>")]), (False, pieces))
        for piece in those
    ]
    connection.execute(
        """
        create or replace temp table changed_pieces as
        select distinct run_no, piece_no
        from (
            select
                unnest($1::integer[]) as run_no,
                unnest($2::varchar[]) as file,
                unnest($3::varchar[]) as name
        ) as changes join pieces
            on pieces.file = changes.file
            and (changes.name is null or pieces.name = changes.name)
        """,
        _columns(list(changed), 3),
    )
    connection.execute(
        """
        create or replace temp table group_pieces as
        select distinct group_no, piece_no, needed
        from (
            select
                unnest($1::integer[]) as group_no,
                unnest($2::varchar[]) as file,
                unnest($3::varchar[]) as name,
                unnest($4::boolean[]) as needed
        ) join pieces using (file, name)
        """,
        _columns(rows, 4),
    )
    connection.execute(
        """
        create or replace temp table group_runs as
        select distinct unnest($1::integer[]) as group_no, unnest($2::integer[]) as run_no
        """,
        _columns(runs, 2),
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width


def verdicts(connection: Connection, suite: str) -> tuple[int, int, int, int, int]:
    """Return how selection would have done in full runs.

    Judged runs, failures, caught, escaped, and of the escaped those known to be flaky.
    """
    connection.read("selections", "runs")
    ((runs, failures, caught, escaped, unstable),) = connection.execute(
        """
        select
            count(*),
            coalesce(sum(failures), 0)::bigint,
            coalesce(sum(caught), 0)::bigint,
            coalesce(sum(escaped), 0)::bigint,
            coalesce(sum(unstable), 0)::bigint
        from selections join runs using (run_no)
        where suite = $1 and selections.mode = 'shadow'
        """,
        (suite,),
    )
    return int(runs), int(failures), int(caught), int(escaped), int(unstable)
