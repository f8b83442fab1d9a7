"""The command `pytest-aqe gaps` on a project of 50,000 lines: CPU seconds, imports included.

    python benchmarks/gaps_warm.py [--gaps 5000]

The history holds one run that measured 500 files and 5,000 gaps of 10 lines and 6 branches.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from pytest_aqe.data import Gap, Run, RunEnd
from pytest_aqe.history import gaps, writes
from pytest_aqe.history.runfile import RunFileWriter

BAR = 1.0  # seconds
START = "2026-01-01T00:00:00+00:00"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gaps", type=int, default=5000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder, "history.duckdb")
        writer = RunFileWriter(Path(folder), Run("r1", START))
        writer.append_told(
            "covered",
            ({"file": f"pack/m{n}.py", "statements": 60, "ran": 40, "branches": 20, "taken": 9}
             for n in range(500)),
        )  # fmt: skip
        writer.append_told("gaps", gaps.gap_rows([_gap(n) for n in range(asked.gaps)]))
        writer.close(RunEnd(START, "complete", 0, 0, 0, 0))
        writes.remember(history)
        command = [sys.executable, "-m", "pytest_aqe", "gaps", "--history", str(history)]
        seconds = []
        for _ in range(5):
            before = children_cpu()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(children_cpu() - before)
    best = sorted(seconds)[len(seconds) // 2]
    print(f"{asked.gaps:,} gaps: median {best:.2f} s of CPU (bar {BAR})")
    sys.exit(best > BAR)


def children_cpu() -> float:
    """Return the CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _gap(number: int) -> Gap:
    line = number * 10 % 100
    return Gap(
        f"pack/m{number % 500}.py", f"f{number}", line, line + 20, tuple(range(line, line + 10)),
        tuple((n, n + 1) for n in range(line, line + 6)), 20, float(number % 97), (), 3, 4, 2, 0.5,
        False, ("tests/test_a.py::test_a",),
    )  # fmt: skip


if __name__ == "__main__":
    main()
