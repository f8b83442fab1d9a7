"""``--aqe-base``: what the change is measured against."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def three_commits(project: Project) -> list[str]:
    """On ``main`` two commits; on ``topic`` one more, which leaves ``main`` at the first."""
    (project.path / ".gitignore").write_text(".pytest_cache\n")
    project.write(test_a="def test_x(): pass\n")
    commits = [project.commit_all()]
    project.git("checkout", "-q", "-b", "topic")
    project.write(one="x = 1\n")
    commits.append(project.commit_all())
    project.write(two="y = 1\n")
    commits.append(project.commit_all())
    return commits


def _change(project: Project) -> tuple[str | None, list[str]]:
    ((base,),) = project.sql("select base from runs order by run_no desc limit 1")
    files = project.sql(
        "select path from changed_files where run_no = (select max(run_no) from runs) order by 1"
    )
    return base, [path for (path,) in files]


def test_flag(project: Project, workers: Workers, three_commits: list[str]) -> None:
    """The change is everything since the merge-base with the ref."""
    project.run("--aqe-base=main", *workers)
    assert _change(project) == (three_commits[0], ["one.py", "two.py"])


def test_uncommitted_work(project: Project, three_commits: list[str]) -> None:
    """Edited and untracked files belong to the change."""
    project.write(one="x = 2\n", three="z = 1\n")
    project.run("--aqe-base=HEAD~1")
    assert _change(project) == (three_commits[1], ["one.py", "three.py", "two.py"])


def test_header(project: Project, three_commits: list[str]) -> None:
    """The header names the base and how it was found."""
    project.run("--aqe-base=main").stdout.fnmatch_lines(
        [f"aqe: mode=order, base={three_commits[0][:7]} (merge-base with main), *"]
    )


def test_unknown_ref(project: Project) -> None:
    """A ref that does not exist is one line in the summary, and an unknown change."""
    done = project.run("--aqe-base=nowhere")
    assert done.ret == pytest.ExitCode.OK
    lines = [line for line in done.outlines if "nowhere" in line]
    assert lines == ["--aqe-base: nowhere is no commit in this clone; the change is unknown"]
    assert _change(project) == (None, [])


def test_unknown_ref_of_select(project: Project) -> None:
    """In select it is why everything runs: header and summary say so, and nothing else does."""
    project.run()
    done = project.run("--aqe-base=nowhere", "--aqe-mode=select")
    reason = "the base nowhere is no commit in this clone"
    header, summary = (line for line in done.outlines if "nowhere" in line)
    assert f"full run ({reason})" in header
    assert summary == f"full run: {reason}"


def test_ref_that_looks_like_an_option(project: Project) -> None:
    """A ref that begins with a dash reaches git as a ref."""
    project.run("--aqe-base=--output=stolen")
    assert not (project.path / "stolen").exists()
    assert _change(project) == (None, [])


def test_variable_beats_ini(
    project: Project, monkeypatch: pytest.MonkeyPatch, three_commits: list[str]
) -> None:
    """``PYTEST_AQE_BASE`` wins over the ini key."""
    project.write_ini("aqe_base = main")
    monkeypatch.setenv("PYTEST_AQE_BASE", "HEAD~1")
    project.run()
    assert _change(project)[0] == three_commits[1]


def test_flag_beats_variable(
    project: Project, monkeypatch: pytest.MonkeyPatch, three_commits: list[str]
) -> None:
    """The command line wins over ``PYTEST_AQE_BASE``."""
    monkeypatch.setenv("PYTEST_AQE_BASE", "HEAD~1")
    project.run("--aqe-base=main")
    assert _change(project)[0] == three_commits[0]


def test_default_is_the_last_commit(project: Project, three_commits: list[str]) -> None:
    """With nothing else to go by, a clean tree is measured against its parent."""
    project.run("-p", "no:cacheprovider")
    assert _change(project) == (three_commits[1], ["two.py"])


def test_default_with_uncommitted_work(project: Project, three_commits: list[str]) -> None:
    """With nothing else to go by, uncommitted work is the change."""
    project.write(one="x = 2\n")
    project.run("-p", "no:cacheprovider")
    assert _change(project) == (three_commits[2], ["one.py"])


def test_default_with_upstream(project: Project, three_commits: list[str]) -> None:
    """The upstream default branch is the base where there is one."""
    project.git("update-ref", "refs/remotes/origin/main", "main")
    project.run()
    assert _change(project) == (three_commits[0], ["one.py", "two.py"])


def test_base_branch_moved_on(project: Project, three_commits: list[str]) -> None:
    """Other people's work on the base branch is not part of the change."""
    project.git("checkout", "-q", "main")
    project.write(theirs="z = 1\n")
    project.commit_all()
    project.git("checkout", "-q", "topic")
    project.run("--aqe-base=main")
    assert _change(project) == (three_commits[0], ["one.py", "two.py"])


def test_ci_base(
    project: Project, monkeypatch: pytest.MonkeyPatch, three_commits: list[str]
) -> None:
    """In a pull request on CI, its target branch is the base."""
    project.git("update-ref", "refs/remotes/origin/release", "HEAD~1")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    monkeypatch.setenv("GITHUB_BASE_REF", "release")
    project.run()
    assert _change(project) == (three_commits[1], ["two.py"])


def test_ci_push(
    project: Project, monkeypatch: pytest.MonkeyPatch, three_commits: list[str]
) -> None:
    """After a push, the commit that the branch was moved from is the base."""
    event = project.pytester.path.parent / "event.json"
    event.write_text(json.dumps({"before": three_commits[0]}), encoding="utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "push")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    project.run()
    assert _change(project)[0] == three_commits[0]


def test_without_git(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git on the machine, runs are recorded without commit and change."""
    monkeypatch.setenv("PATH", "")
    assert project.run("--aqe-base=main").ret == pytest.ExitCode.OK
    assert project.sql('select "commit", base from runs') == [(None, None)]
