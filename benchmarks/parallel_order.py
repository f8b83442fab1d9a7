"""When the first failure comes with ``-n4``, with the order of the history and without.

A generated suite whose tests wait 100 ms each, in 20 files, one of which fails: the last. Its
history knows that from two runs. Time runs from the start of pytest to the first report of a
failure, in interleaved rounds of ``--aqe -n4`` and ``-p no:aqe -n4``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median

import measuring

FILES, TESTS = 20, 10
CLOCK = """
import time

_started = time.time()

def pytest_runtest_logreport(report):
    if report.failed and not hasattr(pytest_runtest_logreport, "told"):
        pytest_runtest_logreport.told = True
        with open("first", "w") as file:
            file.write(str(time.time() - _started))
"""


def main() -> int:
    """Measure, print, and return 1 when the history's order does not tell sooner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--dist", default="load", metavar="MODE", help="as of pytest-xdist")
    asked = parser.parse_args()
    with measuring.scratch() as folder:
        suite = folder / "suite"
        suite.mkdir()
        (suite / "pytest.ini").write_text("[pytest]\n")
        (suite / "clock.py").write_text(CLOCK)
        for number in range(FILES):
            tests = [
                f"def test_{each}():\n    time.sleep(0.1)\n    assert {number} < {FILES - 1}\n"
                for each in range(TESTS)
            ]
            (suite / f"test_{number:02}.py").write_text("import time\n\n" + "\n".join(tests))
        variants = {"--aqe": ("--aqe",), "-p no:aqe": measuring.OFF}
        for _ in range(2):
            first_failure(suite, asked.dist, "--aqe")
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        for turn in range(asked.rounds):
            for name in list(variants)[:: 1 if turn % 2 else -1]:
                seconds[name].append(first_failure(suite, asked.dist, *variants[name]))
    ratio = measuring.ratio(seconds["--aqe"], seconds["-p no:aqe"])
    print(f"{FILES * TESTS} tests, --dist={asked.dist}, -n4; {measuring.machine()}")
    measuring.table(
        ("variant", "s to the first failure", "ratio [95 %]"),
        [
            (name, f"{median(values):.2f}", f"{ratio}" if name == "--aqe" else "1")
            for name, values in seconds.items()
        ],
    )
    return measuring.verdict("bar < 1x", ratio.median < 1)


def first_failure(suite: Path, dist: str, *arguments: str) -> float:
    """Run the suite; return the seconds from pytest's start to the first failure's report."""
    told = suite / "first"
    told.unlink(missing_ok=True)
    subprocess.run(
        measuring.pytest_command(
            *measuring.ALONE, "-p", "clock", "-n4", f"--dist={dist}", *arguments
        ),
        cwd=suite,
        env=measuring.environment({"PYTHONPATH": str(suite)}),
        capture_output=True,
        check=False,
    )
    if not told.exists():
        sys.exit(f"no test failed in {suite}")
    return float(told.read_text())


if __name__ == "__main__":
    sys.exit(main())
