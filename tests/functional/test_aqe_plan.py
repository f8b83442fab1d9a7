"""``--aqe-plan``, ``--aqe-replay``, ``--aqe-rest``: what runs and what does not, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

COLLECTED = ["test_a.py::test_1", "test_a.py::test_2", "test_b.py::test_1", "test_c.py::test_1"]
SELECT = ("--aqe-mode=select", "--aqe-probe=0")


@pytest.fixture(autouse=True)
def four_tests(project: Project) -> None:
    """Four tests in three modules."""
    project.write(
        test_a="def test_1(): pass\ndef test_2(): pass\n",
        test_b="def test_1(): pass\n",
        test_c="def test_1(): pass\n",
    )


def ran(project: Project) -> list[str]:
    """Return the node ids of the last run, sorted."""
    return [
        node_id
        for (node_id,) in project.sql(
            "select node_id from results join nodes using (node_no) "
            "where run_no = (select max(run_no) from runs) order by 1"
        )
    ]


def plan_of(path: Path) -> list[str]:
    """Return the node ids that a written plan runs."""
    run: list[str] = json.loads(path.read_text("utf-8"))["run"]
    return run


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file."""
    return path.read_text("utf-8").splitlines()


class TestPlan:
    def test_first_run(self, project: Project, workers: Workers) -> None:
        """Without a history the plan is the collected order."""
        project.run("--aqe-plan=out/plan.json", *workers)
        assert plan_of(project.path / "out" / "plan.json") == COLLECTED

    def test_observe(self, project: Project) -> None:
        """A run that only records has a plan too: what was collected."""
        project.run()
        project.run("--aqe-mode=observe", "--aqe-plan=plan.json", "--aqe-rest=rest.txt")
        assert plan_of(project.path / "plan.json") == COLLECTED
        assert lines_of(project.path / "rest.txt") == []

    def test_order(self, project: Project, workers: Workers) -> None:
        """The plan has the tests in the order in which they are to run: what failed comes first."""
        project.write(test_c="def test_1(): assert 0\n")
        project.run(*workers)
        project.run("--aqe-plan=plan.json", *workers)
        first, *others = plan_of(project.path / "plan.json")
        assert first == COLLECTED[3]
        assert sorted(others) == COLLECTED[:3]

    def test_dry_run(self, project: Project) -> None:
        """A plan can be had without running it."""
        done = project.run("--aqe-dry-run", "--aqe-plan=plan.json")
        done.assert_outcomes()
        assert plan_of(project.path / "plan.json") == COLLECTED

    def test_explicit_node_ids(self, project: Project) -> None:
        """What was asked for by name is the plan."""
        project.run("--aqe-plan=plan.json", COLLECTED[2])
        assert plan_of(project.path / "plan.json") == [COLLECTED[2]]

    def test_reasons(self, project: Project) -> None:
        """A selected plan says why each known test runs, and which do not."""
        project.run_apart()
        project.write(test_b="def test_1(): assert 1\n")
        project.run_apart(*SELECT, "--aqe-plan=plan.json")
        plan = json.loads((project.path / "plan.json").read_text("utf-8"))
        assert plan["run"] == [COLLECTED[2]]
        assert plan["reasons"] == {COLLECTED[2]: "test_b.py::test_1 changed"}
        assert plan["left_out"] == [COLLECTED[0], COLLECTED[1], COLLECTED[3]]


class TestRest:
    @pytest.mark.parametrize("change", ["", "test_a", "test_b"])
    def test_plan_and_rest_are_what_was_collected(
        self, project: Project, workers: Workers, change: str
    ) -> None:
        """Every collected test is in one of the two."""
        run = project.run if workers else project.run_apart
        run(*workers)
        if change:
            text = (project.path / f"{change}.py").read_text().replace("test_1(): ", "test_1(): 1;")
            project.write(**{change: text})
        run(*SELECT, "--aqe-plan=plan.json", "--aqe-rest=rest.txt", *workers)
        plan, rest = plan_of(project.path / "plan.json"), lines_of(project.path / "rest.txt")
        assert sorted([*plan, *rest]) == COLLECTED
        assert plan == ([f"{change}.py::test_1"] if change else [])

    def test_pytest_runs_the_rest(self, project: Project) -> None:
        """`pytest @rest.txt` runs what was left out, and no more."""
        project.run_apart()
        project.write(test_b="def test_1(): assert 1\n")
        project.run_apart(*SELECT, "--aqe-rest=rest.txt")
        project.run_apart(*SELECT, "@rest.txt").assert_outcomes(passed=3)
        assert ran(project) == [COLLECTED[0], COLLECTED[1], COLLECTED[3]]

    def test_replay_runs_the_rest(self, project: Project, workers: Workers) -> None:
        """A list of node ids can be replayed as well."""
        (project.path / "rest.txt").write_text(f"{COLLECTED[3]}\n{COLLECTED[0]}\n")
        project.run("--aqe-replay=rest.txt", *workers).assert_outcomes(passed=2)
        assert ran(project) == [COLLECTED[0], COLLECTED[3]]

    def test_nothing_left_out(self, project: Project) -> None:
        """Where everything runs the rest is an empty file."""
        project.run("--aqe-rest=rest.txt")
        assert lines_of(project.path / "rest.txt") == []

    def test_left_out_by_others(self, project: Project) -> None:
        """What ``-k`` takes away is not ours to name."""
        project.run("--aqe-rest=rest.txt", "-k", "test_2")
        assert lines_of(project.path / "rest.txt") == []

    @pytest.mark.parametrize("flag", ["--aqe-rest", "--aqe-plan"])
    def test_a_folder(self, project: Project, flag: str) -> None:
        """A path that cannot be written costs one line, and not the other file."""
        (project.path / "out").mkdir()
        other = {"--aqe-rest": "--aqe-plan", "--aqe-plan": "--aqe-rest"}[flag]
        done = project.run(f"{flag}=out", f"{other}=other.txt")
        assert done.ret == pytest.ExitCode.OK
        (line,) = [line for line in done.outlines if flag in line]
        assert line.startswith(f"{flag}: {project.path / 'out'} cannot be written (")
        assert "internal fault" not in done.stdout.str()
        assert (project.path / "other.txt").exists()


class TestReplay:
    def test_round_trip(self, project: Project, workers: Workers) -> None:
        """A written plan runs again as it ran, whatever the history says by then."""
        project.write(test_c="def test_1(): assert 0\n")
        project.run(*workers)
        project.run("--aqe-plan=plan.json", *workers)
        project.write(test_a="def test_1(): assert 0\ndef test_2(): assert 0\n")
        project.run(*workers)
        project.run("--aqe-replay=plan.json", "--aqe-plan=again.json", *workers)
        assert plan_of(project.path / "again.json") == plan_of(project.path / "plan.json")
        assert ran(project) == COLLECTED

    def test_order(self, project: Project) -> None:
        """Tests run in the order of the plan."""
        wanted = [COLLECTED[3], COLLECTED[1], COLLECTED[0]]
        (project.path / "plan.txt").write_text("\n".join(wanted))
        done = project.run("--aqe-replay=plan.txt", "-v")
        done.stdout.fnmatch_lines([f"{node_id} PASSED*" for node_id in wanted])
        done.assert_outcomes(passed=3, deselected=1)

    def test_observe(self, project: Project) -> None:
        """A run that only records replays too."""
        (project.path / "plan.txt").write_text(COLLECTED[1])
        project.run("--aqe-mode=observe", "--aqe-replay=plan.txt").assert_outcomes(
            passed=1, deselected=3
        )

    def test_select_does_not_narrow_it(self, project: Project) -> None:
        """The plan was decided before."""
        project.run_apart()
        (project.path / "plan.txt").write_text(COLLECTED[1])
        project.run_apart(*SELECT, "--aqe-replay=plan.txt").assert_outcomes(passed=1, deselected=3)

    def test_no_longer_there(self, project: Project, workers: Workers) -> None:
        """A planned test that is gone is counted, and the others run."""
        (project.path / "plan.txt").write_text(f"{COLLECTED[0]}\ntest_z.py::test_1\n")
        done = project.run("--aqe-replay=plan.txt", *workers)
        done.assert_outcomes(passed=1)
        done.stdout.fnmatch_lines(["1 test of the replayed plan is not here"])
        (project.path / "plan.txt").write_text(f"{COLLECTED[0]}\ntest_z.py::test_1\ntest_y.py::x\n")
        project.run("--aqe-replay=plan.txt", *workers).stdout.fnmatch_lines(
            ["2 tests of the replayed plan are not here"]
        )

    def test_nothing_there(self, project: Project, workers: Workers) -> None:
        """When none of the plan is there, that is pytest's error of nothing to run."""
        (project.path / "plan.txt").write_text("test_z.py::test_1\n")
        done = project.run("--aqe-replay=plan.txt", *workers)
        assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED

    @pytest.mark.parametrize("mode", ["observe", "order", "select"])
    def test_what_is_not_in_the_plan_is_counted(
        self, project: Project, workers: Workers, mode: str
    ) -> None:
        """Header and summary say that a plan was replayed, and how much it leaves out."""
        (project.path / "plan.txt").write_text(COLLECTED[1])
        done = project.run(
            f"--aqe-mode={mode}", "--aqe-replay=plan.txt", "--aqe-rest=rest.txt", *workers
        )
        assert lines_of(project.path / "rest.txt") == [COLLECTED[0], *COLLECTED[2:]]
        done.stdout.fnmatch_lines(
            ["aqe: mode=replay, *", "replayed 1 of 4 tests; 3 not run, they are not in the plan"]
        )
        done.stdout.no_fnmatch_line("full run*")

    def test_all_is_in_the_plan(self, project: Project) -> None:
        """Where the plan has all there is, nothing is left out."""
        (project.path / "plan.txt").write_text("\n".join(COLLECTED))
        done = project.run("--aqe-replay=plan.txt")
        done.stdout.fnmatch_lines(["replayed 4 of 4 tests"])

    def test_stopped(self, project: Project) -> None:
        """What is in the plan and did not run is counted."""
        project.write(test_a="def test_1(): assert 0\ndef test_2(): pass\n")
        (project.path / "plan.txt").write_text("\n".join(COLLECTED[:3]))
        project.run("--aqe-replay=plan.txt", "-x").stdout.fnmatch_lines(
            [
                "replayed 3 of 4 tests; 1 not run, *",
                "2 selected tests did not run to the end: the session ended early",
            ]
        )

    def test_empty_plan(self, project: Project, workers: Workers) -> None:
        """A plan that ran nothing, and was no failure, is none when it is replayed."""
        run = project.run if workers else project.run_apart
        run(*workers)
        assert run(*SELECT, "--aqe-plan=plan.json", *workers).ret == pytest.ExitCode.OK
        for mode in ("select", "order"):
            done = run(f"--aqe-mode={mode}", "--aqe-replay=plan.json", *workers)
            assert done.ret == pytest.ExitCode.OK
            done.stdout.fnmatch_lines(
                ["replayed 0 of 4 tests; 4 not run, they are not in the plan"]
            )

    def test_empty_plan_of_an_empty_suite(self, project: Project) -> None:
        """Where there is no test at all pytest's own exit code stays."""
        (project.path / "plan.txt").touch()
        (project.path / "empty").mkdir()
        done = project.run("--aqe-replay=plan.txt", "empty")
        assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED

    def test_explained(self, project: Project) -> None:
        """The reason for a place in a written plan is that plan."""
        project.run()
        (project.path / "plan.txt").write_text(COLLECTED[1])
        project.run("--aqe-replay=plan.txt", "--aqe-explain").stdout.fnmatch_lines(
            [f"1. {COLLECTED[1]}  in the replayed plan"]
        )

    def test_no_verdict_on_selection(self, project: Project) -> None:
        """Selection chose nothing of what a plan runs, so it is not judged by that."""
        project.run_apart()
        project.write(test_b="def test_1(): assert 0\n")
        (project.path / "plan.txt").write_text(COLLECTED[2])
        project.run_apart(*SELECT, "--aqe-replay=plan.txt")
        assert project.sql("select * from selections") == []

    def test_no_file(self, project: Project) -> None:
        """A plan that is not there stops the run before it begins."""
        done = project.run("--aqe-replay=nowhere.json")
        assert done.ret == pytest.ExitCode.USAGE_ERROR
        done.stderr.fnmatch_lines(["*--aqe-replay=nowhere.json: there is no such file"])

    def test_no_plan(self, project: Project) -> None:
        """So does a file that is none: half a plan would run half the tests."""
        (project.path / "plan.json").write_text("{")
        done = project.run("--aqe-replay=plan.json")
        assert done.ret == pytest.ExitCode.USAGE_ERROR
        done.stderr.fnmatch_lines(["*plan.json is not a plan that --aqe-plan wrote"])
