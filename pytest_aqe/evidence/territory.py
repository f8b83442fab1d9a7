"""Which files are the project's own, and where they stand in it.

The project is what lies under the git root, but for environments, caches and what tests
make in temporary folders. An installed copy of it (tox, nox: the suite runs against a wheel)
counts as the source it was built from while both have the same bytes. Where a folder is only
called like an environment, the data in it are the project's.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterable

from pytest_aqe.evidence.versions import ABSENT, content_version

_NOT_SOURCE = frozenset(
    {
        *(".git", ".hg", ".eggs", ".aqe"),
        *("__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache"),
    }
)
_PACKAGES = frozenset({".tox", ".nox", ".venv", "node_modules", "__pypackages__"})
_CODE = (".py", ".pyc", ".so", ".pyd")
_SITES = ("site-packages", "dist-packages")
_SOURCE_FOLDERS = ("", "src/", "lib/")


class Territory:
    """Place file names in the project that lies under ``root``.

    ``exclude`` are folders that belong to no project, such as pytest's ``--basetemp``.
    """

    def __init__(self, root: str, exclude: Iterable[str] = ()) -> None:
        roots = dict.fromkeys((os.path.normpath(root), os.path.realpath(root)))
        self.root = next(iter(roots))
        self._roots = tuple(roots)
        self._prefixes = tuple(os.path.join(each, "") for each in roots)  # noqa: PTH118
        outside = [*exclude, *self._environments(), tempfile.gettempdir()]
        self._outside = tuple(
            os.path.join(os.path.normpath(each), "")  # noqa: PTH118
            for each in outside
            if each and not any(prefix.startswith(each) for prefix in self._prefixes)
        )
        ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
        self._unwatched = tuple(
            os.path.join(each, "")  # noqa: PTH118
            for each in (tempfile.gettempdir(), ours)
        )
        self._library = tuple(
            os.path.join(each, "")  # noqa: PTH118
            for each in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
        )
        self._places: dict[str, str | None] = {}
        self._twins: dict[str, bool] = {}
        self.differing: set[str] = set()
        """Places whose installed copy is another than the source."""

    def place(self, name: str) -> str | None:
        """Return the path from the root with slashes (``.`` for it), or None if it is not ours.

        A Python file that is neither in the project nor installed (a checkout next door,
        put on the path) has its absolute path for a place.
        """
        try:
            return self._places[name]
        except KeyError:
            known = self._places[name] = self._place(name)
            return known

    def inside(self, name: str) -> bool:
        """Tell cheaply whether a name can be the project's at all: most opened files are not."""
        if name.startswith(self._prefixes) or name in self._roots:
            return True
        return not os.path.isabs(name)  # noqa: PTH117

    def is_library(self, name: str) -> bool:
        """Tell whether a file is the standard library's."""
        return name.startswith(self._library) and not any(site in name for site in _SITES)

    def is_foreign(self, name: str) -> bool:
        """Tell whether a file is the standard library's, or an installed package's."""
        return name.startswith(self._library) or any(site in name for site in _SITES)

    def path(self, place: str) -> str:
        """Return where a place is on disk."""
        return os.path.join(self.root, place)  # noqa: PTH118

    def _place(self, name: str) -> str | None:
        if name.startswith("<") or not _can_be(name):
            return None
        path = os.path.abspath(name)  # noqa: PTH100
        if path in self._roots:
            return "."
        if path.startswith(self._outside):
            return self._installed(path)
        prefix = next((each for each in self._prefixes if path.startswith(each)), None)
        if prefix is None:
            return self._installed(path) or self._next_door(path)
        place = path[len(prefix) :].replace(os.sep, "/")
        parts = place.split("/")
        if any(part in _SITES for part in parts):
            source = self._installed(path)
            if source is not None:
                return source
        elif _PACKAGES.isdisjoint(parts):
            return place if _NOT_SOURCE.isdisjoint(parts) else None
        return place if _NOT_SOURCE.isdisjoint(parts) and self._is_data(path, parts) else None

    def _is_data(self, path: str, parts: list[str]) -> bool:
        """Tell whether a file where packages lie is none of an environment, and no code."""
        if path.endswith(_CODE):
            return False
        folder = self.root
        for part in parts:
            folder = os.path.join(folder, part)  # noqa: PTH118
            if os.path.exists(os.path.join(folder, "pyvenv.cfg")):  # noqa: PTH110, PTH118
                return False
        return True

    def _installed(self, path: str) -> str | None:
        """Return the source of an installed file, where it is in the project."""
        for site in _SITES:
            _, found, inner = path.partition(f"{os.sep}{site}{os.sep}")
            if not found:
                continue
            inner = inner.replace(os.sep, "/")
            top = inner.partition("/")[0]
            for folder in _SOURCE_FOLDERS:
                if self._is_source(folder + top):
                    return self._twin(path, folder + inner)
        return None

    def _is_source(self, place: str) -> bool:
        known = self._twins.get(place)
        if known is None:
            known = self._twins[place] = os.path.exists(self.path(place))  # noqa: PTH110
        return known

    def _twin(self, path: str, place: str) -> str:
        source = content_version(self.path(place))
        if source == ABSENT or source != content_version(path):
            self.differing.add(place)
        return place

    def _next_door(self, path: str) -> str | None:
        if not path.endswith(".py") or path.startswith(self._library + self._unwatched):
            return None
        if any(f"{os.sep}{site}{os.sep}" in path for site in _SITES):
            return None
        return path.replace(os.sep, "/") if os.path.isfile(path) else None  # noqa: PTH113

    def _environments(self) -> list[str]:
        """Return the environment's own folder: it often lies inside the project."""
        return [
            folder
            for folder in {sys.prefix, sys.base_prefix, sys.exec_prefix}
            if not any(prefix.startswith(os.path.join(folder, "")) for prefix in self._prefixes)  # noqa: PTH118
        ]


def _can_be(name: str) -> bool:
    """Tell whether the system takes this for a path at all."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False
