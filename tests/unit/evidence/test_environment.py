"""The work tree, read with git; the CI service, by its documented variables."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pytest_aqe.evidence import changes, environment


def git(root: Path, *arguments: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **identity},
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits on main, the later one changing b.txt."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    (tmp_path / "b.txt").write_text("b")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "two")
    return tmp_path


class TestCheckout:
    def test_a_clean_tree_is_gits_own(self, repository: Path) -> None:
        """Without edits, commit, tree and branch are what git says."""
        found = environment.checkout(repository)
        assert found.commit == git(repository, "rev-parse", "HEAD")
        assert found.tree == git(repository, "rev-parse", "HEAD^{tree}")
        assert (found.branch, found.dirty) == ("main", ())

    def test_the_same_edits_are_the_same_tree(self, repository: Path) -> None:
        """Undoing and redoing an edit names the same content again; another edit does not."""
        trees = []
        for text in ("edited", "other", "edited"):
            (repository / "a.txt").write_text(text)
            trees.append(environment.checkout(repository).tree)
        assert trees[0] == trees[2] != trees[1]
        assert str(trees[0]).startswith("dirty-")

    def test_untracked_files_count(self, repository: Path) -> None:
        """A new file that git ignores not is part of what was tested."""
        clean = environment.checkout(repository).tree
        (repository / "new").mkdir()
        (repository / "new" / "file.txt").write_text("x")
        found = environment.checkout(repository)
        assert found.tree != clean
        assert found.dirty == ("new/",)

    def test_a_renamed_file_names_both_places(self, repository: Path) -> None:
        """A staged rename lists the old and the new path."""
        git(repository, "mv", "a.txt", "c.txt")
        assert set(environment.checkout(repository).dirty) == {"a.txt", "c.txt"}

    def test_a_repository_without_a_commit_has_none(self, tmp_path: Path) -> None:
        """Before the first commit, commit and tree are None."""
        git(tmp_path, "init", "-q")
        found = environment.checkout(tmp_path)
        assert (found.commit, found.tree) == (None, None)

    def test_outside_a_repository_nothing_is_known(self, tmp_path: Path) -> None:
        """Where git has nothing to say, everything is None."""
        found = environment.checkout(tmp_path)
        assert (found.commit, found.tree, found.branch) == (None, None, None)


class TestChange:
    def test_the_asked_base_wins(self, repository: Path) -> None:
        """``--aqe-base`` is where the change begins."""
        change = changes.since(environment.checkout(repository), "HEAD~1", None)
        assert change.files == ("b.txt",)

    def test_an_unknown_base_is_unknown(self, repository: Path) -> None:
        """A base that git does not know gives no list of files, which is not an empty one."""
        change = changes.since(environment.checkout(repository), "nowhere", None)
        assert (change.base, change.files) == (None, None)
        assert "nowhere" in change.origin

    def test_the_base_is_a_merge_base(self, repository: Path) -> None:
        """What the base branch did since the fork is not part of the change."""
        git(repository, "checkout", "-qb", "topic", "HEAD~1")
        (repository / "mine.txt").write_text("m")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "mine")
        change = changes.since(environment.checkout(repository), None, "main")
        assert change.files == ("mine.txt",)

    def test_without_edits_on_the_default_branch_it_is_the_last_commit(
        self, repository: Path
    ) -> None:
        """On the default branch's tip, clean, the change is the last commit's."""
        change = changes.since(environment.checkout(repository), None, None)
        assert (change.files, change.origin) == (("b.txt",), "last commit")

    def test_with_edits_on_the_default_branch_it_is_the_edits(self, repository: Path) -> None:
        """On the default branch, uncommitted work is the change, untracked included."""
        (repository / "a.txt").write_text("edited")
        (repository / "n.txt").write_text("new")
        change = changes.since(environment.checkout(repository), None, None)
        assert (change.files, change.origin) == (("a.txt", "n.txt"), "uncommitted work")

    def test_the_first_commit_has_no_base(self, tmp_path: Path) -> None:
        """With one commit and no edits there is nothing to compare with."""
        git(tmp_path, "init", "-q")
        (tmp_path / "a.txt").write_text("a")
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", "one")
        change = changes.since(environment.checkout(tmp_path), None, None)
        assert (change.base, change.files) == (None, None)


class TestCI:
    def test_a_laptop_is_no_ci(self) -> None:
        """Without any variable there is no CI."""
        assert environment.ci({}) is None

    def test_a_github_pull_request(self) -> None:
        """GitHub names head, base and event."""
        found = environment.ci(
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_HEAD_REF": "topic",
                "GITHUB_REF_NAME": "7/merge",
                "GITHUB_BASE_REF": "main",
            }
        )
        assert found == environment.CI("github", "topic", "origin/main", True)

    def test_a_github_push_is_measured_from_where_the_branch_was(self, tmp_path: Path) -> None:
        """The event file tells which commit the push replaced; a new branch has none."""
        event = tmp_path / "event.json"
        push = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF_NAME": "main",
            "GITHUB_EVENT_PATH": str(event),
        }
        event.write_text(json.dumps({"before": "abc123"}))
        before = environment.ci(push)
        event.write_text(json.dumps({"before": "0" * 40}))
        new = environment.ci(push)
        event.write_text("not json")
        broken = environment.ci(push)
        assert [each and each.base for each in (before, new, broken)] == ["abc123", None, None]

    @pytest.mark.parametrize(
        "variables, provider, pull_request",
        [
            ({"GITLAB_CI": "1", "CI_PIPELINE_SOURCE": "merge_request_event"}, "gitlab", True),
            ({"GITLAB_CI": "1", "CI_PIPELINE_SOURCE": "push"}, "gitlab", False),
            ({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "false"}, "buildkite", False),
            ({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "12"}, "buildkite", True),
            ({"TRAVIS": "true", "TRAVIS_PULL_REQUEST": "false"}, "travis", False),
            ({"CIRCLECI": "true", "CIRCLE_PULL_REQUEST": "https://x/1"}, "circleci", True),
            ({"CI": "true"}, "unknown", False),
        ],
    )
    def test_providers(self, variables: dict[str, str], provider: str, pull_request: bool) -> None:
        """Each service is recognized, and whether its run belongs to a pull request."""
        found = environment.ci(variables)
        assert found is not None
        assert (found.provider, found.pull_request) == (provider, pull_request)


class TestFullRef:
    """What lets a change through runs everything: nobody looks at it again."""

    GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push"}  # noqa: RUF012  # read only

    @pytest.mark.parametrize(
        ("variables", "expected"),
        [
            ({"GITHUB_REF_NAME": "main"}, "the default branch main"),
            ({"GITHUB_REF_NAME": "master"}, "the default branch master"),
            ({"GITHUB_REF_NAME": "feature"}, None),
            ({"GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"}, "a tag"),
            ({"GITHUB_REF_NAME": "dev", "GITHUB_EVENT_NAME": "schedule"}, "a schedule"),
            ({"GITHUB_REF_NAME": "q", "GITHUB_EVENT_NAME": "merge_group"}, "a merge queue"),
            ({"GITHUB_EVENT_NAME": "pull_request", "GITHUB_HEAD_REF": "main"}, None),
        ],
    )
    def test_github(self, variables: dict[str, str], expected: str | None) -> None:
        """Default branch, tag, schedule and queue; a pull request never, whatever its name."""
        assert environment.full_ref({**self.GITHUB, **variables}) == expected

    @pytest.mark.parametrize(
        ("variables", "expected"),
        [
            ({"CI_COMMIT_REF_NAME": "trunk", "CI_DEFAULT_BRANCH": "trunk"}, "branch trunk"),
            ({"CI_COMMIT_REF_NAME": "main", "CI_DEFAULT_BRANCH": "trunk"}, None),
            ({"CI_COMMIT_REF_NAME": "dev", "CI_PIPELINE_SOURCE": "schedule"}, "a schedule"),
            ({"CI_COMMIT_REF_NAME": "v1", "CI_COMMIT_TAG": "v1"}, "a tag"),
        ],
    )
    def test_gitlab(self, variables: dict[str, str], expected: str | None) -> None:
        """It names the default branch, and then no other name counts as one."""
        found = environment.full_ref({"GITLAB_CI": "true", **variables})
        assert found == expected if expected is None else expected in str(found)

    @pytest.mark.parametrize(
        "variables",
        [
            {"BUILDKITE": "true", "BUILDKITE_TAG": "v1"},
            {"CIRCLECI": "true", "CIRCLE_TAG": "v1"},
            {"TRAVIS": "true", "TRAVIS_TAG": "v1"},
            {"TRAVIS": "true", "TRAVIS_EVENT_TYPE": "cron"},
            {"TF_BUILD": "True", "BUILD_REASON": "Schedule"},
            {"BITBUCKET_BUILD_NUMBER": "1", "BITBUCKET_TAG": "v1"},
            {"JENKINS_URL": "http://ci", "TAG_NAME": "v1"},
            {"CIRCLECI": "true", "CIRCLE_BRANCH": "main"},
        ],
    )
    def test_others(self, variables: dict[str, str]) -> None:
        """By the variables that each documents."""
        assert environment.full_ref(variables) is not None

    def test_not_in_ci(self) -> None:
        """Who works on the default branch at home may leave tests out."""
        assert environment.full_ref({"TAG_NAME": "v1", "GITHUB_REF_NAME": "main"}) is None


class TestNamedBase:
    def test_who_named_it(self, repository: Path) -> None:
        """A base that the user or CI named is explicit, one that was found is not."""
        first = git(repository, "rev-parse", "HEAD~1")
        here = environment.checkout(repository)
        assert changes.since(here, first, None).explicit
        assert changes.since(here, None, first).explicit
        assert not changes.since(here, None, None).explicit

    def test_ours_comes_before_cis(self, repository: Path) -> None:
        """What the user asks for is the base."""
        first, here = git(repository, "rev-parse", "HEAD~1"), environment.checkout(repository)
        assert changes.since(here, "HEAD", first).base == here.commit

    def test_a_base_that_is_not_here(self, repository: Path) -> None:
        """It is named as lost, so that nobody takes another one for it."""
        here = environment.checkout(repository)
        asked = changes.since(here, "nowhere", None)
        assert (asked.base, asked.files, asked.lost) == (
            None,
            None,
            "nowhere is no commit in this clone",
        )
        assert changes.since(here, None, "origin/gone").lost == (
            "origin/gone is no commit in this clone"
        )
        assert changes.since(here, None, None).lost is None

    def test_edits_count(self, repository: Path) -> None:
        """Uncommitted and untracked files differ from any base."""
        first = git(repository, "rev-parse", "HEAD~1")
        (repository / "a.txt").write_text("edited")
        (repository / "new.txt").touch()
        here = environment.checkout(repository)
        assert changes.since(here, first, None).files == ("a.txt", "b.txt", "new.txt")

    def test_a_shallow_clone(
        self, repository: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """A base beyond its depth is lost."""
        first = git(repository, "rev-parse", "HEAD~1")
        clone = tmp_path_factory.mktemp("clone")
        git(clone, "clone", "-q", "--depth=1", repository.as_uri(), ".")
        found = changes.since(environment.checkout(clone), None, first)
        assert found.lost == f"{first} is no commit in this clone"
        assert not found.explicit
