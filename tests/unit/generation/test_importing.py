"""What a new test file can import is what a pytest of its own can."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_aqe.generation.importing import Imports, Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs os.fork")

OWN = str(Path(__file__).parents[3])


@pytest.fixture
def by_module(tmp_path: Path) -> Iterator[Imports]:
    """Imports of a session that was started by ``python -m pytest`` in a project."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "near.py").touch()
    start = Start(tmp_path, (f"--rootdir={tmp_path}",), {**os.environ, "PYTHONPATH": OWN}, True)
    imports = Imports(start)
    yield imports
    imports.close()


def test_the_folder_of_python_m_pytest_counts(by_module: Imports, tmp_path: Path) -> None:
    assert by_module.failure(tmp_path / "tests", "near", tmp_path / "near.py") == ""


def test_it_does_not_where_tests_see_to_their_path(by_module: Imports, tmp_path: Path) -> None:
    """They may be started by ``pytest`` as well, which does not look there."""
    (tmp_path / "tests" / "test_near.py").write_text("sys.path.insert(0, '..')")
    failure = by_module.failure(tmp_path / "tests", "near", tmp_path / "near.py")
    assert failure == "ModuleNotFoundError: No module named 'near'"


def test_another_module_of_the_name_is_told(by_module: Imports, tmp_path: Path) -> None:
    """A test would be one of that module."""
    failure = by_module.failure(tmp_path / "tests", "near", tmp_path / "src" / "near.py")
    assert failure == f"near is another file there: {tmp_path / 'near.py'}"


def test_a_module_that_ends_its_process_is_told(by_module: Imports, tmp_path: Path) -> None:
    """The next one is imported all the same."""
    (tmp_path / "near.py").write_text("import os\nos._exit(3)\n")
    (tmp_path / "later.py").touch()
    place = tmp_path / "tests"
    assert by_module.failure(place, "near", tmp_path / "near.py") == "the import ends its process"
    assert by_module.failure(place, "later", tmp_path / "later.py") == ""


def test_a_conftest_that_fails_is_told(by_module: Imports, tmp_path: Path) -> None:
    (tmp_path / "tests" / "conftest.py").write_text("1 / 0\n")
    failure = by_module.failure(tmp_path / "tests", "near", tmp_path / "near.py")
    assert failure == "pytest does not start there by itself"
