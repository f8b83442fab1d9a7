"""A failure's signature: what kind, where, and a hash of the message without its values.

The history may be readable by strangers (a pull request restores the CI cache), so the
message itself, locals and parameter values never leave the process: only the error's type,
the file that raised it and eight hex digits of the normalized message. A failure may be any
text that a plugin prints, whose words are not for us to keep: where nothing vouches for a
type the kind is `Failure`.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Any, NamedTuple

_TYPE = re.compile(r"(?:(?:\w+|<locals>)\.)*([A-Za-z_]\w*)(?=:|$)")
_KNOWN_TYPE = re.compile(
    r"(?:(?:\w+|<locals>)\.)*"
    r"(\w*(?:Error|Exception|Warning|Exit|Interrupt)|Failed)"  # pytest.fail raises the last
    r"(?=:|$)"
)
_ASSERT = re.compile(r"assert\b(?!:)")  # pytest takes the type away from a bare assertion
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
    crash = _crash(longrepr)
    kind = _kind(crash)
    normal = _VALUES.sub("*", "\n".join(crash.message.splitlines()[:_MESSAGE_LINES]))
    digest = blake2b(f"{kind}\n{normal}".encode("utf-8", "backslashreplace"), digest_size=4)
    return f"{kind}@{_where(crash.path, rootdir)}#{digest.hexdigest()}"


class _Crash(NamedTuple):
    """Where, what was said, and which first words of that are taken for a type."""

    path: str | None
    message: str
    types: re.Pattern[str] | None


def _crash(longrepr: Any) -> _Crash:
    """Read pytest's many kinds of ``longrepr``."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        return _Crash(str(crash.path), str(crash.message), _TYPE)
    if doctest := getattr(longrepr, "reprlocation_lines", None):
        location, _ = doctest[-1]
        return _Crash(str(location.path), f"{location.message}:", _TYPE)
    lines = [line.strip() for line in str(longrepr).splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    if errors:
        return _Crash(None, errors[0], _KNOWN_TYPE)
    return _Crash(None, lines[-1] if lines else "", None)


def _kind(crash: _Crash) -> str:
    if _ASSERT.match(crash.message):
        return "AssertionError"
    found = crash.types.match(crash.message) if crash.types else None
    return found[1] if found else "Failure"


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
