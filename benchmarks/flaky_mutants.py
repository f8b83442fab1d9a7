"""Whether a real regression is called a flake, in real projects with flaky tests.

``--project 'FOLDER [PYTEST ARGUMENTS]'`` (repeatable) is copied and made a checkout of its own;
what its tests import, and pytest-randomly, must be installed beside pytest-aqe. It is run in
its own order and in others until its order-dependent tests are known to be flaky, and these are
put in quarantine. Then one mutant of one function after another stands in the work tree, each
before the same history: in the project's own order and shuffled, plain, with
``--aqe-flaky=rerun`` and with ``--aqe-flaky=quarantine``.

A regression is a test that the mutant makes fail in the project's own order, where none fails
otherwise. It is suppressed where it fails in the plain session and is not red in the other of
the same order; a defect is lost where the other session ends green. The bar is none.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import measuring
import mutants

SHUFFLES = 24  # shuffled runs before the mutants
DECLARED = ("-p", "no:randomly")
MODES = ("rerun", "quarantine")
PATIENCE = 120.0  # seconds of CPU: a mutant may loop for ever
HEADINGS = (
    *("mode", "order", "sessions", "lost", "on stable", "on flaky", "suppressed"),
    "flakes not red",
)


@dataclass(slots=True)
class Count:
    """What became of regressions and flakes in the sessions of one mode."""

    sessions: int = 0  # with a regression
    lost: int = 0  # of these, green
    on_stable: int = 0  # regressions of tests that are not known to flake
    on_flaky: int = 0
    suppressed: list[str] = field(default_factory=list)
    flakes: int = 0  # other failures of the plain session
    quiet: int = 0  # of these, not red

    def row(self) -> tuple[str, ...]:
        """Return the numbers, as the table shows them."""
        return (
            f"{self.sessions}",
            f"{self.lost}",
            f"{self.on_stable}",
            f"{self.on_flaky}",
            f"{len(self.suppressed)}",
            f"{self.quiet} of {self.flakes}",
        )


class Project:
    """A project's copy, and sessions in it."""

    def __init__(self, asked: str, folder: Path) -> None:
        source, *self.arguments = shlex.split(asked)
        self.name = Path(source).name
        self.root = folder / self.name
        shutil.copytree(source, self.root, ignore=shutil.ignore_patterns(".git", ".aqe"))
        measuring.commit(self.root)
        self._plugins = folder / "plugins"
        self._plugins.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("outcomes.py"), self._plugins)
        self._outcomes = folder / "outcomes.json"
        self._history = self.root / ".aqe"
        self._before = folder / f"{self.name}.before"

    def session(self, *arguments: str) -> tuple[int, set[str]] | None:
        """Run one; return its exit code and the tests that were red, or None where it got stuck."""
        self._outcomes.unlink(missing_ok=True)
        done = measuring.run(
            measuring.pytest_command("-p", "outcomes", *arguments, *self.arguments),
            self.root,
            {
                "PYTHONPATH": f"{self._plugins}{os.pathsep}{self.root}",
                "OUTCOMES_FILE": str(self._outcomes),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            limit=PATIENCE,
        )
        if not self._outcomes.exists():
            return None
        seen = json.loads(self._outcomes.read_text(encoding="utf-8"))
        return done.exit_code, {name for name, (failed, _) in seen.items() if failed}

    def command(self, *arguments: str) -> str:
        """Run a command of pytest-aqe; return what it says."""
        return subprocess.run(
            [sys.executable, "-m", "pytest_aqe", *arguments],
            cwd=self.root,
            env=measuring.environment({"PYTHONPATH": str(self.root)}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def learn(self) -> list[str]:
        """Run it in its own order and in others; quarantine what is known to flake then."""
        for _ in range(3):
            found = self.session("--aqe", "--aqe-mode=observe", *DECLARED)
            if found is None or found[1]:
                raise SystemExit(f"{self.name}: its tests fail in their own order")
        for seed in range(SHUFFLES):
            self.session("--aqe", "--aqe-mode=observe", f"--randomly-seed={seed}")
        known = [row["node_id"] for row in json.loads(self.command("flaky", "--format", "json"))]
        for name in known:
            self.command(
                *("quarantine", "add", name, "--days", "14"),
                *("--owner", "benchmark", "--reason", "depends on order"),
            )
        measuring.commit(self.root)
        shutil.copytree(self._history, self._before, dirs_exist_ok=True)
        return known

    def again(self) -> None:
        """Return to the history before the mutants."""
        shutil.rmtree(self._history)
        shutil.copytree(self._before, self._history)

    def files(self) -> list[str]:
        """Return the Python files that are no tests."""
        listed = subprocess.run(
            ["git", "ls-files", "*.py"], cwd=self.root, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        return [name for name in listed if "test" not in name and name != "setup.py"]


def main() -> int:
    """Mutate, run, print, and return 1 when a regression was suppressed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", action="append", required=True, metavar="'FOLDER [ARGS]'")
    parser.add_argument("--mutants", type=int, default=30, metavar="N", help="noticed, a project")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="a new folder, not for temporary")
    asked = parser.parse_args()
    suppressed: list[str] = []
    lost = 0
    asked.work.mkdir(parents=True)
    for each in asked.project:
        project = Project(each, asked.work.resolve())
        known = project.learn()
        rows = []
        counts = walk(project, set(known), asked.mutants, asked.seed)
        for (mode, order), count in counts.items():
            rows.append((mode, order, *count.row()))
            suppressed += count.suppressed
            lost += count.lost
        print(f"\n{project.name}, {len(known)} tests known to be flaky, {asked.mutants} mutants")
        measuring.table(HEADINGS, rows)
    print(measuring.machine())
    for name in suppressed:
        print(f"suppressed: {name}")
    return measuring.verdict(
        "bar: no regression suppressed, none lost", not suppressed and not lost
    )


def walk(project: Project, known: set[str], wanted: int, seed: int) -> dict[tuple[str, str], Count]:
    """Let mutants stand in the work tree, until so many made a test fail."""
    counts: dict[tuple[str, str], Count] = {}
    noticed = 0
    for number, mutant in enumerate(mutants.choose(project.root, project.files(), seed)):
        if noticed == wanted:
            break
        file = project.root / mutant.file
        source = file.read_bytes()
        file.write_bytes(mutant.text)
        try:
            noticed += _judge(project, known, mutant.name, number, counts)
        finally:
            file.write_bytes(source)
    return counts


def _judge(
    project: Project,
    known: set[str],
    mutant: str,
    number: int,
    counts: dict[tuple[str, str], Count],
) -> bool:
    """Run the sessions of one mutant; tell whether any test noticed it."""
    plain = project.session(*DECLARED)
    if plain is None or not plain[1]:
        return False
    regressions = plain[1]
    shuffle = f"--randomly-seed={1000 + number}"
    orders: dict[str, tuple[set[str], Sequence[str]]] = {"own": (plain[1], DECLARED)}
    shuffled = project.session(shuffle)
    if shuffled is not None:
        orders["shuffled"] = shuffled[1], (shuffle, "--aqe-mode=observe")
    for order, (failed, arguments) in orders.items():
        for mode in MODES:
            project.again()
            found = project.session("--aqe", f"--aqe-flaky={mode}", *arguments)
            if found is None:
                continue
            exit_code, red = found
            real = failed & regressions
            count = counts.setdefault((mode, order), Count())
            count.sessions += bool(real)
            count.lost += bool(real) and exit_code == 0
            count.on_stable += len(real - known)
            count.on_flaky += len(real & known)
            count.suppressed += [f"{name}, {mutant}, {mode}, {order}" for name in real - red]
            count.flakes += len(failed - regressions)
            count.quiet += len(failed - regressions - red)
    print(".", end="", file=sys.stderr, flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
