"""Versions of files' contents, read again only where the file system says that they may differ.

A session asks for each file of a project once or more, and to read them all is most of what a
session costs in which nothing has changed. So what was read is kept beside the history with the
file's size, its times and its inode, as git's index does. The time of change (``ctime``) is the
system's own: nobody sets it back.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pytest_aqe.evidence.versions import ABSENT, content_version

NAME = "contents.json"
_FORMAT = 1
_MOST = 4  # times as many files as were asked for are kept
# A file that changes twice within a tick of its file system's clock looks as if it had changed
# once. Two seconds is the coarsest of them (FAT).
_TICK = 3_000_000_000
_TELLS = os.name != "nt"  # there `ctime` is when a file was made


class Contents:
    """What files held. ``kept`` is the file where that is written down, if anywhere."""

    def __init__(self, kept: Path | None) -> None:
        self._kept = kept
        self._known: dict[str, list[int | str]] = {}
        self._asked: set[str] = set()
        self._is_fresh = False
        if kept is not None:
            with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                held = json.loads(kept.read_text("utf-8"))
                if held["format"] == _FORMAT:
                    self._known = dict(held["files"])

    def version(self, path: str) -> str:
        """Return what `content_version` says of a file."""
        try:
            status = os.stat(path)  # noqa: PTH116  # thousands
        except (OSError, ValueError):
            return content_version(path)
        if not (_TELLS and stat.S_ISREG(status.st_mode)):
            return content_version(path)
        self._asked.add(path)
        seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self._known.get(path)
        if known is not None and known[:-1] == seen:
            return str(known[-1])
        now = time.time_ns()
        version = content_version(path)
        if version != ABSENT and status.st_ctime_ns + _TICK < now:
            self._known[path] = [*seen, version]
            self._is_fresh = True
        return version

    def keep(self) -> None:
        """Write down what is known, where anything is new."""
        if self._kept is None or not self._is_fresh:
            return
        if len(self._known) > _MOST * len(self._asked) + 100:
            self._known = {path: self._known[path] for path in self._asked & self._known.keys()}
        scratch = self._kept.with_name(f"{NAME}.{os.getpid()}")
        with suppress(OSError):
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps({"format": _FORMAT, "files": self._known}), "utf-8")
            scratch.replace(self._kept)
            self._is_fresh = False


@lru_cache(maxsize=8)
def contents_in(folder: Path | None) -> Contents:
    """Return what is known in this process, kept in ``folder`` between sessions."""
    return Contents(folder / NAME if folder is not None else None)
