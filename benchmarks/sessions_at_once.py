"""Whether sessions that end at the same time on one history get into each other's way.

Eight sessions (of two suites: one passes, one fails) start together on one history, round
after round; every fifth round finds the history lost, as after a cleared cache. Every
session must end with the exit code of plain pytest and without a fault; in the end, after
sessions alone have taken up what still waits (each does so for a few seconds only), the
history must hold every run exactly once and every result of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import measuring

TESTS = 20
LOST = 5  # every so many rounds the history is gone
PATIENCE = 40  # sessions; a session takes up what waits for a few seconds only


def main() -> int:
    """Run, look, print, and return 1 when anything went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=50, metavar="N")
    parser.add_argument("--sessions", type=int, default=8, metavar="N")
    asked = parser.parse_args()
    troubles: list[str] = []
    waited = 0
    began = time.monotonic()
    with measuring.scratch() as folder:
        suites = [
            _suite(folder / name, body) for name, body in (("good", "pass"), ("bad", "1 / 0"))
        ]
        plain = [measuring.run(_command(), suite).exit_code for suite in suites]
        history = folder / ".aqe" / "history.duckdb"
        for number in range(asked.rounds):
            if number % LOST == LOST - 1:
                history.unlink(missing_ok=True)
            sessions = [
                _start(suites[each % 2], history, number * asked.sessions + each)
                for each in range(asked.sessions)
            ]
            for each, session in enumerate(sessions):
                said, _ = session.communicate()
                waited += "kept in the run file" in said
                if session.returncode != plain[each % 2]:
                    troubles.append(
                        f"round {number}: exit code {session.returncode}: {said[-600:]}"
                    )
                elif "internal fault" in said or f"recorded {TESTS} results" not in said:
                    troubles.append(f"round {number}: {said.partition(' aqe -')[2][:600]}")
            print(f"\rround {number + 1} of {asked.rounds}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        alone = 0
        last = "still waiting"
        while alone < PATIENCE and ("still waiting" in last or "kept in the run file" in last):
            number = (asked.rounds * asked.sessions + alone) * 4  # without workers
            last, _ = _start(suites[0], history, number).communicate()
            alone += 1
        held = _held(history)
        expected = asked.rounds * asked.sessions + alone
        twice = [run for run, count in held.items() if count > TESTS]
        part = [run for run, count in held.items() if count < TESTS]
        for path in (folder / ".aqe" / "faults").glob("*.txt"):
            troubles.append(f"{path.name}: {path.read_text(encoding='utf-8')[-600:]}")
    seconds = time.monotonic() - began
    print(
        f"{asked.sessions} sessions, {asked.rounds} rounds, {seconds:.0f} s; {measuring.machine()}"
    )
    measuring.table(
        (
            "sessions",
            "runs held",
            "twice",
            "in part",
            "left for later",
            "alone at last",
            "troubles",
        ),
        [
            tuple(
                str(count)
                for count in (
                    expected,
                    len(held),
                    len(twice),
                    len(part),
                    waited,
                    alone,
                    len(troubles),
                )
            )
        ],
    )
    for trouble in troubles[:10]:
        print(trouble)
    good = len(held) == expected and not (twice or part or troubles)
    return measuring.verdict("bar: every run exactly once, every exit code right", good)


def _suite(folder: Path, body: str) -> Path:
    return measuring.write_suite(folder, files=2, tests=TESTS // 2, body=body)


def _command(*arguments: str) -> list[str]:
    return measuring.pytest_command(*measuring.ALONE, "--tb=no", *arguments)


def _start(suite: Path, history: Path, number: int) -> subprocess.Popen[str]:
    """Start a session; every fourth under xdist, so that starts and ends spread a little."""
    more = ["-n2"] if number % 4 == 3 and _has_xdist() else []
    return subprocess.Popen(
        _command("--aqe", f"--aqe-history={history}", *more),
        cwd=suite,
        env=measuring.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def _has_xdist() -> bool:
    from importlib.util import find_spec

    return find_spec("xdist") is not None


def _held(history: Path) -> Counter[str]:
    """Return how many results of each run the history holds; a run twice counts double."""
    import duckdb

    connection = duckdb.connect(str(history), read_only=True)
    try:
        rows = connection.execute(
            "select run_id, count(*) from runs join results using (run_no) group by run_id"
        ).fetchall()
    finally:
        connection.close()
    return Counter(dict(rows))


if __name__ == "__main__":
    sys.exit(main())
