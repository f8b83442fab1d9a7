"""What of a configuration file can matter to tests.

Most commits that touch ``pyproject.toml`` or ``setup.cfg`` set up a formatter or a type
checker, or say how to build the project, what its next version is or which tools work on it.
None of that reaches a test: what is installed is followed by itself, and tests do not build
the project. Such sections are left out of the file's version; whatever is not known to be
inert stays in. A lock file says of each package which version is meant, so one that is
installed differs with its version and all that stays of the lock file is the rest.
"""

from __future__ import annotations

import configparser
import json
import re
import sys
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from typing import Any

from pytest_aqe.data import Version
from pytest_aqe.evidence.versions import ABSENT, digest

CONFIGURATION = "<configuration>/"
"""Before the path of a file whose meaning, not its bytes, is the version."""

_TOOLS = """
    bandit black bumpversion check-manifest cibuildwheel codespell commitizen coverage deptry
    djlint doc8 docformatter flake8 gha-update git-cliff importlinter interrogate isort mypy
    pycln pycodestyle pydocstyle pylint pyright pyupgrade refurb ruff semantic_release
    sphinx-lint towncrier tox ty typos vulture yapf zest.releaser
    aliases bdist_wheel egg_info flit maturin metadata pdm pip-tools pixi poetry rye scikit-build
    sdist setuptools setuptools-scm setuptools_scm uv wheel
"""
_INERT_TOOLS = frozenset(_TOOLS.split())
# What [project] says of how the project runs; all else is for builds and indexes.
_RUNNING = frozenset({"dependencies", "entry-points", "gui-scripts", "name", "scripts"})
_RUNNING_OPTIONS = frozenset({"install_requires", "entry_points"})
_LOCKS = frozenset({"pdm.lock", "poetry.lock", "uv.lock"})
# What they say of a package that is of no index: it may change under one version.
_ELSEWHERE = frozenset({"directory", "file", "git", "path", "ref", "revision", "url"})


def parted(
    name: str, content: bytes, installed: Collection[str]
) -> tuple[Version, dict[str, Version]]:
    """Return the version of a configuration file, and apart what it locks of ``installed``.

    That are the versions a lock file names, of packages of an index by their names.
    """
    if name.rpartition("/")[2] in _LOCKS:
        with suppress(AttributeError, KeyError, TypeError, ValueError):  # of another shape
            return _of_lock(content, installed)
    return meaning(name, content), {}


def meaning(name: str, content: bytes) -> Version:
    """Return the version of a configuration file, by what tests can notice of it.

    One of which they notice nothing might as well be absent.
    """
    base = name.rpartition("/")[2]
    try:
        if base == "pyproject.toml":
            return _digest(_of_pyproject(content.decode("utf-8")))
        if base in ("setup.cfg", "tox.ini"):
            return _digest(_of_ini(content.decode("utf-8"), only_pytest=base == "tox.ini"))
    except (ValueError, AttributeError, configparser.Error):
        pass  # broken, or not of the shape that such a file has
    return digest(content)


def _digest(meant: dict[str, Any]) -> Version:
    if not meant:
        return ABSENT
    return digest(json.dumps(meant, sort_keys=True, default=str).encode())


def toml(text: str) -> dict[str, Any]:
    """Read TOML on every Python."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pytest requires it there

    return tomllib.loads(text)


def _of_pyproject(text: str) -> dict[str, Any]:
    found = toml(text)
    for name in ("build-system", "dependency-groups"):
        found.pop(name, None)
    found["tool"] = {
        name: value for name, value in found.get("tool", {}).items() if name not in _INERT_TOOLS
    }
    found["project"] = {
        name: value for name, value in found.get("project", {}).items() if name in _RUNNING
    }
    return found


@lru_cache(maxsize=4)  # a session asks more than once, and parsing a large one takes long
def _lock(content: bytes) -> tuple[dict[str, Any], dict[str, Version]]:
    """Return a lock file without its packages of an index, and the versions of those."""
    found = toml(content.decode("utf-8"))
    others = [each for each in found["package"] if not _is_of_index(each)]
    return found | {"package": others}, _of_index(found["package"])


def _of_lock(content: bytes, installed: Collection[str]) -> tuple[Version, dict[str, Version]]:
    found, versions = _lock(content)
    there = {name: version for name, version in versions.items() if name in installed}
    rest = {name: version for name, version in versions.items() if name not in installed}
    return _digest(found | {"index": rest}), there


def _of_index(packages: list[dict[str, Any]]) -> dict[str, Version]:
    versions: dict[str, set[str]] = {}
    for each in filter(_is_of_index, packages):
        name = re.sub(r"[-_.]+", "-", each["name"]).lower()
        versions.setdefault(name, set()).add(str(each["version"]))
    return {name: " or ".join(sorted(found)) for name, found in versions.items()}


def _is_of_index(package: dict[str, Any]) -> bool:
    """Tell a package that its name and its version say all of."""
    source = package.get("source", {})
    if source.get("type") == "legacy":  # poetry's word for an index other than the first
        return True
    return _ELSEWHERE.isdisjoint(package) and source.keys() <= {"registry"}


def _of_ini(text: str, *, only_pytest: bool) -> dict[str, Any]:
    """Return what matters; of tox.ini pytest reads one section, tox is not running."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # pytest minds the case
    parser.read_string(text)
    if only_pytest:
        return dict(parser["pytest"]) if "pytest" in parser else {}
    return {
        section: {
            name: value
            for name, value in parser[section].items()
            if section != "options" or name in _RUNNING_OPTIONS
        }
        for section in parser.sections()
        if _matters(section)
    }


def _matters(section: str) -> bool:
    """Tell ``[mypy-foo.*]``, ``[tool:isort]`` and ``[bumpversion:file:x]`` from the rest."""
    name = section.removeprefix("tool:")
    if name.startswith("options."):
        return name == "options.entry_points"
    return name.partition(":")[0].partition("-")[0] not in _INERT_TOOLS and name not in _INERT_TOOLS
