"""pytest-aqe quarantine add, list, check and release."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

from .test_aqe_flaky_rerun import FLAKY, NO_TRACKING, fail

NAME = "test_it.py::test_flaky"
ADD = ("quarantine", "add", NAME, "--reason", 'it "times" out', "--owner", "team-x")


@pytest.fixture
def flaky(project: Project) -> Project:
    """A suite with a test that fails in every third run."""
    project.write(test_it=FLAKY)
    project.commit_all()
    for run in range(9):
        fail(project, run % 3 == 2)
        project.run(NO_TRACKING)
    return project


def test_add_and_list(flaky: Project) -> None:
    """An entry has all five fields, the runs as its evidence, and the state of the test."""
    assert flaky.command(*ADD)[0] == 0
    assert flaky.command(*ADD, "--days", "3")[0] == 2  # it is there already
    listed = flaky.answer("quarantine", "list")
    (row,) = listed["tests"]
    assert (row["id"], row["reason"], row["owner"], row["days"]) == (
        NAME,
        'it "times" out',
        "team-x",
        14,
    )
    assert len(row["evidence"]) == 3
    assert (row["state"], listed["problems"]) == ("flaky", [])
    assert row["clean_runs"] < row["clean_runs_needed"]
    assert flaky.command("quarantine", "check")[0] == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("quarantine", "add", "test_it.py", "--reason", "x", "--owner", "y"), "no single test"),
        ((*ADD, "--days", "31"), "more than 30 days"),
        (("quarantine", "add", NAME, "--reason", " ", "--owner", "y"), "has no reason"),
        (("quarantine", "release", NAME), "is not on the list"),
    ],
)
def test_what_is_refused(project: Project, arguments: tuple[str, ...], message: str) -> None:
    """Whole files, far dates and missing fields are refused; nothing is written."""
    code, text = project.command(*arguments)
    assert code in (1, 2)
    assert message in text
    assert not (project.path / "aqe-quarantine.toml").exists()


def test_check_names_expired_and_wrong_entries(project: Project) -> None:
    """It exits with 1, for CI."""
    past = datetime.now(timezone.utc).date() - timedelta(days=1)
    (project.path / "aqe-quarantine.toml").write_text(
        f'[[test]]\nid = "a.py::b"\nreason = "r"\nowner = "o"\nexpires = {past}\n'
        '[[test]]\nid = "a.py::c"\n'
    )
    code, text = project.command("quarantine", "check")
    assert code == 1
    assert f"a.py::b expired on {past}" in text
    assert "a.py::c has no reason" in text


def test_release_waits_for_the_computed_number_of_clean_runs(flaky: Project) -> None:
    """A test that fails in a third of the runs is cleared by 8 clean ones, not before."""
    flaky.command(*ADD)
    path = flaky.path / "aqe-quarantine.toml"
    path.write_text("# ours\n" + path.read_text() + "\n# the end\n")
    code, text = flaky.command("quarantine", "release", NAME)
    assert (code, "0 clean runs of 8 needed" in text) == (2, True)
    for _ in range(8):
        flaky.run(NO_TRACKING)
    code, text = flaky.command("quarantine", "check")
    assert (code, "is fixed: 8 clean runs of 8 needed" in text) == (1, True)
    assert flaky.answer("quarantine", "release")["released"] == [NAME]
    assert path.read_text().startswith("# ours\n")
    assert NAME not in path.read_text()
    assert flaky.answer("quarantine", "list")["tests"] == []
