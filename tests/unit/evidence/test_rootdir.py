"""Where pytest's configuration is, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aqe.evidence.rootdir import configured

SAID = {"python_files": "check_*.py it_*.py"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\npython_files = check_*.py it_*.py\n"),
        (".pytest.ini", "[pytest]\npython_files = check_*.py it_*.py\n"),
        ("tox.ini", "[pytest]\npython_files = check_*.py it_*.py\n"),
        ("setup.cfg", "[tool:pytest]\npython_files = check_*.py it_*.py\n"),
        ("pytest.toml", "[pytest]\npython_files = ['check_*.py', 'it_*.py']\n"),
        ("pyproject.toml", "[tool.pytest]\npython_files = ['check_*.py', 'it_*.py']\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\npython_files = 'check_*.py it_*.py'\n"),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    """Each file that pytest reads is read, from a folder below it too."""
    (tmp_path / name).write_text(text)
    (tmp_path / "tests").mkdir()
    assert configured(tmp_path / "tests", tmp_path) == (tmp_path, SAID)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tox.ini", "[tox]\nenv_list = py\n"),
        ("setup.cfg", "[pytest]\nx = 1\n"),
        ("pyproject.toml", "[project]\nname = 'x'\n"),
        ("pyproject.toml", "nothing that is TOML"),
    ],
)
def test_a_file_that_says_nothing(tmp_path: Path, name: str, text: str) -> None:
    """A file without a section for pytest makes no rootdir."""
    below = tmp_path / "below"
    below.mkdir()
    (below / name).write_text(text)
    assert configured(below, tmp_path) == (tmp_path, {})


def test_an_empty_file(tmp_path: Path) -> None:
    """A ``pytest.ini`` makes one whatever it holds."""
    below = tmp_path / "below"
    below.mkdir()
    (below / "pytest.ini").touch()
    assert configured(below, tmp_path) == (below, {})


def test_nothing_above_the_top(tmp_path: Path) -> None:
    """What is above the top is not looked at."""
    (tmp_path / "pytest.ini").touch()
    top = tmp_path / "top"
    top.mkdir()
    assert configured(top, top) == (top, {})


@pytest.mark.parametrize(
    ("addopts", "found"),
    [
        ("-o python_files=it_*.py", {"python_files": "it_*.py"}),
        ("-q --aqe-suite=linux", {"aqe_suite": "linux"}),
        ("--aqe-suite linux -q", {"aqe_suite": "linux"}),
        ("-k 'two words", {}),
    ],
)
def test_options(tmp_path: Path, addopts: str, found: dict[str, str]) -> None:
    """What ``addopts`` says of a setting wins."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = {addopts}\naqe_suite = other\n")
    _, settings = configured(tmp_path, tmp_path)
    assert settings == {"addopts": addopts, "aqe_suite": "other"} | found
