"""Files for functions that take one: pytest's ``tmp_path``, with a few things in it.

Every call that mentions it gets a fresh folder. What the call made of that is worth an
assertion where it returns nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_aqe.generation.values import Source

FIXTURE = "tmp_path"
FILES = {
    "notes.txt": "one\ntwo\nthree\n",
    "data.json": '{"a": [1, 2]}\n',
    "table.csv": "a,b\n1,2\n",
}
MISSING = "new.txt"
SOURCES = [
    Source(f"str({FIXTURE} / 'notes.txt')"),
    Source(f"str({FIXTURE} / {MISSING!r})"),
    Source(f"str({FIXTURE})"),
    Source(f"{FIXTURE} / 'notes.txt'"),
    Source(FIXTURE),
    Source(f"str({FIXTURE} / 'data.json')"),
    Source(f"str({FIXTURE} / 'table.csv')"),
]
_MOST_SHOWN = 200  # characters of a file that are asserted
_MOST_FILES = 6  # in a folder whose names are asserted


@dataclass(frozen=True, slots=True)
class Folder:
    """Names and texts of the files in a folder; None for what is no text."""

    files: dict[str, str | None]

    def assertions(self, text: str) -> list[str]:
        """Return what a test says of a folder that was made for the call ``text``."""
        before = begun(text)
        lines = []
        if self.files.keys() != before.keys() and len(self.files) <= _MOST_FILES:
            names = sorted(self.files)
            lines.append(f"assert sorted(each.name for each in {FIXTURE}.iterdir()) == {names}")
        for name, content in sorted(self.files.items()):
            if content is not None and content != before.get(name) and len(content) <= _MOST_SHOWN:
                lines.append(f"assert ({FIXTURE} / {name!r}).read_text() == {content!r}")
        return lines


def begun(text: str) -> dict[str, str]:
    """Return the files that are there before a call: those that it names, for a folder one."""
    named = {name: content for name, content in FILES.items() if name in text}
    return named if named or MISSING in text else dict(list(FILES.items())[:1])


def setup(text: str) -> list[str]:
    """Return the statements that make those files."""
    return [f"({FIXTURE} / {name!r}).write_text({content!r})"
            for name, content in begun(text).items()]  # fmt: skip


def fill(folder: Path, text: str) -> None:
    """Make a folder anew for a call."""
    empty(folder)
    for name, content in begun(text).items():
        (folder / name).write_text(content, "utf-8")


def empty(folder: Path) -> None:
    """Make a folder anew, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def look(folder: Path) -> Folder:
    """Return what is in a folder now, without folders inside."""
    return Folder(dict(_texts(folder)))


def _texts(folder: Path) -> Iterator[tuple[str, str | None]]:
    for path in sorted(folder.iterdir()):
        try:
            yield path.name, path.read_text("utf-8")
        except (OSError, ValueError):
            yield path.name, None
