"""``--aqe-dependencies``: whether a run records what tests depend on, and what that must not do."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pytest_aqe

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def two_modules(project: Project) -> None:
    """A module with branches, and tests that take some of them."""
    project.write(
        library="""
            import threading

            class Shape:
                sides = 3
                def corners(self):
                    return [side for side in range(self.sides)]

            def one(flag):
                if flag:
                    return 1
                return (number for number in range(2))

            def in_thread():
                found = []
                thread = threading.Thread(target=lambda: found.append(one(False)))
                thread.start()
                thread.join()
                return found

            def never():
                return 2
        """,
        test_a="""
            import pytest
            from library import Shape, in_thread, one

            @pytest.fixture(scope="module")
            def shape():
                yield Shape()

            def test_shape(shape): assert len(shape.corners()) == 3
            def test_again(shape): assert shape.corners() == [0, 1, 2]
            def test_one(): assert one(True) == 1
            def test_two(): assert list(one(False)) == [0, 1]
            def test_thread(): assert in_thread()
        """,
    )


def followed(project: Project) -> int:
    """Return of how many tests it is known what they depend on."""
    ((count,),) = project.sql("select count(distinct test_no) from dependencies")
    return int(count)


def test_on_by_default(project: Project, workers: Workers) -> None:
    """A run that orders follows its tests, so that selection can begin any time."""
    (project.run if workers else project.run_apart)(*workers)
    assert followed(project) == 5


def test_off(project: Project, workers: Workers) -> None:
    """Nothing is followed when it is off."""
    project.run("--aqe-dependencies=off", *workers)
    assert followed(project) == 0


def test_observe(project: Project) -> None:
    """A run that only records follows nothing, unless asked to."""
    project.run_apart("--aqe-mode=observe")
    assert followed(project) == 0
    project.run_apart("--aqe-mode=observe", "--aqe-dependencies=on")
    assert followed(project) == 5


def test_ini_key(project: Project) -> None:
    """It can be set once for the project."""
    project.write_ini("aqe_dependencies = off")
    project.run_apart()
    assert followed(project) == 0


def test_wrong(project: Project) -> None:
    """Anything else is refused."""
    assert project.run("--aqe-dependencies=maybe").ret == pytest.ExitCode.USAGE_ERROR


def test_failed_tests_are_not_known(project: Project) -> None:
    """Only of a test that passed is it known what it needs to pass."""
    project.write(test_b="def test_bad(): assert 0\ndef test_good(): pass\n")
    project.run_apart()
    assert project.sql(
        "select identity from tests anti join dependencies using (test_no) order by 1"
    ) == [("test_b.py::test_bad",)]


def test_the_same_code_shares_a_set(project: Project) -> None:
    """Tests that run the same are kept as one."""
    project.write(
        test_b="".join(f"def test_{n}(): assert shared()\n" for n in range(3))
        + "def shared(): return 1\n",
        test_c="import pytest\n@pytest.mark.parametrize('n', range(20))\ndef test_c(n): pass\n",
    )
    project.run_apart()
    ((tests, sets),) = project.sql(
        "select count(distinct test_no), count(distinct own_no) "
        "from dependencies join tests using (test_no) where identity like 'test_c%'"
    )
    assert (tests, sets) == (20, 1)


def test_in_a_checkout_of_the_plugin_itself_its_own_work_is_nobodys(project: Project) -> None:
    """What is installed is the project's code, and yet the session asks git for no test."""
    ours = Path(pytest_aqe.__file__).parent
    shutil.copytree(ours, project.path / "pytest_aqe", ignore=shutil.ignore_patterns("*.pyc"))
    (project.path / ".git").rmdir()
    project.git("init", "-q")
    project.commit_all()
    for body in ("pass", "assert True"):
        project.write(test_b=f"def test_last(): {body}\n")
        project.run_apart()
    assert project.sql("select distinct doubt from dependencies") == [([],)]


KEYS = """
    select node_id, run_no - min(run_no) over () as run, own.key, base.key
    from dependencies join nodes using (test_no)
        join sets as own on own.set_no = own_no join sets as base on base.set_no = base_no
    order by all
"""


def test_what_fails_in_a_fixture_is_shown_without_us(project: Project, workers: Workers) -> None:
    """As plain pytest shows it."""
    project.write(
        conftest="""
            import pytest

            @pytest.fixture(scope="session")
            def broken():
                raise ValueError("at set-up")

            @pytest.fixture(scope="session")
            def leaving():
                yield
                raise ValueError("at teardown")
        """,
        test_a="""
            def test_a(broken): pass
            def test_b(leaving): pass
        """,
    )
    done = project.run_apart(*workers)
    done.assert_outcomes(passed=1, errors=2)
    assert "at set-up" in done.stdout.str()
    assert "at teardown" in done.stdout.str()
    assert "pytest_aqe" not in done.stdout.str()


class TestCarried:
    """A test of which nothing has changed is not followed again."""

    def test_what_is_known_is_recorded_for_the_next_run(
        self, project: Project, workers: Workers
    ) -> None:
        """Both runs know the same of each test, though the second one sends no set."""
        run = project.run if workers else project.run_apart
        run(*workers)
        first = project.sql(KEYS)
        project.write(notes="written = 1\n")  # another tree, that nobody uses
        run(*workers)
        both = project.sql(KEYS)
        assert len(first) == 5
        assert [row for row in both if row[1] == 0] == first
        assert [(node, own, base) for node, number, own, base in both if number == 1] == [
            (node, own, base) for node, _, own, base in first
        ]
        assert len(_sets_sent(project)[-1]) == 0

    def test_what_changed_is_followed(self, project: Project, workers: Workers) -> None:
        """Only the tests of what is different now send what they use."""
        run = project.run if workers else project.run_apart
        run(*workers)
        source = (project.path / "library.py").read_text()
        project.write(library=source.replace("range(self.sides)", "range(0, self.sides)"))
        run(*workers)
        sent = {name for names in _sets_sent(project)[-1] for name in names["test_a.py"]}
        assert {name for name in sent if name.startswith("test")} == {"test_shape", "test_again"}

    def test_it_leaves_caches_and_fixtures_to_those_that_are_followed(
        self, project: Project, workers: Workers
    ) -> None:
        """What a known test fills and sets up is charged to a new one that finds it there."""
        project.write(
            cached="""
                import functools

                @functools.cache
                def rate(): return read()
                def read(): return 2
                def price(): return 3
            """,
            test_a="""
                import pytest

                @pytest.fixture(scope="session")
                def cached():
                    import cached
                    return cached

                @pytest.fixture(scope="session")
                def price(cached): return cached.price()

                def test_known(cached, price): assert cached.rate() * price == 6
            """,
        )
        run = project.run if workers else project.run_apart
        run(*workers)
        with (project.path / "test_a.py").open("a") as file:
            file.write("\ndef test_new(cached, price): assert cached.rate() * price == 6\n")
        run(*workers, "--dist=loadfile") if workers else run()
        (new,) = [
            names for names in _sets_sent(project)[-1] if "test_new" in names.get("test_a.py", ())
        ]
        assert {"rate", "read", "price"} <= set(new["cached.py"])

    def test_a_failure_is_followed_once_more(self, project: Project, workers: Workers) -> None:
        """A known test that fails is not known to pass, and its next run is followed."""
        project.write(
            test_a="""
                import os, library
                def test_sides(): assert library.Shape.sides == 3 and "BROKEN" not in os.environ
            """
        )
        run = project.run if workers else project.run_apart
        run(*workers)
        os.environ["BROKEN"] = "1"
        try:
            run(*workers)
        finally:
            del os.environ["BROKEN"]
        run(*workers)
        sent = _sets_sent(project)
        assert [bool(each) for each in sent] == [True, False, True]


def _sets_sent(project: Project) -> list[list[dict[str, list[str]]]]:
    """Return of each run file the sets that it brought, oldest run first."""
    files = sorted((project.path / ".aqe" / "runs" / "ingested").glob("*.gz"))
    return [
        [each["sets"] for each in map(json.loads, lines) if each["type"] == "set"]
        for lines in (gzip.decompress(file.read_bytes()).splitlines() for file in files)
    ]


def test_a_session_in_a_session(project: Project) -> None:
    """A project that runs pytest in its tests is followed as before, and nothing is broken."""
    project.write(
        conftest="pytest_plugins = ['pytester']\n",
        test_p="def test_p(pytester):\n"
        "    pytester.makepyfile(test_inner='def test_x(): pass')\n"
        "    pytester.runpytest_inprocess('--aqe').assert_outcomes(passed=1)\n",
    )
    done = project.run_apart()
    done.assert_outcomes(passed=6)
    assert "fault" not in done.stdout.str()


class TestCoverage:
    """Following tests changes no figure that coverage measures."""

    CORES = ("ctrace", "sysmon", "pytrace")

    @pytest.fixture(autouse=True)
    def coverage(self, project: Project, two_modules: None) -> None:
        """Ask for branches, whichever core measures them."""
        pytest.importorskip("pytest_cov")
        (project.path / ".coveragerc").write_text("[run]\nbranch = true\nsource = .\n")

    def measured(self, project: Project, *arguments: str) -> dict[str, Any]:
        """Return the figures of every file."""
        report = project.path / "coverage.json"
        report.unlink(missing_ok=True)
        done = project.pytester.runpytest_subprocess(
            "--cov", f"--cov-report=json:{report}", *arguments
        )
        done.assert_outcomes(passed=5)
        files: dict[str, Any] = json.loads(report.read_text("utf-8"))["files"]
        return files

    @pytest.mark.parametrize("core", CORES)
    def test_figures(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, workers: Workers, core: str
    ) -> None:
        """Lines, branches and missing ones are the same with and without us."""
        monkeypatch.setenv("COVERAGE_CORE", core)
        plain = self.measured(project, *workers)
        assert plain["library.py"]["missing_lines"]
        assert self.measured(project, "--aqe", *workers) == plain
        assert followed(project) == 5

    def test_contexts(self, project: Project) -> None:
        """What each test covered is the same too."""
        (project.path / ".coveragerc").write_text(
            "[run]\nsource = .\n[json]\nshow_contexts = true\n"
        )
        plain = self.contexts(project)
        assert any(len(tests) > 1 for tests in plain.values())
        assert self.contexts(project, "--aqe") == plain

    def contexts(self, project: Project, *arguments: str) -> dict[tuple[str, str], set[str]]:
        """Return the tests that covered each line of each file; coverage keeps no order of them."""
        return {
            (file, line): set(tests)
            for file, figures in self.measured(project, "--cov-context=test", *arguments).items()
            for line, tests in figures["contexts"].items()
        }
