"""Whether a session runs the whole suite, or a part of it that somebody asked for.

Only a whole run says what a suite misses, and how selection would have done. What the whole is
says the project: its ``testpaths`` and what stands in its ``addopts``. Who types more than that
asks for a part. Where only a folder tells, and no ``testpaths`` stand against it, it is the whole
if all that the last whole run ran, and that is still there, lies in it.
"""

from __future__ import annotations

import glob
import os
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pytest_aqe.data import Plan
from pytest_aqe.evidence.command_line import typed

# Of those who run other tests than were collected, whoever asked them to.
_OTHER_TESTS = ("lf", "stepwise", "stepwise_skip", "stepwise_reset")
_TYPED = ("keyword", "markexpr", "deselect")  # what they take away is deselected
_UNSEEN = ("ignore", "ignore_glob")  # what they take away is never collected
# Options by which others give tests to another machine: pytest-split, -shard, -test-groups.
_SHARDS = ("splits", "num_shards", "test_group_count")
_NO_SHARD = (None, 0, 1, -1, "1", "-1")


def takes_away(config: pytest.Config, plan: Plan, deselected: int) -> bool:
    """Tell whether more is left out than the project's configuration always leaves out."""
    if plan.unvisited or plan.replay is not None:
        return True
    if any(config.getoption(name, False) for name in _OTHER_TESTS):
        return True
    if any(config.getoption(name, None) not in _NO_SHARD for name in _SHARDS):
        return True
    typed = _typed(config)
    if any(getattr(typed, name, None) for name in _UNSEEN):
        return True
    if not deselected:
        return False
    if plan.left_out or plan.budget is not None:
        return True
    chosen = any(config.getoption(name, None) for name in _TYPED)
    return not chosen or any(getattr(typed, name, None) for name in _TYPED)


def asks_for_all(
    config: pytest.Config, root: Path, last_whole: Callable[[], Iterable[str]]
) -> bool:
    """Tell whether the places that were asked for hold the suite.

    ``last_whole`` returns the files of the last whole run, from ``root``; it is asked only
    where the project's configuration does not decide.
    """
    if any("::" in each or each.endswith(".py") for each in config.args):
        return False
    start = config.invocation_params.dir
    asked = [Path(os.path.normpath(start / each)) for each in config.args]

    def holds(path: Path) -> bool:
        return any(path.is_relative_to(each) for each in asked)

    if holds(config.rootpath):
        return True
    homes = [
        Path(os.path.normpath(found))
        for each in config.getini("testpaths")
        for found in glob.glob(str(config.rootpath / each), recursive=True)  # noqa: PTH207 as pytest
    ]
    if homes:
        return all(map(holds, homes))
    return all(holds(root / file) for file in last_whole() if (root / file).is_file())


def _typed(config: pytest.Config) -> Namespace:
    """Return the options that were given for this session, not those of ``addopts``."""
    return config._parser.parse_known_args(typed(config.invocation_params.args, os.environ))
