"""What each thing a test can depend on was when it was used: a short text that changes with it.

The tracker asks while tests run, a later session asks again; where both answers are equal,
nothing about the thing has to be looked at. A file is named as the history names it:

- ``src/a.py``, ``data/a.json``  a path from the root; an absolute one where it lies elsewhere
- ``data``                       a folder that was asked about
- ``data/``                      a folder that was listed
- ``<presence>/src/a.py/``       whether something is there; a file of code is told by its pieces
- ``<package>/numpy``            an installed package, by the name that is imported
- ``<environ>/TZ``               an environment variable
- ``<fixture>/tmp_path``         a fixture of a plugin's, which the project may come to override
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path

ABSENT = "absent"
FOLDER = "folder"
UNSTABLE = "unstable"  # more than one version was seen in one session
PRESENCE = "<presence>/"
PACKAGE = "<package>/"
VARIABLE = "<environ>/"
FIXTURE = "<fixture>/"

# How names begin that Python, tools and editors leave in folders.
_LEFT = (
    *(".git/", ".hg/", ".svn/", ".idea/", ".vscode/", ".DS_Store/", ".#", ".~", ".nfs"),
    *(".aqe/", ".tox/", ".nox/", ".venv/", ".eggs/", ".cache/", ".ipynb_checkpoints/"),
    *(".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".benchmarks/"),
    *(".coverage", ".testmondata"),
)

_SEPARATOR = re.compile(r"[-_.]+")


def version_of(
    file: str,
    root: str,
    environ: Mapping[str, str],
    packages: Packages | None = None,
    content: Callable[[str], str] | None = None,
) -> str:
    """Return the version of anything a test can depend on, as it is now.

    ``packages`` remembers the folders of installed packages between calls, ``content`` what
    files held.
    """
    if file.startswith(PACKAGE):
        return (packages or Packages()).version(file[len(PACKAGE) :])
    if file.startswith(VARIABLE):
        return variable_version(environ.get(file[len(VARIABLE) :]))
    if file.startswith(PRESENCE):
        return presence_version(os.path.join(root, file[len(PRESENCE) : -1]))  # noqa: PTH118
    path = os.path.join(root, file)  # noqa: PTH118  # ten times cheaper; thousands a session
    return folder_version(path) if file.endswith("/") else (content or content_version)(path)


def content_version(path: str) -> str:
    """Hash a file's bytes, or where a link to a folder leads.

    A file that cannot be read is absent.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return digest(file.read())
    except IsADirectoryError:
        return _folder_or_link(path)
    except (OSError, ValueError):  # the latter of what can be no path
        return ABSENT


def _folder_or_link(path: str) -> str:
    try:
        return digest(os.fsencode(os.readlink(path)))  # noqa: PTH115
    except OSError:
        return FOLDER


def presence_version(path: str) -> str:
    """Say what is there, whatever is in it."""
    if os.path.isdir(path):  # noqa: PTH112
        return FOLDER
    return "file" if os.path.lexists(path) else ABSENT


def folder_version(path: str) -> str:
    """Hash the names in a folder, but for those that Python and tools leave behind."""
    try:
        names = os.listdir(path)  # noqa: PTH208
    except (OSError, ValueError):
        return ABSENT
    kept = sorted(
        name
        for name in names
        if name != "__pycache__"
        and not name.endswith((".pyc", ".swp"))
        and not f"{name}/".startswith(_LEFT)
    )
    return digest("\n".join(kept).encode(errors="surrogateescape"))


def variable_version(value: str | None) -> str:
    """Hash the value of an environment variable: it may be a secret."""
    return ABSENT if value is None else digest(value.encode(errors="surrogateescape"))


def digest(content: bytes) -> str:
    """Return 16 hexadecimal digits."""
    return blake2b(content, digest_size=8).hexdigest()


class Packages:
    """Versions of installed packages by the names they are imported under.

    Read from the names of ``.dist-info`` folders: `importlib.metadata` reads every record of
    every distribution to answer the same, tens of milliseconds. Only a package called
    otherwise than its distribution (yaml, PIL) makes us read records.
    """

    def __init__(self, path: list[str] | None = None) -> None:
        self._path = sys.path if path is None else path
        self._versions: dict[str, str] = {}
        self._by_name: dict[str, str] | None = None
        self._by_record: dict[str, str] | None = None

    def version(self, name: str) -> str:
        """Return the version of the distribution that brings ``name``, else a hash of it."""
        known = self._versions.get(name)
        if known is None:
            known = self._versions[name] = self._find(name)
        return known

    def _find(self, name: str) -> str:
        if self._by_name is None:
            self._by_name = {
                _normal(folder.name.partition("-")[0]): folder.stem.partition("-")[2]
                for folder in self._distributions()
            }
        found = self._by_name.get(_normal(name))
        if found is not None:
            return found
        if self._by_record is None:
            self._by_record = {}
            for folder in self._distributions():
                for top in _tops(folder):
                    self._by_record.setdefault(top, folder.stem.partition("-")[2])
        found = self._by_record.get(name)
        return found if found is not None else self._content(name)

    def _distributions(self) -> list[Path]:
        found = []
        for entry in dict.fromkeys(self._path):
            folder = Path(entry)
            try:
                names = os.listdir(entry) if entry else []  # noqa: PTH208
            except OSError:
                continue
            found += [folder / name for name in names if name.endswith((".dist-info", ".egg-info"))]
        return found

    def _content(self, name: str) -> str:
        for entry in self._path:
            for path in (Path(entry, name, "__init__.py"), Path(entry, f"{name}.py")):
                if path.is_file():
                    return content_version(str(path))
        return ABSENT


def _normal(name: str) -> str:
    return _SEPARATOR.sub("_", name).lower()


def _tops(folder: Path) -> set[str]:
    """Return the top-level names in a distribution's list of files."""
    try:
        text = (folder / "RECORD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        try:
            return set((folder / "top_level.txt").read_text(encoding="utf-8").split())
        except OSError:
            return set()
    tops = set()
    for line in text.splitlines():
        path = line.partition(",")[0]
        top = path.partition("/")[0]
        tops.add(top.partition(".")[0] if top == path else top)
    return tops
