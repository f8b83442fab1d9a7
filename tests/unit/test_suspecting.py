"""What is told of a test that failed: the attempt that passed is named, not the last one."""

from __future__ import annotations

import pytest

from pytest_aqe.beliefs import Execution
from pytest_aqe.suspecting import _passed_again


@pytest.mark.parametrize(
    ("failed", "number"),
    [
        ((True, False), 2),
        ((True, True, False), 3),
        ((True, False, False), 2),
        ((True, False, True), 2),
        ((True, True), None),
        ((True,), None),
    ],
)
def test_the_attempt_that_passed(failed: tuple[bool, ...], number: int | None) -> None:
    """Later attempts of a test that has passed change nothing of that."""
    execution = Execution(1, tuple(("inproc", each) for each in failed))
    assert _passed_again(execution) == number
