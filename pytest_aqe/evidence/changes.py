"""What the run's code changes against: the base, and the files that differ from it.

A difference against the tip of the base branch would hold everybody else's work, so the
base is always a merge-base (aspire#18482).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_aqe.evidence.environment import Checkout, git

RECENT_COMMITS = 500  # looked at for churn: about a year of a busy project
_DEFAULT_BRANCHES = ("HEAD", "main", "master")  # of origin, in this order of trust


class Change(NamedTuple):
    """The base commit, how it was found, and the paths that differ from it.

    ``files`` is None when git could not tell (no base, a shallow clone): unknown, which
    is not the same as empty.
    """

    base: str | None
    origin: str
    files: tuple[str, ...] | None
    explicit: bool = False  # the user or CI named the base
    lost: str | None = None  # why the base that was named is not here: a shallow clone


def since(checkout: Checkout, asked: str | None, ci_base: str | None) -> Change:
    """Find the base and list what differs from it, uncommitted and untracked included.

    The order of trust: ``asked`` (``--aqe-base``), CI's base, the merge-base with the
    upstream default branch; on that branch itself the last commit when nothing is
    uncommitted, else the uncommitted work.
    """
    if checkout.commit is None:
        why = "no commit here, or no git"
        return Change(None, f"{asked} is not known: {why}" if asked else why, None)
    for ref in [ref for ref in (asked, ci_base) if ref] or _default_branches(checkout):
        base = _merge_base(checkout, ref)
        if base is None:
            continue
        if base == checkout.commit and asked is None:
            break
        named = ref in (asked, ci_base)
        return Change(base, f"merge-base with {ref}", _differing(checkout, base), named)
    if asked is not None:
        lost = _lost(checkout, asked)
        return Change(None, lost, None, True, lost)
    if ci_base is not None and _merge_base(checkout, ci_base) is None:
        return _without_base(checkout)._replace(lost=_lost(checkout, ci_base))
    return _without_base(checkout)


def _lost(checkout: Checkout, ref: str) -> str:
    """Say why there is no base: the name is wrong, or history is not here."""
    if git(checkout.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}") is None:
        return f"{ref} is no commit in this clone"
    return f"{ref} has no merge-base with HEAD in this clone"


def _without_base(checkout: Checkout) -> Change:
    if checkout.dirty and checkout.commit is not None:
        return Change(checkout.commit, "uncommitted work", _differing(checkout, checkout.commit))
    if checkout.parent is None:
        return Change(None, "no parent commit", None)
    return Change(checkout.parent, "last commit", _differing(checkout, checkout.parent))


def _default_branches(checkout: Checkout) -> list[str]:
    """Return the upstream default branches that exist here, most trusted first."""
    refs = [f"refs/remotes/origin/{name}" for name in _DEFAULT_BRANCHES]
    found = git(checkout.root, "for-each-ref", "--format=%(refname)", *refs) or ""
    return [ref.removeprefix("refs/remotes/") for ref in refs if ref in found.splitlines()]


def _merge_base(checkout: Checkout, ref: str) -> str | None:
    return (git(checkout.root, "merge-base", "HEAD", ref) or "").strip() or None


def _differing(checkout: Checkout, base: str) -> tuple[str, ...] | None:
    """Return what the commits differ in, and what is not committed.

    To compare ``base`` with the files, git would look at all of them a second time, and read
    those that it has not seen since they were written.
    """
    if checkout.commit is None or base == checkout.commit:
        return tuple(sorted(checkout.dirty))
    commits = (base, checkout.commit)
    printed = git(
        checkout.root, "diff-tree", "-r", "--name-only", "--no-renames", "-z", *commits, "--"
    )
    if printed is None:
        return None
    return tuple(sorted({*printed.split("\0"), *checkout.dirty} - {""}))


_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")


def changed_lines(root: Path, base: str, files: Sequence[str]) -> dict[str, frozenset[int] | None]:
    """Return the lines that are new or different since ``base``; None is a whole new file.

    Only of ``files``, which differ from it; one that is gone has no lines.
    """
    lines: dict[str, set[int]] = {}
    printed = git(
        root,
        "-c",
        "core.quotepath=off",
        "diff",
        "--no-color",
        "--no-ext-diff",
        "--no-renames",
        "-U0",
        base,
        "--",
        *files,
    )
    file = ""
    for line in (printed or "").splitlines():
        if line.startswith("+++ "):
            file = line.removeprefix("+++ b/").rstrip("\t")
            if not line.startswith("+++ /dev/null"):
                lines[file] = set()
        elif (found := _HUNK.match(line)) and file in lines:
            start, count = int(found[1]), int(found[2] or 1)
            lines[file].update(range(start, start + count))
    return {
        file: frozenset(lines[file]) if file in lines else None
        for file in files
        if file in lines or (root / file).is_file()
    }


def churn(root: Path) -> dict[str, int] | None:
    """Count the commits to each Python file among the latest; None where git cannot tell."""
    printed = git(
        root, "log", f"-{RECENT_COMMITS}", "--format=", "--name-only", "--no-renames", "-z",
        "--", "*.py",
    )  # fmt: skip
    if printed is None:
        return None
    return dict(Counter(name for name in printed.split("\0") if name))
