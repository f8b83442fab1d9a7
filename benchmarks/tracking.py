"""What following the dependencies of every test costs, against testmon.

The suites of real projects, given as ``--project 'FOLDER [PYTEST ARGUMENTS]'``, run plain
(twice: their ratio is the noise floor), with tests followed and nothing else of ours, and,
where pytest-testmon is installed, under ``--testmon`` with its data deleted before each run.
CPU time in interleaved rounds. The bars: 1.08 in the median of the suites and 1.15 in each
on CPython 3.12 and later, 1.15 in each before.

With ``--again`` it is what a later full run costs, in which nothing has changed: whole sessions
of ours, with tests followed and with ``--aqe-dependencies=off``, and of testmon, each with what
it recorded before. That has no bar.

The folder is copied and made a git checkout of its own; what its tests import must be
importable: a ``src`` folder is put on the path.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path
from statistics import median

import measuring

MEDIAN = 1.08
EACH = 1.15
_PART_OF_NO_COPY = (".git", ".aqe", ".pytest_cache", "__pycache__", ".tox", ".venv", "*.egg-info")
_PLUGIN = """
import pytest
from pytest_aqe.faults import Faults
from pytest_aqe.tracking import Tracking


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config):
    faults = Faults(early_config.rootpath / ".aqe" / "faults")
    tracking = Tracking(early_config, faults, early_config.rootpath / ".aqe")
    tracking.start()
    early_config.pluginmanager.register(tracking, "tracking")
    early_config.add_cleanup(lambda: check(faults))
    return (yield)


def check(faults):
    if faults.lines():
        raise SystemExit(f"not followed: {faults.lines()}")
"""


def main() -> int:
    """Measure, print, and return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument(
        "--project", action="append", required=True, metavar="'FOLDER [ARGS]'", default=[]
    )
    parser.add_argument("--again", action="store_true", help="measure later runs, not the first")
    parser.add_argument("--no-testmon", action="store_true", help="leave the peer out")
    asked = parser.parse_args()
    peer = not asked.no_testmon and importlib.util.find_spec("testmon") is not None
    print(f"{asked.rounds} rounds; {measuring.machine()}")
    rows = []
    ratios = []
    with measuring.scratch() as folder:
        (folder / "plugin").mkdir()
        (folder / "plugin" / "following.py").write_text(_PLUGIN, encoding="utf-8")
        for project in asked.project:
            source, *arguments = shlex.split(project)
            copy = folder / Path(source).resolve().name
            shutil.copytree(
                source, copy, symlinks=True, ignore=shutil.ignore_patterns(*_PART_OF_NO_COPY)
            )
            measuring.commit(copy)
            if asked.again:
                rows.append((copy.name, *_again(copy, arguments, asked.rounds, peer)))
                continue
            seconds = _compare(copy, folder / "plugin", arguments, asked.rounds, peer)
            plain = seconds["plain"]
            ours = measuring.ratio(seconds["followed"], plain)
            ratios.append(ours.median)
            noise = measuring.ratio(seconds["plain again"], plain)
            testmon = measuring.ratio(seconds["testmon"], plain) if peer else "-"
            rows.append((copy.name, f"{median(plain):.2f}", f"{ours}", f"{testmon}", f"{noise}"))
    if asked.again:
        measuring.table(
            ("project", "plain: CPU s", "ours [95 %]", "not followed", "testmon", "noise"), rows
        )
        return 0
    measuring.table(
        ("project", "plain: CPU s", "followed [95 %]", "testmon [95 %]", "noise [95 %]"), rows
    )
    missed = measuring.verdict(f"each <= {EACH}x", max(ratios) <= EACH)
    if sys.version_info >= (3, 12):
        name = f"median {median(ratios):.3f} <= {MEDIAN}x"
        missed |= measuring.verdict(name, median(ratios) <= MEDIAN)
    return missed


def _compare(
    suite: Path, plugin: Path, arguments: list[str], rounds: int, peer: bool
) -> dict[str, list[float]]:
    path = os.pathsep.join([str(plugin), str(suite / "src"), str(suite)])
    extra = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    alone = (*measuring.OFF, "-p", "no:testmon") if peer else measuring.OFF

    def session(*more: str) -> measuring.Cost:
        return measuring.run(measuring.pytest_command(*arguments, *more), suite, extra)

    def testmon() -> measuring.Cost:
        (suite / ".testmondata").unlink(missing_ok=True)
        # without pytest's cache there is no --last-failed, which testmon looks at otherwise
        return session(*measuring.OFF, "--testmon", "--testmon-forceselect")

    measuring.same_outcome(suite.name, session(*alone), session(*alone, "-p", "following"))
    variants = {
        "plain": lambda: session(*alone),
        "followed": lambda: session(*alone, "-p", "following"),
        "plain again": lambda: session(*alone),
    }
    if peer:
        variants["testmon"] = testmon
    return measuring.interleaved(variants, rounds)


def _again(suite: Path, arguments: list[str], rounds: int, peer: bool) -> list[str]:
    """Return plain CPU seconds, and the ratios of whole sessions that know the suite."""
    path = os.pathsep.join([str(suite / "src"), str(suite)])
    extra = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    alone = (*measuring.OFF, "-p", "no:testmon") if peer else measuring.OFF
    ours = ("--aqe", "-p", "no:testmon") if peer else ("--aqe",)
    commands = {
        "plain": alone,
        "followed": ours,
        "not followed": (*ours, "--aqe-dependencies=off", "--aqe-history=.aqe-off/history.duckdb"),
        "testmon": (*measuring.OFF, "--testmon-noselect"),
        "plain again": alone,
    }
    if not peer:
        del commands["testmon"]

    def session(*more: str) -> measuring.Cost:
        return measuring.run(measuring.pytest_command(*arguments, *more), suite, extra)

    for _ in range(2):
        for command in commands.values():
            measuring.same_outcome(suite.name, session(*alone), session(*command))
    seconds = measuring.interleaved(
        {name: lambda command=command: session(*command) for name, command in commands.items()},
        rounds,
    )
    plain = seconds.pop("plain")
    noise = seconds.pop("plain again")
    names = ("followed", "not followed", "testmon")
    ratios = [
        f"{measuring.ratio(seconds[each], plain)}" if each in seconds else "-" for each in names
    ]
    return [f"{median(plain):.2f}", *ratios, f"{measuring.ratio(noise, plain)}"]


if __name__ == "__main__":
    sys.exit(main())
