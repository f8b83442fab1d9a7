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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pytest_aqe.data import NodeId
from pytest_aqe.errors import AqeError

MOST_DAYS = 30
_FIELDS = ("id", "reason", "owner", "expires", "evidence")
_ENTRY = re.compile(r"[ \t]*\[\[[ \t]*test[ \t]*\]\]")
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
    """What the file holds: entries that can be honoured, and why others cannot.

    ``faulty`` says what is wrong with those of the others that have an id.
    """

    entries: Mapping[NodeId, Entry]
    problems: tuple[str, ...] = ()
    faulty: Mapping[NodeId, str] = field(default_factory=dict)

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
    try:
        content = _parsed(text)
    except ValueError as error:
        raise AqeError(f"{path} is no TOML ({error}); no test is quarantined") from error
    tests = content.get("test", [])
    entries: dict[NodeId, Entry] = {}
    faulty: dict[NodeId, str] = {}
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
            name = _name(given)
            problems.append(f"{path.name}: {name or f'entry {number}'} {found}")
            if name:
                faulty[name] = found
    return Quarantine(entries, tuple(problems), faulty)


def _parsed(text: str) -> dict[str, Any]:
    """Read TOML; raise `ValueError` for what is none."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pytest needs it there
    return tomllib.loads(text)


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
        return f"has no date in expires, such as {today + timedelta(days=MOST_DAYS // 2)}"
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
    given = {name: getattr(new, name) for name in _FIELDS} | {"evidence": list(new.evidence)}
    _write(path, f"{text.rstrip()}\n\n" + "\n".join(block) + "\n", [*_given(text), given])


def release(path: Path, ids: Iterable[NodeId]) -> None:
    """Remove entries with the comments right above them; every other line stays as it is."""
    gone = set(ids)
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    kept: list[str] = []
    done = 0
    for start, end, name in _blocks(lines):
        if name not in gone:
            continue
        kept += lines[done:start]
        done = end
        while done < len(lines) and not lines[done].strip():
            done += 1  # the empty lines above it part what is left
    left = [each for each in _given(text) if _name(each) not in gone]
    _write(path, "".join([*kept, *lines[done:]]).rstrip("\n") + "\n", left)


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int, NodeId | None]]:
    """Yield first line, end and id of each entry, from the comments right above it on."""
    heads = [number for number, line in enumerate(lines) if _ENTRY.match(line)]
    for head, stop in zip(heads, [*heads[1:], len(lines)], strict=False):
        start, end = head, stop
        while start and lines[start - 1].lstrip().startswith("#"):
            start -= 1
        while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
            end -= 1
        yield start, end, _id_of("".join(lines[head:end]))


def _id_of(block: str) -> NodeId | None:
    try:
        (found,) = _given(block)
    except ValueError:  # a line of a longer text looks like the head of an entry
        return None
    return _name(found)


def _given(text: str) -> list[Any]:
    """Return the entries of a text as they were given."""
    tests = _parsed(text).get("test", [])
    return tests if isinstance(tests, list) else [tests]


def _name(given: Any) -> NodeId | None:
    """Return the id of an entry, be it right or wrong."""
    name = given.get("id") if isinstance(given, dict) else None
    return name if isinstance(name, str) else None


def _write(path: Path, text: str, expected: Sequence[Any]) -> None:
    """Write a new list if it says what it should; raise `AqeError` otherwise."""
    try:
        same = _given(text) == list(expected)
    except ValueError:
        same = False
    if not same:
        raise AqeError(
            f"{path} is not written as `quarantine add` writes it, with [[test]] above each "
            "entry; it is left as it is, and has to be edited by hand"
        )
    path.write_text(text, "utf-8")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
