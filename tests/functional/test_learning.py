"""What sessions learn: the policy in force, its versions, and what people see of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_aqe.history import flakes, policies

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def suite(project: Project) -> None:
    """Three modules of five tests; the files 'bad' and 'worse' make tests fail."""
    for name in "abc":
        project.write(
            **{
                f"test_{name}": f"""
                import os
                import pytest

                @pytest.mark.parametrize("i", range(5))
                def test_{name}(i):
                    assert not (i == 3 and "{name}" == "c" and os.path.exists("bad"))
                """
            }
        )


def fail(project: Project, *arguments: str) -> pytest.RunResult:
    """Run with one failing test."""
    (project.path / "bad").touch()
    done = project.run(*arguments)
    (project.path / "bad").unlink()
    return done


def test_a_suite_without_failures_has_no_learner(project: Project) -> None:
    """Nothing failed, nothing is learnt, and numpy is never imported."""
    project.write(
        conftest="""
        import sys
        def pytest_unconfigure(config):
            open("numpy", "a").write(f"{'numpy' in sys.modules} ")
        """
    )
    project.run_fresh()
    project.run_fresh()
    assert (project.path / "numpy").read_text() == "False False "
    assert project.sql("select count(*) from policies") == [(0,)]


def test_a_session_start_needs_no_numpy(project: Project) -> None:
    """The policy in force is applied in plain Python; a green run learns nothing either."""
    fail(project)
    project.run()
    project.write(
        conftest="""
        import sys
        def pytest_unconfigure(config):
            open("numpy", "a").write(f"{'numpy' in sys.modules} ")
        """
    )
    project.run_fresh().stdout.fnmatch_lines(["*15 passed*"])
    assert (project.path / "numpy").read_text() == "False "


def test_what_failed_comes_first(project: Project, workers: Workers) -> None:
    """After a failure the learner is in force, and its order starts with the failed module."""
    fail(project, *workers)
    done = fail(project, *workers)
    done.stdout.fnmatch_lines(["first failure after * of 15 tests*"])
    (policy,) = project.sql("select policy from runs order by run_no desc limit 1")
    assert policy == ("linear-q@0.5",)
    assert not list(project.folder.glob("faults/*"))


def test_one_process_compares_orders(project: Project) -> None:
    """The summary says how soon other orders would have met the first failure."""
    fail(project)
    fail(project).stdout.fnmatch_lines(
        [
            "first failure after 1 of 15 tests "
            "(same failures in collected order: 14, failed-first: 1, random: 8)"
        ]
    )


def test_a_mended_test_stays_near(project: Project) -> None:
    """A test that failed lately leaves its place in a module that shares nothing."""
    fail(project)
    project.run()
    project.run()
    first = project.sql(
        "select node_id from results join nodes using (node_no) "
        "where run_no = 3 order by position limit 1"
    )
    assert first == [("test_c.py::test_c[3]",)]


def test_sessions_learn_what_tune_learns(project: Project) -> None:
    """Run by run or all at once, the policy is the same; tuning twice changes nothing."""
    for bad in (True, False, True, True, False):
        fail(project) if bad else project.run()
    answer = project.answer("tune")
    assert (answer["runs"], answer["changed"]) == (5, False)
    assert project.answer("tune")["changed"] is False
    _, printed = project.command("tune")
    assert "nothing changed" in printed


def test_versions(project: Project) -> None:
    """Every policy is kept, shown, and can be put in force again."""
    fail(project)
    fail(project)
    fail(project)
    listed = project.answer("policy")["versions"]
    assert [each["version"] for each in listed] == [3, 2, 1]
    shown = project.answer("policy", "show", "1")
    assert shown["digest"] == listed[2]["digest"]
    assert "passing streak" in shown["parameters"]["weights"]
    back = project.answer("policy", "rollback", "2")
    assert back["version"] == 4
    now, then = project.answer("policy", "show"), project.answer("policy", "show", "2")
    assert now["parameters"]["weights"] == then["parameters"]["weights"]
    assert project.answer("policy", "rollback")["version"] == 5
    code, printed = project.command("policy", "rollback", "77")
    assert code == 1
    assert "no policy version 77" in printed
    fail(project)
    assert not list(project.folder.glob("faults/*"))


def test_a_preset_stays(project: Project) -> None:
    """How boldly to learn is said once; sessions and later tunings go on with it."""
    fail(project)
    fail(project)
    assert project.answer("tune", "--preset", "aggressive")["changed"] is True
    fail(project)
    assert project.answer("tune")["changed"] is False
    assert project.sql("select distinct snapshot->>'preset' from policies where version > 2") == [
        ("aggressive",)
    ]


def test_two_policies_are_compared(project: Project) -> None:
    """A/B of what policies scored on the same full runs; too few runs are not enough."""
    for _ in range(4):
        fail(project)
    found = project.answer("policy", "compare", "linear-q", "random")
    assert (found["runs"], found["verdict"]) == (3, "not enough data")
    assert found["difference"] > 0
    _, printed = project.command("policy", "compare")
    assert printed.startswith("in force against beta-mean over 3 full runs with failures: ")
    code, printed = project.command("policy", "compare", "one")
    assert (code, "give two policies" in printed) == (2, True)
    code, printed = project.command("policy", "show", "x")
    assert (code, "no number" in printed) == (2, True)


def test_no_policy_yet(project: Project) -> None:
    """Before the first failure there is no version, and the commands say so."""
    project.run()
    code, printed = project.command("policy")
    assert code == 1
    assert "no run with a failure" in printed
    assert project.answer("tune")["scored_runs"] == 0


def test_status_shows_the_curve(project: Project) -> None:
    """The learning curve stands beside the baselines, once there is one."""
    fail(project)
    assert project.answer("status")["learning"] == {"": []}
    fail(project)
    fail(project)
    found = project.answer("status")["learning"][""]
    assert {each["policy"] for each in found} == {
        "in force",
        "linear-q",
        "beta-mean",
        "failed-first",
        "random",
    }
    _, printed = project.command("status")
    assert "how soon failures were met (APFDc" in printed


def test_why_shows_features(project: Project) -> None:
    """The features that moved a test come with their values."""
    fail(project)
    fail(project)
    (test,) = project.answer("why", "test_c[3]")["tests"]
    assert test["policy"] == "linear-q@0.5"
    assert {"feature", "value", "weight", "moved"} == set(test["features"][0])
    _, printed = project.command("why", "test_c[3]")
    assert "moved by:" in printed


def test_a_plugin_may_decide_otherwise(project: Project) -> None:
    """A policy of a plugin is asked first, and gets the learnt one."""
    fail(project)
    project.write(
        conftest="""
        from pytest_aqe.data import Rank

        class Last:
            def __init__(self, learned): self.name = f"not {learned.name}"
            def rank(self, tests): return [Rank(2, 0.0, None, "mine") for test in tests]

        def pytest_aqe_make_policy(learned):
            return Last(learned)
        """
    )
    project.run("--aqe-explain").stdout.fnmatch_lines(
        ["15 tests would run, 0 of them moved by not linear-q@0.5"]
    )


def test_an_older_plugin_still_works(project: Project) -> None:
    """A plugin that asks for the configuration alone is called as before."""
    fail(project)
    project.write(
        conftest="""
        from pytest_aqe.data import Rank

        class Mine:
            name = "mine"
            def rank(self, tests): return [Rank(2, 0.0, None, "mine") for test in tests]

        def pytest_aqe_make_policy(config):
            return Mine()
        """
    )
    project.run("--aqe-explain").stdout.fnmatch_lines(["*moved by mine"])


def test_untrusted_runs_teach_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull request's rows change no order."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    fail(project)
    assert project.sql("select trust from runs") == [("untrusted",)]
    assert project.sql("select count(*) from policies") == [(0,)]


def test_prune_learns_again_from_what_is_left(project: Project) -> None:
    """What was forgotten is not remembered by the learner, which works at once; versions stay."""
    fail(project)
    fail(project)
    project.command("tune", "--preset", "aggressive")
    versions = "select version, digest from policies order by version"
    before = project.sql(versions)
    code, printed = project.command("prune", "--keep-runs", "1")
    assert code == 0
    assert "learnt again from the 1 run left" in printed
    assert project.sql("select run_no from learner_states") == [(2,)]
    assert project.sql("select count(*) from test_scores") == [(15,)]
    assert project.sql("select count(*) from flake_marks") == [(1,)]
    assert project.sql(versions)[: len(before)] == before
    assert '"aggressive"' in project.sql("select arg_max(snapshot, version) from policies")[0][0]
    assert project.command("policy", "rollback", "1")[0] == 0
    fail(project).stdout.fnmatch_lines(["first failure after 1 of 15 tests*"])
    assert not list(project.folder.glob("faults/*"))


def test_prune_of_nothing_changes_nothing(project: Project) -> None:
    """The learner, its scores and the beliefs stay as they are."""
    fail(project)
    fail(project)
    tables = [*policies.TABLES, *flakes.TABLES]
    before = [project.sql(f"from {table} order by all") for table in tables]
    project.command("prune", "--keep", "90d")
    assert [project.sql(f"from {table} order by all") for table in tables] == before


def test_a_merged_past_is_learnt(project: Project) -> None:
    """A history that is only ever merged orders the next session that reads it."""
    fail(project)
    elsewhere = project.folder.rename(project.path / "elsewhere")
    assert project.answer("merge", elsewhere / "runs")["learnt_runs"] == 1
    assert project.sql("select count(*) from test_scores") == [(15,)]
    assert project.sql("select count(*) from flake_marks") == [(1,)]
    fail(project).stdout.fnmatch_lines(["first failure after 1 of 15 tests*"])


def test_an_imported_past_is_learnt(project: Project) -> None:
    """Runs that came in otherwise are learnt from with the next failure."""
    rows = [
        f"{run},2024-01-{run + 1:02}T00:00:00Z,test_b.py::test_b[{i}],"
        f"{'failed' if i == 2 and run % 2 else 'passed'},0.01"
        for run in range(20)
        for i in range(5)
    ]
    path = project.path / "results.csv"
    path.write_text("run_id,started_at,node_id,outcome,duration\n" + "\n".join(rows) + "\n")
    project.command("import", path)
    fail(project)
    assert project.sql("select count(distinct run_no) from policy_scores") == [(11,)]
    fail(project).stdout.fnmatch_lines(["first failure after * of 15 tests*"])
