"""What of a command line may change what a test does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aqe.evidence.invocation import COMMAND_LINE, PATH, invocation, telling
from pytest_aqe.evidence.versions import ABSENT


@pytest.mark.parametrize(
    "given",
    [
        "",
        "-q -vv -x -s -rA -k one -m slow -n2 -n 2",
        "-qx -qn2 -xk one",
        "tests tests/test_a.py::test_b --deselect a::b --ignore=a",
        "--lf --maxfail 2 --tb=short --durations=9 --co",
        "--aqe --aqe-mode=select --aqe-seed=1",
        "--cov=pack --cov-fail-under 9 --no-cov --junitxml=a.xml --reruns 2 --randomly-seed=1",
        "-p no:randomly -p no:cacheprovider",
        "-- --rate=3",
    ],
)
def test_what_chooses_or_shows_tests_tells_no_runs_apart(given: str) -> None:
    assert list(telling(given.split())) == []


@pytest.mark.parametrize(
    "given, said",
    [
        ("-W error", ["-W error"]),
        ("-Werror -q", ["-W error"]),
        ("-qW error tests", ["-W error"]),
        ("-o xfail_strict=true", ["-o xfail_strict=true"]),
        ("-c other.ini", ["-c other.ini"]),
        ("-p plug", ["-p plug"]),
        ("--runxfail", ["--runxfail="]),
        ("--rate=3", ["--rate=3"]),
        ("--rate 3 -q", ["--rate=3"]),
        ("--slow -q", ["--slow="]),
        ("--slow .", ["--slow="]),
        ("-W", ["-W "]),
    ],
)
def test_what_else_is_said_tells_runs_apart(given: str, said: list[str]) -> None:
    assert list(telling(given.split())) == said


def test_versions(tmp_path: Path) -> None:
    """They are digests, absent where nothing is said; the folder of a checkout is no difference."""

    def say(arguments: list[str], root: str = "/a", **environ: str) -> dict[str, str]:
        return invocation(arguments, environ, Path(root))

    plain = say([])
    assert plain[COMMAND_LINE] == plain[PATH] == ABSENT
    assert say(["-q"], PYTHONPATH="/a") == plain
    assert say(["--key=secret"])[COMMAND_LINE] not in (ABSENT, say(["--key=other"])[COMMAND_LINE])
    assert say([], PYTEST_ADDOPTS="-W error") == say(["-W", "error"])
    assert say(["--a=1", "-W", "error"]) == say(["-W", "error", "--a=1"])
    assert say([], PYTHONPATH="/a/src") == say([], "/b", PYTHONPATH="/b/src") != plain
    assert say([], PYTHONPATH="/a/src")[PATH] != say([], PYTHONPATH="/a/lib")[PATH]
