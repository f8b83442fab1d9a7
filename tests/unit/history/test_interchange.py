"""The interchange format: what is taken, what is refused and where, and the way back."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytest_aqe.data import FAILING, Result
from pytest_aqe.errors import AqeError, InterchangeError
from pytest_aqe.history import browse, exporting, interchange, writes
from pytest_aqe.history.rollups import roll_up_again
from pytest_aqe.history.store import Connection, open_history

HEADER = "run_id,node_id,outcome\n"
GOOD = f"{HEADER}r1,t.py::a,passed\nr1,t.py::b,failed\n"


class NoReports:
    """A fold for imports that have no reports."""

    def add(self, report: Any) -> Result | None:
        return None


def evidence(prefix: str = "") -> interchange.Evidence:
    return interchange.Evidence(
        rootdir=Path("/nowhere"),
        prefix=prefix,
        identity=lambda node_id: prefix + node_id,
        signature=lambda path, message: message,
        fold=NoReports,
    )


@pytest.fixture
def history(tmp_path: Path) -> Iterator[Connection]:
    with open_history(tmp_path / "history.duckdb", write=True) as connection:
        yield connection


def take(history: Connection, path: Path, **more: Any) -> interchange.Imported:
    return interchange.import_file(history, path, evidence(), **more)


def table(tmp_path: Path, text: str | bytes, name: str = "results.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def parquet(tmp_path: Path, query: str, name: str = "results.parquet") -> Path:
    path = tmp_path / name
    duckdb.sql(f"copy ({query}) to '{path}' (format parquet)")
    return path


def one(history: Connection, sql: str) -> list[Any]:
    return [row[0] if len(row) == 1 else row for row in history.execute(sql)]


def test_three_columns_are_enough(history: Connection, tmp_path: Path) -> None:
    """run_id, node_id and outcome make a result; all else is unmeasured."""
    done = take(history, table(tmp_path, GOOD))
    assert (done.runs, done.results) == (1, 2)
    assert one(history, "select outcome, duration, position from results") == [
        ("passed", None, None),
        ("failed", None, None),
    ]


def test_a_file_name_is_no_pattern(history: Connection, tmp_path: Path) -> None:
    """Brackets in a name mean themselves, not the file beside it that they would match."""
    row = "select 'r{}' as run_id, 't.py::a' as node_id, 'passed' as outcome"
    paths = [
        table(tmp_path, f"{HEADER}{name},t.py::a,passed\n", f"{name}.csv")
        for name in ("c1", "c[1]")
    ] + [parquet(tmp_path, row.format(name), f"{name}.parquet") for name in ("1", "[1]")]
    take(history, paths[1])
    take(history, paths[3])
    assert one(history, "select run_id from runs order by run_no") == ["c[1]", "r[1]"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_folder_name_is_no_column(history: Connection, tmp_path: Path, ending: str) -> None:
    """A folder called ``run_id=7`` gives its files no values."""
    folder = tmp_path / "run_id=7"
    folder.mkdir()
    if ending == "csv":
        path = table(folder, GOOD)
    else:
        path = parquet(folder, "select 'r1' as run_id, 't.py::a' as node_id, 'passed' as outcome")
    assert take(history, path).ignored == []
    assert one(history, "select run_id from runs") == ["r1"]


def test_importing_twice_changes_nothing(history: Connection, tmp_path: Path) -> None:
    """A run that is known is passed over and counted."""
    path = table(tmp_path, GOOD)
    take(history, path)
    before = one(history, "select * from rollups order by all")
    again = take(history, path)
    assert (again.runs, again.results, again.known) == (0, 0, 1)
    assert one(history, "select * from rollups order by all") == before
    assert one(history, "select count(*) from results") == [2]


def test_unknown_columns_are_ignored_and_named(history: Connection, tmp_path: Path) -> None:
    """A column the format does not have is no reason to refuse a file."""
    text = "run_id,shoe size,node_id,outcome,x\nr1,44,t.py::a,passed,\n"
    assert take(history, table(tmp_path, text)).ignored == ["shoe size", "x"]


def test_every_column_arrives(history: Connection, tmp_path: Path) -> None:
    """What a row says stands in runs, tests and results."""
    text = (
        ",".join(interchange.RESULTS)
        + "\nr1,2026-01-02T03:04:05+02:00,c0,t0,main,ci,py312,gw1,7,a.py::t,src/a.py,1,isolated,"
        "failed,0.25,f00,E@a.py#1\n"
    )
    take(history, table(tmp_path, text))
    assert one(
        history,
        "select run_id, origin, started_at::varchar, commit, tree, branch, source, environment, "
        "status, recorded from runs",
    ) == [("r1", "interchange", "2026-01-02 01:04:05", "c0", "t0", "main", "ci", "py312", None, 1)]
    assert one(history, "select identity, file from tests") == [("a.py::t", "src/a.py")]
    assert one(
        history,
        "select attempt, attempt_mode, outcome, duration, position, worker, code, signature "
        "from results",
    ) == [(1, "isolated", "failed", 0.25, 7, "gw1", "f00", "E@a.py#1")]


def test_a_time_without_a_zone_is_utc(history: Connection, tmp_path: Path) -> None:
    """Whatever zone this machine is in."""
    text = "run_id,node_id,outcome,started_at\nr1,t.py::a,passed,2026-01-02 03:04:05\n"
    take(history, table(tmp_path, text))
    assert one(history, "select started_at::varchar from runs") == ["2026-01-02 03:04:05"]


@pytest.mark.parametrize(
    "text, line, column",
    [
        ("run_id,outcome\nr1,passed\n", 1, "node_id"),
        ("run_id,node_id,outcome,outcome\nr1,a,passed,passed\n", 1, "outcome"),
        (f"{HEADER},t.py::a,passed\n", 2, "run_id"),
        (f'{HEADER}r1,"",passed\n', 2, "node_id"),
        (f"{HEADER}r1,t.py::a,\n", 2, "outcome"),
        (f"{HEADER}r1,t.py::a,passed\nr1,t.py::b,PASSED\n", 3, "outcome"),
        (f'{HEADER}r1,"t.py::a[\n\n]",passed\nr1,t.py::b,ok\n', 5, "outcome"),
        (f"{HEADER}\nr1,t.py::a,passed\n\nr1,t.py::b,ok\n", 5, "outcome"),
        (f"{HEADER}r1,t.py::a,passed\nr1,t.py::b\n", 3, None),
        (f"{HEADER}r1,t.py::a,passed,3\n", 2, None),
        (f'{HEADER}r1,"t.py::a,passed\nr1,t.py::b,passed\n', 2, None),
        (HEADER.encode() + b"r1,t.py::a,passed\nr1,t.py::\xff,passed\n", 3, None),
        ("run_id,node_id,outcome,duration\nr1,a,passed,fast\n", 2, "duration"),
        ("run_id,node_id,outcome,duration\nr1,a,passed,1\nr1,b,passed,-0.1\n", 3, "duration"),
        ("run_id,node_id,outcome,duration\nr1,a,passed,nan\n", 2, "duration"),
        ("run_id,node_id,outcome,duration\nr1,a,passed,inf\n", 2, "duration"),
        ("run_id,node_id,outcome,started_at\nr1,a,passed,yesterday\n", 2, "started_at"),
        ("run_id,node_id,outcome,started_at\nr1,a,passed,infinity\n", 2, "started_at"),
        ("run_id,node_id,outcome,position\nr1,a,passed,1.5\n", 2, "position"),
        ("run_id,node_id,outcome,attempt\nr1,a,passed,-1\n", 2, "attempt"),
        ("run_id,node_id,outcome,attempt\nr1,a,passed,99999\n", 2, "attempt"),
        ("run_id,node_id,outcome,attempt_mode\nr1,a,passed,twice\n", 2, "attempt_mode"),
        ("", None, None),
        (HEADER, None, None),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_imported(
    history: Connection, tmp_path: Path, text: str | bytes, line: int | None, column: str | None
) -> None:
    """File, line and column are those of the first value that cannot be taken."""
    path = table(tmp_path, text)
    with pytest.raises(InterchangeError) as caught:
        take(history, path)
    assert (caught.value.path, caught.value.line, caught.value.column) == (path, line, column)
    assert "nothing of this file was imported" in str(caught.value)
    assert one(history, "select count(*) from runs") == [0]


def test_a_bad_value_is_quoted(history: Connection, tmp_path: Path) -> None:
    """The message shows what stands in the row."""
    with pytest.raises(InterchangeError, match=r"line 2, column 'outcome': 'ok' is none of passed"):
        take(history, table(tmp_path, f"{HEADER}r1,a,ok\n"))


def test_a_bad_parquet_row_is_named_by_its_number(history: Connection, tmp_path: Path) -> None:
    """Parquet has no lines; rows count from 1."""
    path = parquet(
        tmp_path,
        "select 'r' as run_id, 't' || i as node_id, if(i = 3, 'ok', 'passed') as outcome "
        "from range(1, 5) as n (i)",
    )
    with pytest.raises(InterchangeError, match=r"row 3, column 'outcome'"):
        take(history, path)


@pytest.mark.parametrize("name", ["results.parquet", "results.csv.gz", "results.xml", "log.jsonl"])
def test_a_file_that_is_not_what_its_ending_says_is_refused(
    history: Connection, tmp_path: Path, name: str
) -> None:
    """The fault is told of the file, not of the history."""
    path = table(tmp_path, b"PAR1 or what \x1f\x8b ever", name)
    with pytest.raises(InterchangeError) as caught:
        take(history, path)
    assert caught.value.path == path


def test_a_gzip_cut_short_is_refused(history: Connection, tmp_path: Path) -> None:
    """Half a download is not half an import."""
    whole = gzip.compress((HEADER + "r1,t.py::a,passed\n" * 5000).encode())
    with pytest.raises(InterchangeError):
        take(history, table(tmp_path, whole[: len(whole) // 2], "results.csv.gz"))
    assert one(history, "select count(*) from runs") == [0]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("passed\n", "passed\r\n"),
        GOOD.removesuffix("\n"),
    ],
    ids=["crlf", "bom", "mixed", "no-last-newline"],
)
def test_csv_of_any_tool_is_read(history: Connection, tmp_path: Path, text: str) -> None:
    """Line ends and a byte order mark do not matter."""
    assert take(history, table(tmp_path, text)).results == 2


def test_a_file_without_a_known_ending_is_told_by_its_content(
    history: Connection, tmp_path: Path
) -> None:
    """A download may be called anything."""
    path = parquet(tmp_path, "select 'r' as run_id, 't' as node_id, 'passed' as outcome")
    assert take(history, path.rename(tmp_path / "blob")).results == 1
    assert take(history, table(tmp_path, GOOD, "other")).results == 2


def test_parquet_of_other_types_is_read(history: Connection, tmp_path: Path) -> None:
    """Numbers as run ids, floats as counts, times with a zone, strings as bytes."""
    path = parquet(
        tmp_path,
        "select 7 as run_id, 't'::blob as node_id, 'passed' as outcome, 2.0::double as position, "
        "timestamptz '2026-01-02 03:04:05+01' as started_at, 1.5::decimal(4, 2) as duration",
    )
    take(history, path)
    assert one(history, "select run_id, started_at::varchar from runs") == [
        ("7", "2026-01-02 02:04:05")
    ]
    assert one(history, "select position, duration from results") == [(2, 1.5)]


def test_rows_of_a_run_keep_their_order(history: Connection, tmp_path: Path) -> None:
    """The order of recording is the order of the file, whatever else is in it."""
    names = [f"t.py::{number * 7 % 50}" for number in range(50)]
    text = HEADER + "".join(f"r{index % 2},{name},passed\n" for index, name in enumerate(names))
    take(history, table(tmp_path, text))
    for run in (0, 1):
        assert one(
            history,
            "select node_id from results join nodes using (node_no) join runs using (run_no) "
            f"where run_id = 'r{run}' order by results.rowid",
        ) == [name for index, name in enumerate(names) if index % 2 == run]


def test_runs_are_numbered_by_their_start(history: Connection, tmp_path: Path) -> None:
    """Runs without one come last, in the order of the file."""
    text = (
        "run_id,node_id,outcome,started_at\n"
        "x,a,passed,\nlate,a,passed,2026-02-01\ny,a,passed,\nearly,a,passed,2026-01-01\n"
    )
    take(history, table(tmp_path, text))
    assert one(history, "select run_id from runs order by run_no") == ["early", "late", "x", "y"]


def test_a_test_that_occurs_again_is_a_further_attempt(history: Connection, tmp_path: Path) -> None:
    """Its last row decides, and failing before passing is flaky."""
    text = f"{HEADER}r1,a,failed\nr1,b,passed\nr1,a,passed\n"
    take(history, table(tmp_path, text))
    assert one(history, "select attempt, attempt_mode from results order by rowid") == [
        (0, "first"),
        (0, "first"),
        (1, None),
    ]
    (row,) = [each for each in browse.tests_named(history, "a") if each.identity == "a"]
    assert (row.failures, row.flaked) == (0, 1)


def test_rows_of_two_environments_are_no_attempts(history: Connection, tmp_path: Path) -> None:
    """A pass on one Python does not mend the failure on another."""
    text = "run_id,node_id,outcome,environment\nr1,a,failed,py310\nr1,a,passed,py314\n"
    take(history, table(tmp_path, text))
    assert one(history, "select attempt from results") == [0, 0]
    assert one(history, "select failures from rollups") == [1]


def test_node_ids_start_from_the_rootdir(history: Connection, tmp_path: Path) -> None:
    """In a part of a repository tests and files get the path from the git root before them."""
    text = "run_id,node_id,outcome,file\nr1,t/a.py::x,passed,t/a.py\nr1,t/b.py::x,passed,\n"
    interchange.import_file(history, table(tmp_path, text), evidence("pay/"))
    assert one(history, "select identity, file from tests order by identity") == [
        ("pay/t/a.py::x", "pay/t/a.py"),
        ("pay/t/b.py::x", "pay/t/b.py"),
    ]


def test_a_file_of_runs_wins_over_the_rows(history: Connection, tmp_path: Path) -> None:
    """Start, commit, branch and changed files hold for the run as a whole."""
    results = table(tmp_path, "run_id,node_id,outcome,commit,branch\nr1,a,passed,old,main\n")
    runs = table(
        tmp_path,
        "run_id,started_at,commit,changed_files\n"
        'r1,2026-01-02T00:00:00Z,new,"[""src/b;c.py"",""a,b.py""]"\nr2,2026-01-03,x,[]\n',
        "runs.csv",
    )
    done = take(history, results, runs=runs)
    assert one(history, "select started_at::varchar, commit, branch, base from runs") == [
        ("2026-01-02 00:00:00", "new", "main", "")
    ]
    assert browse.changed_files_of(history, "r1") == ["a,b.py", "src/b;c.py"]
    assert done.runs_without_results == 1


@pytest.mark.parametrize(
    "text, line, column",
    [
        ("run,commit\nr1,c\n", 1, "run_id"),
        ("run_id,commit\n,c\n", 2, "run_id"),
        ("run_id,commit\nr1,c\nr1,d\n", 3, "run_id"),
        ("run_id,changed_files\nr1,a.py;b.py\n", 2, "changed_files"),
        ('run_id,changed_files\nr1,"[null]"\n', 2, "changed_files"),
        ("run_id,started_at\nr1,soon\n", 2, "started_at"),
    ],
)
def test_a_bad_row_of_runs_stops_the_results_too(
    history: Connection, tmp_path: Path, text: str, line: int, column: str
) -> None:
    """Results without what was said of their runs would not come again."""
    runs = table(tmp_path, text, "runs.csv")
    with pytest.raises(InterchangeError) as caught:
        take(history, table(tmp_path, GOOD), runs=runs)
    assert (caught.value.path, caught.value.line, caught.value.column) == (runs, line, column)
    assert one(history, "select count(*) from runs") == [0]


def test_an_export_holds_the_columns_of_the_format_only(
    history: Connection, tmp_path: Path
) -> None:
    """No facts of other plugins, nothing of the machine."""
    take(history, table(tmp_path, GOOD))
    history.execute("update results set evidence = 'secret'")
    history.execute("update runs set platform = 'secret', plugins = ['secret']")
    out, runs_out = tmp_path / "out.csv", tmp_path / "runs_out.csv"
    exporting.export(history, out, runs_out=runs_out)
    with out.open(newline="") as file:
        assert tuple(next(csv.reader(file))) == interchange.RESULTS
    with runs_out.open(newline="") as file:
        assert tuple(next(csv.reader(file))) == interchange.RUNS
    assert "secret" not in out.read_text() + runs_out.read_text()


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.csv.gz"])
def test_a_file_is_replaced_only_by_force(history: Connection, tmp_path: Path, name: str) -> None:
    """What is there may be somebody's."""
    take(history, table(tmp_path, GOOD))
    out = tmp_path / name
    out.write_bytes(b"mine")
    with pytest.raises(AqeError, match="--force"):
        exporting.export(history, out)
    assert out.read_bytes() == b"mine"
    assert exporting.export(history, out, force=True)[0].rows == 2
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_an_export_that_fails_leaves_what_was_there(history: Connection, tmp_path: Path) -> None:
    """A place that cannot be written is named and no half file stays."""
    take(history, table(tmp_path, GOOD))
    with pytest.raises(AqeError, match=r"out\.csv cannot be written"):
        exporting.export(history, tmp_path / "absent" / "out.csv")


def test_a_rollup_is_the_same_whether_runs_without_a_start_come_first(tmp_path: Path) -> None:
    """They count as later than all that have one, however they came in."""
    dated = table(
        tmp_path,
        "run_id,node_id,outcome,started_at\nd1,a,failed,2026-01-01\nd2,a,passed,2026-01-02\n",
        "dated.csv",
    )
    undated = table(tmp_path, f"{HEADER}u1,a,failed\nu2,a,failed\n", "undated.csv")
    seen = []
    for number, files in enumerate([(dated, undated), (undated, dated)]):
        with open_history(tmp_path / f"{number}.duckdb", write=True) as history:
            for path in files:
                take(history, path)
            before = rollups(history)
            roll_up_again(history)
            assert rollups(history) == before
            seen.append(before)
    assert seen[0] == seen[1]
    assert seen[0][0]["streak"] == -2


def rollups(history: Connection) -> list[dict[str, Any]]:
    """Return the rollups by identity, with runs by id and sums to nine digits."""
    rows = history.execute(
        """
        select
            tests.suite, identity, rollups.runs, failures, flips, flaked, streak,
            round(weight, 9), round(failing, 9), round(seconds_sum, 5), round(seconds_weight, 9),
            first_at, last_at, last.run_id, last_failed_at, failed.run_id
        from rollups
            join tests using (test_no)
            left join runs as last on last.run_no = last_run_no
            left join runs as failed on failed.run_no = last_failed_run_no
        order by all
        """
    )
    names = [
        "suite",
        "identity",
        "runs",
        "failures",
        "flips",
        "flaked",
        "streak",
        "weight",
        "failing",
        "seconds_sum",
        "seconds_weight",
        "first_at",
        "last_at",
        "last_run",
        "last_failed_at",
        "last_failed_run",
    ]
    return [dict(zip(names, row, strict=True)) for row in rows]


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
)
RUN_IDS = st.sampled_from(["r1", "r2", 'r"3,', "r\n4"])
ROWS = st.fixed_dictionaries(
    {
        "run_id": RUN_IDS,
        "node_id": st.one_of(st.sampled_from(["a.py::x", "a.py::y", "b.py::z[1]"]), TEXT),
        "outcome": st.sampled_from(writes.OUTCOMES),
    },
    optional={
        "started_at": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02", "2025-12-31 23:59"]),
        "commit": TEXT,
        "tree": TEXT,
        "branch": TEXT,
        "source": st.sampled_from(["ci", "local"]),
        "environment": TEXT,
        "worker": TEXT,
        "position": st.integers(0, 2**31 - 1),
        "file": TEXT,
        "attempt": st.integers(0, 3),
        "attempt_mode": st.sampled_from(["first", "inproc", "isolated"]),
        "duration": st.floats(0, 1000, width=32),
        "code": TEXT,
        "signature": TEXT,
    },
)
RUNS = st.dictionaries(
    RUN_IDS,
    st.fixed_dictionaries(
        {}, optional={"commit": TEXT, "changed_files": st.lists(TEXT, max_size=3)}
    ),
)


@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(ROWS, min_size=1, max_size=12),
    runs=RUNS,
    ending=st.sampled_from(["csv", "parquet"]),
)
def test_what_is_exported_comes_back_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    runs: dict[str, dict[str, Any]],
    ending: str,
) -> None:
    """An empty history that imports an export has the same runs, results and rollups."""
    folder = tmp_path_factory.mktemp("exchange")
    with (folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, interchange.RESULTS)
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "in-runs.csv").open("w", encoding="utf-8", newline="") as file:
        plain = csv.writer(file)
        plain.writerow(["run_id", "commit", "changed_files"])
        for run_id, said in runs.items():
            files = json.dumps(said["changed_files"]) if "changed_files" in said else None
            plain.writerow([run_id, said.get("commit"), files])
    out, runs_out = folder / f"out.{ending}", folder / f"out-runs.{ending}"
    with open_history(folder / "one.duckdb", write=True) as history:
        take(history, folder / "in.csv", runs=folder / "in-runs.csv")
        exporting.export(history, out, runs_out=runs_out)
        before = whole(history)
    with open_history(folder / "two.duckdb", write=True) as history:
        take(history, out, runs=runs_out)
        assert whole(history) == before
        roll_up_again(history)
        assert rollups(history) == before["rollups"]
        assert browse.stale_rollups(history) == 0


def whole(history: Connection) -> dict[str, Any]:
    return {
        "runs": history.execute("select * from runs order by run_no"),
        "changed_files": history.execute("select * from changed_files order by all"),
        "results": history.execute(
            """
            select results.* exclude (test_no, node_no), identity, file, node_id
            from results join tests using (test_no) join nodes using (node_no)
            order by run_no, results.rowid
            """
        ),
        "rollups": rollups(history),
    }


def test_failing_outcomes_are_known_to_the_format() -> None:
    """Every outcome that counts as a failure can be imported."""
    assert set(writes.OUTCOMES) >= FAILING
