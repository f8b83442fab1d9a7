"""Accepted tests of all files of code run together, before any of them is applied.

A trial sees what a test leaves in the names of a module, and what it does to other tests of the
same file of code. What it leaves inside an object of the project, such as the language that was
chosen, may show in the tests of another file alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pytest_aqe.data import Target
from pytest_aqe.generation.fixtures import conftests
from pytest_aqe.generation.interpreters import Interpreters
from pytest_aqe.generation.job import UNFINISHED, Report
from pytest_aqe.generation.rules import without
from pytest_aqe.generation.sandbox import WALL, Sandbox, Settings, changed

SEARCHING = 15.0  # seconds for finding which test makes another fail
LONGEST = 40.0  # seconds for the tests of the suite, which may hang when they are imported


@dataclass(frozen=True, slots=True)
class Module:
    """A module of accepted tests: what it is about, its file name, its text, whose it is."""

    target: Target
    name: str
    text: str
    model: bool


class Found(NamedTuple):
    """Why tests (``file::name``) and whole files do not get on with others.

    ``untold`` is why that is not known of all, ``apart`` why it is not known of those of the suite;
    both are empty where it is.
    """

    reasons: dict[str, str]
    untold: str
    apart: str


def disturbing(
    settings: Settings, modules: Sequence[Module], suite: Sequence[Path], processes: Interpreters
) -> Found:
    """Run test modules in one process, in the order of their names, backwards and shuffled.

    Then what is left runs after the modules of the ``suite`` that run in a sandbox, and before
    them. Those that need other conftests than others have a process of their own.
    """
    paths = tuple(dict.fromkeys(path for each in modules for path in each.target.paths))
    groups: dict[tuple[str, ...], list[Module]] = defaultdict(list)
    for each in sorted(modules, key=lambda module: module.name):
        groups[conftests(each.target, [each.text])].append(each)
    reasons: dict[str, str] = {}
    untold = apart = ""
    for group in groups.values():
        sandbox = Sandbox(settings, group[0].target._replace(paths=paths), processes)
        if len(group) > 1:  # its trial ran one alone together
            report = _run(sandbox, _left(group, reasons))
            untold = _read(report, reasons) or untold
        if suite and (left := _left(group, reasons)):
            report = _run(sandbox, left, suite)
            if isinstance(report, str) or report.refused == UNFINISHED:
                apart = report if isinstance(report, str) else report.refused
            else:
                untold = _read(report, reasons) or untold
    return Found(reasons, untold, apart)


def _left(group: Sequence[Module], reasons: Mapping[str, str]) -> list[Module]:
    """Return modules without the files and tests that do not get on with others."""
    left = []
    for each in group:
        own = [key for key in reasons if key.partition("::")[0] == each.name]
        if each.name not in own:
            gone = frozenset(key.partition("::")[2] for key in own)
            left.append(replace(each, text=without(each.text, gone)) if gone else each)
    return left


def _run(sandbox: Sandbox, group: Sequence[Module], suite: Sequence[Path] = ()) -> Report | str:
    model = any(each.model for each in group)
    with sandbox.scratch({each.name: each.text for each in group}) as scratch:
        job = sandbox.job(scratch, [each.name for each in group], model=model)
        job = changed(job, plain=not model, disturbing=SEARCHING, beside=tuple(map(str, suite)))
        report = sandbox.run(job, wall=LONGEST if suite else WALL)
    if not isinstance(report, str):  # a module of the suite may have the same name
        report.broken = {path: why for path, why in report.broken.items() if path in job.files}
    return report


def _read(report: Report | str, reasons: dict[str, str]) -> str:
    """Add why tests and files do not get on; return why that is not known, empty where it is."""
    if isinstance(report, str):
        return report
    reasons |= report.disturbing
    reasons |= {
        Path(path).name: "it cannot be imported beside the others" for path in report.broken
    }
    return report.refused
