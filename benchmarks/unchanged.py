"""What a session costs that selects tests and finds that nothing has changed, beside testmon.

A generated project of 2,000 tests in 50 files, one for each of its modules, is run once by
both tools; then come sessions of both in which nothing has changed, in interleaved rounds. All
tests are left out in each. The bar is 0.7 times testmon's CPU time. A session that collects
nothing and selects nothing (``pytest --version``) is in the table too: below it is no way.

The environment must hold pytest-aqe and pytest-testmon.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import measuring

BAR = 0.7
FILES, TESTS = 50, 40
ARGUMENTS = {
    "nothing": ("-p", "no:aqe", "-p", "no:testmon", "--ignore-glob=*"),
    # or without the cache it ends with an error of its own
    "testmon": ("--testmon", "--testmon-forceselect", "-p", "no:aqe"),
    "aqe": ("-p", "no:testmon", "--aqe", "--aqe-mode=select", "--aqe-probe=0"),
}


def main() -> int:
    """Measure, print, and return 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    asked = parser.parse_args()
    with measuring.scratch() as folder:
        projects = {name: write_project(folder / name) for name in ARGUMENTS}
        for name in ("testmon", "aqe"):
            session(projects[name], ARGUMENTS[name])
        seconds = measuring.interleaved(
            {
                name: partial(session, projects[name], arguments)
                for name, arguments in ARGUMENTS.items()
            },
            asked.rounds,
        )
    ratio = measuring.ratio(seconds["aqe"], seconds["testmon"])
    print(f"{FILES * TESTS:,} tests, {asked.rounds} rounds; {measuring.machine()}")
    measuring.table(
        ("session", "CPU ms", "ratio [95 %]"),
        [
            (
                name,
                f"{median(each) * 1e3:.0f}",
                f"{measuring.ratio(each, seconds['testmon'])}",
            )
            for name, each in seconds.items()
        ],
    )
    return measuring.verdict(f"bar <= {BAR}x testmon's", ratio.median <= BAR)


def write_project(folder: Path) -> Path:
    """Write modules of functions, and a file of tests for each, into a new git checkout."""
    package = folder / "shop"
    tests = folder / "tests"
    for each in (package, tests):
        each.mkdir(parents=True)
    (package / "__init__.py").touch()
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n", encoding="utf-8")
    for number in range(FILES):
        name = f"part_{number:02}"
        functions = [f"def f{each}(x):\n    return x + {each}\n" for each in range(TESTS)]
        (package / f"{name}.py").write_text("\n\n".join(functions), encoding="utf-8")
        cases = [
            f"def test_{each}():\n    assert {name}.f{each}(1) == {each + 1}\n"
            for each in range(TESTS)
        ]
        text = "\n\n".join((f"from shop import {name}\n", *cases))
        (tests / f"test_{name}.py").write_text(text, encoding="utf-8")
    (folder / ".gitignore").write_text(".aqe/\n.testmondata*\n__pycache__/\n", encoding="utf-8")
    measuring.commit(folder)
    return folder


def session(project: Path, arguments: Sequence[str]) -> measuring.Cost:
    """Run one session, and end where it is not green: a test ran that fails, or none is known."""
    cost = measuring.run(
        measuring.pytest_command(*measuring.ALONE, *arguments),
        project,
        {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": ""},
    )
    if cost.exit_code not in (0, 5):
        sys.exit(f"pytest {' '.join(arguments)} ended with {cost.exit_code}")
    return cost


if __name__ == "__main__":
    sys.exit(main())
