"""Small projects, one for every way in which a change reaches a test.

The ground truth comes first: plain pytest, run over everything after the change, fails just
those tests that the case names. Then a select run must run and fail the same ones.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import duckdb
import pytest

from tests.forks import Runs

from .select_cases import (
    CASES,
    Case,
    Swap,
    fixtures,
    lazy,
    memos,
    read_folder,
    registries,
    shared,
    state,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a run is a fork")

WHAT_LASTS = (lazy, state, memos, registries, fixtures, shared)  # beyond the test that makes it
_QUICKLY = ("-p", "no:unraisableexception")  # it looks for garbage five times, in all of pytest
SELECT = ("--aqe-mode=select", "--aqe-probe=0", "--aqe-seed=1")
PLAIN_PROJECT = """
-- .gitignore --
__pycache__/
-- pytest.ini --
[pytest]
pythonpath = .
-- test_bystander.py --
def test_bystander():
    assert sorted("ba") == ["a", "b"]
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of pytest did: exit code, tests that ran, those that failed, its words."""

    code: int
    tests: frozenset[str]
    failed: frozenset[str]
    words: str


class Project:
    """A repository, and runs of pytest in it."""

    def __init__(self, root: Path, runs: Runs) -> None:
        self.root = root
        self._runs = runs

    def create(self, case: Case) -> None:
        """Write and commit the project as it was, an hour old."""
        defaults = read_folder(PLAIN_PROJECT)
        own = read_folder(case.before)
        bystander = {
            f"{case.folder}/{path}": text
            for path, text in defaults.items()
            if path not in own and f"{case.folder}/{path}" not in own
        }
        old = time.time() - 3600
        for path, text in {**bystander, **own}.items():
            self._write(path, text)
            os.utime(self.root / path, (old, old))
        for command in ("init -q -b change", "add -A", "commit -q -m before"):
            subprocess.run(["git", *command.split()], cwd=self.root, check=True)

    def change(self, case: Case) -> None:
        """Write, edit and delete what the case changes; commit nothing."""
        for path, edit in case.change.items():
            file = self.root / path
            if edit is None:
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            elif isinstance(edit, Swap):
                text = file.read_text(encoding="utf-8")
                assert text.count(edit.old) == 1, f"{path} has not once: {edit.old}"
                self._write(path, text.replace(edit.old, edit.new))
            else:
                self._write(path, dedent(edit).removeprefix("\n"))

    def pytest(self, case: Case, *arguments: str, environ: Mapping[str, str]) -> Ran:
        """Run pytest in the folder of the case."""
        result, output = self.root.parent / "ran.xml", self.root.parent / "output"
        result.unlink(missing_ok=True)
        output.unlink(missing_ok=True)
        code = self._runs.run(
            self.root / case.folder,
            [*_QUICKLY, f"--junitxml={result}", "-o", "junit_family=xunit1", *arguments],
            {
                **os.environ,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": str(self.root.parent / "site-packages"),
                **environ,
            },
            output,
        )
        words = output.read_text(encoding="utf-8", errors="replace")
        assert result.exists(), words
        elements = ElementTree.parse(result).getroot().findall(".//testcase")
        return Ran(
            code,
            frozenset(map(_name, elements)),
            frozenset(
                _name(element)
                for element in elements
                if element.find("failure") is not None or element.find("error") is not None
            ),
            words,
        )

    def _write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".so":
            _compile(text, file)
        elif file.suffix == ".link":
            file.unlink(missing_ok=True)
            file.symlink_to(text.strip())
        else:
            file.write_text(text, encoding="utf-8")


def _name(element: ElementTree.Element) -> str:
    owner = element.get("classname", "").rpartition(".")[2]
    name = element.get("name", "")
    return f"{owner}::{name}" if owner[:1].isupper() else name


def _compile(text: str, file: Path) -> None:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    include = sysconfig.get_path("include")
    if shutil.which(compiler[0]) is None or not Path(include, "Python.h").exists():
        pytest.skip("no C compiler, or no headers of this Python")
    source = file.with_suffix(".c.txt")
    source.write_text(text, encoding="utf-8")
    built = file.with_suffix(".new")
    shared = (
        ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    )
    subprocess.run(
        [*compiler, *shared, "-fPIC", f"-I{include}", "-x", "c", str(source), "-o", str(built)],
        check=True,
    )
    source.unlink()
    built.replace(file)


@pytest.fixture
def project(tmp_path: Path, runs: Runs | None, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty folder for a repository; bytecode is kept, as users keep it."""
    assert runs is not None
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")
    root = tmp_path / "project"
    root.mkdir()
    return Project(root, runs)


def each_of(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Run a test with each case that this Python can read, or with every so many-th of them."""
    every = int(os.environ.get("PYTEST_AQE_EVERY", "1"))
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(
                case,
                id=case.name.replace(",", "").replace(" ", "-"),
                marks=pytest.mark.skipif(
                    sys.version_info < case.python, reason=f"its syntax is that of {case.python}"
                ),
            )
            for case in list(cases)[::every]
        ],
    )


@each_of(CASES)
def test_a_change_selects_the_tests_it_breaks(case: Case, project: Project) -> None:
    """Every test that breaks is selected and fails; what the change cannot reach is spared."""
    earlier = {name: values[0] for name, values in case.environ.items()}
    later = {name: values[1] for name, values in case.environ.items()}
    project.create(case)
    before = project.pytest(case, "-p", "aqe", "--aqe", environ=earlier)
    assert before.code == 0, before.words

    project.change(case)
    truth = project.pytest(case, "-p", "no:cacheprovider", environ=later)
    assert truth.failed == case.selected, truth.words
    assert case.passing | case.spared <= truth.tests, truth.words
    after = project.pytest(case, "-p", "aqe", "--aqe", *SELECT, environ=later)
    assert case.selected | case.passing <= after.tests, after.words
    assert after.failed == truth.failed, after.words
    assert after.code == truth.code, after.words
    if not (case.full and "full run" in after.words):
        assert not case.spared & after.tests, after.words


@each_of(case for theme in WHAT_LASTS for case in theme.CASES if not case.environ)
def test_a_change_selects_what_was_followed_after_others_were_not(
    case: Case, project: Project
) -> None:
    """What tests leave behind that are not followed again is charged to those that are."""
    project.create(case)
    before = project.pytest(case, "-p", "aqe", "--aqe", environ={})
    assert before.code == 0, before.words
    with duckdb.connect(project.root / case.folder / ".aqe" / "history.duckdb") as history:
        for name in case.selected | case.passing:
            history.execute(
                "delete from dependencies where test_no in "
                "(select test_no from tests where ends_with(identity, $1))",
                [f".py::{name}"],
            )
    again = project.pytest(case, "-p", "aqe", "--aqe", environ={})
    assert again.code == 0, again.words

    project.change(case)
    after = project.pytest(case, "-p", "aqe", "--aqe", *SELECT, environ={})
    assert case.selected | case.passing <= after.tests, after.words
    assert after.failed == case.selected, after.words


def test_no_change_selects_nothing(project: Project) -> None:
    """A second run of an unchanged project runs no test, and that is a success."""
    case = Case(
        "unchanged",
        """
        -- shop.py --
        def price():
            return 2
        -- conftest.py --
        import pytest

        @pytest.fixture(scope="session")
        def rate():
            return 3
        -- test_shop.py --
        import shop

        def test_price(rate):
            assert shop.price() * rate == 6
        """,
        change={},
    )
    project.create(case)
    assert project.pytest(case, "-p", "aqe", "--aqe", environ={}).code == 0
    again = project.pytest(case, "-p", "aqe", "--aqe", *SELECT, environ={})
    assert again.tests == frozenset()
    assert again.code == 0, again.words


def test_every_case_has_a_name_of_its_own() -> None:
    """No two cases share a name, and none selects what it spares."""
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert not [case.name for case in CASES if (case.selected | case.passing) & case.spared]
