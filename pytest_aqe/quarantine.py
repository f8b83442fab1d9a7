"""The committed list of quarantined tests: ``aqe-quarantine.toml``.

    [[test]]
    id = "tests/test_pay.py::test_retry"
    reason = "the sandbox of the payment service times out"
    owner = "team-x"
    expires = 2026-12-04
    evidence = ["20261119T081203112-6f1c2a90"]

A file for people: it is reviewed with the change that adds to it, and no line of it can mute
a whole file. All fields are asked for, and no date may lie further ahead than `MOST_DAYS`: what
nobody looks after turns red again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pytest_aqe.data import NodeId
from pytest_aqe.errors import AqeError

MOST_DAYS = 30
_FIELDS = ("id", "reason", "owner", "expires", "evidence")
_HEAD = "# Tests that still run and are still judged, but whose flakes do not fail the session.\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One quarantined test. ``id`` without parameters means all of them."""

    id: NodeId
    reason: str
    owner: str
    expires: date
    evidence: tuple[str, ...] = ()

    def expired(self, today: date) -> bool:
        """Tell whether the last day has passed."""
        return today > self.expires

    def days(self, today: date) -> int:
        """Return how many days are left; negative when it has expired."""
        return (self.expires - today).days


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What the file holds: entries that can be honoured, and why others cannot."""

    entries: Mapping[NodeId, Entry]
    problems: tuple[str, ...] = ()

    def of(self, node_id: NodeId) -> Entry | None:
        """Return the entry of a test: its own, or that of all its parameters."""
        return self.entries.get(node_id) or self.entries.get(node_id.partition("[")[0])


def load(path: Path, today: date) -> Quarantine:
    """Read the list; an absent file is an empty one. Raise `AqeError` for what is no TOML."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Quarantine({})
    except (OSError, UnicodeDecodeError) as error:
        raise AqeError(f"{path} cannot be read ({error}); no test is quarantined") from error
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pytest needs it there
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AqeError(f"{path} is no TOML ({error}); no test is quarantined") from error
    tests = content.get("test", [])
    entries: dict[NodeId, Entry] = {}
    problems = [
        f"{path.name}: {name!r} is not known; tests stand in [[test]]"
        for name in content
        if name != "test"
    ]
    for number, given in enumerate(tests if isinstance(tests, list) else [tests], 1):
        found = entry(given, today)
        if isinstance(found, Entry) and found.id in entries:
            found = "is there twice"
        if isinstance(found, Entry):
            entries[found.id] = found
        else:
            name = given.get("id") if isinstance(given, dict) else None
            problems.append(f"{path.name}: {name or f'entry {number}'} {found}")
    return Quarantine(entries, tuple(problems))


def entry(given: Any, today: date) -> Entry | str:
    """Read one entry, of the file or of the mark; return what is wrong with it otherwise."""
    if not isinstance(given, dict):
        return "is no table"
    if unknown := set(given) - set(_FIELDS):
        return f"has the unknown field {min(unknown)!r}"
    for name in ("id", "reason", "owner"):
        if not isinstance(given.get(name), str) or not given[name].strip():
            return f"has no {name}"
    if "::" not in given["id"]:
        return "names no single test (no '::')"
    expires = given.get("expires")
    if isinstance(expires, str):
        try:
            expires = date.fromisoformat(expires)
        except ValueError:
            expires = None
    if type(expires) is not date:
        return "has no date in expires (2026-12-04)"
    if expires > today + timedelta(days=MOST_DAYS):
        return f"expires in more than {MOST_DAYS} days"
    evidence = given.get("evidence", [])
    if not isinstance(evidence, list) or not all(isinstance(each, str) for each in evidence):
        return "has evidence that is no list of runs"
    return Entry(given["id"], given["reason"], given["owner"], expires, tuple(evidence))


def add(path: Path, new: Entry) -> None:
    """Append an entry; what is there stays as it is."""
    text = path.read_text("utf-8") if path.exists() else _HEAD
    block = [
        "[[test]]",
        f"id = {_quoted(new.id)}",
        f"reason = {_quoted(new.reason)}",
        f"owner = {_quoted(new.owner)}",
        f"expires = {new.expires.isoformat()}",
        f"evidence = [{', '.join(map(_quoted, new.evidence))}]",
    ]
    path.write_text(f"{text.rstrip()}\n\n" + "\n".join(block) + "\n", "utf-8")


def release(path: Path, ids: Iterable[NodeId]) -> None:
    """Remove entries; every other line stays as it is."""
    gone = set(ids)
    text = path.read_text("utf-8")
    head, *blocks = re.split(r"(?m)^(?=[ \t]*\[\[[ \t]*test[ \t]*\]\])", text)
    kept = [block for block in blocks if _id_of(block) not in gone]
    path.write_text(head + "".join(kept), "utf-8")


def _id_of(block: str) -> NodeId | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    (found,) = tomllib.loads(block)["test"]
    name: NodeId | None = found.get("id")
    return name


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
