"""Which files the project consists of now, and what is installed beside it.

What each of them is now says `versions`. An installed distribution is the pseudo-file
``<installed>/NAME``: packages that no test imports by name may matter too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path

from pytest_aqe.data import Version
from pytest_aqe.evidence.contents import Contents
from pytest_aqe.evidence.environment import git
from pytest_aqe.evidence.versions import UNSTABLE, digest

INSTALLED = "<installed>/"
PROJECT = "<project>/"  # which files there are; see `project_version`

_EXECUTABLE = 0o111  # by anybody
_MOST_FILES = 20_000  # of a project; beyond it every one counts as changed
_MOST_BYTES = 4 << 20  # of a file that is read; a larger one counts by size and time of change

# Folders that hold no source of the project, whatever they are called by.
_NOT_SOURCE = frozenset({"__pycache__", "node_modules", "site-packages", "__pypackages__"})


def python_files(root: Path) -> list[str]:
    """Return the project's Python files, paths from ``root``, sorted.

    Hidden folders, virtual environments and folders that hold other people's packages are
    not looked into.
    """
    return sorted(_walk(str(root), "", ".py"))


def is_looked_into(file: str) -> bool:
    """Tell whether `python_files` would find a file at this path, but for virtual environments."""
    folders = file.split("/")[:-1]
    return not any(name.startswith(".") or name in _NOT_SOURCE for name in folders)


def everything(root: Path, contents: Contents) -> dict[str, Version]:
    """Return the version of every file of the project, and of there being no others.

    For tests that may use any of them, as a subprocess may.
    """
    small, version = _project(root)
    found = {file: contents.version(f"{root}/{file}") for file in small}
    return found | {PROJECT: version}


def project_version(root: Path) -> Version:
    """Say which files the project has, for those that `everything` reads; of others, their state.

    And which of them can be executed. A Python file that is new is noticed by itself.
    """
    return _project(root)[1]


def _project(root: Path) -> tuple[list[str], Version]:
    """Return the files to read, and a version of the names of the rest."""
    small: list[str] = []
    names: list[str] = []
    for file in project_files(root):
        try:
            stat = os.stat(f"{root}/{file}")  # noqa: PTH116  # thousands
        except OSError:
            continue
        if stat.st_size > _MOST_BYTES:
            names.append(f"{file} {stat.st_size} {stat.st_mtime_ns}")
            continue
        small.append(file)
        if stat.st_mode & _EXECUTABLE:
            names.append(f"{file} x")
        elif not file.endswith(".py"):
            names.append(file)
        if len(small) > _MOST_FILES:
            return [], UNSTABLE
    return small, digest("\0".join(names).encode(errors="surrogateescape"))


def project_files(root: Path) -> list[str]:
    """Return what git has or would add; without git, what stands in no hidden folder.

    What is hidden and not git's is some tool's: caches, coverage data.
    """
    printed = git(root, "ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard")
    if printed is None:
        files = set(_walk(str(root), "", ""))
    else:
        files = {
            entry[2:]
            for entry in printed.split("\0")
            if not entry.startswith("? ") or not f"/{entry[2:]}".count("/.")
        }
    return sorted(file for file in files if file and not file.endswith((".pyc", "/")))


def _walk(folder: str, prefix: str, ending: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        name = entry.name
        if ending and name.endswith(ending):
            yield prefix + name
        elif not name.startswith(".") and name not in _NOT_SOURCE:
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(entry.path, f"{prefix}{name}/", ending)
                elif not ending:
                    yield prefix + name
            except OSError:
                continue


def matching(file: str, patterns: Collection[str]) -> bool:
    """Tell whether a path matches a glob; one without a slash matches the name anywhere."""
    name = file.rpartition("/")[2]
    return any(fnmatch(file if "/" in pattern else name, pattern) for pattern in patterns)


def full_run_files(root: Path, folders: Collection[str], patterns: Collection[str]) -> list[str]:
    """Return the files that call for a full run.

    A glob with a slash is taken from ``root``, another one in each of ``folders``.
    """
    found = {
        path.relative_to(root).as_posix()
        for pattern in patterns
        if "/" in pattern
        for path in root.glob(pattern.lstrip("/"))
    }
    names = [pattern for pattern in patterns if "/" not in pattern]
    for folder in folders:
        try:
            entries = [entry.name for entry in os.scandir(root / folder) if entry.is_file()]
        except OSError:
            continue
        found |= {f"{folder}{name}" for name in entries if matching(name, names)}
    return sorted(found)


def installed(path: Collection[str] = sys.path) -> dict[str, Version]:
    """Return every installed distribution as a pseudo-file with its version.

    The names of the folders say it; reading the metadata takes a hundred times as long. One
    without a version lies in a checkout, whose code is followed itself.
    """
    found: dict[str, Version] = {}
    for folder in path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208  # names are all that is wanted
        except OSError:
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if not dot or kind not in ("dist-info", "egg-info"):
                continue
            distribution, _, version = stem.partition("-")
            if not version:
                continue
            key = INSTALLED + distribution.lower().replace("_", "-").replace(".", "-")
            found.setdefault(key, version.partition("-py")[0])
    return found
