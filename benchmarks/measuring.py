"""What the benchmarks share: suites to run, CPU time of a child, interleaved rounds, a table.

CPU time, not wall time: it is that of the child and of every process it waited for
(``os.wait4``), so git and xdist workers count and a busy machine disturbs less. Variants
run in interleaved rounds of alternating order, and what is compared is the median of the
ratios inside a round, because the speed of a shared machine drifts from minute to minute.
"""

from __future__ import annotations

import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

OFF = ("-p", "no:aqe")
# Where it is installed, hypothesis' own plugin imports all of hypothesis for the summary of
# every session, 0.2 to 0.6 s that would hide what we cost (hypothesis 6.170).
ALONE = ("-p", "no:hypothesispytest")
_SETTLED = {
    "PYTHONHASHSEED": "0",
    "PYTEST_ADDOPTS": "",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CEILING_DIRECTORIES": tempfile.gettempdir(),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one child process cost, in seconds of CPU, and its exit code."""

    cpu: float
    exit_code: int


def same_outcome(suite: str, before: Cost, after: Cost) -> None:
    """End where a suite does not run, or not the same with us: its costs would say nothing."""
    if before.exit_code not in (0, 1):  # passed, or tests failed
        sys.exit(f"{suite}: pytest ends with {before.exit_code} without us; is all installed?")
    if before.exit_code != after.exit_code:
        sys.exit(f"{suite}: exit code {before.exit_code} became {after.exit_code}")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the children's environment: ours without CI's and pytest's own settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "GITHUB_", "GITLAB_", "CI"))
    }
    return {**kept, **_SETTLED, **(extra or {})}


def run(
    arguments: Sequence[str],
    folder: Path,
    extra: Mapping[str, str] | None = None,
    *,
    limit: float | None = None,
) -> Cost:
    """Run a command silently to its end; return its cost, its own children included.

    ``limit`` ends one that never would: in seconds of CPU, or ten times as many in all.
    """
    child = subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment(extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=None if limit is None else lambda: _limit(limit),
    )
    patience = None if limit is None else threading.Timer(limit * 10, child.kill)
    if patience is not None:
        patience.start()
    _, status, usage = os.wait4(child.pid, 0)
    if patience is not None:
        patience.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    return Cost(usage.ru_utime + usage.ru_stime, child.returncode)


def _limit(seconds: float) -> None:
    whole = max(1, round(seconds))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))


def pytest_command(*arguments: str, python: str = sys.executable) -> list[str]:
    """Return the command of one quiet pytest session that leaves no cache behind."""
    return [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def interleaved(
    variants: Mapping[str, Callable[[], Cost]], rounds: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """Measure every variant once a round; return each one's seconds, round by round.

    The first rounds warm caches and are not counted. Every other round runs backwards.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-warm_up, rounds):
        names = list(variants)
        if number % 2:
            names.reverse()
        for name in names:
            cost = variants[name]()
            if number >= 0:
                seconds[name].append(cost.cpu)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return seconds


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median ratio of two variants over the rounds, and where 95 % of such medians fall."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio(one: Sequence[float], other: Sequence[float]) -> Ratio:
    """Compare two variants round by round; the interval is a seeded bootstrap's."""
    pairs = [a / b for a, b in zip(one, other, strict=True)]
    chance = random.Random(0)
    medians = sorted(median(chance.choices(pairs, k=len(pairs))) for _ in range(2000))
    return Ratio(median(pairs), medians[50], medians[1949])


def difference(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the differences inside a round, in seconds."""
    return median(a - b for a, b in zip(one, other, strict=True))


@contextmanager
def scratch(keep: Path | None = None) -> Iterator[Path]:
    """Give a folder that is deleted afterwards, or ``keep``, which is not."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="aqe-benchmark-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


def write_suite(folder: Path, *, files: int, tests: int, body: str = "pass") -> Path:
    """Write a suite of ``files`` x ``tests`` functions into a new git checkout."""
    (folder / "tests").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n", encoding="utf-8")
    for number in range(files):
        text = "\n\n".join(f"def test_{each}():\n    {body}" for each in range(tests))
        path = folder / "tests" / f"test_part_{number:03}.py"
        path.write_text(f"{text}\n", encoding="utf-8")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Make ``folder`` a git checkout with everything in it committed."""
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=folder, env=environment(), check=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings, in columns."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def machine() -> str:
    """Say what this was measured on."""
    import duckdb
    import pytest

    return (
        f"CPython {platform.python_version()}, pytest {pytest.__version__}, "
        f"duckdb {duckdb.__version__}, {os.cpu_count()} cores, {platform.system()}"
    )


def verdict(name: str, held: bool) -> int:
    """Print whether the bar was held; return the exit code."""
    print(f"{name}: {'held' if held else 'MISSED'}")
    return 0 if held else 1
