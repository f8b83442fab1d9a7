"""Where a run happened: commit and content, branch, CI, Python, platform, plugins.

The content (``tree``) names exactly what was tested, uncommitted edits included: two runs on
one commit with different edits are different code. What cannot be determined is None.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple

GIT_TIMEOUT = 10.0  # seconds; a repository slower than that is recorded without its commit
_MOST_DIRTY_FILES = 2000  # beyond it hashing the edits would delay the tests: tree is None
_MOST_BYTES = 32 << 20  # of edits read; beyond it files count by size and time of change


class Checkout(NamedTuple):
    """The state of the git work tree. ``dirty`` lists changed and untracked paths."""

    root: Path
    commit: str | None = None
    parent: str | None = None
    tree: str | None = None
    branch: str | None = None
    dirty: tuple[str, ...] = ()


class CI(NamedTuple):
    """The CI service a run is in. ``base`` is the ref it names as the change's base."""

    provider: str
    branch: str | None
    base: str | None
    pull_request: bool


def git(root: Path, *arguments: str) -> str | None:
    """Return what a git command prints, or None when it fails, hangs or is not there."""
    printed = git_bytes(root, *arguments)
    return printed.decode("utf-8", "surrogateescape") if printed is not None else None


def git_bytes(root: Path, *arguments: str) -> bytes | None:
    """Return what a git command prints as it is: the content of a file has its own encoding."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def checkout(root: Path) -> Checkout:
    """Read the state of the work tree at ``root`` with two git commands."""
    status = git(root, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal")
    if status is None:
        return Checkout(root)
    commit: str | None = None
    branch: str | None = None
    dirty: list[str] = []
    entries = iter(status.split("\0"))
    for entry in entries:
        if entry.startswith("# branch.oid "):
            commit = entry[13:] if entry[13:] != "(initial)" else None
        elif entry.startswith("# branch.head "):
            branch = entry[14:] if entry[14:] != "(detached)" else None
        elif entry.startswith("1 "):
            dirty.append(entry.split(" ", 8)[8])
        elif entry.startswith("2 "):
            dirty += [entry.split(" ", 9)[9], next(entries, "")]
        elif entry.startswith("u "):
            dirty.append(entry.split(" ", 10)[10])
        elif entry.startswith("? "):
            dirty.append(entry[2:])
    printed = git(root, "log", "-1", "--no-show-signature", "--format=%T %P") if commit else None
    tree, _, parents = (printed or "").strip().partition(" ")
    parent = parents.partition(" ")[0]
    if dirty and tree:
        tree = _tree_of_edits(root, tree, dirty) or ""
    return Checkout(root, commit, parent or None, tree or None, branch, tuple(dirty))


def _tree_of_edits(root: Path, clean: str, dirty: list[str]) -> str | None:
    """Name a tree with uncommitted edits by the clean tree and the edited contents."""
    digest = blake2b(clean.encode(), digest_size=16)
    files: list[Path] = []
    for name in sorted(dirty):
        path = root / name
        room = _MOST_DIRTY_FILES + 1 - len(files)
        files += islice(path.rglob("*"), room) if name.endswith("/") else [path]
        if len(files) > _MOST_DIRTY_FILES:
            return None
    left = _MOST_BYTES
    for path in sorted(files):
        digest.update(b"\0" + str(path.relative_to(root)).encode("utf-8", "surrogateescape"))
        try:
            stat = path.stat()
            if not path.is_file():
                continue
            left -= stat.st_size
            if left < 0:
                digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
            else:
                digest.update(path.read_bytes())
        except OSError:
            digest.update(b"absent")
    return f"dirty-{digest.hexdigest()}"


def ci(environ: Mapping[str, str]) -> CI | None:
    """Recognize the CI service by the variables that each documents."""
    get = environ.get
    if get("GITHUB_ACTIONS") == "true":
        event = get("GITHUB_EVENT_NAME", "")
        base = get("GITHUB_BASE_REF")
        return CI(
            "github",
            get("GITHUB_HEAD_REF") or get("GITHUB_REF_NAME"),
            f"origin/{base}" if base else _github_before(get("GITHUB_EVENT_PATH")),
            event in {"pull_request", "pull_request_target", "workflow_run"},
        )
    if get("GITLAB_CI"):
        merge_request = get("CI_MERGE_REQUEST_DIFF_BASE_SHA")
        return CI(
            "gitlab",
            get("CI_COMMIT_REF_NAME"),
            merge_request or _commit(get("CI_COMMIT_BEFORE_SHA")),
            get("CI_PIPELINE_SOURCE") == "merge_request_event",
        )
    for provider, mark, branch, target, request in _OTHERS:
        if get(mark):
            base = get(target) if target else None
            number = get(request, "") if request else ""
            return CI(
                provider,
                get(branch),
                f"origin/{base}" if base else None,
                number.lower() not in {"", "false"},
            )
    return CI("unknown", None, None, False) if get("CI", "").lower() in {"true", "1"} else None


def full_ref(environ: Mapping[str, str]) -> str | None:
    """Name what this CI run is for when it must run everything; None elsewhere.

    That is the default branch, a merge queue, a schedule and a tag: what they let through,
    nobody looks at again.
    """
    get = environ.get
    service = ci(environ)
    if service is None or service.pull_request:
        return None
    kinds = {
        "GITHUB_EVENT_NAME": {"schedule": "a schedule", "merge_group": "a merge queue"},
        "GITHUB_REF_TYPE": {"tag": "a tag"},
        "CI_PIPELINE_SOURCE": {"schedule": "a schedule"},
        "CI_MERGE_REQUEST_EVENT_TYPE": {"merge_train": "a merge queue"},
        "TRAVIS_EVENT_TYPE": {"cron": "a schedule"},
        "BUILD_REASON": {"Schedule": "a schedule"},
    }
    for variable, named in kinds.items():
        if get(variable) in named:
            return named[get(variable, "")]
    if any(get(variable) for variable in _TAGS):
        return "a tag"
    default = get("CI_DEFAULT_BRANCH")
    if service.branch and service.branch in ({default} if default else {"main", "master"}):
        return f"the default branch {service.branch}"
    return None


_TAGS = ("CI_COMMIT_TAG", "BUILDKITE_TAG", "CIRCLE_TAG", "TRAVIS_TAG", "BITBUCKET_TAG", "TAG_NAME")

# provider, the variable that marks it, branch, target branch, pull request
_OTHERS = (
    (
        "buildkite",
        "BUILDKITE",
        "BUILDKITE_BRANCH",
        "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
        "BUILDKITE_PULL_REQUEST",
    ),
    ("circleci", "CIRCLECI", "CIRCLE_BRANCH", None, "CIRCLE_PULL_REQUEST"),
    ("travis", "TRAVIS", "TRAVIS_BRANCH", None, "TRAVIS_PULL_REQUEST"),
    (
        "azure",
        "TF_BUILD",
        "BUILD_SOURCEBRANCHNAME",
        "SYSTEM_PULLREQUEST_TARGETBRANCHNAME",
        "SYSTEM_PULLREQUEST_PULLREQUESTID",
    ),
    (
        "bitbucket",
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_BRANCH",
        "BITBUCKET_PR_DESTINATION_BRANCH",
        "BITBUCKET_PR_ID",
    ),
    ("jenkins", "JENKINS_URL", "BRANCH_NAME", "CHANGE_TARGET", "CHANGE_ID"),
)


def _commit(sha: str | None) -> str | None:
    """Return ``sha`` unless it is the all-zero id of a new branch."""
    return sha if sha and sha.strip("0") else None


def _github_before(event_path: str | None) -> str | None:
    """Return the commit a push moved the branch from; only the event file tells it."""
    if not event_path:
        return None
    try:
        event = json.loads(Path(event_path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    before = event.get("before") if isinstance(event, dict) else None
    return _commit(before) if isinstance(before, str) else None


def label() -> str:
    """Return the short name of this environment: ``cpython3.12-linux``."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{sys.implementation.name}{version}-{sys.platform}"


def system() -> str:
    """Return the platform in words: ``Linux-6.1-x86_64``."""
    return f"{platform.system()}-{platform.release()}-{platform.machine()}"
