"""What telling flaky tests from broken ones costs at the end of a session.

Builds a history of 40 runs in which every fiftieth test fails now and then, ends sessions on
it, one by one, and takes the CPU time of the parts: taking up the run file (which every session
does, flaky tests or not), judging its failures or learning, of that the model itself, without
SQL, and the cards of what is shown. A session judges its failures and leaves its run for later,
until fifty wait or too many results: that session learns from all of them, so means count and
every fifty-first session is among them. The bars are for the model, and for judging and
learning together.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean, median

import measuring

from pytest_aqe import suspecting
from pytest_aqe.beliefs import Conditions, Execution, Judgement
from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.history import flakes, queries, runfile, writes
from pytest_aqe.history.store import Connection, open_history
from pytest_aqe.learning.flaky import LaneBayes

BARS = {300: 2.0, 10_000: 50.0}  # ms of CPU by tests
MODEL_BAR = 1.0  # ms of CPU for 300 tests
PAST = 40  # runs before those that are measured
EVERY = 50  # one test in so many fails
STATEMENTS = 200
CHANCE = 0.1  # ... in so many of its runs, the first test in all

Parts = tuple[float, float, float, float]  # taking up, beliefs, of them the model, cards: ms


def main() -> int:
    """Build, end sessions, print, and return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=suspecting.WAITING + 1, metavar="N")
    asked = parser.parse_args()
    rows, missed = [], 0
    for tests, bar in BARS.items():
        with measuring.scratch() as folder:
            ends = Ends(folder, tests)
            for _ in range(PAST):
                ends.end(failing=True)
            failing = [ends.end(failing=True) for _ in range(asked.rounds)]
            passing = [ends.end(failing=False) for _ in range(suspecting.WAITING + 1)]
            least = ends.statement()
        for name, found in (("some fail", failing), ("all pass", passing)):
            taking, beliefs, model, cards = zip(*found, strict=True)
            held = mean(beliefs) <= bar
            model_bar = MODEL_BAR * tests / 300
            model_held = mean(model) <= model_bar
            missed |= not (held and model_held)
            rows.append(
                (
                    f"{tests:,}",
                    name,
                    f"{median(taking):.1f}",
                    f"{median(beliefs):.1f}",
                    f"{mean(beliefs):.1f}",
                    f"<= {bar:g}: {_said(held)}",
                    f"{mean(model):.2f}",
                    f"<= {model_bar:.0f}: {_said(model_held)}",
                    f"{median(cards):.1f}",
                )
            )
    print(f"ms of CPU a session; {measuring.machine()}")
    print(f"a statement that reads one value: {least:.2f} ms; judging takes five that read tables")
    measuring.table(
        (
            *("tests", "outcome", "taking up, median", "beliefs, median", "mean", "bar"),
            *("the model, mean", "bar", "cards, median"),
        ),
        rows,
    )
    return int(missed)


def _said(held: bool) -> str:
    return "held" if held else "MISSED"


class Timed(LaneBayes):
    """The model, and how long it takes: by the clock, for reading CPU time costs more than it."""

    seconds = 0.0

    def see(self, conditions: Conditions, executions: Iterable[Execution]) -> list[Judgement]:
        start = time.perf_counter()
        judged = super().see(conditions, executions)
        Timed.seconds += time.perf_counter() - start
        return judged


class Ends:
    """Ends of sessions, one after another, on one history."""

    def __init__(self, folder: Path, tests: int) -> None:
        self.folder = folder
        self.tests = tests
        self.chance = random.Random(0)
        self.runs = 0

    def end(self, *, failing: bool) -> Parts:
        """Write a run's file, and end its session."""
        self.runs += 1
        run, failed = self._write(failing)
        Timed.seconds = 0.0
        begun = learnt = shown = 0.0

        def learn(connection: Connection) -> None:
            """Do as `Recorder._learn_flaky` does."""
            nonlocal begun, learnt, shown
            begun = time.process_time()
            found = None
            waiting = suspecting.WAITING
            if failed:
                found = flakes.judge(connection, "", run.run_id, Timed, waiting=waiting)
                waiting = 0
            if found is None and (not waiting or queries.unlearnt(connection) > waiting):
                flakes.catch_up(connection, Timed)
                found = flakes.judged(connection, run.run_id) if failed else None
            learnt = time.process_time()
            if found:
                suspecting.cards(connection, found, rerunning=False)
            shown = time.process_time()

        start = time.process_time()
        writes.remember(self.folder / "history.duckdb", learn=learn)
        rest = time.process_time() - start - (shown - begun)
        parts = rest, learnt - begun, Timed.seconds, shown - learnt
        taking, beliefs, model, cards = (each * 1e3 for each in parts)
        return taking, beliefs, model, cards

    def statement(self) -> float:
        """Return what the cheapest statement costs, in ms of CPU."""
        with open_history(self.folder / "history.duckdb", write=False) as connection:
            start = time.process_time()
            for _ in range(STATEMENTS):
                connection.execute("select run_no from flake_marks")
            return (time.process_time() - start) / STATEMENTS * 1e3

    def _write(self, failing: bool) -> tuple[Run, bool]:
        """Write the run's file; return it, and whether a test failed."""
        started = datetime(2026, 1, 1) + timedelta(hours=self.runs)
        code = f"{self.runs // 3}"
        run = Run(
            f"run{self.runs:05}",
            started.isoformat(),
            branch="main",
            commit=code,
            tree=code,
            environment="cpython3.12-linux",
            source="ci",
        )
        writer = runfile.RunFileWriter(self.folder, run)
        failures = 0
        for number in range(self.tests):
            suspect = failing and number % EVERY == 0
            fails = suspect and (number == 0 or self.chance.random() < CHANCE)
            failures += fails
            writer.append(
                Result(
                    f"tests/test_part_{number // 50:03}.py::test_{number:05}",
                    "failed" if fails else "passed",
                    setup=0.0001,
                    call=0.001,
                    teardown=0.0001,
                    position=number,
                    collected=number,
                    signature="AssertionError: assert # == #" if fails else None,
                )
            )
        writer.close(
            RunEnd(run.started_at, "complete", int(failures > 0), self.tests, 0, self.tests)
        )
        return run, failures > 0


if __name__ == "__main__":
    sys.exit(main())
