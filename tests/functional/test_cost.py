"""What a test costs in calls of our functions, for their time differs from machine to machine.

How long the calls take is for ``benchmarks/observe_overhead.py`` and ``tracking.py`` to say.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

FEW, MANY = 50, 550
# In a process of its own: what another test has loaded here would be looked at, too.
PROGRAM = """
    import sys
    from pathlib import Path

    import pytest
    import pytest_aqe

    OURS = str(Path(pytest_aqe.__file__).parent)
    count = 0

    def entered(frame, event, _):
        global count
        count += event == "call" and frame.f_code.co_filename.startswith(OURS)

    sys.setprofile(entered)
    code = pytest.main(["-q", "--aqe", *sys.argv[1:]])
    sys.setprofile(None)
    print()
    print(int(code), count)
"""


def calls(project: Project, tests: int, *arguments: str) -> int:
    """Return how often a function of ours is entered in a session of so many empty tests."""
    project.write(test_a="".join(f"def test_{n}(): pass\n" for n in range(tests)))
    printed, _ = project.python(PROGRAM, *arguments).communicate()
    code, count = printed.splitlines()[-1].split()
    assert code == "0", printed
    return int(count)


@pytest.mark.parametrize(
    ("mode", "most"),
    [
        ("observe", 36),
        pytest.param(
            "order",
            160,
            marks=pytest.mark.skipif(
                sys.version_info < (3, 12), reason="calls are followed by the same means there"
            ),
        ),
    ],
)
def test_calls_a_test(project: Project, mode: str, most: int) -> None:
    """A test that is known and does nothing enters at most so many functions of ours."""
    flag = f"--aqe-mode={mode}"
    entered = []
    for tests in (FEW, MANY):
        calls(project, tests, flag)
        entered.append(calls(project, tests, flag))
    assert 0 < (entered[1] - entered[0]) / (MANY - FEW) <= most
