"""Whether a session starts as fast on a long history as on a short one.

Builds two histories of 10,000 tests, of 1 million and of 30 million results, through the
code that every ingest takes (``history.writes.fold``, 100 runs a batch), and then reads from
each what a plan is made of, in fresh processes and interleaved rounds: open, count the runs,
read the rollups, close. Importing duckdb costs the same either way and is shown apart. The
bars: the long history within 20 % of the short one, and below 150 ms of CPU time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import measuring

SAME = 1.20
MILLISECONDS = 150.0
TESTS = 10_000
BATCH = 100  # runs folded at once

READ = """
import json, sys, time
from pathlib import Path
from pytest_aqe.history import queries
from pytest_aqe.history.store import open_history

def timed(act):
    wall, cpu = time.perf_counter(), time.process_time()
    value = act()
    return value, (time.perf_counter() - wall, time.process_time() - cpu)

def read():
    with open_history(Path(sys.argv[1]), write=False) as connection:
        return queries.run_count(connection, ""), len(queries.rollups(connection, ""))

_, imported = timed(lambda: __import__("_duckdb"))
(runs, tests), read = timed(read)
print(json.dumps({"runs": runs, "tests": tests, "import": imported, "read": read}))
"""


def main() -> int:
    """Build, measure, print, and return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    parser.add_argument("--short", type=int, default=100, metavar="RUNS")
    parser.add_argument("--long", type=int, default=3000, metavar="RUNS")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="build here, or use again")
    asked = parser.parse_args()
    with measuring.scratch(asked.keep) as folder:
        histories = {}
        for runs in (asked.short, asked.long):
            path = folder / f"{runs}-runs" / "history.duckdb"
            began = time.monotonic()
            if not path.exists():
                build(path, runs)
            size = path.stat().st_size
            print(
                f"{runs * TESTS:,} results: {size / 1e6:,.0f} MB, "
                f"{size / (runs * TESTS):.1f} bytes a result, "
                f"built in {time.monotonic() - began:.0f} s"
            )
            histories[runs] = path
        answers: dict[int, list[dict[str, list[float]]]] = {runs: [] for runs in histories}
        for number in range(-1, asked.rounds):
            for runs in sorted(histories, reverse=bool(number % 2)):
                answer = _read(histories[runs])
                if number >= 0:
                    answers[runs].append(answer)
    reading = {runs: [each["read"] for each in answers[runs]] for runs in answers}
    cpu = {runs: [cpu for _, cpu in reading[runs]] for runs in reading}
    wall = {runs: median(wall for wall, _ in reading[runs]) * 1e3 for runs in reading}
    compared = measuring.ratio(cpu[asked.long], cpu[asked.short])
    print(f"{TESTS:,} tests, {asked.rounds} rounds; {measuring.machine()}")
    measuring.table(
        ("results", "read: CPU ms", "read: ms", "import duckdb: CPU ms", "ratio [95 %]"),
        [
            (
                f"{runs * TESTS:,}",
                f"{median(cpu[runs]) * 1e3:.1f}",
                f"{wall[runs]:.1f}",
                f"{median(each['import'][1] for each in answers[runs]) * 1e3:.1f}",
                "1" if runs == asked.short else f"{compared}",
            )
            for runs in histories
        ],
    )
    same = compared.median <= SAME
    fast = max(median(cpu[runs]) for runs in cpu) * 1e3 <= MILLISECONDS
    return measuring.verdict(f"bar <= {SAME}x", same) | measuring.verdict(
        f"bar <= {MILLISECONDS:.0f} ms of CPU", fast
    )


def _read(path: Path) -> dict[str, list[float]]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        env=measuring.environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: dict[str, list[float]] = json.loads(done.stdout)
    assert answer["tests"] == TESTS, answer
    return answer


def build(path: Path, runs: int) -> None:
    """Write a history of ``runs`` full runs: 2 % of the tests fail now and then."""
    from pytest_aqe.history import writes
    from pytest_aqe.history.store import open_history

    partial = path.with_name("partial.duckdb")
    partial.unlink(missing_ok=True)
    with open_history(partial, write=True) as connection:
        for first in range(1, runs + 1, BATCH):
            last = min(first + BATCH, runs + 1)
            with connection.transaction():
                connection.execute(
                    """
                    insert into runs by name
                    select
                        n::integer as run_no,
                        'run-' || n as run_id,
                        'session' as origin,
                        timestamp '2024-01-01' + to_hours(n::integer) as started_at,
                        'complete' as status,
                        $3::integer as recorded,
                        '' as suite,
                        'order' as mode,
                        'trusted' as trust,
                        'cpython3.12-linux' as environment
                    from range($1::integer, $2::integer) as numbers(n)
                    """,
                    (first, last, TESTS),
                )
                writes.create_staged(connection)
                connection.execute(
                    """
                    insert into staged by name
                    select
                        n::integer as run_no,
                        name as identity,
                        name as node_id,
                        0 as attempt,
                        'first' as attempt_mode,
                        if(t % 50 = 0 and hash(t * 7919 + n) % 10 = 0, 'failed', 'passed')
                            as outcome,
                        .001 + hash(t * 104729 + n) % 1000 / 1e6 as duration,
                        .0001 as setup,
                        .0001 as teardown,
                        t::integer as position,
                        t::integer as collected,
                        'cpython3.12-linux' as environment
                    from
                        range($1::integer, $2::integer) as numbers(n),
                        (
                            select
                                t,
                                printf('tests/unit/test_part_%03d.py::test_case_%05d', t // 50, t)
                                    as name
                            from range($3::integer) as tests(t)
                        )
                    """,
                    (first, last, TESTS),
                )
                writes.fold(connection)
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
