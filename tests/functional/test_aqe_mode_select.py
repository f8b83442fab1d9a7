"""``--aqe-mode=select``: what a change can have broken runs, and nothing is left out unseen."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

LIBRARY = "def one(): return 1\ndef two(): return 2\ndef three(): return 3\n"


@pytest.fixture(autouse=True)
def three_tests(project: Project) -> None:
    """Three modules, each with a test of one function of a fourth."""
    project.write(library=LIBRARY)
    for number, name in enumerate(("one", "two", "three"), 1):
        project.write(
            **{
                f"test_{name}": f"from library import {name}\n"
                f"def test_{name}(): assert {name}() == {number}\n"
            }
        )


def run(project: Project, *arguments: str | Path) -> pytest.RunResult:
    """Run ``pytest --aqe`` where it follows tests of its own process alone.

    Here the tests of this suite are around it, and look like a part of the project.
    """
    return project.run(*arguments) if "-n2" in arguments else project.run_apart(*arguments)


def ignore_what_runs_leave(project: Project) -> None:
    """Make a repository that knows what is no source."""
    (project.path / ".gitignore").write_text(
        "stdout\nstderr\nrunpytest-*\n__pycache__/\n.pytest_cache/\n"
    )
    project.git("init", "-q")


def select(project: Project, *arguments: str | Path) -> pytest.RunResult:
    """Run what a change can have broken, without the random probe."""
    return run(project, "--aqe-mode=select", "--aqe-probe=0", *arguments)


def selected(project: Project, *arguments: str | Path) -> list[str]:
    """Return the names of the tests that a selected run runs."""
    done, names = _recorded(project, "--aqe-mode=select", "--aqe-probe=0", *arguments)
    assert done.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    return names


def _recorded(project: Project, *arguments: str | Path) -> tuple[pytest.RunResult, list[str]]:
    latest = "select coalesce(max(run_no), 0) from runs"
    ((before,),) = project.sql(latest) if project.history.exists() else ((0,),)
    done = run(project, *arguments)
    rows = project.sql(
        "select distinct node_id from results join nodes using (node_no) "
        f"where run_no > {before} order by 1"
    )
    return done, [node_id.partition("::")[2] for (node_id,) in rows]


def change(project: Project, **functions: object) -> None:
    """Let functions of the library return something else."""
    text = LIBRARY
    for name, value in functions.items():
        text = text.replace(f"def {name}(): return ", f"def {name}(): return {value} or ")
    project.write(library=text)


class TestWhatRuns:
    def test_first_run(self, project: Project, workers: Workers) -> None:
        """Without a history everything runs, with the reason in header and summary."""
        done = select(project, *workers)
        done.assert_outcomes(passed=3)
        done.stdout.fnmatch_lines(
            ["aqe: mode=select, full run (no history yet)*", "full run: no history yet"]
        )

    def test_nothing_changed(self, project: Project, workers: Workers) -> None:
        """Nothing runs, and that is no failure."""
        run(project, *workers)
        done = select(project, *workers)
        assert done.ret == pytest.ExitCode.OK
        done.stdout.fnmatch_lines(["selected 0 of 3 tests; 3 not run, *"])

    def test_nothing_changed_again(self, project: Project) -> None:
        """However often nothing had to run, what then changes is noticed, and what fails again."""
        run(project)
        for _ in range(3):
            assert selected(project) == []
        change(project, two=7)
        assert selected(project) == ["test_two"]
        assert selected(project) == ["test_two"]
        project.write(library=LIBRARY)
        assert selected(project) == ["test_two"]
        assert selected(project) == []
        project.write(test_new="def test_new(): pass\n")
        assert selected(project) == ["test_new"]

    def test_affected(self, project: Project, workers: Workers) -> None:
        """Only the test that ran the changed function runs again."""
        run(project, *workers)
        change(project, two=2)
        assert selected(project, *workers) == ["test_two"]

    def test_affected_once(self, project: Project) -> None:
        """What a selected run has seen pass need not run again."""
        run(project)
        change(project, two=2)
        select(project)
        assert selected(project) == []

    def test_deselected(self, project: Project) -> None:
        """What is left out of a file is deselected, and the summary says why."""
        project.write(
            test_all="import library\n"
            "def test_one(): assert library.one()\ndef test_two(): assert library.two()\n"
        )
        run(project)
        change(project, two=2)
        done = select(project, "test_all.py")
        done.assert_outcomes(passed=1, deselected=1)
        done.stdout.fnmatch_lines(
            ["selected 1 of 2 tests: 1 affected; 1 not run, nothing they use has changed*"]
        )

    def test_files_that_are_not_imported(self, project: Project) -> None:
        """A file of which nothing runs is not even imported; its tests are counted all the same."""
        project.write(
            test_loud="from pathlib import Path\n"
            "def test_a(): pass\ndef test_b(): pass\n"
            "with Path('imported.txt').open('a') as file: file.write('x')\n"
        )
        run(project)
        change(project, two=2)
        done = select(project)
        assert (project.path / "imported.txt").read_text() == "x"
        done.stdout.fnmatch_lines(["selected 1 of 5 tests: 1 affected; 4 not run, *"])

    def test_only_what_was_asked_for_is_counted(self, project: Project) -> None:
        """A file that was not asked for is not left out by us."""
        run(project)
        change(project, two=2)
        done = select(project, "test_one.py")
        done.stdout.fnmatch_lines(["selected 0 of 1 test; 1 not run, *"])

    def test_deselected_under_xdist(self, project: Project) -> None:
        """The summary says the same when workers did the leaving out."""
        pytest.importorskip("xdist")
        run(project, "-n2")
        change(project, two=2)
        done = select(project, "-n2")
        done.stdout.fnmatch_lines(["selected 1 of 3 tests: 1 affected; 2 not run, *"])

    def test_new(self, project: Project, workers: Workers) -> None:
        """A test that no run has seen runs."""
        run(project, *workers)
        project.write(test_four="def test_four(): pass\ndef test_five(): pass\n")
        done = select(project, *workers)
        done.assert_outcomes(passed=2)
        done.stdout.fnmatch_lines(["selected 2 of 5 tests: 2 new; 3 not run, *"])

    def test_changed_test(self, project: Project) -> None:
        """A test whose own body changed runs."""
        run(project)
        project.write(test_one="from library import one\ndef test_one(): assert one() < 2\n")
        assert selected(project) == ["test_one"]

    def test_failed_last(self, project: Project, workers: Workers) -> None:
        """A test that failed runs until it passes."""
        change(project, one=7)
        run(project, *workers)
        for _ in range(2):
            assert selected(project, *workers) == ["test_one"]
        project.write(library=LIBRARY)
        assert selected(project, *workers) == ["test_one"]
        assert selected(project, *workers) == []

    def test_failure_fails_the_run(self, project: Project) -> None:
        """The exit code is pytest's."""
        run(project)
        change(project, one=7)
        assert select(project).ret == pytest.ExitCode.TESTS_FAILED

    def test_skipped_is_not_passed(self, project: Project) -> None:
        """A test that was only ever skipped was not seen to pass, so it runs."""
        project.write(
            test_skip="import pytest\n"
            '@pytest.mark.skipif(\'not __import__("pathlib").Path("go").exists()\')\n'
            "def test_skip(): assert 0\n"
        )
        run(project)
        select(project).stdout.fnmatch_lines(["selected 1 of 4 tests: 1 not seen to pass yet; *"])
        (project.path / "go").touch()
        assert "test_skip" in selected(project)

    def test_settled_skip_is_known(self, project: Project, workers: Workers) -> None:
        """What the interpreter skips is left out, until what the test depends on changes."""
        source = (
            "import sys, pytest, library\n"
            "@pytest.mark.skipif(sys.maxsize > 2, reason='large')\n"
            "def test_skip(): assert library.one() == 7\n"
        )
        project.write(test_skip=source)
        run(project, *workers)
        done = select(project, *workers)
        done.stdout.fnmatch_lines(
            ["selected 0 of 4 tests; 4 not run, * since they last passed or were skipped"]
        )
        run(project, *workers)  # a full run carries what is known
        project.write(library=LIBRARY.replace("return 2", "return 7"))
        assert selected(project, *workers) == ["test_two"]
        project.write(library=LIBRARY, test_skip=source.replace("> 2", "< 2"))
        assert set(selected(project, *workers)) == {"test_two", "test_skip"}

    def test_settled_skip_that_ran_after_all(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A test that code let run for an undeclared reason depends on what it ran."""
        project.write(
            places="SKIP = True\n",
            settings="import os, places\nplaces.SKIP = 'RUN_ALL' not in os.environ\n",
            test_skip="import pytest, settings, places, library\n"
            "@pytest.mark.skipif(places.SKIP, reason='r')\n"
            "def test_skip(): assert library.one() == 1\n",
        )
        run(project)
        monkeypatch.setenv("RUN_ALL", "1")
        run(project)
        project.write(library=LIBRARY.replace("return 2", "return 7"))
        assert selected(project) == ["test_two"]
        project.write(library=LIBRARY.replace("return 1", "return 7"))
        assert {"test_one", "test_skip"} <= set(selected(project))

    def test_settled_skip_that_an_option_ignores(self, project: Project) -> None:
        """The command line is what a skipped test depends on, too."""
        project.write(test_skip="import pytest\n@pytest.mark.skip\ndef test_skip(): assert 0\n")
        run(project)
        assert selected(project) == []
        assert "test_skip" in selected(project, "-p", "no:skipping")

    def test_settled_skip_whose_teardown_fails(self, project: Project) -> None:
        """A failure is not known, whatever was marked."""
        project.write(
            conftest="import pytest\n"
            "@pytest.hookimpl(trylast=True)\n"
            "def pytest_runtest_teardown(item): assert item.name != 'test_skip'\n",
            test_skip="import pytest\n@pytest.mark.skip\ndef test_skip(): assert 0\n",
        )
        run(project)
        assert selected(project) == ["test_skip"]

    def test_a_checkouts_own_metadata_is_no_installed_package(self, project: Project) -> None:
        """What setuptools leaves beside sources is met when pytest puts them on the path."""
        project.write(parts__test_part="def test_part(): pass\n")
        (project.path / "parts" / "shop.egg-info").mkdir()
        run(project)
        assert selected(project) == []

    def test_expected_failure_is_known(self, project: Project) -> None:
        """An xfailed test did what it should, and is left out like one that passed."""
        project.write(test_x="import pytest\n@pytest.mark.xfail\ndef test_x(): assert 0\n")
        run(project)
        assert selected(project) == []

    def test_always(self, project: Project, workers: Workers) -> None:
        """A test marked ``aqe_always`` is never left out."""
        project.write(test_a="import pytest\n@pytest.mark.aqe_always\ndef test_a(): pass\n")
        run(project, *workers)
        done = select(project, *workers)
        done.assert_outcomes(passed=1)
        done.stdout.fnmatch_lines(["selected 1 of 4 tests: 1 always run; 3 not run, *"])

    def test_conftest(self, project: Project) -> None:
        """A fixture's body concerns the tests that use it alone."""
        fixture = "import pytest\n@pytest.fixture\ndef number(): return {}\n"
        project.write(
            conftest=fixture.format(4), test_four="def test_four(number): assert number\n"
        )
        run(project)
        project.write(conftest=fixture.format(5))
        assert selected(project) == ["test_four"]

    def test_data_file(self, project: Project, workers: Workers) -> None:
        """A file that a test opened is a dependency, and so is its absence."""
        project.write(
            test_data="from pathlib import Path\n"
            "def test_data(): assert Path('data.txt').read_text()\n"
            "def test_absent(): assert not Path('absent.txt').exists()\n"
            "def test_open_absent():\n"
            "    try: open('missing.txt')\n"
            "    except OSError: pass\n"
        )
        data = project.path / "data.txt"
        data.write_text("1")
        run(project, *workers)
        data.write_text("2")
        assert selected(project, *workers) == ["test_data"]
        (project.path / "missing.txt").touch()
        assert "test_open_absent" in selected(project, *workers)

    def test_comment(self, project: Project) -> None:
        """A comment and blank lines select nothing."""
        run(project)
        project.write(library=f"# a comment\n\n\n{LIBRARY}")
        assert selected(project) == []


class TestInDoubt:
    RUNS = (
        "import subprocess, sys, pytest\n{}\n"
        "def test_script(): subprocess.run([sys.executable, 'script.py'], check=True)\n"
    )

    def prepare(self, project: Project, *workers: str, mark: str = "") -> None:
        """Let a test run a script, which nobody can follow."""
        ignore_what_runs_leave(project)
        project.write(script="print(1)\n", other="X = 1\n", test_script=self.RUNS.format(mark))
        run(project, *workers).assert_outcomes(passed=4)

    def test_nothing_changed(self, project: Project, workers: Workers) -> None:
        """Nobody needs to be in doubt about that."""
        self.prepare(project, *workers)
        assert selected(project, *workers) == []

    @pytest.mark.parametrize("file", ["script.py", "other.py", "new.py"])
    def test_something_changed(self, project: Project, workers: Workers, file: str) -> None:
        """It runs whatever Python file changed, came, or is used by no test."""
        self.prepare(project, *workers)
        (project.path / file).write_text("print(2)\n")
        done = select(project, *workers)
        done.assert_outcomes(passed=1)
        done.stdout.fnmatch_lines(["selected 1 of 4 tests: 1 in doubt; 3 not run, *"])

    @pytest.mark.skipif(os.name == "nt", reason="the name of a file says it there")
    def test_a_permission_changed(self, project: Project, workers: Workers) -> None:
        """What is in the files stays what it was."""
        self.prepare(project, *workers)
        (project.path / "script.py").chmod(0o755)
        assert selected(project, *workers) == ["test_script"]
        assert selected(project, *workers) == []

    def test_again(self, project: Project) -> None:
        """Once it has passed with what is there, it is left out again."""
        self.prepare(project)
        project.write(other="X = 2\n")
        assert selected(project) == ["test_script"]
        assert selected(project) == []

    def test_aqe_depends(self, project: Project, workers: Workers) -> None:
        """With ``aqe_depends`` it runs when one of these files changed, and only then."""
        self.prepare(project, *workers, mark="@pytest.mark.aqe_depends('script.py')")
        project.write(other="X = 2\n")
        assert selected(project, *workers) == []
        project.write(script="print(2)\n")
        assert selected(project, *workers) == ["test_script"]

    @pytest.mark.parametrize("file", ["there.csv", "other.txt"])
    def test_any_other_file(self, project: Project, file: str) -> None:
        """It runs whatever other file changed, came or went."""
        (project.path / "there.csv").write_text("1")
        self.prepare(project)
        (project.path / file).write_text("2")
        assert selected(project) == ["test_script"]
        assert selected(project) == []
        (project.path / file).unlink()
        assert selected(project) == (["test_script"] if file == "there.csv" else [])

    def test_edited_meanwhile(self, project: Project, workers: Workers) -> None:
        """What was edited while tests ran is not known, whatever it is later."""
        project.write(
            test_edit="from pathlib import Path\n"
            "def test_edit():\n"
            "    if Path('once').exists():\n"
            "        Path('once').unlink()\n"
            "        Path('script.py').write_text('print(3)')\n"
        )
        ignore_what_runs_leave(project)
        project.write(script="print(1)\n", test_a=self.RUNS.format(""))
        (project.path / "once").touch()
        run(project, *workers)
        assert "test_script" in selected(project, *workers)

    def test_no_longer(self, project: Project) -> None:
        """A test that can be followed on one branch is in doubt on another all the same."""
        self.prepare(project)
        project.write(test_script="def test_script(): pass\n")
        assert selected(project) == ["test_script"]
        project.write(other="X = 2\n")
        assert selected(project) == []
        project.write(test_script=self.RUNS.format(""))
        assert selected(project) == ["test_script"]

    def test_aqe_depends_on_data(self, project: Project) -> None:
        """Files that no test opens in its own process can be named too."""
        (project.path / "data.json").write_text("{}")
        self.prepare(project, mark="@pytest.mark.aqe_depends('*.json')")
        (project.path / "data.json").write_text("[]")
        assert selected(project) == ["test_script"]

    def test_aqe_depends_where_nothing_is_in_doubt(self, project: Project) -> None:
        """What is named counts, also where nobody saw that a file was opened at all."""
        (project.path / "data.json").write_text("{}")
        project.write(
            test_data="import pytest\n@pytest.mark.aqe_depends('*.json')\ndef test_data(): pass\n"
        )
        run(project)
        (project.path / "data.json").write_text("[]")
        assert selected(project) == ["test_data"]
        assert selected(project) == []
        change(project, two="7 and 2")
        assert selected(project) == ["test_two"]
        (project.path / "data.json").write_text("[1]")
        assert selected(project) == ["test_data"]

    @pytest.mark.parametrize("code", ["def test_it(): pass\n", RUNS.format("")])
    def test_aqe_depends_on_files_to_come(self, project: Project, code: str) -> None:
        """A file that a glob names may also come, or go."""
        ignore_what_runs_leave(project)
        (project.path / "sql").mkdir()
        (project.path / "sql" / "one.sql").write_text("select 1")
        project.write(
            script="print(1)",
            test_it="import pytest\npytestmark = pytest.mark.aqe_depends('sql/*.sql')\n" + code,
        )
        run(project)
        (project.path / "other.txt").write_text("")
        assert selected(project) == []
        (project.path / "sql" / "two.sql").write_text("select 2")
        assert len(selected(project)) == 1
        assert selected(project) == []
        (project.path / "sql" / "one.sql").unlink()
        assert len(selected(project)) == 1


class TestNothingSelected:
    def test_exit_code(self, project: Project, workers: Workers) -> None:
        """When selection leaves nothing the run succeeds."""
        run(project, *workers)
        assert select(project, *workers).ret == pytest.ExitCode.OK

    def test_nothing_collected(self, project: Project, workers: Workers) -> None:
        """When ``-k`` leaves nothing pytest's own exit code stays."""
        run(project, *workers)
        done = select(project, *workers, "-k", "nothing")
        assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED

    def test_no_test_there(self, project: Project) -> None:
        """A folder without tests is still an error."""
        run(project)
        (project.path / "empty").mkdir()
        assert select(project, "empty").ret == pytest.ExitCode.NO_TESTS_COLLECTED

    def test_collection_error(self, project: Project, workers: Workers) -> None:
        """A module that cannot be imported fails the run although nothing else runs."""
        run(project, *workers)
        project.write(test_bad="import nowhere_to_be_found\n")
        done = select(project, *workers)
        assert done.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class TestEndedEarly:
    """What was selected and did not run is counted apart from what was left out."""

    LEFT_OUT = "selected 2 of 3 tests: 2 affected; 1 not run, nothing they use has changed*"

    @pytest.fixture(autouse=True)
    def two_of_three(self, project: Project, three_tests: None) -> None:
        """Every test passed once, and then two functions changed, one for the worse."""
        run(project)
        change(project, one=7, two=2)

    @pytest.mark.parametrize("how", ["-x", "--maxfail=1", "--exitfirst"])
    def test_at_the_first_failure(self, project: Project, how: str) -> None:
        """After ``-x`` the others that were selected are counted."""
        change(project, one=7, two=7)
        select(project, how).stdout.fnmatch_lines(
            [self.LEFT_OUT, "1 selected test did not run to the end: the session ended early"]
        )

    def test_by_an_interrupt(self, project: Project) -> None:
        """After Ctrl-C the test in which it came has no result either."""
        project.write(library=LIBRARY.replace("return ", "raise KeyboardInterrupt or ", 2))
        select(project).stdout.fnmatch_lines(
            [self.LEFT_OUT, "2 selected tests did not run to the end: the session ended early"]
        )

    def test_under_xdist(self, project: Project) -> None:
        """With workers, each test that was selected has a result or is counted."""
        pytest.importorskip("xdist")
        project.write(
            test_many="""
            import pytest
            @pytest.mark.parametrize("n", range(40))
            def test_many(n): assert n
            """
        )
        done = select(project, "-n2", "-x")
        (recorded,) = [line.split()[1] for line in done.outlines if line.startswith("recorded ")]
        done.stdout.fnmatch_lines(
            [f"{42 - int(recorded)} selected tests did not run to the end: the session ended early"]
        )

    def test_by_an_interrupt_between_tests(
        self, project: Project, workers: Workers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody waits for workers after Ctrl-C, and still it is known what they left out."""
        project.write(
            conftest="""
            import os
            def pytest_runtest_logfinish():
                if "STOP" in os.environ and "PYTEST_XDIST_WORKER" not in os.environ:
                    raise KeyboardInterrupt
            """,
            library=LIBRARY,
            test_more="""
            import library, pytest
            @pytest.mark.parametrize("n", range(20))
            def test_more(n): assert library.one() == 1
            """,
        )
        project.run_apart(*workers)
        change(project, one=1)
        monkeypatch.setenv("STOP", "1")
        done = project.run_apart("--aqe-mode=select", "--aqe-probe=0", *workers)
        assert done.ret == pytest.ExitCode.INTERRUPTED
        (recorded,) = [line.split()[1] for line in done.outlines if line.startswith("recorded ")]
        done.stdout.fnmatch_lines(
            [
                "selected 21 of 23 tests: 21 affected; 2 not run, *",
                f"{21 - int(recorded)} selected tests did not run to the end: the session *",
            ]
        )

    def test_by_a_collection_error(self, project: Project) -> None:
        """Where a module cannot be imported nothing runs."""
        project.write(test_bad="import nowhere_to_be_found\n")
        select(project).stdout.fnmatch_lines(
            [self.LEFT_OUT, "2 selected tests did not run to the end: the session ended early"]
        )

    def test_a_full_run(self, project: Project) -> None:
        """A full run that was stopped was none, and says so."""
        project.history.unlink()
        shutil.rmtree(project.folder / "runs")
        select(project, "-x").stdout.fnmatch_lines(
            ["full run: no history yet", "2 tests did not run to the end: the session ended early"]
        )

    def test_under_budget(self, project: Project) -> None:
        """What the budget cut is counted by itself."""
        change(project, one=7, two=7)
        select(project, "-x", "--aqe-budget=60%").stdout.fnmatch_lines(
            [self.LEFT_OUT, "1 test not run: beyond --aqe-budget"]
        )

    def test_to_its_end(self, project: Project, workers: Workers) -> None:
        """A session in which all of it ran says no such thing."""
        select(project, *workers).stdout.no_fnmatch_line("*to the end*")

    def test_narrowed_afterwards(self, project: Project) -> None:
        """What ``--lf`` takes away of the selected tests was not to run."""
        change(project, one=7, two=7, three=3)
        select(project, "test_one.py")
        done = select(project, "--lf", "-x")
        done.assert_outcomes(failed=1, deselected=0)
        done.stdout.no_fnmatch_line("*to the end*")


class TestFullRun:
    def expect(self, project: Project, reason: str, *arguments: str) -> None:
        """Everything runs and the reason is said, in the header and in the summary."""
        done = select(project, *arguments)
        done.assert_outcomes(passed=3)
        done.stdout.fnmatch_lines(
            [f"aqe: mode=select, full run ({reason})*", f"full run: {reason}"]
        )

    def test_no_map(self, project: Project, workers: Workers) -> None:
        """A history that was only recorded knows no dependencies."""
        run(project, "--aqe-mode=observe", *workers)
        self.expect(project, "no run here has recorded yet what each test depends on", *workers)

    @pytest.mark.parametrize("said", [("-W", "error"), ("-o", "xfail_strict=true")])
    def test_another_command_line(
        self, project: Project, workers: Workers, said: tuple[str, ...]
    ) -> None:
        """What was seen to pass passed as pytest was called then; each call has its own past."""
        run(project, *workers)
        self.expect(project, "the command line changed", *said, *workers)
        assert selected(project, *said, *workers) == []
        assert selected(project, "-x", "-rA", "--tb=short", *workers) == []

    def test_what_python_was_told(
        self, project: Project, workers: Workers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(project, *workers)
        monkeypatch.setenv("PYTHONPATH", str(project.path / "src"))
        self.expect(project, "PYTHONPATH changed", *workers)

    def test_dependencies_off(self, project: Project) -> None:
        """Without recording dependencies nothing would be known next time."""
        run(project)
        self.expect(project, "--aqe-dependencies is off", "--aqe-dependencies=off")

    def test_another_python(self, project: Project) -> None:
        """What was seen with another Python says nothing about this one."""
        run(project)
        with duckdb.connect(str(project.history)) as connection:
            connection.execute("update runs set python = '3.9.1'")
        self.expect(
            project,
            "Python was 3.9.1 when tests were last followed, now it is "
            + ".".join(map(str, sys.version_info[:3])),
        )

    def test_another_environment(self, project: Project) -> None:
        """What was seen on another platform says nothing about this one."""
        run(project)
        with duckdb.connect(str(project.history)) as connection:
            connection.execute("update runs set environment = 'pypy3.10-win32'")
        self.expect(project, "no run here has recorded yet what each test depends on")

    def test_another_suite(self, project: Project) -> None:
        """Variants of a suite are kept apart."""
        run(project, "--aqe-suite=linux")
        self.expect(
            project,
            "no run here has recorded yet what each test depends on",
            "--aqe-suite=windows",
        )

    def test_untrusted_runs(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a pull request's run recorded lets no test be left out."""
        with monkeypatch.context() as patch:
            patch.setenv("GITHUB_ACTIONS", "true")
            patch.setenv("GITHUB_EVENT_NAME", "pull_request")
            run(project)
        self.expect(project, "no run here has recorded yet what each test depends on")

    def test_configuration(self, project: Project, workers: Workers) -> None:
        """A changed configuration may change everything."""
        (project.path / "pyproject.toml").write_text("[tool.a]\n")
        run(project, *workers)
        (project.path / "pyproject.toml").write_text("[tool.b]\n")
        self.expect(project, "pyproject.toml changed", *workers)
        assert selected(project, *workers) == []

    @pytest.mark.parametrize("file", ["pytest.ini", "requirements-dev.txt", "uv.lock"])
    def test_configuration_that_came(self, project: Project, file: str) -> None:
        """Also one that was not there before; without it the first run's knowledge holds again."""
        run(project)
        (project.path / file).write_text("[pytest]\n")
        self.expect(project, f"{file} changed")
        (project.path / file).unlink()
        assert selected(project) == []

    def test_configuration_that_went(self, project: Project) -> None:
        """Also one that is no more."""
        (project.path / "uv.lock").touch()
        run(project)
        (project.path / "uv.lock").unlink()
        self.expect(project, "uv.lock changed")

    @pytest.mark.parametrize(
        ("variables", "reason"),
        [
            (
                {"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "main"},
                "the default branch main",
            ),
            ({"GITHUB_EVENT_NAME": "schedule", "GITHUB_REF_NAME": "dev"}, "a schedule"),
            ({"GITHUB_EVENT_NAME": "merge_group"}, "a merge queue"),
            ({"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}, "a tag"),
        ],
        ids=["default branch", "schedule", "merge queue", "tag"],
    )
    def test_full_refs(
        self,
        project: Project,
        monkeypatch: pytest.MonkeyPatch,
        variables: dict[str, str],
        reason: str,
    ) -> None:
        """What a default branch, a queue, a schedule or a tag lets through nobody looks at again.

        ``--aqe-allow-full-refs`` lets tests be left out there too.
        """
        run(project)
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        done = select(project)
        done.assert_outcomes(passed=3)
        done.stdout.fnmatch_lines(
            [f"*full run ({reason} runs everything (--aqe-allow-full-refs))*"]
        )
        assert selected(project, "--aqe-allow-full-refs") == []

    def test_feature_branch(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """A push to any other branch is selected for."""
        run(project)
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_EVENT_NAME", "push")
        monkeypatch.setenv("GITHUB_REF_NAME", "feature")
        assert selected(project) == []


class TestUnrunTests:
    """Whatever ended a run early, what did not run in it is not known from it."""

    @pytest.fixture(autouse=True)
    def everything_changed(self, project: Project, three_tests: None) -> None:
        """Every test passed once, and then the library changed under all of them."""
        run(project)
        change(project, one=1, two=2, three=3)

    def test_after_stop_at_first_failure(self, project: Project) -> None:
        """After ``-x`` the tests that were not reached run."""
        change(project, one=1, two=2, three=7)
        first = selected(project, "-x")  # test_one, then test_three fails
        assert set(first) == {"test_one", "test_three"}
        assert set(selected(project)) == {"test_two", "test_three"}

    def test_after_stop_at_first_failure_under_xdist(self, project: Project) -> None:
        """With workers, every test either passed in the stopped run or runs in the next."""
        pytest.importorskip("xdist")
        change(project, one=7, two=2, three=3)
        select(project, "-x", "-n2")
        passed = self._passed_last(project)
        assert set(selected(project, "-n2")) == {"test_one", "test_two", "test_three"} - passed

    @staticmethod
    def _passed_last(project: Project) -> set[str]:
        return {
            node_id.partition("::")[2]
            for (node_id,) in project.sql(
                "select node_id from results join nodes using (node_no) "
                "where run_no = (select max(run_no) from runs) and outcome = 'passed'"
            )
        }

    def test_after_interrupt(self, project: Project, workers: Workers) -> None:
        """After Ctrl-C the tests that were not reached run."""
        test = "from library import two\ndef test_two():\n    {}\n    assert two() == 2\n"
        project.write(test_two=test.format("raise KeyboardInterrupt"))
        select(project, *workers)
        passed = self._passed_last(project)
        assert "test_two" not in passed
        project.write(test_two=test.format("pass"))
        assert set(selected(project, *workers)) == {"test_one", "test_two", "test_three"} - passed

    def test_after_collection_error(self, project: Project, workers: Workers) -> None:
        """After a run in which a module could not be imported, its tests run."""
        text = (project.path / "test_two.py").read_text()
        project.write(test_two="import nowhere_to_be_found\n")
        select(project, *workers, "--continue-on-collection-errors")
        project.write(test_two=text)
        assert selected(project, *workers) == ["test_two"]

    def test_after_collection_error_that_stopped_everything(self, project: Project) -> None:
        """After a run that was interrupted by it, everything affected runs."""
        project.write(test_bad="import nowhere_to_be_found\n")
        select(project)
        (project.path / "test_bad.py").unlink()
        assert selected(project) == ["test_one", "test_three", "test_two"]

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
    def test_after_kill(self, project: Project) -> None:
        """After ``kill -9`` the tests that had not ended run."""
        project.write(
            test_two="import os, pathlib, signal\nfrom library import two\n"
            "def test_two():\n"
            "    if pathlib.Path('kill').exists(): os.kill(os.getpid(), signal.SIGKILL)\n"
            "    assert two() == 2\n"
        )
        (project.path / "kill").touch()
        done = project.run_apart("--aqe-mode=select", "--aqe-probe=0")
        assert done.ret == -signal.SIGKILL
        (project.path / "kill").unlink()
        project.command("status")  # takes up what the killed session left
        assert selected(project) == ["test_two"]
        assert project.statuses().count("killed") == 1

    def test_after_narrowing(self, project: Project, workers: Workers) -> None:
        """After ``-k`` the tests that it left out run."""
        assert selected(project, *workers, "-k", "test_one") == ["test_one"]
        assert selected(project, *workers) == ["test_three", "test_two"]

    def test_after_maxfail(self, project: Project) -> None:
        """After ``--maxfail`` the tests that were not reached run."""
        change(project, one=7, two=7, three=3)
        assert set(selected(project, "--maxfail=2")) == {"test_one", "test_three", "test_two"}
        assert set(selected(project)) == {"test_one", "test_two"}

    def test_after_dry_run(self, project: Project) -> None:
        """A plan that was only shown leaves everything to be run."""
        select(project, "--aqe-dry-run")
        assert selected(project) == ["test_one", "test_three", "test_two"]

    def test_after_collect_only(self, project: Project) -> None:
        """What was only collected was not run."""
        select(project, "--collect-only")
        assert selected(project) == ["test_one", "test_three", "test_two"]

    def test_after_failing_teardown(self, project: Project) -> None:
        """A test whose teardown failed has not passed."""
        test = (
            "import pathlib, pytest\nfrom library import two\n"
            "@pytest.fixture\n"
            "def late():\n"
            "    yield\n"
            "    assert not pathlib.Path('bad').exists()\n"
            "def test_two(late): assert two() == 2\n"
        )
        project.write(test_two=test)
        (project.path / "bad").touch()
        select(project)
        assert selected(project) == ["test_two"]


class TestSharedIdentity:
    """Parameters that pytest numbers share a name in the history."""

    TEST = (
        "import pytest\nfrom library import one\n"
        "class Value: pass\n"
        "@pytest.mark.parametrize('value', [Value(), Value(), Value()])\n"
        "def test_value(value): assert one() == 1\n"
    )

    def test_all_ran(self, project: Project) -> None:
        """When each of them passed, all are left out."""
        project.write(test_value=self.TEST)
        run(project)
        assert selected(project) == []

    def test_one_ran(self, project: Project, workers: Workers) -> None:
        """When one of them ran, the others are not known by it."""
        project.write(test_value=self.TEST)
        run(project, *workers, "-k", "value1")
        assert selected(project, *workers, "-k", "test_value") == [
            "test_value[value0]",
            "test_value[value2]",
        ]

    def test_one_failed(self, project: Project) -> None:
        """When one of them failed, it runs again."""
        project.write(
            test_value=self.TEST.replace("assert", "assert id(value) != id(VALUES[1]) and")
            .replace("[Value(), Value(), Value()]", "VALUES")
            .replace("class Value: pass\n", "class Value: pass\nVALUES = [Value(), Value()]\n")
        )
        run(project)
        assert "test_value[value1]" in selected(project)

    def test_addresses(self, project: Project) -> None:
        """Parameters named by their address are not told apart, so none is left out.

        Where all of a file passed there is nothing to tell apart.
        """
        project.write(test_value=self.TEST.replace("Value()])", "Value()], ids=repr)"))
        run(project)
        assert selected(project) == []
        assert len(selected(project, "-k", "test_value")) == 3


class TestBranches:
    def test_there_and_back(self, project: Project, workers: Workers) -> None:
        """On a branch what it changed runs; back on the first one nothing need run."""
        ignore_what_runs_leave(project)
        project.commit_all()
        run(project, *workers)
        project.git("checkout", "-q", "-b", "feature")
        change(project, one=1)
        project.commit_all()
        assert selected(project, *workers) == ["test_one"]
        project.git("checkout", "-q", "main")
        assert selected(project, *workers) == []
        change(project, two=2)
        assert selected(project, *workers) == ["test_two"]

    def test_there_and_back_with_new_files(self, project: Project, workers: Workers) -> None:
        """A branch that added a conftest and a module is left without running anything."""
        ignore_what_runs_leave(project)
        project.commit_all()
        run(project, *workers)
        project.git("checkout", "-q", "-b", "feature")
        project.write(conftest="import more", more="X = 1")
        project.commit_all()
        assert selected(project, *workers) != []
        project.git("checkout", "-q", "main")
        assert selected(project, *workers) == []
        project.git("checkout", "-q", "feature")
        assert selected(project, *workers) == []

    def test_back_to_what_never_passed(self, project: Project) -> None:
        """Back on a branch where a test failed, it runs although it passed elsewhere."""
        ignore_what_runs_leave(project)
        change(project, one=7)
        project.commit_all()
        run(project)
        project.git("checkout", "-q", "-b", "fix")
        project.write(library=LIBRARY)
        project.commit_all()
        assert selected(project) == ["test_one"]
        project.git("checkout", "-q", "main")
        assert selected(project) == ["test_one"]

    def test_base(self, project: Project) -> None:
        """With ``--aqe-base`` what differs from there runs too, though it has passed since."""
        ignore_what_runs_leave(project)
        base = project.commit_all()
        change(project, two=2)
        project.commit_all()
        run(project)
        assert selected(project) == []
        assert selected(project, f"--aqe-base={base}") == ["test_two"]

    def test_unknown_base(self, project: Project) -> None:
        """A base that is not here makes everything run."""
        ignore_what_runs_leave(project)
        project.commit_all()
        run(project)
        done = select(project, "--aqe-base=nowhere")
        done.assert_outcomes(passed=3)
        done.stdout.fnmatch_lines(["full run: the base nowhere *"])


def test_what_is_torn_down_after_ctrl_c_counts(project: Project) -> None:
    """No report is left to tell of it."""
    project.write(
        shop="def close():\n    pass\n",
        test_a="def test_a(db): pass\ndef test_b(db): raise KeyboardInterrupt\n",
        conftest="""
            import pytest
            import shop

            @pytest.fixture(scope="session")
            def db():
                yield 1
                shop.close()
            """,
    )
    run(project, "test_a.py")
    project.write(
        shop="def close():\n    1 / 0\n", test_a="def test_a(db): pass\ndef test_b(db): pass\n"
    )
    done = select(project, "test_a.py")
    done.stdout.fnmatch_lines(["selected 2 of 2 tests: 1 affected, 1 new; *"])


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        ({"rates": "LIMIT = 2\n"}, "rates.py"),
        ({"fast": "X = 1\n"}, "fast.py"),
        ({"rates": "LIMIT = 2\n", "library": "X = 1\n" + LIBRARY}, "rates.py"),
    ],
)
def test_the_reason_names_what_changed(
    project: Project, write: dict[str, str], cause: str, workers: Workers
) -> None:
    """Not the function that notices it."""
    project.write(
        rates="LIMIT = 1\n",
        shop="""
            import rates
            try:
                import fast
            except ImportError:
                fast = None
            def limit():
                return rates.LIMIT
            """,
        test_shop="import shop\ndef test_shop(): assert shop.limit()\n",
    )
    run(project, *workers)
    project.write(**write)
    done = select(project, "--aqe-explain", *workers)
    done.stdout.fnmatch_lines([f"*{cause} changed, which shop.py* may use*"])


@pytest.mark.parametrize("scope", ["session", "module", "class"])
def test_what_tears_a_shared_fixture_down_is_its_users(
    project: Project, workers: Workers, scope: str
) -> None:
    """Not that of the test that happens to be the last, which may use none."""
    project.write(
        shop="""
            def close():
                pass
            def flush():
                pass
            """,
        test_a="""
            def test_a(db): pass
            def test_b(db): pass
            def test_other(): pass
            """,
        test_z="def test_z(): pass\n",
        conftest=f"""
            import pytest
            import shop

            @pytest.fixture(scope="{scope}")
            def inner(request):
                request.addfinalizer(lambda: shop.flush())

            @pytest.fixture(scope="{scope}")
            def db(inner):
                yield 1
                shop.close()
            """,
    )
    run(project, *workers)
    path = project.path / "shop.py"
    whole = path.read_text("utf-8")
    for name in ("close", "flush"):
        path.write_text(whole.replace(f"def {name}():\n    pass", f"def {name}():\n    1 / 0"))
        done = select(project, *workers)
        assert done.parseoutcomes()["passed"] == 2
        assert done.ret == pytest.ExitCode.TESTS_FAILED
    path.write_text(whole)


class TestKnownSince:
    """What a selected run leaves out is known since that run: one run is compared, not many."""

    RUNS = "select distinct run_no from dependencies join tests using (test_no) where file like "

    def test_one_run_to_compare(self, project: Project, workers: Workers) -> None:
        """Whether a file is passed by, or only a part of it runs."""
        project.write(
            test_more="import library\n"
            "def test_four(): assert library.one()\ndef test_five(): assert library.two()\n"
        )
        run(project, *workers)
        for value in (7, 8, 9):
            change(project, two=f"{value} and 2")
            done = select(project, *workers)
            done.stdout.fnmatch_lines(["selected 2 of 5 tests: 2 *; 3 not run*"])
        assert project.sql(self.RUNS + "'%test_three.py'") == [(4,)]
        change(project, two="9 and 2", three=3)
        assert selected(project, *workers) == ["test_three"]
        change(project, one=1, two="9 and 2", three=3)
        assert selected(project, *workers) == ["test_four", "test_one"]
        assert selected(project, *workers) == []

    def test_what_changed_and_did_not_matter(self, project: Project) -> None:
        """A file is compared with what it was then, also one that nothing imported."""
        run(project)
        text = "# said once\nfrom library import three\ndef test_three(): assert three() == 3\n"
        project.write(test_three=text)
        change(project, two=2)
        assert selected(project) == ["test_two"]
        project.write(test_three=text.replace("once", "twice"))
        assert selected(project) == []
        project.write(test_three=text.replace("== 3", ">= 3"))
        assert selected(project) == ["test_three"]

    def test_other_branches_are_not_forgotten(self, project: Project) -> None:
        """However many runs leave a test out, what it was elsewhere stays known."""
        ignore_what_runs_leave(project)
        project.commit_all()
        run(project)
        project.git("checkout", "-q", "-b", "feature")
        change(project, one=1)
        project.commit_all()
        assert selected(project) == ["test_one"]
        for value in range(2, 9):
            change(project, one=1, two=f"{value} and 2")
            project.commit_all()
            assert selected(project) == ["test_two"]
        project.git("checkout", "-q", "main")
        assert "test_one" not in selected(project)

    def test_a_part_of_the_suite(self, project: Project) -> None:
        """Who was not even collected is known since the run that it was known since."""
        run(project)
        change(project, two=2)
        assert selected(project, "test_two.py", "test_three.py") == ["test_two"]
        assert project.sql(self.RUNS + "'%test_one.py'") == [(1,)]
        assert project.sql(self.RUNS + "'%test_three.py'") == [(2,)]
        change(project, two=2, one=1)
        assert selected(project) == ["test_one"]

    def test_a_test_that_is_no_more(self, project: Project) -> None:
        """One that is not collected is not carried on, though nothing of it has changed."""
        project.write(
            test_days="import library\nfrom pathlib import Path\nimport pytest\n"
            "DAYS = sorted(each.name for each in Path('days').iterdir())\n"
            "def test_two(): assert library.two()\n"
            "@pytest.mark.parametrize('day', DAYS)\ndef test_day(day): pass\n"
        )
        days = project.path / "days"
        days.mkdir()
        (days / "monday").touch()
        (days / "tuesday").touch()
        run(project, "--aqe-environ=DAY")
        (days / "monday").unlink()
        change(project, two=2)
        select(project)
        assert project.sql(self.RUNS + "'%test_days.py' and identity like '%monday%'") == [(1,)]

    def test_one_that_a_mark_keeps(self, project: Project) -> None:
        """``aqe_always`` on a test that was known without it: it ran, and is known by that."""
        project.write(conftest="")
        run(project)
        project.write(
            conftest="import pytest\ndef pytest_itemcollected(item):\n"
            "    if item.name == 'test_three': item.add_marker(pytest.mark.aqe_always)\n"
        )
        change(project, two=2)
        for _ in range(2):
            assert "test_three" in selected(project, "-k", "not one")
        rows = "select distinct ran_no = run_no from dependencies join tests using (test_no) "
        assert project.sql(rows + "where file like '%test_three.py'") == [(True,)]

    def test_one_that_failed_meanwhile(self, project: Project) -> None:
        """It runs until it passes, whatever it was left out for before."""
        run(project)
        change(project, two=2)
        assert selected(project) == ["test_two"]
        change(project, two=2, one=7)
        assert selected(project) == ["test_one"]
        change(project, two=2, three=3)
        assert selected(project) == ["test_one", "test_three"]
        change(project, two=2, one=7, three=3)
        assert selected(project) == ["test_one"]
        assert selected(project) == ["test_one"]

    def test_an_edit_while_tests_run(self, project: Project) -> None:
        """What was left out for the file before the edit is not known for the one after it."""
        run(project)
        project.write(
            test_two="from library import two\nfrom pathlib import Path\n"
            "def test_two():\n    assert two() == 2\n    file = Path('library.py')\n"
            "    file.write_text(file.read_text().replace('return 3', 'return 33'))\n"
        )
        assert "test_two" in selected(project)
        assert "test_three" in selected(project)

    @pytest.mark.parametrize("mode", ["select", "order"])
    @pytest.mark.parametrize(
        ("file", "code", "test"),
        [
            (
                "sub/conftest.py",
                "import builtins; builtins.X = {}",
                "",
            ),
            ("opt.py", "X = {}", "try:\n    from opt import X\nexcept ImportError:\n    X = '1'"),
        ],
    )
    def test_a_file_that_comes_back(
        self, project: Project, mode: str, file: str, code: str, test: str
    ) -> None:
        """It was looked for and not there: with another content it is a new one."""
        (project.path / "sub").mkdir()
        test += "\ndef test_it(): assert X == '1'\n"
        (project.path / "sub" / "test_it.py").write_text(test)
        (project.path / file).write_text(code.format("'1'"))
        options = f"--aqe-mode={mode}", "--aqe-probe=0"
        project.write(conftest="import builtins\nbuiltins.X = '1'\n")
        run(project, *options).assert_outcomes(passed=4)
        (project.path / file).unlink()
        run(project, *options)
        change(project, two="7 and 2")
        run(project, *options)
        (project.path / file).write_text(code.format("'2'"))
        select(project).assert_outcomes(failed=1)

    LATER = (
        "import library\nfrom pathlib import Path\n"
        "def test_two():\n    assert library.two()\n    Path({!r}).write_text({!r})\n"
        "def test_user():\n    assert library.two()\n{}"
    )

    @pytest.mark.parametrize("mode", ["select", "order"])
    @pytest.mark.parametrize(
        ("file", "code", "use"),
        [
            ("pytest.ini", "[pytest]\nfilterwarnings = error\n", ""),
            (
                "sub/conftest.py",
                "import pytest\n@pytest.fixture(autouse=True)\ndef fails(): assert 0\n",
                "",
            ),
            ("opt.py", "X = 2\n", "    import opt\n"),
        ],
        ids=["settings", "conftest", "module"],
    )
    def test_what_appears_while_tests_run(
        self, project: Project, mode: str, file: str, code: str, use: str
    ) -> None:
        """Who was left out, or ran before, has not seen it."""
        (project.path / "pytest.ini").write_text("[pytest]\n")
        (project.path / "sub").mkdir()
        (project.path / "sub" / "test_sub.py").write_text(
            "import warnings\ntry:\n    from opt import X\nexcept ImportError:\n    X = 1\n"
            "def test_sub():\n    warnings.warn('it')\n    assert X == 1\n"
        )
        project.write(test_two=self.LATER.format("at.txt", "", ""))
        run(project, "-p", "no:cacheprovider")
        change(project, two="7 and 2")
        project.write(test_two=self.LATER.format(file, code, use))
        options = ("-p", "no:cacheprovider", "-p", "no:randomly", f"--aqe-mode={mode}")
        run(project, *options, "--aqe-probe=0")
        done = run(project, "-p", "no:cacheprovider", "--aqe-mode=select", "--aqe-probe=0")
        assert "test_sub" in done.stdout.str()
        assert done.parseoutcomes().get("failed", 0) + done.parseoutcomes().get("errors", 0) >= 1

    def test_names_of_the_day_in_a_file_that_is_passed_by(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name of another day does not stand for one of today's that has to run."""
        tests = (
            "import library, os, pytest\n"
            "def test_one(): assert library.one() == 1\n"
            "@pytest.mark.parametrize('day', [os.environ['DAY']])\ndef test_day(day): pass\n"
        )
        project.write(test_one=tests)
        monkeypatch.setenv("DAY", "1")
        select(project)
        monkeypatch.setenv("DAY", "2")
        project.write(test_one="# again\n" + tests)
        select(project)
        change(project, two="7 and 2")
        assert selected(project) == ["test_two"]
        change(project, two="7 and 2", one=7)
        assert "test_one" in selected(project)

    def test_parameters_after_a_prune(self, project: Project) -> None:
        """Which of a shared identity ever ran is not known any more: all do."""
        project.write(
            test_shared="import pytest\nclass O:\n    def __init__(self, n): self.n = n\n"
            "@pytest.mark.parametrize('o', [O(1), O(0)])\ndef test_o(o): assert o.n\n"
        )
        chosen = ("-k", "o0 or test_two")
        for value in (7, 8, 9):
            change(project, two=f"{value} and 2")
            select(project, *chosen)
        for value in (10, 11):
            change(project, two=f"{value} and 2")
            run(project, "--aqe-mode=observe", "--aqe-dependencies=off", *chosen)
        project.command("prune", "--keep-runs=3")
        assert "test_o[o1]" in selected(project)

    def test_a_lost_history(self, project: Project) -> None:
        """It is the same when it is made again from the run files."""
        run(project)
        for value in (7, 8):
            change(project, two=f"{value} and 2")
            select(project)
        rows = "select identity, run_no, ran_no from dependencies join tests using (test_no) "
        before = project.sql(rows + "order by all")
        project.history.unlink()
        select(project).stdout.fnmatch_lines(["selected 0 of 3 tests; *"])
        assert project.sql(rows + "order by all") == before


class TestShards:
    def take_up(self, project: Project, theirs: Path) -> None:
        """Lay the run file of another machine beside our history."""
        (file,) = (theirs.parent / "runs" / "ingested").glob("*.jsonl.gz")
        shutil.copy(file, project.folder / "runs" / file.name)
        project.command("status")

    def test_run_files_of_shards(self, project: Project) -> None:
        """What each shard ran is known, and nothing else."""
        theirs = project.path / "theirs" / "history.duckdb"
        run(project, "-k", "test_one")
        run(project, "-k", "test_two", f"--aqe-history={theirs}")
        self.take_up(project, theirs)
        assert selected(project) == ["test_three"]

    def test_run_file_of_a_shard_on_another_tree(self, project: Project) -> None:
        """What a shard passed with other code runs."""
        theirs = project.path / "theirs" / "history.duckdb"
        run(project, "-k", "test_one")
        change(project, two=2)
        run(project, "-k", "test_two", f"--aqe-history={theirs}")
        project.write(library=LIBRARY)
        self.take_up(project, theirs)
        assert selected(project) == ["test_three", "test_two"]

    def test_merged_history(self, project: Project) -> None:
        """After `pytest-aqe merge` nothing is known but by runs that ran it."""
        theirs = project.path / "theirs" / "history.duckdb"
        run(project, "-k", "test_one")
        run(project, "-k", "test_two", f"--aqe-history={theirs}")
        code, printed = project.command("merge", theirs)
        assert code == 0, printed
        assert "test_three" in selected(project)
        assert "test_one" not in selected(project)


class TestCompanions:
    def test_keyword(self, project: Project, workers: Workers) -> None:
        """Selection takes away from what ``-k`` leaves."""
        run(project, *workers)
        change(project, one=1, two=2)
        assert selected(project, *workers, "-k", "test_one or test_three") == ["test_one"]

    def test_marks(self, project: Project) -> None:
        """Selection takes away from what ``-m`` leaves."""
        project.write_ini("markers = slow")
        mark = "import pytest\nfrom library import {0}\n@pytest.mark.slow\ndef test_{0}(): {0}()\n"
        project.write(test_one=mark.format("one"), test_three=mark.format("three"))
        run(project)
        change(project, one=1, two=2)
        assert selected(project, "-m", "slow") == ["test_one"]

    def test_paths(self, project: Project) -> None:
        """Selection takes away from the files that were asked for."""
        run(project)
        change(project, one=1, two=2)
        assert selected(project, "test_two.py", "test_three.py") == ["test_two"]

    def test_last_failed(self, project: Project) -> None:
        """With ``--lf`` what failed last runs, and of that nothing is left out."""
        change(project, one=7)
        run(project)
        change(project, one=7, two=2)
        assert selected(project, "--lf") == ["test_one"]

    def test_failed_first(self, project: Project) -> None:
        """With ``--ff`` what is selected runs, the failed one first."""
        change(project, three=7)
        run(project)
        change(project, one=1, three=7)
        assert selected(project, "--ff") == ["test_one", "test_three"]

    def test_explicit_node_ids(self, project: Project) -> None:
        """A test that is asked for by name runs."""
        run(project)
        assert selected(project, "test_one.py::test_one") == ["test_one"]

    def test_stepwise(self, project: Project) -> None:
        """``--stepwise`` runs what it would run without us."""
        run(project)
        assert selected(project, "--stepwise") == ["test_one", "test_three", "test_two"]

    def test_split(self, project: Project) -> None:
        """Of each group of pytest-split what is affected runs, and together all of it."""
        pytest.importorskip("pytest_split")
        run(project)
        change(project, one=1, three=3)
        ran = []
        for group in ("1", "2", "3"):
            ran += selected(project, "--splits=3", f"--group={group}")
        assert sorted(ran) == ["test_one", "test_three"]

    def test_randomly(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """pytest-randomly shuffles what selection leaves."""
        pytest.importorskip("pytest_randomly")
        monkeypatch.delenv("PYTEST_ADDOPTS")
        run(project, "-p", "randomly")
        change(project, one=1, three=3)
        assert selected(project, "-p", "randomly") == ["test_one", "test_three"]

    def test_another_rootdir(self, project: Project) -> None:
        """A run from below the git root selects by the same names."""
        folder = project.path / "below"
        folder.mkdir()
        for file in project.path.glob("*.py"):
            file.rename(folder / file.name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        where = ("--rootdir", str(folder), f"--aqe-history={project.history}", str(folder))
        run(project, *where)
        text = LIBRARY.replace("return 2", "return 2 or 3")
        (folder / "library.py").write_text(text)
        assert selected(project, *where) == ["test_two"]


class TestShadow:
    """Every full run scores in silence what selection would have done."""

    VERDICT = "select known, selected, failures, caught, escaped, unstable from selections"

    @staticmethod
    def verdicts(project: Project) -> list[tuple[object, ...]]:
        """Return the verdict on each full run, first to last."""
        return project.sql(f"{TestShadow.VERDICT} where mode = 'shadow' order by run_no")

    def test_first_run(self, project: Project) -> None:
        """Of a run without knowledge nothing is said."""
        run(project)
        assert self.verdicts(project) == []

    @pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["n0", "n2"])
    def test_caught(self, project: Project, workers: Workers) -> None:
        """A failure that selection would have run is caught."""
        run(project, *workers)
        change(project, one=7)
        run(project, *workers)
        assert self.verdicts(project) == [(3, 1, 1, 1, 0, 0)]

    def test_escaped(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """A failure that it would have left out is counted, in summary and status too."""
        project.write(test_x="import os\ndef test_x(): assert 'BAD' not in os.environ\n")
        run(project)
        monkeypatch.setenv("BAD", "1")
        change(project, one=1)
        run(project)
        assert self.verdicts(project) == [(4, 1, 1, 0, 1, 0)]
        monkeypatch.delenv("BAD")
        done = select(project)
        done.stdout.fnmatch_lines(["in 1 full run selection would have caught 0 of 1 failure *"])
        _, printed = project.command("status")
        assert "would have caught 0 of 1 failure" in printed

    def test_partial_run(self, project: Project) -> None:
        """A run of some of the tests is no full run: it is not judged."""
        project.write(below__test_y="def test_y(): pass\n")
        run(project)
        change(project, one=7, two=7)
        for part in (("-k", "test_one or test_three"), ("below",), ("below/test_y.py",)):
            run(project, *part)
        assert self.verdicts(project) == []

    def test_flaky_escape(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """An escape is called flaky where its test is known to be, tried again or not."""
        project.write(test_x="import os\ndef test_x(): assert 'BAD' not in os.environ\n")
        run(project)
        with duckdb.connect(str(project.history)) as connection:
            connection.execute(
                "insert into flake_tests (test_no, flagged) "
                "select test_no, true from tests where identity = 'test_x.py::test_x'"
            )
        monkeypatch.setenv("BAD", "1")
        change(project, one=1)
        run(project)
        assert self.verdicts(project) == [(4, 1, 1, 0, 1, 1)]

    def test_stopped_run(self, project: Project) -> None:
        """A run that did not get to its end is not judged."""
        run(project)
        change(project, one=7)
        run(project, "-x")
        assert self.verdicts(project) == []

    def test_observed_run(self, project: Project) -> None:
        """A run that only records decides nothing, not even in silence."""
        run(project)
        change(project, one=7)
        run(project, "--aqe-mode=observe")
        assert self.verdicts(project) == []

    def test_selected_run(self, project: Project) -> None:
        """A selected run is no full run: it does not count as one."""
        run(project)
        change(project, one=7)
        select(project)
        assert self.verdicts(project) == []
        assert project.sql(self.VERDICT) == [(3, 1, 1, 1, 0, 0)]


class TestQuiet:
    def test_silence(self, project: Project) -> None:
        """Under ``-q -q`` no line is ours."""
        run(project)
        change(project, two=2)
        assert "aqe" not in select(project, "-q", "-q").stdout.str()

    def test_no_path_of_a_plan_is_left(self, project: Project) -> None:
        """With workers, nothing but the history and its run files stays."""
        pytest.importorskip("xdist")
        run(project, "-n2")
        select(project, "-n2")
        left = {path.name for path in project.folder.iterdir()}
        kept = {"history.duckdb", "runs", "flags", "unchanged.json", "contents.json"}
        assert left <= {*kept, ".gitignore", "plans"}
        assert not list(project.folder.glob("plans/*"))


def test_variable_and_ini_key(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode can be set once for the project, or for a shell."""
    run(project)
    project.write_ini("aqe_mode = select", "aqe_probe = 0")
    run(project)  # the configuration is new
    run(project).stdout.fnmatch_lines(["selected 0 of 3 tests; 3 not run, *"])
    monkeypatch.setenv("PYTEST_AQE_MODE", "order")
    run(project).assert_outcomes(passed=3)


def test_header(project: Project) -> None:
    """The header names the mode as it is in force."""
    run(project)
    select(project).stdout.fnmatch_lines(["aqe: mode=select, history .aqe/history.duckdb: 1 run*"])


def test_environment_is_left_as_it_was(project: Project) -> None:
    """Nothing of ours stays in the environment of the tests."""
    before = dict(os.environ)
    run(project)
    select(project)
    assert dict(os.environ) == before
