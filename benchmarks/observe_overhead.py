"""What recording costs a session that uses the plugin.

``--aqe --aqe-mode=observe`` (or ``--mode=order``) against ``-p no:aqe``, CPU time in
interleaved rounds, git calls, run file, ingest and a history that already holds runs
included:

- 10,000 empty tests: microseconds a test, everything included (bar 60), and how much of it
  is the fixed cost, which a suite of a single test shows;
- the suites of real projects, given as ``--project 'FOLDER [PYTEST ARGUMENTS]'``: the ratio
  (bar 1.03). The folder is copied and made a git checkout of its own; what its tests import
  must be installed beside pytest-aqe. The copy's tests run once before they are measured.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from statistics import median

import measuring

MICROSECONDS = 60.0
RATIO = 1.03
TESTS = 10_000
_PART_OF_NO_COPY = (".git", ".aqe", ".pytest_cache", "__pycache__", ".tox", ".venv", "*.egg-info")


def main() -> int:
    """Measure, print, and return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11, metavar="N")
    parser.add_argument("--mode", choices=("observe", "order"), default="observe")
    parser.add_argument("--project", action="append", default=[], metavar="'FOLDER [ARGS]'")
    parser.add_argument("--no-empty", action="store_true", help="only measure the projects")
    asked = parser.parse_args()
    print(f"--aqe-mode={asked.mode}, {asked.rounds} rounds; {measuring.machine()}")
    held = True
    with measuring.scratch() as folder:
        if not asked.no_empty:
            held &= _empty(folder, asked.mode, asked.rounds)
        if asked.project:
            held &= _projects(folder, asked.mode, asked.rounds, asked.project)
    return 0 if held else 1


def _empty(folder: Path, mode: str, rounds: int) -> bool:
    many = measuring.write_suite(folder / "many", files=100, tests=TESTS // 100)
    one = measuring.write_suite(folder / "one", files=1, tests=1)
    rows = []
    extra: dict[str, float] = {}
    for name, suite, count in (
        ("1 empty test", one, rounds * 2),
        ("10,000 empty tests", many, rounds),
    ):
        seconds = _compare(suite, mode, [*measuring.ALONE], count)
        extra[name] = measuring.difference(seconds["on"], seconds["without"])
        noise = measuring.difference(seconds["without again"], seconds["without"])
        rows.append(
            (
                name,
                f"{median(seconds['without']) * 1e3:.0f}",
                f"{median(seconds['on']) * 1e3:.0f}",
                f"{extra[name] * 1e3:.0f}",
                f"{noise * 1e3:.0f}",
            )
        )
    measuring.table(("suite", "without: CPU ms", "with: CPU ms", "more", "noise"), rows)
    each = extra["10,000 empty tests"] / TESTS * 1e6
    fixed = extra["1 empty test"]
    without_fixed = (extra["10,000 empty tests"] - fixed) / TESTS * 1e6
    print(
        f"{each:.1f} microseconds a test; without the fixed {fixed * 1e3:.0f} ms: "
        f"{without_fixed:.1f}"
    )
    return not measuring.verdict(f"bar <= {MICROSECONDS:.0f} microseconds", each <= MICROSECONDS)


def _projects(folder: Path, mode: str, rounds: int, projects: list[str]) -> bool:
    rows = []
    held = True
    for project in projects:
        source, *arguments = shlex.split(project)
        copy = folder / Path(source).resolve().name
        shutil.copytree(
            source, copy, symlinks=True, ignore=shutil.ignore_patterns(*_PART_OF_NO_COPY)
        )
        measuring.commit(copy)
        seconds = _compare(copy, mode, arguments, rounds)
        on = measuring.ratio(seconds["on"], seconds["without"])
        noise = measuring.ratio(seconds["without again"], seconds["without"])
        held &= on.median <= RATIO
        rows.append(
            (
                copy.name,
                f"{median(seconds['without']) * 1e3:.0f}",
                f"{median(seconds['on']) * 1e3:.0f}",
                f"{measuring.difference(seconds['on'], seconds['without']) * 1e3:.0f}",
                f"{on}",
                f"{noise}",
            )
        )
    measuring.table(
        ("project", "without: CPU ms", "with: CPU ms", "more", "ratio [95 %]", "noise [95 %]"), rows
    )
    return not measuring.verdict(f"bar <= {RATIO}x", held)


def _compare(suite: Path, mode: str, arguments: list[str], rounds: int) -> dict[str, list[float]]:
    def session(*more: str) -> measuring.Cost:
        return measuring.run(measuring.pytest_command(*arguments, *more), suite)

    on = ("--aqe", f"--aqe-mode={mode}")
    for _ in range(2):  # the history holds runs, and order has something to order by
        measuring.same_outcome(suite.name, session(*measuring.OFF), session(*on))
    return measuring.interleaved(
        {
            "without": lambda: session(*measuring.OFF),
            "on": lambda: session(*on),
            "without again": lambda: session(*measuring.OFF),
        },
        rounds,
    )


if __name__ == "__main__":
    sys.exit(main())
