"""The code that a test ran, as a name: the same as long as nothing that it uses has changed.

A fingerprint of what a run of the test touched would differ between a pass and a failure, which
stops half-way. So a result takes the name of the latest run in which the test passed and since
which no piece that it then used has changed; only where there is none it gets a name of its own,
from what its files are now. Where something could not be followed, there is no name.
"""

from __future__ import annotations

from pytest_aqe.data import ALWAYS
from pytest_aqe.history.store import Connection


def fill(connection: Connection, run_no: int, prefix: str, suite: str) -> None:
    """Name the code of a run's results, from the temporary table ``lines``.

    The run's files must be in already, its dependencies must not.
    """
    _stage_followed(connection, run_no, prefix, suite)
    if not connection.execute("select 1 from followed limit 1"):
        return
    _find_changed(connection, run_no)
    connection.execute(
        """
        create or replace temp table codes as
        with hits as (
            select distinct run_no, set_no
            from (
                select set_no, unnest(pieces) as piece_no
                from sets
                where set_no in (select unnest([own_no, base_no]) from earlier)
            )
                join changed_pieces using (piece_no)
        ),
        clean as (
            select test_no, ran_no
            from earlier
                anti join hits as own
                    on own.run_no = earlier.run_no and own.set_no = earlier.own_no
                anti join hits as base
                    on base.run_no = earlier.run_no and base.set_no = earlier.base_no
        ),
        named as (
            select clean.test_no, arg_max(code, ran_no) as code
            from clean join results on results.test_no = clean.test_no and run_no = ran_no
            where code is not null
            group by clean.test_no
        ),
        unnamed as (from followed where test_no not in (select test_no from named)),
        contents as (
            select set_no, string_agg(file || version, ' ' order by file) as content
            from (
                select distinct set_no, file
                from (
                    select set_no, unnest(pieces) as piece_no
                    from sets
                    where set_no in (select unnest([own_no, base_no]) from unnamed)
                )
                    join pieces using (piece_no)
            )
                join run_files using (file)
            where run_no = $1 and version is not null
            group by set_no
        ),
        fresh as (
            select test_no, md5(concat_ws(' ', own, base, one.content, other.content))[:16] as code
            from unnamed
                left join contents as one on one.set_no = own_no
                left join contents as other on other.set_no = base_no
            where coalesce(one.content, other.content) is not null
        )
        select test_no, coalesce(named.code, fresh.code) as code
        from followed
            left join named using (test_no)
            left join fresh using (test_no)
        """,
        (run_no,),
    )
    connection.execute(
        """
        update results set code = codes.code
        from codes
        where results.run_no = $1 and results.test_no = codes.test_no
        """,
        (run_no,),
    )
    connection.read("dependencies", "sets", "pieces", "run_files", "file_pieces", "runs")
    connection.wrote("results")


def _stage_followed(connection: Connection, run_no: int, prefix: str, suite: str) -> None:
    """Put this run's tests without a doubt into ``followed``, and their passes into ``earlier``."""
    connection.execute(
        """
        create or replace temp table followed as
        select
            test_no,
            max(own_sets.set_no) as own_no,
            max(base_sets.set_no) as base_no,
            max(own) as own,
            max(lines.base) as base
        from lines
            join tests
                on tests.identity = coalesce(lines.identity, $1 || node_id) and tests.suite = $2
            join sets as own_sets on own_sets.key = lines.own
            join sets as base_sets on base_sets.key = lines.base
        where type = 'result'
        group by test_no
        having not bool_or(
            len(coalesce(doubt, [])) > list_contains(coalesce(doubt, []), $3)::integer
        )
        """,
        (prefix, suite, ALWAYS),
    )
    connection.execute(
        """
        create or replace temp table earlier as
        select distinct dependencies.test_no, run_no, ran_no, own_no, base_no
        from dependencies join runs using (run_no)
        where dependencies.test_no in (select test_no from followed)
            and environment is not distinct from (
                select environment from runs where run_no = $1
            )
        """,
        (run_no,),
    )


def _find_changed(connection: Connection, run_no: int) -> None:
    """Put the pieces that differ from what an earlier run saw into ``changed_pieces``.

    A file that this run did not look at is another one where the tree is: a test that stops
    early has not seen what it stopped for.
    """
    connection.execute(
        """
        create or replace temp table changed_pieces as
        with compared as (select distinct run_no from earlier),
        now as (select file, version from run_files where run_no = $1),
        moved as (
            select
                compared.run_no,
                coalesce(
                    earlier.tree <> this.tree,
                    true
                ) as moved
            from compared
                join runs as earlier on earlier.run_no = compared.run_no
                join runs as this on this.run_no = $1
        ),
        differing as (
            select
                earlier.run_no,
                file,
                earlier.version as before,
                coalesce(now.version, 'unseen') as after
            from run_files as earlier
                join moved using (run_no)
                left join now using (file)
            where earlier.version is not null
                and case
                    when now.version is null then moved
                    else earlier.version <> now.version or now.version = 'unstable'
                end
        ),
        pairs as (select distinct file, before, after from differing),
        contents as (
            select file, before, after, unnest(names) as name, unnest(checksums) as checksum
            from pairs join file_pieces using (file)
            where file_pieces.version in (before, after)
        ),
        changed as (
            select file, before, after, name
            from contents
            group by all
            having count(*) < 2 or min(checksum) <> max(checksum)
        ),
        unknown as (
            select pairs.file, before, after
            from pairs
                left join file_pieces as old
                    on old.file = pairs.file and old.version = pairs.before
                left join file_pieces as new
                    on new.file = pairs.file and new.version = pairs.after
            where old.version is null or new.version is null
        )
        select run_no, piece_no
        from differing
            join changed using (file, before, after)
            join pieces using (file, name)
        union all
        select run_no, piece_no
        from differing
            join unknown using (file, before, after)
            join pieces using (file)
        """,
        (run_no,),
    )
