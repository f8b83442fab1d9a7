"""Plans on their way to workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aqe.data import Plan, Rank
from pytest_aqe.errors import AqeError
from pytest_aqe.plans import LONG_PLAN, pack, unpack


def plan(tests: int) -> Plan:
    ranks = {f"t.py::{n}": Rank(2, n / 7, None if n % 2 else 0.1 * n, "") for n in range(tests)}
    return Plan("order", "sub/", "policy", ranks)


@pytest.mark.parametrize("tests", [0, 3, LONG_PLAN + 1])
def test_a_plan_arrives_as_it_was_sent(tmp_path: Path, tests: int) -> None:
    """Short or long, what a worker unpacks is what the controller packed."""
    assert unpack(pack(plan(tests), tmp_path)) == plan(tests)


def test_a_long_plan_travels_as_a_file(tmp_path: Path) -> None:
    """Above the limit only a path and a sha256 are sent."""
    assert set(pack(plan(LONG_PLAN + 1), tmp_path)) == {"path", "sha256"}


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A plan file that is not the one that was sent is not obeyed."""
    wire = pack(plan(LONG_PLAN + 1), tmp_path)
    Path(wire["path"]).write_text("{}")
    with pytest.raises(AqeError, match="is not the plan that was sent"):
        unpack(wire)
