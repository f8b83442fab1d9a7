"""What tests depended on, taken from run files: asked in ``affected.py``.

A test has two sets of pieces (``own`` and ``base``), a run has a version for every file, a
Python file has pieces at every version.
"""

from __future__ import annotations

from pytest_aqe.data import FAILING, PARTS, SKIPPED
from pytest_aqe.history import codes
from pytest_aqe.history.queries import ever_failed
from pytest_aqe.history.store import Connection

KEPT_TREES = 4  # different trees a test is remembered on: a branch and back costs no run
ABSENT = 2  # runs of all of its file that did not have a test, after which it is forgotten
_FAILING = ", ".join(f"'{outcome}'" for outcome in sorted(FAILING))


def take(connection: Connection, run_no: int, prefix: str, suite: str) -> None:
    """Fold what the temporary table ``lines`` says of dependencies into the tables."""
    ((tracked, judged),) = connection.execute(
        """
        select
            count(*) filter (own is not null or type = 'clean'),
            count(*) filter (type = 'selection')
        from lines
        """
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
        _take_clean(connection, run_no)
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
            case
                when min(entry.value) filter (type = 'files')
                    <> max(entry.value) filter (type = 'files')
                then 'unstable'
                else coalesce(max(entry.value) filter (type = 'files'), max(entry.value))
            end
        from (
            select type, unnest(map_entries(files)) as entry
            from lines
            where type in ('files', 'clean')
        )
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
    """Remember the tests that passed; several parameters may share an identity.

    And those whose skip is settled. Any other skipped test may run tomorrow, or elsewhere.
    """
    connection.execute(
        f"""
        create or replace temp table fresh as
        with attempts as (
            select
                coalesce(identity, $2 || node_id) as identity,
                arg_max(
                    struct_pack(
                        unknown := outcome in ({_FAILING})
                            or (outcome = 'skipped' and not list_contains(coalesce(doubt, []), $4)),
                        own := own,
                        base := base,
                        doubt := coalesce(doubt, []),
                        globs := globs
                    ),
                    coalesce(attempt, 0)
                ) as last
            from lines
            where type = 'result'
            group by identity, node_id
        )
        select distinct
            tests.test_no,
            $1::integer as run_no,
            $1::integer as ran_no,
            own.set_no as own_no,
            base.set_no as base_no,
            last.doubt as doubt,
            last.globs as globs
        from attempts
            join tests on tests.identity = attempts.identity and tests.suite = $3
            left join sets as own on own.key = last.own
            left join sets as base on base.key = last.base
        qualify not bool_or(last.unknown or own_no is null or base_no is null) over (
            partition by tests.test_no
        )
        """,
        (run_no, prefix, suite, SKIPPED),
    )
    if connection.execute("select 1 from lines where type = 'amended' limit 1"):
        _amend(connection)
    connection.read("runs", "tests")
    _add_tests(connection)


def _amend(connection: Connection) -> None:
    """Let ``fresh`` depend on what tore shared fixtures down when its tests had ended."""
    connection.execute(
        """
        update fresh
        set own_no = amended.new_no, doubt = list_distinct(list_concat(fresh.doubt, amended.doubt))
        from (
            select
                old.set_no as old_no,
                arg_max(new.set_no, len(new.pieces)) as new_no,
                flatten(list(entry.value[2:])) as doubt
            from (select unnest(map_entries(sets)) as entry from lines where type = 'amended')
                join sets as old on old.key = entry.key
                join sets as new on new.key = entry.value[1]
            group by old.set_no
        ) as amended
        where fresh.own_no = amended.old_no
        """
    )


def _add_tests(connection: Connection) -> None:
    """Add ``fresh`` to the dependencies; each test keeps its latest runs on different trees.

    A test that was skipped and now passes, or the other way round, is known by the later alone:
    in the run in which it was skipped it did not use what it uses.
    """
    connection.execute("insert into dependencies by name from fresh")
    skipped = "select 1 from dependencies where list_contains(doubt, $1) limit 1"
    if connection.execute(skipped, (SKIPPED,)):
        connection.execute(
            """
            delete from dependencies
            where (test_no, run_no) in (
                select test_no, run_no
                from (
                    select
                        test_no, environment, run_no,
                        bool_and(list_contains(doubt, $1)) as skipped
                    from dependencies join runs using (run_no)
                    where test_no in (select test_no from fresh)
                    group by all
                )
                qualify skipped <> first_value(skipped) over (
                    partition by test_no, environment order by run_no desc
                )
            )
            """,
            (SKIPPED,),
        )
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


def _take_clean(connection: Connection, run_no: int) -> None:
    """Let tests that the run left out be known since it, and no longer since an earlier one.

    Nothing of them had changed in between, so the two runs say the same of them; and the fewer
    runs there are to compare, the sooner the next session decides. Where a file was edited after
    that had been decided, the run saw another: who uses it stays where it is, and so does who
    cannot be followed and may use any. Where a module appeared, who had looked for it may be
    anybody.
    """
    if not connection.execute("select 1 from lines where type = 'clean' limit 1"):
        return
    connection.execute(
        """
        create or replace temp table clean as
        select tests.test_no, earlier.run_no
        from (
            select entry.key as run_id, unnest(entry.value) as identity
            from (select unnest(map_entries(since)) as entry from lines where type = 'clean')
        ) as left_out
            join runs as earlier using (run_id)
            join runs as this
                on this.run_no = $1
                and this.suite = earlier.suite
                and this.environment = earlier.environment
                and this.trust is distinct from 'untrusted'
            join tests on tests.identity = left_out.identity and tests.suite = this.suite
        """,
        (run_no,),
    )
    ((edited, appeared),) = connection.execute(
        """
        select
            coalesce(list(file) filter (version <> decided_by.value), []),
            count(*) filter (decided_by.key is null and version <> 'absent' and file like '%.py')
        from run_files
            left join (
                select entry.key, entry.value
                from (select unnest(map_entries(files)) as entry from lines where type = 'clean')
            ) as decided_by on file = decided_by.key
        where run_no = $1
        """,
        (run_no,),
    )
    if appeared:
        return
    if edited:
        connection.execute(
            """
            delete from clean
            where (test_no, run_no) in (
                select test_no, run_no
                from dependencies join sets on set_no in (own_no, base_no)
                where globs is not null
                    or doubt not in ([], [$2])
                    or list_has_any(
                        sets.pieces,
                        (
                            select coalesce(list(piece_no), [])
                            from pieces
                            where list_contains($1::varchar[], file)
                        )
                    )
            )
            """,
            (edited, SKIPPED),
        )
    connection.execute(
        """
        update dependencies set run_no = $1
        from clean
        where dependencies.test_no = clean.test_no and dependencies.run_no = clean.run_no
        """,
        (run_no,),
    )


def _forget_vanished(connection: Connection, run_no: int) -> None:
    """Forget tests that are gone, such as one that is named by the day: it is new if it returns.

    As long as a test is known, so is the run in which it passed, and every session compares
    that. A run that has as many results from a file as it collected there ran all of it.
    """
    connection.execute(
        """
        create or replace temp table alike as
        select runs.run_no
        from runs join runs as this on this.run_no = $1
        where runs.suite = this.suite and runs.environment is not distinct from this.environment
        """,
        (run_no,),
    )
    left_behind = """
        select 1
        from dependencies
        where run_no in (from alike)
        group by test_no
        having max(run_no) < $1
        limit 1
    """
    if not connection.execute(left_behind, (run_no,)):
        return  # the usual case: each test is known since this run
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
        select tests.test_no, coming.run_no, ran.run_no as ran_no, own.set_no as own_no,
            base.set_no as base_no, theirs.doubt, theirs.globs
        from other.dependencies as theirs
            join coming on coming.theirs = theirs.run_no
            join other.runs as their_ran on their_ran.run_no = theirs.ran_no
            join runs as ran on ran.run_id = their_ran.run_id
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
