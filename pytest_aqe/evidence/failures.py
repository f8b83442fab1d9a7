"""A failure's signature: what kind, where, and a hash of the message without its values.

The history may be readable by strangers (a pull request restores the CI cache), so the
message itself, locals and parameter values never leave the process: only the error's type,
the file that raised it and eight hex digits of the normalized message.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Any

_TYPE = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")
_VALUES = re.compile(
    r"0x[0-9a-fA-F]+"  # addresses
    r"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""  # quoted text
    r"|(?:[\w.-]*/)+[\w.-]+"  # paths
    r"|[-+]?\d[\d_.,:eE+-]*"  # numbers, dates, versions
)
_MESSAGE_LINES = 3  # what follows is usually a diff of values


def signature(longrepr: Any, rootdir: Path) -> str | None:
    """Return ``Type@file#hash`` of a failing report's ``longrepr``, or None without one."""
    if longrepr is None:
        return None
    path, message = _crash(longrepr)
    found = _TYPE.match(message)
    kind = found.group().rsplit(".", 1)[-1] if found else "AssertionError"
    normal = _VALUES.sub("*", "\n".join(message.splitlines()[:_MESSAGE_LINES]))
    digest = blake2b(f"{kind}\n{normal}".encode("utf-8", "backslashreplace"), digest_size=4)
    return f"{kind}@{_where(path, rootdir)}#{digest.hexdigest()}"


def _crash(longrepr: Any) -> tuple[str | None, str]:
    """Return the file and the message of pytest's many kinds of ``longrepr``."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.path), str(crash.message)
    if doctest := getattr(longrepr, "reprlocation_lines", None):
        location, _ = doctest[-1]
        return str(location.path), f"{location.message}:"
    lines = [line.strip() for line in str(longrepr).splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    return None, (errors or lines or [""])[0 if errors else -1]


def _where(path: str | None, rootdir: Path) -> str:
    if path is None:
        return "?"
    pure = PurePath(path)
    if pure.is_relative_to(rootdir):
        return pure.relative_to(rootdir).as_posix()
    for index, part in enumerate(pure.parts):
        if part in {"site-packages", "dist-packages"}:
            return "/".join(pure.parts[index + 1 :])
    return pure.name
