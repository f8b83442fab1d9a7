"""Tests are written only where a new test file can import the code by itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a trial needs os.fork")

PUTS_ON_PATH = """
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[{up}] / "src"))
"""


@pytest.fixture(autouse=True)
def code_in_src(project: Project) -> None:
    """A package that no installation and no configuration puts on ``sys.path``."""
    project.write_ini("testpaths = tests")
    project.write(
        src__reach__size="""
            def size(n: int) -> str:
                if n > 10:
                    return "big"
                return "small"
        """,
        tests__test_size="""
            def test_small():
                from reach.size import size
                assert size(1) == "small"
        """,
    )
    (project.path / "src" / "reach" / "__init__.py").touch()


def put_on_path_by(project: Project, stem: str, up: int) -> None:
    path = project.path / f"{stem}.py"
    old = path.read_text("utf-8") if path.exists() else ""
    project.write(**{stem.replace("/", "__"): PUTS_ON_PATH.format(up=up)})
    path.write_text(path.read_text("utf-8") + old, "utf-8")


@pytest.mark.parametrize("how", ["apply", "propose"])
def test_what_only_a_test_file_makes_importable_is_left_out_and_named(
    project: Project, workers: Workers, how: str
) -> None:
    """A file of generated tests would stop the whole suite; the line says what helps."""
    put_on_path_by(project, "tests/test_size", 1)
    done = project.run_fresh(f"--aqe-generate={how}", *workers)
    done.stdout.fnmatch_lines(
        [
            "no tests for reach.size: a new test file in tests cannot import it by itself "
            "(ModuleNotFoundError: No module named 'reach'); `pythonpath = src` in pytest's "
            "configuration lets it"
        ]
    )
    done.assert_outcomes(passed=1)
    assert [path.name for path in (project.path / "tests").glob("*.py")] == ["test_size.py"]
    assert not list((project.folder / "proposals").glob("*"))
    assert project.sql("select * from generations") == []


@pytest.mark.parametrize("conftest", ["conftest", "tests/conftest"])
def test_a_conftest_may_make_code_importable(project: Project, conftest: str) -> None:
    """It is loaded before any test file, whichever of them run."""
    put_on_path_by(project, conftest, conftest.count("/"))
    project.run_fresh("--aqe-generate=apply").assert_outcomes(passed=1)
    name = "test_aqe_size.py"
    assert (project.path / "tests" / name).is_file()
    assert project.pytester.runpytest_subprocess(f"tests/{name}").ret == 0


def test_warnings_may_be_errors(project: Project) -> None:
    """Those that asking causes are not the project's."""
    project.write_ini("testpaths = tests", "pythonpath = src", "filterwarnings = error")
    done = project.run_fresh("--aqe-generate=propose")
    done.stdout.fnmatch_lines(["*generated passed*"])


def test_a_conftest_may_do_so_when_pytest_is_configured(project: Project) -> None:
    project.write(
        conftest="""
            import sys

            def pytest_configure(config):
                sys.path.insert(0, str(config.rootpath / "src"))
        """
    )
    project.run_fresh("--aqe-generate=apply")
    assert (project.path / "tests" / "test_aqe_size.py").is_file()


def test_code_beside_its_tests_is_importable(project: Project) -> None:
    """Pytest puts the folder of a test file on ``sys.path``."""
    project.write_ini("testpaths = src")
    (project.path / "tests" / "test_size.py").rename(project.path / "src" / "test_size.py")
    project.run_fresh("--aqe-generate=apply")
    assert (project.path / "src" / "test_aqe_size.py").is_file()


def test_a_path_that_was_typed_counts(project: Project) -> None:
    """Whoever starts pytest like this session finds the code."""
    done = project.run_fresh("--aqe-generate=apply", "-o", "pythonpath=src")
    done.stdout.fnmatch_lines(
        ["*, 1 line and 1 branch more", "1 test accepted: 1 line and 1 branch *"]
    )
    assert (project.path / "tests" / "test_aqe_size.py").is_file()
