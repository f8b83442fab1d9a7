"""What an import of a million results costs, and how large the history is then.

250 runs of 4,000 tests, the same rows every time: two workers, a commit a run, a slow tail
of durations, 1 failure in 500 and a second attempt after one failure in four. ``pytest-aqe
import`` takes them as Parquet and as CSV into an empty history, once with the runs' changed
files. Bars: 20 s and 60 bytes a result. The peer in the same rounds is plain duckdb,
``create table as select * from`` the same file into a database of the same storage version:
all that an import can cost less is what is checked, named and rolled up.

``--history RESULTS[,RUNS]`` imports further files, which print their times and have no bar.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import measuring

SECONDS = 20.0
BYTES = 60.0
RUNS, TESTS = 250, 4_000

_ROWS = f"""
    select
        'run-' || lpad(run::varchar, 4, '0') as run_id,
        timestamp '2026-01-01' + to_hours(run::integer * 3) as started_at,
        md5('commit' || run) as commit,
        md5('tree' || run) as tree,
        'main' as branch,
        'ci' as source,
        'cpython3.12-linux' as environment,
        'gw' || test % 2 as worker,
        (test // 2)::integer as position,
        printf('tests/unit/test_module_%03d.py::TestGroup%d::test_case_%04d[%d]',
            test // 40, test // 20 % 2, test, test % 3) as node_id,
        printf('tests/unit/test_module_%03d.py', test // 40) as file,
        attempt,
        case when attempt = 0 then 'first' else 'inproc' end as attempt_mode,
        case
            when not fails or attempt = 1 then if(test % 97 = 0, 'skipped', 'passed')
            else 'failed'
        end as outcome,
        round(exp(-7 + 4 * (hash(test) % 1000 / 1000.0) ** 3 * 2)
            * (0.8 + 0.4 * (hash(run, test, attempt) % 100000 / 100000.0)), 6) as duration,
        null::varchar as code,
        case when fails and attempt = 0
            then printf('AssertionError@src/module_%03d.py#%08x', test // 40, test * 7919)
        end as signature
    from (
        select
            run,
            test,
            hash(run, test) % 500 = 0 as fails,
            unnest(if(hash(run, test) % 2000 = 0, [0, 1], [0])) as attempt
        from range({RUNS}) as runs (run), range({TESTS}) as tests (test)
    )
    order by run, test, attempt
    limit 1000000
    """
_CHANGES = f"""
    select
        'run-' || lpad(run::varchar, 4, '0') as run_id,
        [printf('src/module_%03d.py', run * 31 % 100), 'README.md'] as changed_files
    from range({RUNS}) as runs (run)
    """
_PEER = """
import sys, duckdb
connection = duckdb.connect(config={"threads": 1})
connection.execute(f"attach '{sys.argv[2]}' as peer (storage_version 'v1.0.0')")
connection.execute(f"create table peer.results as select * from '{sys.argv[1]}'")
connection.close()
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """One import: wall seconds, CPU seconds, results and size of the file."""

    seconds: float
    cpu: float
    results: int
    size: int


def main() -> int:
    """Measure, print, and return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--history", action="append", default=[], metavar="RESULTS[,RUNS]")
    asked = parser.parse_args()
    print(f"{asked.rounds} rounds; {measuring.machine()}")
    held = True
    with measuring.scratch() as folder:
        files = _write(folder)
        rows = []
        for ending in ("parquet", "csv"):
            ours, theirs = [], []
            for number in range(asked.rounds):
                ours.append(_import(folder / f"{ending}-{number}", files[ending], files["runs"]))
                theirs.append(_peer(folder / f"{ending}-{number}.peer", files[ending]))
            rows.append(_row(ending, ours, theirs))
            seconds = median(each.seconds for each in ours)
            held &= seconds <= SECONDS and ours[0].size / ours[0].results <= BYTES
        measuring.table(_HEADINGS, rows)
        if asked.history:
            print()
            measuring.table(_HEADINGS, [_further(folder, each) for each in asked.history])
    return measuring.verdict(f"{SECONDS:.0f} s and {BYTES:.0f} bytes a result", held)


_HEADINGS = ("file", "results", "seconds", "cpu", "plain duckdb", "ratio", "bytes a result")


def _write(folder: Path) -> dict[str, Path]:
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"create table results as {_ROWS}")
    files = {"parquet": folder / "results.parquet", "csv": folder / "results.csv"}
    for path in files.values():
        connection.execute(f"copy results to '{path}'")
    files["runs"] = folder / "runs.parquet"
    connection.execute(f"copy ({_CHANGES}) to '{files['runs']}'")
    return files


def _import(folder: Path, results: Path, runs: Path | None) -> Taken:
    folder.mkdir()
    history = folder / "history.duckdb"
    command = [sys.executable, "-m", "pytest_aqe", "import", str(results), "--format", "json"]
    command += ["--history", str(history)]
    if runs is not None:
        command += ["--runs", str(runs)]
    started = time.perf_counter()
    cost = measuring.run(command, folder)
    seconds = time.perf_counter() - started
    if cost.exit_code:
        raise SystemExit(f"{' '.join(command)}: exit code {cost.exit_code}")
    status = [sys.executable, "-m", "pytest_aqe", "status", "--format", "json"]
    status += ["--history", str(history)]
    told = subprocess.run(status, capture_output=True, check=True, cwd=folder)
    return Taken(seconds, cost.cpu, json.loads(told.stdout)["results"], history.stat().st_size)


def _peer(database: Path, results: Path) -> Taken:
    started = time.perf_counter()
    command = [sys.executable, "-c", _PEER, str(results), str(database)]
    cost = measuring.run(command, database.parent)
    seconds = time.perf_counter() - started
    return Taken(seconds, cost.cpu, 0, database.stat().st_size)


def _row(name: str, ours: Sequence[Taken], theirs: Sequence[Taken]) -> tuple[str, ...]:
    results = ours[0].results
    return (
        name,
        f"{results:,}",
        f"{median(each.seconds for each in ours):.1f}",
        f"{median(each.cpu for each in ours):.1f}",
        f"{median(each.seconds for each in theirs):.1f} s, {theirs[0].size / results:.1f} bytes",
        str(measuring.ratio([each.cpu for each in ours], [each.cpu for each in theirs])),
        f"{ours[0].size / results:.1f}",
    )


def _further(folder: Path, given: str) -> tuple[str, ...]:
    results, _, runs = given.partition(",")
    name = f"{Path(results).parent.name}/{Path(results).name}"
    place = folder / name.replace("/", "-")
    ours = _import(place, Path(results), Path(runs) if runs else None)
    theirs = _peer(place.with_name(f"{place.name}.peer"), Path(results))
    return _row(name, [ours], [theirs])


if __name__ == "__main__":
    sys.exit(main())
