"""The net: our faults are lines, everything else passes through."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aqe.errors import RunFileError
from pytest_aqe.faults import Faults


def test_a_bug_becomes_one_line_and_a_traceback(tmp_path: Path) -> None:
    """An exception inside the guard is a line that names a saved traceback."""
    faults = Faults(tmp_path / "faults")
    with faults.guard("testing"):
        raise ZeroDivisionError
    (line,) = faults.lines()
    (saved,) = (tmp_path / "faults").iterdir()
    assert "internal fault while testing (ZeroDivisionError)" in line
    assert str(saved) in line
    assert "ZeroDivisionError" in saved.read_text()


def test_an_error_of_ours_is_its_own_message(tmp_path: Path) -> None:
    """An AqeError is written for people already; nothing is saved."""
    faults = Faults(tmp_path / "faults")
    with faults.guard("testing"):
        raise RunFileError("the disk is full")
    assert faults.lines() == ["the disk is full"]
    assert not (tmp_path / "faults").exists()


def test_a_repeated_fault_is_one_line_with_a_count(tmp_path: Path) -> None:
    """The same fault a thousand times is one line and one file."""
    faults = Faults(tmp_path)
    guard = faults.guard("testing")
    for _ in range(1000):
        with guard:
            raise ValueError
    (line,) = faults.lines()
    assert line.endswith("(1000 times)")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_fault_that_cannot_be_saved_still_speaks(tmp_path: Path) -> None:
    """Where the folder cannot be made, the line says so and nothing is raised."""
    (tmp_path / "file").write_text("")
    faults = Faults(tmp_path / "file")
    with faults.guard("testing"):
        raise ValueError
    (line,) = faults.lines()
    assert "could not be saved" in line


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, BrokenPipeError])
def test_what_is_not_ours_passes(tmp_path: Path, error: type[BaseException]) -> None:
    """An interrupt, an exit and a reader that went away are pytest's to handle."""
    with pytest.raises(error), Faults(tmp_path).guard("testing"):
        raise error
