"""What was typed for a session, and which options of it say how a test runs.

Those another process needs. An option that a conftest or a plugin brings in may decide what a
test does; one that chooses tests, that writes a file of its own, or that spreads tests over
processes does not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    import pytest

_CHOOSING = """
    cache-clear cache-show collect-only deselect exitfirst failed-first group ignore ignore-glob
    keep-duplicates last-failed last-failed-no-failures maxfail new-first pyargs splits stepwise
    stepwise-reset stepwise-skip
"""
_STEERING = """
    basetemp clean-durations debug dist loadscope-reorder looponfail max-worker-restart
    maxprocesses maxschedchunk no-loadscope-reorder numprocesses pastebin pdb pdbcls px rootdir
    rsyncdir rsyncignore setup-only setup-plan store-durations testrunuid trace tx
"""
CHOOSING_OR_STEERING = frozenset(f"{_CHOOSING} {_STEERING}".split())
_LEFT = {"-k", "-m", "-d", "--config-file", *(f"--{name}" for name in CHOOSING_OR_STEERING)}
# Also what measures and what writes: two processes would write to one file.
_KINDS = ("aqe", "no-aqe", "cov", "no-cov", "randomly", "reruns", "benchmark")
_WRITES = ("junit", "html", "json", "report", "log-file", "allure", "csv")


def typed(arguments: Iterable[object], environ: Mapping[str, str]) -> list[str]:
    """Return what was given for this session, not what always stands in ``addopts``."""
    return [*shlex.split(environ.get("PYTEST_ADDOPTS", "")), *map(str, arguments)]


def handed_on(config: pytest.Config) -> list[str]:
    """Return the options of the command line that say how a test runs, as they were given."""
    parser = getattr(config, "_parser")  # noqa: B009  # nothing else knows which takes a value
    known = parser.optparser if hasattr(parser, "optparser") else parser._getparser()
    given = [str(each) for each in config.invocation_params.args]
    return [
        each
        for names, words in _options(given, known._option_string_actions)
        if not any(map(_is_left, names))
        for each in words
    ]


def _options(
    given: Sequence[str], known: Mapping[str, argparse.Action]
) -> Iterator[tuple[Sequence[str], list[str]]]:
    """Yield the names of each option and its words; no paths."""
    waiting = list(given)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return
        flag, equals, _ = word.partition("=")
        short = flag not in known and word[:1] == "-" and word[1:2] not in ("-", "")
        action = known.get(word[:2] if short else flag)
        if action is None:
            continue
        words = [word]
        if short and action.nargs == 0:  # several in one word, as -xs
            words = [word[:2]]
            waiting.insert(0, f"-{word[2:]}")
        elif not short and not equals:
            words += _values(action, waiting)
        yield action.option_strings, words


def _values(action: argparse.Action, waiting: list[str]) -> list[str]:
    """Take from the words that wait what belongs to an option."""
    most = action.nargs if isinstance(action.nargs, int) else 1
    if action.nargs in ("*", "+"):
        most = len(waiting)
    found: list[str] = []
    while len(found) < most and waiting and (action.nargs is None or waiting[0][:1] != "-"):
        found.append(waiting.pop(0))
    return found


def _is_left(name: str) -> bool:
    return (
        name in _LEFT
        or name.lstrip("-").startswith(_KINDS)
        or any(each in name for each in _WRITES)
    )
