"""Who may use an installed distribution: import names, and what requires what.

Asked only when the version of a distribution differs from what a run saw, for reading
metadata is slow.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_aqe.evidence.versions import PACKAGE

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_REQUIRED = re.compile(r"[A-Za-z0-9._-]+")
# What decides how tests run: who "imports" these is everybody.
_OF_EVERYBODY = frozenset({"pytest", "pluggy"})


class Packages:
    """The distributions installed beside the project at ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def is_project(self, name: str) -> bool:
        """Tell whether a distribution is the project itself, installed in place.

        Its version may hold the commit; its code is followed file by file.
        """
        found = self._distributions.get(name)
        url = found.read_text("direct_url.json") if found is not None else None
        return url is not None and self._root.as_uri() in url

    def importable_with(self, name: str, tracked: Collection[str]) -> list[str] | None:
        """Return the pseudo-files of import names that an upgrade of ``name`` may change.

        Of ``name`` and of all that requires it, those that some test is known to import.
        None when nobody is known to, or when it is a part of pytest: then anything may.
        """
        reaching = self._requiring(name)
        plugins = {each for each in reaching if each.startswith("pytest")} - {"pytest-aqe"}
        if plugins or reaching & _OF_EVERYBODY:
            return None
        files = {PACKAGE + module for each in reaching for module in self._modules(each)}
        return sorted(files & set(tracked)) or None

    @cached_property
    def _distributions(self) -> dict[str, Distribution]:
        from importlib import metadata

        return {_normal(each.name or ""): each for each in metadata.distributions()}

    def _requiring(self, name: str) -> set[str]:
        """Return ``name`` and every distribution that requires it, at any remove."""
        reached = {name}
        fresh = {name}
        while fresh:
            fresh = {
                each
                for each, needed in self._requirements.items()
                if each not in reached and needed & fresh
            }
            reached |= fresh
        return reached

    @cached_property
    def _requirements(self) -> dict[str, set[str]]:
        return {
            name: {
                _normal(match.group())
                for line in distribution.requires or ()
                if (match := _REQUIRED.match(line)) is not None and "extra ==" not in line
            }
            for name, distribution in self._distributions.items()
        }

    def _modules(self, name: str) -> set[str]:
        """Return the top-level import names of a distribution; of one that is gone, its name."""
        found = self._distributions.get(name)
        modules = {name.replace("-", "_")}
        for file in (found.files if found is not None else None) or ():
            top = file.parts[0]
            if len(file.parts) > 1 and not top.endswith((".dist-info", ".data")) and top != "..":
                modules.add(top)
            elif top.endswith((".py", ".so", ".pyd")):
                modules.add(top.partition(".")[0])
        return modules


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
