"""pytest-aqe quarantine add, list, check and release."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

from .test_aqe_flaky_rerun import NO_TRACKING, flake

NAME = "test_it.py::test_flaky"
ADD = ("quarantine", "add", NAME, "--reason", 'it "times" out', "--owner", "team-x")


@pytest.fixture
def flaky(project: Project) -> Project:
    """A suite with a test that fails in every third run."""
    project.begin("flaky", lambda: flake(project, 9, 1, NO_TRACKING))
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


@pytest.mark.parametrize("days", ["0", "31", "soon"])
def test_days_that_nobody_may_ask_for(
    project: Project, days: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is told the same."""
    with pytest.raises(SystemExit):
        project.command(*ADD, "--days", days)
    assert f"'{days}' is no number from 1 to 30" in capsys.readouterr().err


def test_check_names_expired_and_wrong_entries(project: Project) -> None:
    """It exits with 1, for CI."""
    past = datetime.now(timezone.utc).date() - timedelta(days=1)
    (project.path / "aqe-quarantine.toml").write_text(
        f'[[test]]\nid = "a.py::b"\nreason = "r"\nowner = "o"\nexpires = {past}\n'
        '[[test]]\nid = "a.py::c"\n'
        '[[test]]\nid = "a.py::d"\nreason = "r"\nowner = "o"\nexpires = "soon"\n'
    )
    code, text = project.command("quarantine", "check")
    assert code == 1
    assert f"a.py::b expired on {past}" in text
    assert "a.py::c has no reason" in text
    assert f"a.py::d has no date in expires, such as {past + timedelta(days=16)}" in text


INLINE = 'test = [{{id="a.py::b", reason="r", owner="o", expires={day}}}]\n'


@pytest.mark.parametrize(
    "command", [(*ADD, "--force"), ("quarantine", "release", "a.py::b", "--force")]
)
def test_a_list_in_another_form_is_left_alone(project: Project, command: tuple[str, ...]) -> None:
    """It is read; what cannot be added or taken out without harm is refused."""
    path = project.path / "aqe-quarantine.toml"
    path.write_text(INLINE.format(day=datetime.now(timezone.utc).date()))
    before = path.read_text()
    code, text = project.command(*command)
    assert (code, "has to be edited by hand" in text) == (2, True)
    assert path.read_text() == before
    assert project.command("quarantine", "check")[0] == 0


def test_release_takes_the_comment_of_an_entry_with_it(project: Project) -> None:
    """It stands right above the entry; every other line stays."""
    path = project.path / "aqe-quarantine.toml"
    day = datetime.now(timezone.utc).date()
    entries = [
        f'# on {name}\n[[test]]\nid = "a.py::{name}"\nreason = "r"  # why\nowner = "o"\n'
        f"expires = {day}\n"
        for name in "abc"
    ]
    path.write_text("\n".join(["# ours\n", *entries, "# tail\n"]))
    project.command("quarantine", "release", "a.py::a", "--force")
    assert path.read_text() == "\n".join(["# ours\n", *entries[1:], "# tail\n"])
    project.command("quarantine", "release", "a.py::c", "--force")
    assert path.read_text() == "\n".join(["# ours\n", entries[1], "# tail\n"])
    project.command("quarantine", "release", "a.py::b", "--force")
    assert path.read_text() == "# ours\n\n# tail\n"


@pytest.mark.parametrize("expires", ['"soon"', "2999-01-01"])
def test_an_entry_that_cannot_be_honoured_is_on_the_list(project: Project, expires: str) -> None:
    """It is not added once more, and can be released."""
    path = project.path / "aqe-quarantine.toml"
    path.write_text(f'[[test]]\nid = "{NAME}"\nreason = "r"\nowner = "o"\nexpires = {expires}\n')
    code, text = project.command(*ADD, "--force")
    assert (code, "is on the list already" in text) == (2, True)
    code, text = project.command("quarantine", "release", NAME)
    assert (code, "--force releases it" in text) == (2, True)
    assert project.answer("quarantine", "release", NAME, "--force") == {"released": [NAME]}
    assert project.command("quarantine", "check")[0] == 0


def test_only_what_failed_is_put_on_the_list(project: Project) -> None:
    """Unknown tests, and those that never failed, by force alone; check names the unknown."""
    project.write(
        test_it="import pytest\n@pytest.mark.parametrize('x', [1])\ndef test_a(x): pass\n"
    )
    project.run()
    for name, why in [("test_a", "never failed in 1 run;"), ("test_b", "unknown test: ")]:
        add = ("quarantine", "add", f"test_it.py::{name}", "--reason", "r", "--owner", "o")
        code, text = project.command(*add)
        assert (code, why in text) == (2, True)
        assert project.command(*add, "--force")[0] == 0
    states = [test["state"] for test in project.answer("quarantine", "list")["tests"]]
    assert states == ["never failed", "not seen"]
    check = project.answer("quarantine", "check")
    assert check["problems"] == [
        "test_it.py::test_b is unknown: it is in no run that is recorded here"
    ]


def test_without_a_history_tests_are_unknown(project: Project) -> None:
    """Only to who adds one: elsewhere than where it was added, check has nothing to say."""
    code, text = project.command(*ADD)
    assert (code, "unknown test: " in text) == (2, True)
    project.command(*ADD, "--force")
    assert project.command("quarantine", "check")[0] == 0


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
