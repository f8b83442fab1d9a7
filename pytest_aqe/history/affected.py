"""Which tests a change reaches, by what they depended on: asked by selection.

Sets hold names, not contents, so they stay the same from run to run; what differs between a
run and now are a few files, and in them a few pieces. Which tests that reaches is a join.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_aqe.data import SKIPPED, Depends, Identity, NodeId, Pieces, Version
from pytest_aqe.history.store import Connection


class Conditional(NamedTuple):
    """Pieces that matter only to tests that also depend on the module of ``file``."""

    run_no: int
    file: str
    pieces: frozenset[tuple[str, str]]


class Usable(NamedTuple):
    """A run that says what tests depend on; ``newest`` where it is the latest to know of one."""

    run_no: int
    run_id: str
    python: str | None
    newest: bool


class Reached(NamedTuple):
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


def runs_to_compare(connection: Connection, suite: str, environment: str) -> list[Usable]:
    """Return the runs that tests were last known to pass in, latest first.

    Rows of an untrusted run (a pull request's) never let a test be left out.
    """
    connection.read("runs", "dependencies")
    return [
        Usable(*row)
        for row in connection.execute(
            """
            with usable as (
                select
                    run_no,
                    run_id,
                    python,
                    max(run_no) over (partition by test_no, python) as newest
                from runs join dependencies using (run_no)
                where suite = $1
                    and environment = $2
                    and trust is distinct from 'untrusted'
            )
            select run_no, any_value(run_id), any_value(python), bool_or(run_no = newest)
            from usable
            group by run_no
            order by run_no desc
            """,
            (suite, environment),
        )
    ]


def versions(
    connection: Connection, runs: Sequence[int], files: Collection[str]
) -> list[tuple[int, str, Version | None]]:
    """Return run, file and version: 'absent' too where a run knows nothing of a file."""
    connection.read("run_files")
    return [
        (run_no, file, version)
        for run_no, file, version in connection.execute(
            """
            select
                asked.run_no,
                named.file,
                case when run_files.file is null then 'absent' else run_files.version end
            from (select unnest($1::integer[]) as run_no) as asked
                cross join (select unnest($2::varchar[]) as file) as named
                left join run_files
                    on run_files.run_no = asked.run_no and run_files.file = named.file
            """,
            (list(runs), list(files)),
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


def used_files(connection: Connection, suite: str) -> set[str]:
    """Return the files that some run of a suite used, whatever they were then."""
    connection.read("run_files", "runs")
    return {
        file
        for (file,) in connection.execute(
            """
            select distinct file
            from run_files join runs using (run_no)
            where suite = $1 and version <> 'absent'
            """,
            (suite,),
        )
    }


def opened(connection: Connection) -> list[str]:
    """Return the files that some test has read, rather than run."""
    connection.read("pieces")
    return [
        file for (file,) in connection.execute("select distinct file from pieces where name = ''")
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


def files_using(connection: Connection, suite: str, modules: Collection[str]) -> set[str]:
    """Return the files of the tests that depend on one of these modules."""
    connection.read("tests", "sets", "pieces", "dependencies")
    return {
        file
        for (file,) in connection.execute(
            """
            with used as (
                select set_no
                from sets
                where list_has_any(
                    pieces,
                    (
                        select coalesce(list(piece_no), [])
                        from pieces
                        where list_contains($2::varchar[], file)
                    )
                )
            )
            select distinct tests.file
            from tests join dependencies using (test_no)
            where suite = $1 and (own_no in (from used) or base_no in (from used))
            """,
            (suite, list(modules)),
        )
    }


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


# Pieces that matter to who also used their module: most changes have none, and to plan this
# takes longer than to run it.
_PAIRED = """
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
"""
_WITH_PAIRED = """
left join paired
    on paired.run_no = dependencies.run_no
    and paired.test_no = dependencies.test_no
    and paired.own_no = dependencies.own_no
    and paired.base_no = dependencies.base_no
"""


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
    paired, with_paired, pieces = "", "", "own.piece_no, base.piece_no"
    if conditional:
        paired, with_paired, pieces = _PAIRED, _WITH_PAIRED, f"{pieces}, paired.piece_no"
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
            f"""
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
            {paired}
            judged as (
                select
                    dependencies.test_no,
                    dependencies.run_no,
                    max(coalesce({pieces})) as piece_no,
                    bool_or(own.piece_no is not null) as ran,
                    flatten(list(dependencies.doubt)) as doubt,
                    any_value(dependencies.globs) as globs
                from dependencies
                    left join hits as own
                        on own.run_no = dependencies.run_no and own.set_no = dependencies.own_no
                    left join hits as base
                        on base.run_no = dependencies.run_no and base.set_no = dependencies.base_no
                    {with_paired}
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


def carried(
    connection: Connection, suite: str, clean: Mapping[Identity, int]
) -> dict[Identity, Depends]:
    """Return what tests depended on in these runs, of those that have one answer.

    Several parameters that share an identity may have several. One that was skipped has none: if
    it runs after all, it depends on more.
    """
    connection.read("tests", "dependencies", "sets")
    return {
        identity: Depends(own, base, tuple(doubt))
        for identity, own, base, doubt in connection.execute(
            """
            select identity, any_value(own.key), any_value(base.key), any_value(doubt)
            from (select unnest($2::varchar[]) as identity, unnest($3::integer[]) as run_no)
                join tests using (identity)
                join dependencies using (test_no, run_no)
                join sets as own on own.set_no = own_no
                join sets as base on base.set_no = base_no
            where suite = $1 and not list_contains(doubt, $4)
            group by identity
            having count(*) = 1
            """,
            (suite, list(clean), list(clean.values()), SKIPPED),
        )
    }


def shared_names(
    connection: Connection, suite: str, clean: Mapping[Identity, Sequence[int]]
) -> dict[Identity, frozenset[NodeId]]:
    """Return which parameters ran in these runs, of tests whose parameters share an identity.

    That one of them is known says nothing of another. One that is named by a memory address
    has another name in every run.
    """
    connection.read("tests", "nodes", "results", "dependencies")
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
        select distinct identity, dependencies.run_no, node_id
        from shared
            join dependencies using (test_no)
            left join results on results.test_no = shared.test_no and results.run_no = ran_no
            left join nodes using (node_no)
        """,
        (suite,),
    ):
        if identity in clean:
            found = names.setdefault(identity, set())
            if run_no in clean[identity] and node_id is not None:
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
    if not conditional:
        return
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
