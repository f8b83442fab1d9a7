"""``--aqe-gaps``: what no test runs, by function, ranked by risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def package(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a function half run, one not run, and a file that nobody imports."""
    project.write(
        pack__a="""
            def half(x):
                if x > 1:
                    return 1
                return 2

            class C:
                def never(self):
                    return half(3)
        """,
        pack__lonely="def alone(): return 1\n",
        test_a="""
            from pack.a import half

            def test_half(): assert half(5) == 1
        """,
    )
    (project.path / "pack" / "__init__.py").touch()
    monkeypatch.syspath_prepend(project.path)


def places(project: Project) -> dict[str, tuple[list[int], list[list[int]] | None]]:
    """Return lines and branches that are missing, by function."""
    return {
        f"{gap['file']}::{gap['name']}": (gap["lines"], gap["branches"])
        for gap in project.answer("gaps")["gaps"]
    }


def test_what_is_missing_by_function(project: Project, workers: Workers) -> None:
    """With our own measurement: lines, branches, tests; a file nobody imports is missing."""
    done = project.run("--aqe-gaps", *workers)
    done.assert_outcomes(passed=1)
    # coverage 7.6 counts a docstring as a statement
    done.stdout.fnmatch_lines(["*- gaps -*", "covered [56] of [89] statements*, 1 of 2 branches*"])
    assert places(project) == {
        "pack/a.py::half": ([4], [[2, 4]]),
        "pack/a.py::C.never": ([8], []),
        "pack/lonely.py::alone": ([1], []),
    }
    (half,) = [gap for gap in project.answer("gaps")["gaps"] if gap["name"] == "half"]
    assert half["tests"] == ["test_a.py::test_half"]
    assert half["callers"] == 1
    assert half["complexity"] == 2
    assert half["changed"] is None  # no git here
    assert not list((project.folder / "coverage").glob("*"))


def test_pytest_cov_measures_once(project: Project, workers: Workers) -> None:
    """Its data are read; what it was not asked for is unmeasured."""
    pytest.importorskip("pytest_cov")
    project.run("--aqe-gaps", "--cov=pack", "--cov-report=", *workers).assert_outcomes(passed=1)
    (half, *_) = project.answer("gaps")["gaps"]
    assert (half["name"], half["lines"], half["branches"]) == ("half", [4], None)
    assert half["failures"] is None
    assert half["tests"] == []


def test_pytest_cov_with_everything(project: Project, workers: Workers) -> None:
    """Asked for branches and contexts, it says as much as our own measurement."""
    pytest.importorskip("pytest_cov")
    arguments = ("--cov=pack", "--cov-branch", "--cov-context=test", "--cov-report=")
    project.run("--aqe-gaps", *arguments, *workers)
    (half, *_) = project.answer("gaps")["gaps"]
    assert half["branches"] == [[2, 4]]
    assert half["tests"] == ["test_a.py::test_half"]


def test_off_measures_nothing(project: Project) -> None:
    project.run()
    code, said = project.command("gaps")
    assert code == 1
    assert "pytest --aqe --aqe-gaps" in said


def test_a_part_of_the_suite_leaves_what_is_known(project: Project, workers: Workers) -> None:
    """What a few tests miss is not what the suite misses."""
    project.run("--aqe-gaps")
    known = places(project)
    project.run("--aqe-gaps", "-k", "nothing", *workers)
    assert places(project) == known
    project.write(test_b="from pack import a\ndef test_b(): pass\n")
    done = project.run("--aqe-gaps", "test_b.py", *workers)
    done.stdout.fnmatch_lines(["by the tests that ran; *"])
    assert places(project) == known


@pytest.fixture
def two(project: Project) -> Project:
    """A whole run of two folders of tests, of which each covers a function of its own."""
    (project.path / "test_a.py").unlink()
    (project.path / "pack" / "lonely.py").unlink()
    project.write(
        conftest="",  # its folder is imported from, by workers too
        pack__a="def f(): return 1\n\ndef g(): return 2\n",
        tests__a__test_f="from pack.a import f\ndef test_f(): assert f() == 1\n",
        tests__b__test_g="from pack.a import g\ndef test_g(): assert g() == 2\n",
    )
    project.run("--aqe-gaps", "-q").assert_outcomes(passed=2)
    assert places(project) == {}
    return project


@pytest.mark.parametrize(
    "arguments", ["tests/a", "--ignore=tests/b", "--ignore-glob=*b", "--deselect=tests/b"]
)
def test_who_asks_for_a_part_does_not_run_the_suite(two: Project, arguments: str) -> None:
    """Of a folder, or with something taken away, nothing is kept and nothing generated."""
    done = two.run("--aqe-gaps", "--aqe-generate=propose", arguments)
    done.stdout.fnmatch_lines(["by the tests that ran; *", "*only a part of the suite ran*"])
    assert places(two) == {}


def test_a_folder_of_two_workers_is_a_part(two: Project) -> None:
    pytest.importorskip("xdist")
    two.run("--aqe-gaps", "tests/a", "-n2").assert_outcomes(passed=1)
    assert places(two) == {}


def test_from_below_the_rootdir_it_is_a_part(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder of the call decides what is collected."""
    two.write_ini()
    monkeypatch.chdir(two.path / "tests" / "a")
    two.run("--aqe-gaps").assert_outcomes(passed=1)
    assert places(two) == {}


@pytest.mark.parametrize("option", ["--lf", "--sw"])
def test_the_tests_that_failed_are_a_part(two: Project, option: str) -> None:
    two.write(tests__a__test_f="from pack.a import f\ndef test_f(): assert f() == 0\n")
    two.run("--aqe-gaps", "--sw").assert_outcomes(failed=1)
    two.run("--aqe-gaps", option).assert_outcomes(failed=1)
    assert places(two) == {}


def test_workers_that_collect_different_tests_ran_nothing(two: Project) -> None:
    """So they say nothing of what is covered."""
    pytest.importorskip("xdist")
    two.write(
        tests__a__test_f="""
            import os, pytest

            @pytest.mark.parametrize("x", [os.getpid()])
            def test_f(x): pass
        """
    )
    two.run_apart("--aqe-gaps", "-n2").stdout.fnmatch_lines(["*Different tests were collected*"])
    assert places(two) == {}


def test_a_file_that_cannot_be_collected_is_missing(two: Project) -> None:
    two.write(tests__b__test_g="import nothing_of_that_name\n")
    two.run("--aqe-gaps", "--continue-on-collection-errors").assert_outcomes(passed=1, errors=1)
    assert places(two) == {}


def test_the_folder_that_holds_all_tests_is_the_suite(two: Project) -> None:
    """By the last whole run where nothing else says it; a test that is gone is not missed."""
    (two.path / "tests" / "b" / "test_g.py").unlink()
    two.run("--aqe-gaps", "tests").assert_outcomes(passed=1)
    assert places(two).keys() == {"pack/a.py::g"}


def test_testpaths_are_the_suite(two: Project) -> None:
    """Asked for by name or not."""
    two.write_ini("testpaths = tests/a")
    two.run("--aqe-gaps", "tests/a").assert_outcomes(passed=1)
    assert places(two).keys() == {"pack/a.py::g"}
    two.write_ini("testpaths = tests/*")
    two.run("--aqe-gaps").assert_outcomes(passed=2)
    assert places(two) == {}
    two.run("--aqe-gaps", "tests/a").assert_outcomes(passed=1)
    assert places(two) == {}


def test_what_the_configuration_leaves_out_is_no_part_of_the_suite(
    two: Project, workers: Workers
) -> None:
    """Typed, the same makes it a part."""
    two.write_ini("addopts = -k test_f")
    two.run("--aqe-gaps", *workers).assert_outcomes(passed=1, deselected=0 if workers else 1)
    assert places(two).keys() == {"pack/a.py::g"}
    two.write_ini("addopts = -k 'test_f or test_g'")
    two.run("--aqe-gaps", *workers).assert_outcomes(passed=2)
    two.run("--aqe-gaps", "-k", "test_f", *workers).assert_outcomes(
        passed=1, deselected=0 if workers else 1
    )
    assert places(two) == {}


def test_tests_that_failed_and_flaky_ones_raise_the_risk(project: Project) -> None:
    """The history says how the tests that reach a gap did."""
    project.write(
        test_a="""
            import os
            from pack.a import half

            def test_half(): assert half(5) == (0 if "BREAK" in os.environ else 1)
        """
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAK", "1")
        project.run("--aqe-gaps").assert_outcomes(failed=1)
    project.run("--aqe-gaps").assert_outcomes(passed=1)
    half = next(gap for gap in project.answer("gaps")["gaps"] if gap["name"] == "half")
    assert half["failures"] == 1.0
    assert half["flaky_only"] is False


def test_the_change_comes_first_and_can_fail(project: Project, workers: Workers) -> None:
    """Every changed line counts by itself; the reason is told."""
    project.commit_all()
    project.git("checkout", "-q", "-b", "work")
    with (project.path / "pack/a.py").open("a") as file:
        file.write("\ndef fresh():\n    return 7\n")
    done = project.run("--aqe-fail-on=gap", "--aqe-base=main", *workers)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(
        [
            "*of the change 1 of 2 statements (50.0%)",
            "*fresh*changed (1 line)*",
            "failed by --aqe-fail-on=gap: 1 changed line not covered (pack/a.py:11)",
        ]
    )
    quiet = project.run("-qq", "--aqe-fail-on=gap", "--aqe-base=main", *workers)
    assert quiet.ret == pytest.ExitCode.TESTS_FAILED
    assert "- gaps -" not in quiet.stdout.str()
    quiet.stdout.fnmatch_lines(["failed by --aqe-fail-on=gap: 1 changed line not covered *"])
    first = project.answer("gaps")["gaps"][0]
    assert (first["name"], first["changed"]) == ("fresh", [11])
    project.write(test_b="from pack.a import fresh\ndef test_b(): assert fresh() == 7\n")
    assert project.run("--aqe-fail-on=gap", "--aqe-base=main", *workers).ret == 0


def test_an_unknown_change_fails_nobody(project: Project) -> None:
    """It says that it cannot judge."""
    done = project.run("--aqe-fail-on=gap")
    assert done.ret == 0
    done.stdout.fnmatch_lines(["--aqe-fail-on=gap cannot judge: *"])


def test_a_wrong_reason_is_named(project: Project) -> None:
    done = project.run("--aqe-fail-on=gap,moon")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*--aqe-fail-on='gap,moon': 'moon' is none of*"])


def test_warnings_as_errors(project: Project, workers: Workers) -> None:
    """Coverage's warnings are not the user's."""
    project.write(test_a="def test_a(): pass\n")
    done = project.run("--aqe-gaps", "-W", "error", *workers)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["no code of the project was measured; gaps are unknown"])


def test_excluded_lines_are_no_gaps(project: Project) -> None:
    """The project's own coverage configuration decides."""
    (project.path / ".coveragerc").write_text(
        "[report]\nexclude_also =\n    return 2\n    alone\n", "utf-8"
    )
    project.run("--aqe-gaps")
    assert "pack/lonely.py::alone" not in places(project)
    assert places(project)["pack/a.py::C.never"] == ([8], [])


@pytest.mark.parametrize(
    "chosen",
    [
        "omit = */lonely.py",
        "omit = pack/lonely.py",
        "include = pack/a.py",
        "include =\n    */a.py\n    elsewhere/*",
        "source = pack.a",
        "source = pack\nomit = */lonely.py",
    ],
)
def test_what_coverage_is_told_to_leave_out_is_no_gap(project: Project, chosen: str) -> None:
    """Also of files that no test imports, of which coverage has no data."""
    (project.path / ".coveragerc").write_text(f"[run]\n{chosen}\n", "utf-8")
    project.run("--aqe-gaps").assert_outcomes(passed=1)
    assert {name.partition("::")[0] for name in places(project)} == {"pack/a.py"}


@pytest.mark.parametrize(
    "chosen", ["include = pack/*", "source = pack", "source = .", "omit = tests/*"]
)
def test_what_coverage_is_told_to_measure_is_a_gap(project: Project, chosen: str) -> None:
    """Whether a test imports it or not."""
    (project.path / ".coveragerc").write_text(f"[run]\n{chosen}\n", "utf-8")
    project.run("--aqe-gaps").assert_outcomes(passed=1)
    assert {name.partition("::")[0] for name in places(project)} == {"pack/a.py", "pack/lonely.py"}


def test_a_session_that_stops_early_measures_no_further(project: Project, workers: Workers) -> None:
    """With -x it says what the tests that ran cover, or nothing; never a fault."""
    project.write(test_b="def test_b(): assert 0\n", test_c="def test_c(): pass\n")
    done = project.run("--aqe-gaps", "-x", *workers)
    assert done.ret != 0
    assert "internal fault" not in done.stdout.str()
    assert project.command("gaps")[0] == 1
