"""Whether ``kill -9`` ever loses a recorded result or leaves something to repair by hand.

At random moments (the seed is printed) the whole process group is killed in four phases:

- tests: a session that is running tests or writing what it recorded;
- ingest: a session or ``pytest-aqe status`` that takes up many waiting run files;
- migration: a process that brings the history to a made-up next schema version;
- rebuild: a session or ``pytest-aqe status`` that finds the history damaged (cut short,
  its head or all of it overwritten), sets it aside and rebuilds it.

Right after each kill every complete result line of every run file is noted in a ledger.
Then the next normal session must end with the exit code of plain pytest and say nothing of
a fault, and the history must hold every result of the ledger exactly once, with its
outcome; where it says that run files still wait (a session takes them up for a few seconds
only), once further sessions have taken them up. In the first phase the tests keep a list of
their own: whatever ran before the last test that began must be in the ledger. The bar is
zero lost, zero twice, zero repairs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import measuring

PHASES = ("tests", "ingest", "migration", "rebuild")
TESTS = 60
WAITING = 25  # run files that wait in the ingest phase
PATIENCE = 20  # sessions; each takes up what waits for a few seconds only
HEADERS = 12_288  # bytes; damage behind them shows only when the place is read
SETTLED = (*measuring.ALONE, "-p", "no:xdist")

Key = tuple[str, str, int, str]
"""A result: run id, node id, attempt, outcome."""

NEXT_VERSION = """
from pytest_aqe.history import store

of_now = store._schema()
store._schema = lambda: of_now + '''

create table annotations (
    run_no integer,
    note varchar
);
'''
store.SCHEMA_VERSION += 1
store.NEW_TABLES[store.SCHEMA_VERSION] = ("annotations",)
"""

MIGRATE = """
import sys
from pathlib import Path
import next_version
from pytest_aqe.history.store import open_history
with open_history(Path(sys.argv[1]), write=True):
    pass
"""


@dataclass(slots=True)
class Tally:
    """What one phase saw."""

    moments: int = 0
    survived: int = 0  # the process had ended before the kill
    more: int = 0  # sessions until nothing waited, beyond the first after a kill
    checked: int = 0
    lost: int = 0
    twice: int = 0
    troubles: list[str] = field(default_factory=list)


class Suite:
    """A project with tests that fail and pass, its history, and the ledger of its results."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.history = folder / ".aqe" / "history.duckdb"
        self.witness = folder / "began.txt"
        self.ledger: dict[tuple[str, str, int], str] = {}
        self.scanned: dict[str, tuple[int, int]] = {}
        self.made = 0
        self.variables = {"PYTHONPATH": str(folder / "more"), "BEGAN": str(self.witness)}
        (folder / "more").mkdir(parents=True)
        (folder / "more" / "next_version.py").write_text(NEXT_VERSION, encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / ".gitignore").write_text("began.txt\n__pycache__\n", encoding="utf-8")
        (folder / "conftest.py").write_text(
            "import os, pytest\n\n"
            "@pytest.fixture(autouse=True)\n"
            "def began(request):\n"
            "    with open(os.environ['BEGAN'], 'a') as file:\n"
            "        file.write(request.node.nodeid + '\\n')\n",
            encoding="utf-8",
        )
        for part in range(3):
            text = "import time, pytest\n\n"
            text += f"@pytest.mark.parametrize('n', range({TESTS // 3}))\n"
            text += "def test_it(n):\n    time.sleep(.002)\n    assert n != 3\n"
            (folder / f"test_part_{part}.py").write_text(text, encoding="utf-8")
        measuring.commit(folder)

    def session(self, *arguments: str) -> list[str]:
        """Return the command of a session."""
        return measuring.pytest_command(*SETTLED, *arguments)

    def status(self) -> list[str]:
        """Return the command that shows the history, and takes up what waits."""
        return [sys.executable, "-m", "pytest_aqe", "status"]

    def leave_waiting(self, count: int) -> None:
        """Write run files as sessions that could not open the history leave them."""
        from pytest_aqe.data import Result, Run, RunEnd
        from pytest_aqe.history.runfile import RunFileWriter

        for _ in range(count):
            self.made += 1
            run = Run(run_id=f"made-{self.made:06}", started_at=f"2024-01-01T00:00:{0:02}+00:00")
            writer = RunFileWriter(self.history.parent, run)
            for number in range(TESTS):
                outcome = self.chance.choice(("passed", "passed", "failed"))
                node_id = f"test_made.py::test_it[{number}]"
                writer.append(Result(node_id, outcome, call=0.01, position=number))  # type: ignore[arg-type]
                self.ledger[run.run_id, node_id, 0] = outcome
            if self.chance.random() < 0.8:  # else as after a kill
                writer.close(RunEnd("2024-01-01T00:01:00+00:00", "complete", 1, TESTS, 0, TESTS))
            else:
                os.close(writer._file)

    def note(self) -> set[tuple[str, str, int]]:
        """Enter every complete result line of every new run file; return the keys seen."""
        seen = set()
        for path in sorted((self.history.parent / "runs").rglob("*.jsonl*")):
            if path.name.endswith(".partial"):
                continue
            stat = path.stat()
            if self.scanned.get(path.name) == (stat.st_size, stat.st_mtime_ns):
                continue
            self.scanned[path.name] = (stat.st_size, stat.st_mtime_ns)
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            run_id = path.name.partition(".")[0]
            for line in data.split(b"\n")[:-1]:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                if said.get("type") == "result":
                    key = (run_id, said["node_id"], said.get("attempt", 0))
                    self.ledger[key] = said["outcome"]
                    seen.add(key)
        return seen

    def held(self) -> Counter[Key]:
        """Return what the history holds, read with nothing but duckdb."""
        import duckdb

        connection = duckdb.connect(str(self.history), read_only=True)
        try:
            rows = connection.execute(
                """
                select run_id, node_id, attempt, outcome, count(*)
                from results join runs using (run_no) join nodes using (node_no)
                group by all
                """
            ).fetchall()
        finally:
            connection.close()
        return Counter(
            {(run, node, attempt, outcome): n for run, node, attempt, outcome, n in rows}
        )

    def version(self) -> int:
        """Return the schema version that the file says."""
        import duckdb

        connection = duckdb.connect(str(self.history), read_only=True)
        try:
            rows = connection.execute(
                "select value::integer from meta where name = 'schema_version'"
            ).fetchall()
        finally:
            connection.close()
        return int(rows[0][0])

    def damage(self) -> str:
        """Break the history in one of three ways; say which."""
        size = self.history.stat().st_size
        kind = self.chance.choice(("cut", "spoiled", "replaced"))
        if kind == "cut":
            os.truncate(self.history, self.chance.randrange(1, size))
        elif kind == "spoiled":
            with self.history.open("r+b") as file:
                file.seek(self.chance.randrange(0, HEADERS))
                file.write(self.chance.randbytes(HEADERS))
        else:
            self.history.write_bytes(self.chance.randbytes(size))
        return kind


def main() -> int:
    """Kill, look, print, and return 1 when anything was lost or had to be repaired."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--phase", choices=PHASES, action="append")
    asked = parser.parse_args()
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    phases = asked.phase or PHASES
    print(f"seed {seed}; {measuring.machine()}", flush=True)
    tallies = {phase: Tally() for phase in phases}
    with measuring.scratch() as folder:
        for number, phase in enumerate(phases):
            chance = random.Random(f"{seed}-{phase}")
            suite = Suite(folder / phase, chance)
            share = asked.moments // len(phases) + (number < asked.moments % len(phases))
            _phase(phase, suite, share, tallies[phase])
    measuring.table(
        (
            "phase",
            "killed",
            "too late",
            "more sessions",
            "results checked",
            "lost",
            "twice",
            "troubles",
        ),
        [
            (
                phase,
                str(tally.moments - tally.survived),
                str(tally.survived),
                str(tally.more),
                f"{tally.checked:,}",
                str(tally.lost),
                str(tally.twice),
                str(len(tally.troubles)),
            )
            for phase, tally in tallies.items()
        ],
    )
    for phase, tally in tallies.items():
        for trouble in tally.troubles[:10]:
            print(f"{phase}: {trouble}")
    good = not any(tally.lost or tally.twice or tally.troubles for tally in tallies.values())
    return measuring.verdict("bar: nothing lost, nothing twice, nothing to repair", good)


def _phase(phase: str, suite: Suite, moments: int, tally: Tally) -> None:
    """Kill ``moments`` times in one phase, and look each time."""
    plain = measuring.run(suite.session(*measuring.OFF), suite.folder, suite.variables).exit_code
    _next(suite, plain, tally, ())
    seconds = 0.0
    for number in range(-1, moments * 3):
        if tally.moments - tally.survived == moments:
            break
        command, more = _prepared(phase, suite, number)
        suite.witness.unlink(missing_ok=True)
        limit = None if number < 0 else suite.chance.uniform(0, seconds)
        began = time.monotonic()
        killed = _run_and_kill(command, suite, limit)
        if number < 0:  # the first one runs to its end, to learn how long it takes
            seconds = time.monotonic() - began
            limit = seconds
        else:
            tally.moments += 1
            tally.survived += not killed
        noted = suite.note()
        where = f"moment {number}, killed after {limit:.3f} of {seconds:.3f} s"
        if phase == "tests":
            _compare_with_witness(suite, noted, where, tally)
        if phase == "migration":
            _look_at_version(suite, where, tally)
        _next(suite, plain, tally, more, where)
        _compare(suite, where, tally)
        done = tally.moments - tally.survived
        print(f"\r{phase}: {done} of {moments}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _prepared(phase: str, suite: Suite, number: int) -> tuple[list[str], tuple[str, ...]]:
    """Return the command to kill and what the session after it needs."""
    either: tuple[Callable[[], Sequence[str]], ...] = (
        lambda: suite.session("--aqe"),
        suite.status,
    )
    if phase == "tests":
        return suite.session("--aqe"), ()
    if phase == "ingest":
        suite.leave_waiting(WAITING)
        return list(either[number % 2]()), ()
    if phase == "migration":
        _back_to_this_version(suite)
        command = [sys.executable, "-c", MIGRATE, str(suite.history)]
        return command, ("-p", "next_version")
    if not list((suite.history.parent / "runs" / "ingested").glob("made-*")):
        suite.leave_waiting(WAITING)
        measuring.run(suite.status(), suite.folder, suite.variables)
    suite.damage()
    return list(either[number % 2]()), ()


def _back_to_this_version(suite: Suite) -> None:
    """Rebuild the history as this version writes it, with enough in it to take a while."""
    if suite.made == 0:
        suite.leave_waiting(WAITING * 4)
    suite.history.unlink()
    suite.history.with_name(f"{suite.history.name}.wal").unlink(missing_ok=True)
    measuring.run(suite.status(), suite.folder, suite.variables)


def _run_and_kill(command: list[str], suite: Suite, limit: float | None) -> bool:
    """Run a command; kill its process group after ``limit`` seconds; say whether it was."""
    child = subprocess.Popen(
        command,
        cwd=suite.folder,
        env=measuring.environment(suite.variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        child.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return True
    return False


def _next(
    suite: Suite, plain: int, tally: Tally, more: tuple[str, ...], where: str = "at first"
) -> None:
    """Run the next normal session: plain pytest's exit code, and no word of a fault."""
    for _ in range(PATIENCE):
        done = subprocess.run(
            suite.session("--aqe", *more),
            cwd=suite.folder,
            env=measuring.environment(suite.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        if "still waiting" not in done.stdout:
            break
        tally.more += 1
    if done.returncode != plain:
        tally.troubles.append(f"{where}: exit code {done.returncode}, plain pytest's is {plain}")
    said = done.stdout.partition(" aqe -")[2]
    if "internal fault" in said or "recorded" not in said:
        tally.troubles.append(f"{where}: the next session said {said[:600]!r}")
    for path in (suite.history.parent / "faults").glob("*.txt"):
        tally.troubles.append(f"{where}: {path.name}: {path.read_text('utf-8')[-600:]}")
        path.unlink()
    suite.note()


def _compare(suite: Suite, where: str, tally: Tally) -> None:
    """Hold the ledger against the history."""
    held = suite.held()
    missing = [key for key, outcome in suite.ledger.items() if not held[(*key, outcome)]]
    twice = [key for key, count in held.items() if count > 1]
    tally.checked += len(suite.ledger)
    tally.lost += len(missing)
    tally.twice += len(twice)
    if missing or twice:
        tally.troubles.append(
            f"{where}: {len(missing)} lost ({missing[:1]}), {len(twice)} twice ({twice[:1]})"
        )


def _compare_with_witness(
    suite: Suite, noted: set[tuple[str, str, int]], where: str, tally: Tally
) -> None:
    """Hold the tests' own list against the latest run file: all but the last began and ended."""
    if not suite.witness.exists():
        return
    began = suite.witness.read_text(encoding="utf-8").splitlines()
    run = max(run_id for run_id, _, _ in noted) if noted else ""
    recorded = {node_id for run_id, node_id, _ in noted if run_id == run}
    missing = set(began[:-1]) - recorded
    if missing:
        tally.lost += len(missing)
        tally.troubles.append(f"{where}: {len(missing)} ended tests stand in no run file")


def _look_at_version(suite: Suite, where: str, tally: Tally) -> None:
    """Find the history whole, as this version's or as the next one's."""
    import duckdb

    from pytest_aqe.history.store import SCHEMA_VERSION

    try:
        version, held = suite.version(), suite.held()
    except duckdb.Error as error:
        tally.troubles.append(f"{where}: {error}")
        return
    if version not in (SCHEMA_VERSION, SCHEMA_VERSION + 1) or not held:
        tally.troubles.append(f"{where}: version {version}, {len(held)} results")


if __name__ == "__main__":
    sys.exit(main())
