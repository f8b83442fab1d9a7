"""What an invocation can change about outcomes without any file: options, warnings, paths.

Most options choose tests, or say what is shown of them. Those are known by name; any other, of
pytest or a plugin or the project itself, may change what a test does, so it tells runs apart.
Values are kept as digests: they may be secrets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_aqe.data import Version
from pytest_aqe.evidence.command_line import CHOOSING_OR_STEERING, typed
from pytest_aqe.evidence.versions import ABSENT, digest

COMMAND_LINE = "the command line"
PYTHON = "what Python was told (-W, -O, -X dev)"
PATH = "PYTHONPATH"
NAMES = (COMMAND_LINE, PYTHON, PATH)

_FLAGS = frozenset("dhlqsvx")
_VALUED = frozenset("kmnr")
# Of pytest, coverage, and of plugins that order, repeat, divide or report, in all their spellings.
_SHOWING = """
    capture co code-highlight collect-in-virtualenv color continue-on-collection-errors css
    disable-pytest-warnings disable-warnings doctest-glob doctest-modules durations-path ff
    fixtures fixtures-per-test force-short-summary full-trace funcargs help html instafail lf
    lfnf markers nf no-cov no-cov-on-fail no-fold-skipped no-header no-showlocals no-summary
    only-rerun quiet report-log rerun-except self-contained-html setup-show show-capture
    showlocals splitting-algorithm sw sw-reset sw-skip tb trace-config verbose verbosity version
    xfail-tb
"""
_OPTIONS = CHOOSING_OR_STEERING | frozenset(_SHOWING.split())
_FAMILIES = (
    *("aqe", "benchmark-", "cov", "durations", "json-report", "junit", "log-cli", "log-date"),
    *("log-file", "log-format", "order-", "random-order", "randomly-", "reruns", "testmon"),
)
_PLUGINS = frozenset(
    f"no:{name}" for name in ("aqe", "cacheprovider", "faulthandler", "randomly", "sugar", "xdist")
)


def invocation(
    arguments: Iterable[object], environ: Mapping[str, str], root: Path
) -> dict[str, Version]:
    """Return versions of what is no file: `NAMES`, each absent where nothing was said."""
    said = {
        COMMAND_LINE: sorted(telling(typed(arguments, environ))),
        PYTHON: [*_flags(), *sys.warnoptions],
        PATH: list(_places(environ.get(PATH, ""), str(root))),
    }
    return {
        name: digest("\0".join(each).encode(errors="surrogateescape")) if each else ABSENT
        for name, each in said.items()
    }


def _flags() -> Iterator[str]:
    if sys.flags.optimize:
        yield f"-O {sys.flags.optimize}"
    if sys.flags.dev_mode:
        yield "-X dev"


def _places(path: str, root: str) -> Iterator[str]:
    """Yield the folders of a path, from the root; the root itself is there in most sessions."""
    for each in path.split(os.pathsep):
        place = each.removeprefix(root).lstrip(os.sep) if each.startswith(root) else each
        if place:
            yield place


def telling(arguments: Sequence[str]) -> Iterator[str]:
    """Yield options that may change outcomes, each with its value."""
    left = list(reversed(arguments))
    while left:
        each = left.pop()
        if each == "--":
            return
        if each.startswith("--"):
            name, _, value = each[2:].partition("=")
            if name not in _OPTIONS and not name.startswith(_FAMILIES):
                yield f"{each}={_value(left)}" if not value else each
        elif each.startswith("-") and len(each) > 1:
            yield from _short(each[1:], left)


def _short(letters: str, left: list[str]) -> Iterator[str]:
    """Yield what matters of ``-qx``, ``-n2`` or ``-W error``."""
    for place, letter in enumerate(letters):
        if letter in _FLAGS:
            continue
        value = letters[place + 1 :] or (left.pop() if left else "")
        if letter not in _VALUED and not (letter == "p" and value in _PLUGINS):
            yield f"-{letter} {value}"
        return


def _value(left: list[str]) -> str:
    """Return the value of an option that stands by itself, if it is none of the paths to run."""
    if not left or left[-1].startswith("-") or os.path.exists(left[-1].partition("::")[0]):  # noqa: PTH110
        return ""
    return left.pop()
