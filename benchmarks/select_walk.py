"""What selecting leaves out of a real project, and what it costs, beside testmon.

The walk: the latest commits of a project that change its code, each in two states, the code
without its test changes, then whole. At every state one session runs everything, one runs
what testmon selects and one what ``--aqe-mode=select`` does; both keep what they know from
state to state, each in a checkout of its own. Everything says which tests fail; a failing
test that a tool did not run was missed.

The mutants: on the newest commit, one function is made wrong at a time (`mutants`), with
what the tools know as it was on the clean tree. Only mutants that a test notices count.

Last, sessions of both tools when nothing has changed since the one before.

The seconds of the tests that a tool selected are those that everything needed for them in
the same state, so both tools are measured with one clock. The bars: no failure missed that
testmon catches; none at all on mutants; at most 0.8 times testmon's seconds (the geometric
mean over states); CPU over the walk at most 0.6 times that of everything; a session without
a change at most 0.7 times testmon's CPU.

The environment must hold pytest-aqe, pytest-testmon and what the project's tests import, but
not the project. With ``--json`` every state is written as soon as it is known, and with
``--work`` the checkouts stay: a second call goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import measuring
import mutants

TIME, CPU, WARM = 0.8, 0.6, 0.7
FLOOR = 0.01  # of everything's seconds: less than this of it counts as this in a ratio
WARM_ROUNDS = 5
TOOLS = ("testmon", "aqe")
_ARGUMENTS = {
    "everything": ("-p", "no:testmon", "-p", "no:aqe"),
    # or addopts with -m would make it run everything
    "testmon": ("--testmon", "--testmon-forceselect", "-p", "no:aqe"),
    "aqe": ("-p", "no:testmon", "--aqe", "--aqe-mode=select", "--aqe-probe=0"),
}
_KNOWLEDGE = (".testmondata", ".testmondata-wal", ".testmondata-shm", ".aqe")
# A moment in a test's name: the next session calls the test otherwise.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d|\d\d-\d\d-\d{4}|\d\d:\d\d:\d\d(\.\d+)?")
_QUIET = ("-p", "no:randomly", "--tb=no", "-p", "outcomes")

Record = dict[str, Any]
Tests = dict[str, tuple[bool, float]]


def main() -> int:
    """Walk, mutate, print, and return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repository", type=Path, required=True, metavar="PATH")
    parser.add_argument("--package", required=True, metavar="FOLDER", help="such as src/click")
    parser.add_argument(
        "--tests", default="tests", metavar="PATHSPEC", help="such as ':(glob)pkg/**/tests/**'"
    )
    parser.add_argument("--until", default="HEAD", metavar="REF")
    parser.add_argument("--commits", type=int, default=30, metavar="N")
    parser.add_argument("--mutants", type=int, default=60, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--arguments", default="", help="for every session of pytest")
    parser.add_argument("--work", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH")
    asked = parser.parse_args()
    with measuring.scratch(asked.work) as folder:
        result = Result.read(asked.json)
        source = Source(folder.resolve(), asked.repository, asked.package, asked.tests)
        states = source.states(asked.until, asked.commits)
        bench = Bench(source, shlex.split(asked.arguments), resumed=bool(result.walk))
        walk(bench, states, result)
        if asked.mutants:
            mutate(bench, states[-1], asked.mutants, asked.seed, result)
        if not result.warm:
            result.warm = bench.unchanged()
            result.write()
    return report(asked.package, result)


@dataclass(slots=True)
class Result:
    """All that was measured so far, by state and by mutant; written after every one."""

    path: Path | None
    walk: dict[str, Record]
    mutants: dict[str, Record]
    warm: dict[str, list[float]]

    @classmethod
    def read(cls, path: Path | None) -> Result:
        """Take up what an earlier call wrote."""
        held = json.loads(path.read_text("utf-8")) if path is not None and path.exists() else {}
        return cls(path, held.get("walk", {}), held.get("mutants", {}), held.get("warm", {}))

    def write(self) -> None:
        """Write it down, if it was asked for."""
        if self.path is not None:
            held = {"walk": self.walk, "mutants": self.mutants, "warm": self.warm}
            self.path.write_text(json.dumps(held, indent=1), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class State:
    """A tree to test: a commit that holds it, and what it is."""

    commit: str
    name: str


@dataclass(frozen=True, slots=True)
class Session:
    """What a session cost, and of each test that ran whether it failed, and its seconds."""

    cost: measuring.Cost
    tests: Tests

    @property
    def failing(self) -> set[str]:
        """The tests that failed, and files that could not be collected."""
        return {name for name, (failed, _) in self.tests.items() if failed}


class Source:
    """A repository that knows the project's history and the states made of it."""

    def __init__(self, folder: Path, repository: Path, package: str, tests: str) -> None:
        self.folder = folder
        self.package = package
        self._tests = tests
        self.path = folder / "source"
        if not self.path.exists():
            origin = str(repository.resolve())
            _git(folder, "clone", "-q", "--shared", "--no-checkout", origin, "source")

    def states(self, until: str, commits: int) -> list[State]:
        """Return the tree before the first of the commits, then two for each, oldest first.

        The second is left out where a commit changes no test.
        """
        found = self._git(
            *("log", "--first-parent", "--format=%H", f"-n{commits + 1}", until),
            *("--", *self._code()),
        ).split()[::-1]
        states = [State(found[0], f"{found[0][:9]} before the walk")]
        for before, commit in pairwise(found):
            code = self._without_test_changes(commit, before)
            states.append(State(code, f"{commit[:9]} code"))
            if self._tree(code) != self._tree(commit):
                states.append(State(commit, f"{commit[:9]} whole"))
        return states

    def checkout(self, name: str, commit: str) -> Path:
        """Bring the checkout of this name to a commit; it keeps what tools left there."""
        path = self.folder / name
        if not path.exists():
            _git(self.folder, "clone", "-q", "--shared", "--no-checkout", str(self.path), name)
            _git(path, "remote", "remove", "origin")  # or its default branch were the base
        _git(path, "checkout", "-q", "--force", "--detach", commit)
        return path

    def python_files(self, root: Path) -> list[str]:
        """Return the package's files without tests, from the root of a checkout."""
        return _git(root, "ls-files", "--", *self._code()).splitlines()

    def describe(self, commit: str) -> tuple[str, str]:
        """Return the name and version to install the project under, the same for all states."""
        held = self._git("ls-tree", "--name-only", commit, "pyproject.toml").strip()
        text = self._git("show", f"{commit}:pyproject.toml") if held else ""
        name = re.search(r'^name\s*=\s*"(.+?)"', text, re.MULTILINE)
        version = re.search(r'^version\s*=\s*"(.+?)"', text, re.MULTILINE)
        return name[1] if name else self.package.rpartition("/")[2], version[1] if version else "0"

    def _without_test_changes(self, commit: str, before: str) -> str:
        index = {"GIT_INDEX_FILE": str(self.folder / "index")}
        self._git("read-tree", commit, extra=index)
        changed = self._git("diff", "--raw", "--no-renames", "--no-abbrev", "-z",
                            before, commit, "--", self._tests).split("\0")  # fmt: skip
        for entry, path in zip(changed[::2], changed[1::2], strict=False):
            mode, _, blob, _, _ = entry.removeprefix(":").split(" ")
            known = ("--add", "--cacheinfo", f"{mode},{blob},{path}")
            gone = ("--force-remove", path)
            self._git("update-index", *(gone if mode == "000000" else known), extra=index)
        tree = self._git("write-tree", extra=index).strip()
        return self._git(
            *("-c", "user.name=bench", "-c", "user.email=bench@example.invalid"),
            *("commit-tree", tree, "-p", before, "-m", "code"),
            extra={"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"},
        ).strip()

    def _code(self) -> tuple[str, str]:
        """Return what stands for the package's files, without tests that are among them."""
        magic, found, rest = self._tests.removeprefix(":(").partition(")")
        tests = f":(exclude,{magic}){rest}" if found else f":(exclude){self._tests}"
        return f"{self.package}/*.py", tests

    def _tree(self, commit: str) -> str:
        return self._git("rev-parse", f"{commit}^{{tree}}")

    def _git(self, *arguments: str, extra: dict[str, str] | None = None) -> str:
        return _git(self.path, *arguments, extra=extra)


class Bench:
    """The three checkouts, and one session in each."""

    def __init__(self, source: Source, arguments: Sequence[str], *, resumed: bool) -> None:
        self.source = source
        self._arguments = arguments
        self._plugins = source.folder / "plugins"
        self._saved = source.folder / "saved"
        self._limit: float | None = None
        if resumed and not self._saved.exists():
            sys.exit("what is to be resumed needs its --work folder as it was left")
        for tool in TOOLS if resumed else ():
            self.restore(tool)
        self._plugins.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("outcomes.py"), self._plugins)

    def install(self, commit: str) -> None:
        """Let the project be found as installed, wherever it is imported from."""
        name, version = self.source.describe(commit)
        folder = self._plugins / f"{re.sub('[-_.]+', '_', name)}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
        )

    def checkout(self, commit: str) -> None:
        """Bring all three checkouts to a commit."""
        for name in _ARGUMENTS:
            self.source.checkout(name, commit)

    def path(self, name: str) -> Path:
        """Return the folder of a checkout."""
        return self.source.folder / name

    def everything(self) -> Session:
        """Run all tests."""
        found = self._session("everything")
        if self._limit is None and not found.tests:
            sys.exit(f"pytest says {found.cost.exit_code} in {self.path('everything')}")
        if self._limit is None:
            self._limit = max(30.0, found.cost.cpu * 6)
        return found

    def compare(self, truth: Session) -> Record:
        """Run both tools; return what they ran and missed of what everything showed."""
        tests, failing = truth.tests, truth.failing
        record: Record = {"everything": _summary(truth, tests, tests), "failing": len(failing)}
        for tool in TOOLS:
            found = self._session(tool)
            ran = found.tests.keys()
            missed = sorted(failing - ran)
            record[tool] = {
                **_summary(found, tests, ran),
                "missed": missed,
                "missed that fail alone": self._failing_alone(missed),
                "passed": sorted((failing & ran) - found.failing),
            }
        return record

    def unchanged(self) -> dict[str, list[float]]:
        """Measure sessions in which nothing has changed since the one before."""
        return measuring.interleaved(
            {tool: partial(self._cost, tool) for tool in TOOLS}, WARM_ROUNDS
        )

    def save(self) -> None:
        """Keep what both tools know now."""
        fresh = self._saved.with_name("saving")
        shutil.rmtree(fresh, ignore_errors=True)
        for tool in TOOLS:
            _copy_knowledge(self.path(tool), fresh / tool)
        shutil.rmtree(self._saved, ignore_errors=True)
        fresh.rename(self._saved)

    def restore(self, tool: str) -> None:
        """Let a tool know what was kept."""
        _copy_knowledge(self._saved / tool, self.path(tool))

    def _failing_alone(self, names: Sequence[str]) -> int:
        """Return how many of these tests fail when no other test runs."""
        return len(self._session("everything", names).failing) if names else 0

    def _session(self, name: str, more: Sequence[str] = ()) -> Session:
        written = self.source.folder / f"{name}.json"
        written.unlink(missing_ok=True)
        cost = self._cost(name, more, written)
        tests: Tests = {}
        if written.exists():
            for node_id, (failed, seconds) in json.loads(written.read_text("utf-8")).items():
                known = tests.get(test := _MOMENT.sub("#", node_id), (False, 0.0))
                tests[test] = (known[0] or failed, known[1] + seconds)
        return Session(cost, tests)

    def _cost(
        self, name: str, more: Sequence[str] = (), written: Path = Path(os.devnull)
    ) -> measuring.Cost:
        folder = self.path(name)
        parent = folder / Path(self.source.package).parent
        command = measuring.pytest_command(*_QUIET, *_ARGUMENTS[name], *self._arguments, *more)
        extra = {
            "PYTHONPATH": f"{parent}{os.pathsep}{self._plugins}",
            "PYTHONDONTWRITEBYTECODE": "",
            "OUTCOMES_FILE": str(written),
        }
        return measuring.run(command, folder, extra, limit=self._limit)


def walk(bench: Bench, states: Sequence[State], result: Result) -> None:
    """Measure every state that is not known yet."""
    bench.install(states[-1].commit)
    for number, state in enumerate(states):
        if state.name in result.walk:
            continue
        bench.checkout(state.commit)
        result.walk[state.name] = record = bench.compare(bench.everything())
        bench.save()
        result.write()
        _say(f"{number + 1}/{len(states)} {state.name}", record)


def mutate(bench: Bench, state: State, wanted: int, seed: int, result: Result) -> None:
    """Measure mutants of a state until enough were noticed by a test."""
    if _killed(result) >= wanted:
        return
    bench.checkout(state.commit)
    clean = bench.everything()
    bench.compare(clean)  # what the tools still had to run, they have run now
    bench.save()
    root = bench.path("everything")
    clock = Clock()
    for mutant in mutants.choose(root, bench.source.python_files(root), seed):
        if _killed(result) >= wanted:
            return
        if mutant.name in result.mutants:
            continue
        file = Path(mutant.file)
        plain = (root / file).read_bytes()
        for name in _ARGUMENTS:
            clock.write(bench.path(name) / file, mutant.text)
        truth = bench.everything()
        noticed = truth.cost.exit_code >= 0 and bool(truth.failing - clean.failing)
        record = bench.compare(truth) if noticed else {}
        for name in _ARGUMENTS:
            clock.write(bench.path(name) / file, plain)
        for tool in TOOLS if noticed else ():
            bench.restore(tool)
        result.mutants[mutant.name] = record
        result.write()
        if record:
            _say(f"{_killed(result)}/{wanted} {mutant.name}", record)


class Clock:
    """Write files whose times of modification differ by whole seconds.

    Python takes a cached module for that of any file of the same size and second.
    """

    def __init__(self) -> None:
        self._seconds = time.time() + 10

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, later than every one before."""
        path.write_bytes(content)
        self._seconds += 2
        os.utime(path, (self._seconds, self._seconds))


def report(name: str, result: Result) -> int:
    """Print what was measured, and whether each bar was held."""
    print(f"{name}; {measuring.machine()}")
    first, *walked = result.walk.values()
    noticed = [record for record in result.mutants.values() if record]
    rows = []
    for label, records in (("first run", [first]), ("walk", walked), ("mutants", noticed)):
        rows += [_row(label, tool, records) for tool in ("everything", *TOOLS) if records]
    measuring.table(
        (
            *("", "", "states", "tests run", "median", "seconds", "to testmon"),
            *("failing", "missed", "of them alone", "CPU s", "of everything"),
        ),
        rows,
    )
    pairs = [(record["testmon"]["missed"], record["aqe"]["missed"]) for record in walked + noticed]
    caught = sum(len(set(ours) - set(theirs)) for theirs, ours in pairs)
    missed = sum(len(record["aqe"]["missed"]) for record in noticed)
    seconds = _seconds_ratio(walked)
    cpu = _total(walked, "aqe", "cpu") / _total(walked, "everything", "cpu")
    warm = measuring.ratio(result.warm["aqe"], result.warm["testmon"])
    print(
        f"nothing changed: CPU {median(result.warm['aqe']) * 1e3:.0f} ms, "
        f"testmon {median(result.warm['testmon']) * 1e3:.0f} ms, ratio {warm}"
    )
    return max(
        measuring.verdict(f"bar: none missed that testmon catches ({caught})", not caught),
        measuring.verdict(f"bar: none missed on mutants ({missed})", not missed),
        measuring.verdict(f"bar: seconds {seconds:.2f} <= {TIME}x testmon's", seconds <= TIME),
        measuring.verdict(f"bar: CPU {cpu:.2f} <= {CPU}x everything's", cpu <= CPU),
        measuring.verdict(
            f"bar: unchanged {warm.median:.2f} <= {WARM}x testmon's", warm.median <= WARM
        ),
    )


def _row(label: str, tool: str, records: Sequence[Record]) -> tuple[str, ...]:
    shares = [record[tool]["tests"] / max(record["everything"]["tests"], 1) for record in records]
    everything = _total(records, "everything", "seconds")
    return (
        label,
        tool,
        str(len(records)),
        f"{sum(shares) / len(shares):.1%}",
        f"{median(shares):.1%}",
        f"{_total(records, tool, 'seconds') / everything:.1%}",
        f"{_seconds_ratio(records):.2f}x" if tool == "aqe" else "",
        str(sum(record["failing"] for record in records)),
        str(sum(len(record[tool].get("missed", ())) for record in records)),
        str(sum(record[tool].get("missed that fail alone", 0) for record in records)),
        f"{_total(records, tool, 'cpu'):.0f}",
        f"{_total(records, tool, 'cpu') / _total(records, 'everything', 'cpu'):.2f}x",
    )


def _seconds_ratio(records: Sequence[Record]) -> float:
    """Return the geometric mean of the seconds selected, ours to testmon's.

    A state in which neither selects anything tells nothing.
    """
    logarithms = []
    for record in records:
        floor = record["everything"]["seconds"] * FLOOR
        theirs, ours = record["testmon"]["seconds"], record["aqe"]["seconds"]
        if max(theirs, ours) > floor:
            logarithms.append(math.log(max(ours, floor) / max(theirs, floor)))
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else math.nan


def _total(records: Sequence[Record], tool: str, what: str) -> float:
    return math.fsum(record[tool][what] for record in records)


def _summary(session: Session, tests: Tests, ran: Collection[str]) -> Record:
    """Return a session's cost and tests; their seconds are those that ``tests`` says."""
    return {
        "cpu": session.cost.cpu,
        "exit": session.cost.exit_code,
        "tests": len(ran),
        "seconds": math.fsum(tests[name][1] for name in ran if name in tests),
    }


def _killed(result: Result) -> int:
    return sum(bool(record) for record in result.mutants.values())


def _copy_knowledge(one: Path, other: Path) -> None:
    """Replace what a tool knows in one folder by what it knows in another."""
    for name in _KNOWLEDGE:
        old, new = other / name, one / name
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
        if new.is_dir():
            shutil.copytree(new, old)
        elif new.exists():
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(new, old)


def _say(what: str, record: Record) -> None:
    """Tell how it goes, on stderr."""
    said = [f"{record['everything']['tests']} tests, {record['failing']} fail"]
    for tool in TOOLS:
        found = record[tool]
        missed = f", MISSED {len(found['missed'])}" if found["missed"] else ""
        said.append(f"{tool} {found['tests']} tests in {found['cpu']:.1f} s{missed}")
    print(f"{what}: {'; '.join(said)}", file=sys.stderr, flush=True)


def _git(folder: Path, *arguments: str, extra: dict[str, str] | None = None) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=measuring.environment(extra),
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
