"""``--aqe``: on by flag, variable or ini key; what it says; where it keeps quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_aqe.options import TABLE

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def one_test(project: Project) -> None:
    project.write(test_a="def test_x(): pass\n")


def test_flag(project: Project, workers: Workers) -> None:
    """``--aqe`` records the run."""
    project.pytest("--aqe", *workers)
    assert project.outcomes() == {"test_x": "passed"}


def test_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_AQE=1`` records the run."""
    monkeypatch.setenv("PYTEST_AQE", "1")
    project.pytest()
    assert project.outcomes() == {"test_x": "passed"}


def test_ini(project: Project, workers: Workers) -> None:
    """``aqe = true`` in the ini file records the run."""
    project.write_ini("aqe = true")
    project.pytest(*workers)
    assert project.outcomes() == {"test_x": "passed"}


def test_flag_beats_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line wins over ``PYTEST_AQE``."""
    monkeypatch.setenv("PYTEST_AQE", "0")
    project.pytest("--aqe")
    assert project.history.exists()


def test_variable_beats_ini(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_AQE`` wins over the ini key."""
    monkeypatch.setenv("PYTEST_AQE", "off")
    project.write_ini("aqe = true")
    project.pytest()
    assert not project.folder.exists()


def test_bad_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``PYTEST_AQE`` that is neither true nor false is a usage error that names it."""
    monkeypatch.setenv("PYTEST_AQE", "maybe")
    done = project.pytest()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: PYTEST_AQE='maybe': expected true or false"])


def test_bad_ini(project: Project) -> None:
    """An ``aqe`` key that is neither true nor false is a usage error that names it."""
    project.write_ini("aqe = maybe")
    done = project.pytest()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: aqe: invalid truth value 'maybe'"])


def test_abbreviated_flag(project: Project) -> None:
    """A flag of ours is never abbreviated."""
    assert project.pytest("--aqe-mod=order").ret == pytest.ExitCode.USAGE_ERROR


_INI = {
    "aqe": "true",
    "aqe_mode": "observe",
    "aqe_history": ".aqe/history.duckdb",
    "aqe_base": "HEAD",
    "aqe_suite": "linux",
}


def test_strict_config(project: Project) -> None:
    """Every ini key of ours is accepted by ``--strict-config``."""
    project.write_ini(*(f"{key} = {value}" for key, value in _INI.items()))
    assert project.pytest("--strict-config").ret == pytest.ExitCode.OK
    assert project.sql("select mode, suite from runs") == [("observe", "linux")]


def _toml(value: str) -> str:
    return value if value == "true" else f'"{value}"'


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has no native TOML")
@pytest.mark.parametrize(
    "file, heading", [("pytest.toml", "[pytest]"), ("pyproject.toml", "[tool.pytest]")]
)
def test_native_toml(project: Project, file: str, heading: str) -> None:
    """Every ini key of ours is accepted in pytest's native, strict TOML."""
    lines = [heading, "strict = true", *(f"{key} = {_toml(value)}" for key, value in _INI.items())]
    (project.path / file).write_text("\n".join(lines), encoding="utf-8")
    assert project.pytest().ret == pytest.ExitCode.OK
    assert project.sql("select mode, suite from runs") == [("observe", "linux")]


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has no native TOML")
def test_bad_toml_type(project: Project) -> None:
    """A TOML value of the wrong type is a usage error."""
    (project.path / "pytest.toml").write_text("[pytest]\naqe = 3\n", encoding="utf-8")
    assert project.pytest().ret == pytest.ExitCode.USAGE_ERROR


def test_strict_markers(project: Project) -> None:
    """Our marker is known to ``--strict-markers``, also when we are off."""
    project.write(test_a="import pytest\n@pytest.mark.aqe_id('x')\ndef test_x(): pass\n")
    assert project.pytest("--strict-markers").ret == pytest.ExitCode.OK


def test_header_of_the_first_run(project: Project, workers: Workers) -> None:
    """The first run's header says that there is no history yet."""
    project.run(*workers).stdout.fnmatch_lines(
        ["aqe: mode=order, no history yet (.aqe/history.duckdb); tests run in collected order"]
    )


def test_header_of_the_second_run(project: Project) -> None:
    """Later headers say how much the history holds."""
    project.run()
    project.run().stdout.fnmatch_lines(
        ["aqe: mode=order, history .aqe/history.duckdb: 1 run of 1 test"]
    )


def test_summary(project: Project) -> None:
    """The summary says how many results were recorded."""
    project.run().stdout.fnmatch_lines(["*- aqe -*", "recorded 1 result"])


def test_summary_is_short(project: Project) -> None:
    """The summary has at most six lines, whatever happened."""
    runs = project.folder / "runs"
    runs.mkdir(parents=True)
    for number in range(9):
        (runs / f"{number}.jsonl").write_bytes(b"no json\n" * 99)
    project.write(test_a="def test_x(): assert 0\n")
    lines = project.run("--tb=no", "-p", "no:warnings").outlines
    start = next(number for number, line in enumerate(lines) if "- aqe -" in line)
    end = next(number for number, line in enumerate(lines) if "short test summary" in line)
    assert end - start - 1 <= 6


def test_quiet(project: Project) -> None:
    """``-q`` has no header of ours."""
    project.run("-q").stdout.no_fnmatch_line("aqe: *")


def test_very_quiet(project: Project, workers: Workers) -> None:
    """Under ``-q -q`` we say nothing at all, and record."""
    project.write(test_a="def test_x(): pass\n")
    done = project.run("-q", "-q", *workers)
    assert "aqe" not in str(done.stdout)
    assert "recorded" not in str(done.stdout)
    assert project.outcomes() == {"test_x": "passed"}


@pytest.mark.parametrize("plugin", ["terminal", "cacheprovider"])
def test_without_a_plugin_of_pytest(project: Project, plugin: str) -> None:
    """Runs without pytest's terminal or cache are recorded like others."""
    done = project.run("-p", f"no:{plugin}")
    assert done.ret == pytest.ExitCode.OK
    assert project.outcomes() == {"test_x": "passed"}


@pytest.mark.parametrize("flag", ["--aqe-explain", "--aqe-dry-run"])
def test_plan_without_terminal(project: Project, flag: str) -> None:
    """A plan that nobody can see is no fault."""
    assert project.run(flag, "-p", "no:terminal").ret == pytest.ExitCode.OK


def test_warnings_as_errors(project: Project, workers: Workers) -> None:
    """Nothing of ours warns."""
    project.write(test_a="def test_x(): assert 0\n", test_b="def test_y(): pass\n")
    for _ in range(2):
        done = project.run("-W", "error", *workers)
        assert done.ret == pytest.ExitCode.TESTS_FAILED
        done.assert_outcomes(failed=1, passed=1)


def test_folder_ignores_itself_in_git(project: Project) -> None:
    """The folder of the history is invisible to git."""
    project.git("init", "-q")
    project.run("-p", "no:cacheprovider")
    assert project.git("status", "--porcelain", "--untracked-files=all") == "?? test_a.py"


def test_help(project: Project) -> None:
    """``--help`` lists every flag under a heading of ours."""
    done = project.pytest("--help")
    assert done.ret == pytest.ExitCode.OK
    flags = [f"*{option.flag}*" for option in TABLE]
    done.stdout.fnmatch_lines(["pytest-aqe*:", *flags, "*--no-aqe*"])
