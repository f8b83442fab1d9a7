"""What tests depended on, through the tables: kept when it is known, and asked by a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pytest_aqe.data import PARTS, Depends, Outcome, Pieces, Result, Run, RunEnd, Selection
from pytest_aqe.history import affected, dependencies, merging, retention, runfile, writes
from pytest_aqe.history.affected import Conditional, Reached
from pytest_aqe.history.dependencies import ABSENT, KEPT_TREES
from pytest_aqe.history.store import Connection, open_history

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
LINUX = "cpython3.12-linux"

# The sets of every history here: what test_one and test_two run, and their module.
SETS = {
    "own1": {"a.py": ["one"]},
    "own2": {"a.py": ["one", "two"], "data.json": [""]},
    "base": {"a.py": ["<module>"], "t.py": ["<module>"]},
}
FILES = {"a.py": "a1", "t.py": "t1", "data.json": "d1", "b.py": None}
CLEAN_BY = {"a.py": "a1", "t.py": "t1", "data.json": "d1"}


def followed(
    name: str = "test_one", outcome: Outcome = "passed", own: str | None = "own1", **more: Any
) -> Result:
    """Return a result that was followed, unless ``own`` is None."""
    doubt, globs = more.pop("doubt", ()), more.pop("globs", None)
    depends = Depends(own, "base", doubt, globs) if own is not None else None
    return Result(f"t.py::{name}", outcome, call=1.0, depends=depends, **more)


BOTH = (followed("test_one"), followed("test_two", own="own2"))


def record(
    folder: Path,
    day: int,
    results: Iterable[Result] = BOTH,
    *,
    files: Sequence[Mapping[str, str | None]] = (FILES,),
    sets: Mapping[str, Mapping[str, Sequence[str]]] = SETS,
    pieces: Sequence[tuple[str, str, Mapping[str, str]]] = (),
    selection: Selection | None = None,
    collected: Mapping[str, int] | None = None,
    clean: Mapping[str, Sequence[str]] | None = None,
    by: Mapping[str, str] = CLEAN_BY,
    amended: Sequence[Mapping[str, Sequence[str]]] = (),
    killed: bool = False,
    **run: Any,
) -> Path:
    """Leave a run file as a session of that day would."""
    started = (START + timedelta(days=day)).isoformat()
    given = {"environment": LINUX, "python": "3.12.1", "tree": f"tree{day}", **run}
    writer = runfile.RunFileWriter(folder, Run(run_id=f"r{day}", started_at=started, **given))
    for each in files:
        writer.append_files(each)
    for key, content in sets.items():
        writer.append_set(key, content)
    for result in results:
        writer.append(result)
    for file, version, checksums in pieces:
        writer.append_pieces(file, version, checksums, inert=())
    for each in amended:
        writer.append_amended(each)
    if collected is not None:
        writer.append_collected(collected)
    if clean is not None:
        writer.append_clean({run: [f"t.py::{name}" for name in clean[run]] for run in clean}, by)
    if selection is not None:
        writer.append_selection(selection)
    end = RunEnd(started, "complete", 0, 2, 0, 2)
    writer.close(end)
    if killed:
        lines = writer.path.read_bytes().splitlines(keepends=True)
        writer.path.write_bytes(b"".join(lines[:-1]) + lines[-1][:9])
    return writer.path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / "history.duckdb"


def rows(history: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_history(history, write=False) as connection:
        return connection.execute(sql)


def known(history: Path, columns: str = "identity") -> list[Any]:
    """Return columns of what is known, sorted; a single column bare."""
    found = rows(
        history,
        f"select distinct {columns} from dependencies join tests using (test_no) "
        "join runs using (run_no) order by all",
    )
    return [row[0] if len(row) == 1 else row for row in found]


def reached(
    connection: Connection,
    *changed: tuple[int, str, str | None],
    runs: Sequence[int] = (1,),
    conditional: Sequence[Conditional] = (),
) -> dict[str, Reached]:
    """Return what a change does to each test, by name."""
    found = affected.reached(connection, "", runs, changed, conditional)
    return {each.identity.partition("::")[2]: each for each in found}


class TestTake:
    def test_a_test_that_passed_is_known(self, history: Path) -> None:
        """With its sets, its doubts and what narrows them."""
        record(history.parent, 0, [followed(doubt=("subprocess", "thread"), globs=("*.json",))])
        writes.remember(history)
        assert known(history, "identity, doubt, globs") == [
            ("t.py::test_one", ["subprocess", "thread"], ["*.json"])
        ]

    def test_sets_are_interned(self, history: Path) -> None:
        """However often a set is used, and in however many runs, it is there once."""
        for day in range(3):
            record(history.parent, day, [followed(f"test_{n}") for n in range(5)])
        writes.remember(history)
        assert rows(history, "select key, len(pieces) from sets order by key") == [
            ("base", 2),
            ("own1", 1),
            ("own2", 3),
        ]
        assert rows(history, "select count(*), count(distinct (file, name)) from pieces") == [
            (5, 5)
        ]
        assert rows(history, "select count(distinct own_no) from dependencies") == [(1,)]

    def test_a_set_has_what_is_in_its_parts(self, history: Path) -> None:
        """Each of them once; a part that is no test's own is no row, and may come again."""
        parts = {
            "own1": {"a.py": ["one"], PARTS: ["lazy", "own2"]},
            "own2": {"b.py": ["two"], "a.py": ["one"]},
            "lazy": {"b.py": ["<module>"], "c.py": [""]},
            "base": {PARTS: ["lazy"]},
        }
        record(history.parent, 0, [followed()], sets=parts)
        again = {**parts, "own3": {PARTS: ["lazy", "gone"]}}
        results = [followed(), followed("test_three", own="own3"), followed("test_4", own="own2")]
        record(history.parent, 1, results, sets=again)
        writes.remember(history)
        found = rows(
            history,
            """
            select key, list(file || '::' || name order by file, name)
            from (select key, unnest(pieces) as piece_no from sets) join pieces using (piece_no)
            group by key order by key
            """,
        )
        lazy = ["b.py::<module>", "c.py::"]
        assert found == [
            ("base", lazy),
            ("own1", ["a.py::one", "b.py::<module>", "b.py::two", "c.py::"]),
            ("own2", ["a.py::one", "b.py::two"]),
            ("own3", lazy),
        ]

    def test_an_empty_set_is_a_set(self, history: Path) -> None:
        """A test that runs nothing of the project is known too."""
        record(history.parent, 0, [followed(own="none")], sets={**SETS, "none": {}})
        writes.remember(history)
        assert known(history) == ["t.py::test_one"]
        with open_history(history, write=False) as connection:
            assert reached(connection, (1, "a.py", "one"))["test_one"].clean == (1,)

    @pytest.mark.parametrize("outcome", ["failed", "error", "skipped", "crashed"])
    def test_who_did_not_pass_is_never_known(self, history: Path, outcome: Outcome) -> None:
        """What it depends on in order to pass nobody has seen."""
        record(history.parent, 0, [followed("test_one", outcome), followed("test_two")])
        writes.remember(history)
        assert known(history) == ["t.py::test_two"]

    @pytest.mark.parametrize("outcome", ["passed", "xfailed", "xpassed"])
    def test_who_did_as_expected_is_known(self, history: Path, outcome: Outcome) -> None:
        """An expected failure is no failure."""
        record(history.parent, 0, [followed("test_one", outcome)])
        writes.remember(history)
        assert known(history) == ["t.py::test_one"]

    def test_the_last_attempt_counts(self, history: Path) -> None:
        """A test that passed when it was tried again is known, one that failed then is not."""
        record(
            history.parent,
            0,
            [
                followed("test_one", "failed", own="own1"),
                followed("test_one", "passed", own="own2", attempt=1),
                followed("test_two", "passed", own="own1"),
                followed("test_two", "failed", own="own1", attempt=1),
            ],
        )
        writes.remember(history)
        assert known(history) == ["t.py::test_one"]
        assert rows(history, "select key from dependencies join sets on set_no = own_no") == [
            ("own2",)
        ]

    def test_parameters_that_share_an_identity(self, history: Path) -> None:
        """They are known together, by all their sets; one that failed makes all unknown."""
        shared = {"identity": "t.py::test_x[x*]"}
        record(
            history.parent,
            0,
            [followed("test_x[x0]", **shared), followed("test_x[x1]", own="own2", **shared)],
        )
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert reached(connection, (1, "data.json", ""))["test_x[x*]"].clean == ()
        record(
            history.parent,
            1,
            [
                followed("test_x[x0]", **shared),
                followed("test_x[x1]", "failed", own="own2", **shared),
            ],
        )
        writes.remember(history)
        assert known(history, "run_id") == ["r0"]

    def test_who_was_not_followed_is_not_known(self, history: Path) -> None:
        """A result without sets, or with a set that was never told, says nothing."""
        record(
            history.parent,
            0,
            [
                followed("test_one", own=None),
                followed("test_two", own="lost"),
                followed("test_three"),
            ],
        )
        writes.remember(history)
        assert known(history) == ["t.py::test_three"]

    def test_an_edit_meanwhile(self, history: Path) -> None:
        """A file of which a run saw two versions is unstable."""
        record(history.parent, 0, files=[FILES, {"a.py": "a2"}, {"t.py": "t1"}])
        writes.remember(history)
        assert dict(rows(history, "select file, version from run_files")) == {
            **FILES,
            "a.py": "unstable",
        }

    def test_no_more_than_the_latest_trees(self, history: Path) -> None:
        """Of more different trees the oldest is forgotten, with all that only it referred to."""
        days = KEPT_TREES + 2
        for day in range(days):
            record(history.parent, day, files=[{**FILES, "a.py": f"a{day}"}])
        writes.remember(history)
        kept = [f"r{day}" for day in range(days - KEPT_TREES, days)]
        assert known(history, "run_id") == kept
        assert [
            version
            for (version,) in rows(
                history, "select version from run_files where file = 'a.py' order by run_no"
            )
        ] == [f"a{day}" for day in range(days - KEPT_TREES, days)]

    def test_one_tree_counts_once(self, history: Path) -> None:
        """Running the same code again pushes no other tree out."""
        record(history.parent, 0)
        for day in range(1, KEPT_TREES + 3):
            record(history.parent, day, tree="again")
        writes.remember(history)
        assert known(history, "run_id") == ["r0", f"r{KEPT_TREES + 2}"]

    def test_a_test_that_is_gone(self, history: Path) -> None:
        """What runs of all of its file did not have is forgotten, with its run."""
        record(history.parent, 0)
        for day in range(1, ABSENT + 1):
            writes.remember(history)
            assert known(history) == ["t.py::test_one", "t.py::test_two"]
            record(history.parent, day, BOTH[:1], collected={"t.py": 1}, tree="same")
        writes.remember(history)
        assert known(history) == ["t.py::test_one"]

    @pytest.mark.parametrize(
        "seen",
        [
            {"collected": {"t.py": 2}},
            {"collected": {"other.py": 1}},
            {"collected": None},
            {"collected": {"t.py": 1}, "environment": "cpython3.12-win32"},
            {"collected": {"t.py": 1}, "suite": "nightly"},
        ],
    )
    def test_a_test_that_may_be_there(self, history: Path, seen: Any) -> None:
        """It was left out, or the run had nothing to do with it."""
        record(history.parent, 0)
        for day in range(1, ABSENT + 2):
            record(history.parent, day, BOTH[:1], tree="same", **seen)
        writes.remember(history)
        assert "t.py::test_two" in known(history)

    def test_a_test_that_fails_is_there(self, history: Path) -> None:
        """It keeps what is known of its passes."""
        record(history.parent, 0)
        for day in range(1, ABSENT + 2):
            failing = (BOTH[0], followed("test_two", "failed", own="own2"))
            record(history.parent, day, failing, collected={"t.py": 2})
        writes.remember(history)
        assert known(history, "identity, run_id")[-1] == ("t.py::test_two", "r0")

    def test_what_was_torn_down_when_a_test_had_ended(self, history: Path) -> None:
        """It is its own as well, of one fixture after the other; others keep what they have."""
        sets = {**SETS, "own3": {"a.py": ["one", "close"]}, "own4": {"a.py": ["one", "close", "x"]}}
        amended = [{"own1": ["own4", "fork"]}, {"own1": ["own3", "subprocess"]}]
        record(history.parent, 0, sets=sets, amended=amended)
        writes.remember(history)
        assert rows(
            history,
            "select identity, key, list_sort(doubt) from dependencies join tests using (test_no) "
            "join sets on set_no = own_no order by identity",
        ) == [
            ("t.py::test_one", "own4", ["fork", "subprocess"]),
            ("t.py::test_two", "own2", []),
        ]

    def test_a_killed_run(self, history: Path) -> None:
        """What had ended before the kill is known, as if it had been a run of that."""
        record(history.parent, 0, [followed("test_one")], killed=True)
        writes.remember(history)
        assert known(history, "identity, status") == [("t.py::test_one", "killed")]

    def test_shards(self, history: Path) -> None:
        """What each of two shards ran is known by its own run."""
        record(history.parent, 0, BOTH[:1], tree="same")
        record(history.parent, 1, BOTH[1:], tree="same")
        writes.remember(history)
        assert known(history, "identity, run_id") == [
            ("t.py::test_one", "r0"),
            ("t.py::test_two", "r1"),
        ]
        with open_history(history, write=False) as connection:
            found = reached(connection, (1, "a.py", "one"), runs=(2, 1))
        assert {name: each.clean for name, each in found.items()} == {
            "test_one": (),
            "test_two": (2,),
        }

    def test_taking_a_file_twice_changes_nothing(self, history: Path) -> None:
        """A copy of a run file that is known adds no row."""
        path = record(history.parent, 0)
        path.with_name("copy.jsonl").write_bytes(path.read_bytes())
        writes.remember(history)
        assert rows(history, "select count(*) from dependencies") == [(2,)]
        assert rows(history, "select count(*) from run_files") == [(len(FILES),)]

    def test_verdicts(self, history: Path) -> None:
        """Full runs are counted, selected ones are not, suites are kept apart."""
        verdict = Selection("shadow", 10, 3, None, None, 4, 3, 1, 1)
        record(history.parent, 0, selection=verdict)
        record(history.parent, 1, selection=verdict)
        record(history.parent, 2, selection=Selection("select", 9, 1, None, None, 1, 0, 1, 0))
        record(history.parent, 3, selection=verdict, suite="other")
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert dependencies.verdicts(connection, "") == (2, 8, 6, 2, 2)
            assert dependencies.verdicts(connection, "none") == (0, 0, 0, 0, 0)


class TestLeftOut:
    """A run that left a test out, because nothing of it had changed, takes the earlier's place."""

    def test_it_is_known_since_then(self, history: Path) -> None:
        """With the files as they were there, also those that only it depends on."""
        record(history.parent, 0)
        files = {"a.py": "a1", "t.py": "t1", "b.py": None, "data.json": None}
        record(history.parent, 1, BOTH[:1], files=[files], clean={"r0": ["test_two"]})
        writes.remember(history)
        assert known(history, "identity, run_id") == [
            ("t.py::test_one", "r0"),
            ("t.py::test_one", "r1"),
            ("t.py::test_two", "r1"),
        ]
        versions = rows(history, "select file, version from run_files where run_no = 2")
        assert dict(versions) == {**CLEAN_BY, "b.py": None}
        assert rows(history, "select ran_no from dependencies order by all") == [(1,), (1,), (2,)]

    def test_the_run_that_nothing_is_known_since_goes(self, history: Path) -> None:
        """There is one run to compare, however many sessions were selected."""
        record(history.parent, 0)
        for day in range(1, KEPT_TREES + 2):
            record(history.parent, day, [], clean={f"r{day - 1}": ["test_one", "test_two"]})
        writes.remember(history)
        assert known(history, "run_id") == [f"r{KEPT_TREES + 1}"]
        assert rows(history, "select distinct run_no from run_files") == [(KEPT_TREES + 2,)]

    def test_what_it_was_on_another_branch_stays(self, history: Path) -> None:
        """Only the run since which it is clean gives way."""
        record(history.parent, 0)
        record(history.parent, 1)
        for day in range(2, KEPT_TREES + 4):
            record(
                history.parent, day, [], clean={"r1" if day == 2 else f"r{day - 1}": ["test_one"]}
            )
        writes.remember(history)
        assert known(history, "identity, run_id")[:2] == [
            ("t.py::test_one", "r0"),
            ("t.py::test_one", f"r{KEPT_TREES + 3}"),
        ]

    @pytest.mark.parametrize("kept", [{"doubt": ("subprocess",)}, {"globs": ("*.json",)}])
    def test_one_that_cannot_be_followed(self, history: Path, kept: Any) -> None:
        """It is left out where no file differs at all, unless one was edited afterwards."""
        record(history.parent, 0, [followed(), followed("test_two", **kept)])
        both = ["test_one", "test_two"]
        record(history.parent, 1, [], clean={"r0": both}, by={**CLEAN_BY, "<project>/": "p"})
        writes.remember(history)
        assert known(history, "identity, run_id") == [(f"t.py::{name}", "r1") for name in both]
        edited, by = {**FILES, "c.json": "c2"}, {**CLEAN_BY, "c.json": "c1"}
        record(history.parent, 2, [], files=[edited], clean={"r1": both}, by=by)
        writes.remember(history)
        assert known(history, "identity, run_id") == [
            ("t.py::test_one", "r2"),
            ("t.py::test_two", "r1"),
        ]

    def test_a_parameter_that_cannot_be_followed(self, history: Path) -> None:
        """All that share its identity stay with it: one row of them says nothing of the test."""
        shared = {"identity": "t.py::test_x[x*]"}
        both = [
            followed("test_x[x0]", **shared),
            followed("test_x[x1]", doubt=("thread",), **shared),
        ]
        record(history.parent, 0, both)
        edited = {**FILES, "data.json": "d2"}
        record(history.parent, 1, [], files=[edited], clean={"r0": ["test_x[x*]"]})
        writes.remember(history)
        assert known(history, "run_id") == ["r0"]

    def test_a_settled_skip(self, history: Path) -> None:
        """It is left out like a test that passed."""
        record(history.parent, 0, [followed("test_one", "skipped", doubt=("skipped",))])
        record(history.parent, 1, [], clean={"r0": ["test_one"]})
        writes.remember(history)
        assert known(history, "run_id") == ["r1"]

    def test_a_module_that_appeared_afterwards(self, history: Path) -> None:
        """Who was left out may have looked for it, and nobody knows who did."""
        record(history.parent, 0)
        record(history.parent, 1, [], files=[{**FILES, "new.py": "n1"}], clean={"r0": ["test_one"]})
        writes.remember(history)
        assert known(history, "run_id") == ["r0"]

    def test_a_file_that_was_edited_afterwards(self, history: Path) -> None:
        """Who uses it was left out for what it was before: that is not what the run saw."""
        record(history.parent, 0)
        edited = {"a.py": "a1", "data.json": "d2"}
        record(history.parent, 1, [], files=[edited], clean={"r0": ["test_one", "test_two"]})
        writes.remember(history)
        assert known(history, "identity, run_id") == [
            ("t.py::test_one", "r1"),
            ("t.py::test_two", "r0"),
        ]

    @pytest.mark.parametrize(
        "other",
        [{"trust": "untrusted"}, {"suite": "other"}, {"environment": "other"}],
    )
    def test_not_by_a_run_of_elsewhere(self, history: Path, other: dict[str, str]) -> None:
        """What it leaves out says nothing of here."""
        record(history.parent, 0)
        record(history.parent, 1, [], clean={"r0": ["test_one"]}, **other)
        writes.remember(history)
        assert known(history, "run_id") == ["r0"]

    def test_by_a_run_that_is_not_here(self, history: Path) -> None:
        """Its history stayed on another machine."""
        record(history.parent, 0)
        record(history.parent, 1, [], clean={"r7": ["test_one"]})
        writes.remember(history)
        assert known(history, "run_id") == ["r0"]

    def test_a_killed_run(self, history: Path) -> None:
        """It says so last; who was left out before is known since then."""
        record(history.parent, 0)
        record(history.parent, 1, [], clean={"r0": ["test_one"]}, killed=True)
        writes.remember(history)
        assert known(history, "identity, run_id")[0] == ("t.py::test_one", "r1")

    def test_two_that_left_it_out_at_once(self, history: Path) -> None:
        """Whoever came first takes its place, and nothing is lost."""
        record(history.parent, 0)
        record(history.parent, 1, [], clean={"r0": ["test_one"]})
        record(history.parent, 2, [], clean={"r0": ["test_one"]})
        writes.remember(history)
        assert known(history, "identity, run_id")[0] == ("t.py::test_one", "r1")

    def test_parameters_are_those_that_ran(self, history: Path) -> None:
        """Which of a shared identity are known is told by the run in which they ran."""
        shared = {"identity": "t.py::test_x[x*]"}
        record(history.parent, 0, [followed("test_x[x0]", **shared)])
        record(history.parent, 1, [], clean={"r0": ["test_x[x*]"]})
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert affected.shared_names(connection, "", {"t.py::test_x[x*]": (2,)}) == {
                "t.py::test_x[x*]": frozenset({"t.py::test_x[x0]"})
            }

    def test_merging(self, tmp_path: Path) -> None:
        """Where the run in which it ran is known, that is still told; else it is unknown."""
        ours, theirs = tmp_path / "ours" / "h.duckdb", tmp_path / "theirs" / "h.duckdb"
        for path in (ours, theirs):
            record(path.parent, 0)
            writes.remember(path)
        record(theirs.parent, 1, [], clean={"r0": ["test_one"]})
        writes.remember(theirs)
        empty = tmp_path / "empty" / "h.duckdb"
        record(empty.parent, 3, [])
        writes.remember(empty)
        for path in (ours, empty):
            with open_history(path, write=True) as connection:
                merging.merge_history(connection, theirs)
        ran = "select identity, run_id, ran_no from dependencies join tests using (test_no) "
        ran += "join runs using (run_no) where ran_no <> run_no or ran_no is null order by all"
        assert rows(ours, ran) == [("t.py::test_one", "r1", 1)]
        with open_history(empty, write=False) as connection:
            assert reached(connection, runs=(1, 2, 3))["test_one"].clean


class TestRunsToCompare:
    def test_latest_first(self, history: Path) -> None:
        """With the Python of each; runs of which nothing is known are not among them."""
        record(history.parent, 0)
        record(history.parent, 1, [followed(own=None)])
        record(history.parent, 2, python="3.12.2")
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert affected.runs_to_compare(connection, "", LINUX) == [
                (3, "r2", "3.12.2", True),
                (1, "r0", "3.12.1", True),
            ]

    @pytest.mark.parametrize(
        "other", [{"trust": "untrusted"}, {"suite": "other"}, {"environment": "other"}]
    )
    def test_not_from_elsewhere(self, history: Path, other: dict[str, str]) -> None:
        """A pull request's run, another suite's and another environment's say nothing here."""
        record(history.parent, 0)
        record(history.parent, 1, **other)
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert [run for run, *_ in affected.runs_to_compare(connection, "", LINUX)] == [1]

    def test_an_untrusted_run_replaces_no_trusted_one(self, history: Path) -> None:
        """Also where it tested the very same tree."""
        record(history.parent, 0, tree="same")
        record(history.parent, 1, tree="same", trust="untrusted")
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert [run for run, *_ in affected.runs_to_compare(connection, "", LINUX)] == [1]


class TestDiffering:
    def ask(self, history: Path, now: Mapping[str, str | None], runs: Sequence[int] = (1,)) -> Any:
        record(history.parent, 0)
        writes.remember(history)
        with open_history(history, write=False) as connection:
            return affected.differing(connection, runs, {**FILES, **now})

    def test_nothing(self, history: Path) -> None:
        """Where everything is as it was, nothing differs."""
        assert self.ask(history, {}) == []

    def test_another_version(self, history: Path) -> None:
        """A changed file is named with the version that the run saw, a deleted one too."""
        assert self.ask(history, {"a.py": "a2", "data.json": "absent"}) == [
            (1, "a.py", "a1", True),
            (1, "data.json", "d1", True),
        ]

    def test_a_file_that_was_only_there(self, history: Path) -> None:
        """Of a file that nobody used only its going would tell, and it concerns nobody."""
        assert self.ask(history, {"b.py": "b2"}) == []

    def test_a_new_file(self, history: Path) -> None:
        """A file that the run did not know of is named as not seen; an absent one is not."""
        assert self.ask(history, {"c.py": None, "d.py": "absent"}) == [(1, "c.py", None, False)]

    def test_an_unstable_file(self, history: Path) -> None:
        """It differs whatever it is now."""
        record(history.parent, 0, files=[FILES, {"a.py": "a2"}])
        writes.remember(history)
        with open_history(history, write=False) as connection:
            for version in ("a1", "a2", "unstable"):
                found = affected.differing(connection, [1], {**FILES, "a.py": version})
                assert found == [(1, "a.py", "unstable", True)]


class TestReached:
    @pytest.fixture
    def connection(self, history: Path) -> Any:
        """Two runs: of both tests, and of the first one only, in doubt."""
        record(history.parent, 0)
        record(history.parent, 1, [followed("test_one", doubt=("thread",), globs=("*.md",))])
        writes.remember(history)
        with open_history(history, write=False) as connection:
            yield connection

    def test_nothing_changed(self, connection: Connection) -> None:
        """Every run is clean, latest first."""
        found = reached(connection, runs=(2, 1))
        assert found["test_one"].clean == (2, 1)
        assert found["test_two"].clean == (1,)
        assert found["test_one"].piece is None

    def test_a_piece_reaches_who_has_it(self, connection: Connection) -> None:
        """Through its own set or through what its module needs."""
        found = reached(connection, (1, "a.py", "two"))
        assert (found["test_one"].clean, found["test_two"].clean) == ((1,), ())
        assert found["test_two"].piece == ("a.py", "two")
        found = reached(connection, (1, "t.py", "<module>"))
        assert (found["test_one"].clean, found["test_two"].clean) == ((), ())

    def test_all_of_a_file(self, connection: Connection) -> None:
        """Where it is not known which pieces changed, every piece of the file did."""
        found = reached(connection, (1, "a.py", None))
        assert [each.clean for each in found.values()] == [(), ()]

    def test_a_piece_that_nobody_has(self, connection: Connection) -> None:
        """What no test ran reaches none."""
        found = reached(connection, (1, "a.py", "three"), (1, "z.py", None))
        assert [each.clean for each in found.values()] == [(1,), (1,)]

    def test_by_run(self, connection: Connection) -> None:
        """A change since one run leaves another one clean."""
        found = reached(connection, (2, "a.py", "one"), runs=(2, 1))
        assert found["test_one"].clean == (1,)

    def test_only_runs_that_are_asked_for(self, connection: Connection) -> None:
        """A test that only other runs know is not among the answers."""
        assert list(reached(connection, runs=(2,))) == ["test_one"]

    def test_doubts_are_those_of_clean_runs(self, connection: Connection) -> None:
        """A doubt of one run is settled by another that had none."""
        assert reached(connection, runs=(2, 1))["test_one"].doubt == ()
        found = reached(connection, (1, "a.py", "one"), runs=(2, 1))["test_one"]
        assert (found.clean, found.doubt, found.globs) == ((2,), ("thread",), ("*.md",))
        found = reached(connection, (2, "a.py", "one"), runs=(2, 1))["test_one"]
        assert (found.clean, found.doubt, found.globs) == ((1,), (), None)

    def test_conditional(self, connection: Connection) -> None:
        """Pieces that look a name up matter to who depends on the module it came to."""
        pieces = frozenset({("a.py", "two")})
        for module, clean in (("t.py", ()), ("z.py", (1,))):
            found = reached(connection, conditional=[Conditional(1, module, pieces)])
            assert found["test_one"].clean == (1,)
            assert found["test_two"].clean == clean


class TestSharedNames:
    def test_who_ran(self, history: Path) -> None:
        """The parameters that ran in the clean runs are named, of shared identities alone."""
        shared = {"identity": "t.py::test_x[x*]"}
        record(history.parent, 0, [followed("test_x[x0]", **shared), followed()])
        record(history.parent, 1, [followed("test_x[x1]", **shared)])
        writes.remember(history)
        with open_history(history, write=False) as connection:
            for runs, names in (((1,), "0"), ((2,), "1"), ((1, 2), "01"), ((), "")):
                assert affected.shared_names(
                    connection, "", {"t.py::test_x[x*]": runs, "t.py::test_one": (1,)}
                ) == {"t.py::test_x[x*]": {f"t.py::test_x[x{n}]" for n in names}}


class TestPieces:
    def test_round_trip(self, history: Path) -> None:
        """The pieces of a file at a version are what was written."""
        record(
            history.parent,
            0,
            pieces=[("a.py", "a1", {"<module>": "0" * 16, "one": "1" * 16}), ("t.py", "t1", {})],
        )
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert affected.parsed(connection) == {("a.py", "a1"), ("t.py", "t1")}
            assert affected.pieces_at(connection, [("a.py", "a1"), ("a.py", "a9")]) == {
                ("a.py", "a1"): Pieces({"<module>": "0" * 16, "one": "1" * 16}, frozenset())
            }

    def test_only_of_versions_that_are_needed(self, history: Path) -> None:
        """Pieces of a version that no run refers to any more go with the run."""
        for day in range(KEPT_TREES + 1):
            record(
                history.parent,
                day,
                files=[{**FILES, "a.py": f"a{day}"}],
                pieces=[("a.py", f"a{day}", {"one": "1" * 16})],
            )
        writes.remember(history)
        with open_history(history, write=False) as connection:
            assert affected.parsed(connection) == {
                ("a.py", f"a{day}") for day in range(1, KEPT_TREES + 1)
            }


class TestPruning:
    def forget(self, history: Path, **rule: Any) -> None:
        with open_history(history, write=True) as connection:
            retention.forget(connection, retention.find(connection, retention.Rule(**rule)))

    def test_what_a_forgotten_run_knew_is_unknown(self, history: Path) -> None:
        """Its tests are known by later runs, or not at all."""
        record(history.parent, 0)
        record(history.parent, 1, BOTH[:1])
        writes.remember(history)
        self.forget(history, keep_runs=1)
        assert known(history) == ["t.py::test_one"]
        assert rows(history, "select key from sets order by 1") == [("base",), ("own1",)]
        assert rows(history, "select count(*) from pieces where name = 'two'") == [(0,)]
        assert rows(history, "select distinct run_no from run_files") == [(2,)]

    def test_nothing_to_forget(self, history: Path) -> None:
        """Then nothing that is known goes."""
        record(history.parent, 0, selection=Selection("shadow", 1, 1, None, None, 0, 0, 0, 0))
        writes.remember(history)
        tables = ("dependencies", "sets", "pieces", "run_files", "selections")
        query = " union all ".join(f"select '{table}', count(*) from {table}" for table in tables)
        self.forget(history)
        before = rows(history, query)
        assert all(count for _, count in before)
        self.forget(history)
        assert rows(history, query) == before

    def test_everything(self, history: Path) -> None:
        """When all runs go, nothing of them stays."""
        record(history.parent, 0, pieces=[("a.py", "a1", {"one": "1" * 16})])
        writes.remember(history)
        self.forget(history, keep_runs=0)
        for table in ("dependencies", "sets", "pieces", "run_files", "file_pieces"):
            assert rows(history, f"select count(*) from {table}") == [(0,)]
