"""The agents' memory: values by key, in partitions, that may expire.

Kept in the history where there is one: `Memory` starts from the entries that were read there,
and tells every change to ``record``, which writes it down. Without a history it lives as long
as the session. Keys begin with ``aqe/``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any

from pytest_aqe.errors import AqeError

PREFIX = "aqe/"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Entry:
    """One value. ``value`` is JSON text; times are ISO 8601 in UTC, None where it never expires."""

    partition: str
    key: str
    value: str
    stored_at: str
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """How much is remembered: entries and characters by partition, and what has expired."""

    entries: Mapping[str, int]
    characters: Mapping[str, int]
    expired: int


Record = Callable[[Mapping[str, Any]], None]
"""Writes down one change: an `Entry` as a mapping, with ``value`` None where it was deleted."""


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Memory:
    """What agents know from earlier questions and sessions."""

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        record: Record | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._entries = {(entry.partition, entry.key): entry for entry in entries}
        self._record = record or (lambda _: None)
        self._now = now

    def store(
        self,
        key: str,
        value: object,
        *,
        partition: str = DEFAULT,
        ttl: timedelta | None = None,
    ) -> None:
        """Keep a value, JSON or an `AqeError`, for ``ttl`` or for ever; it replaces another."""
        if not key.startswith(PREFIX):
            raise AqeError(f"memory: the key {key!r} does not begin with {PREFIX}")
        try:
            text = json.dumps(value)
        except (TypeError, ValueError) as error:
            raise AqeError(f"memory: the value of {key!r} is not JSON ({error})") from error
        now = self._now()
        expires = None if ttl is None else (now + ttl).isoformat()
        entry = Entry(partition, key, text, now.isoformat(), expires)
        self._entries[partition, key] = entry
        self._record(asdict(entry))

    def retrieve(self, key: str, *, partition: str = DEFAULT) -> Any:
        """Return a value, or None where there is none or it has expired."""
        entry = self._entries.get((partition, key))
        return json.loads(entry.value) if entry is not None and self._lives(entry) else None

    def search(self, pattern: str, *, partition: str = DEFAULT) -> dict[str, Any]:
        """Return the values of a partition whose keys match a glob, by key."""
        return {
            entry.key: json.loads(entry.value)
            for entry in self._living(partition)
            if fnmatchcase(entry.key, pattern)
        }

    def delete(self, key: str, *, partition: str = DEFAULT) -> bool:
        """Forget a value; tell whether there was one."""
        entry = self._entries.pop((partition, key), None)
        if entry is not None:
            gone = {"value": None, "stored_at": self._now().isoformat(), "expires_at": None}
            self._record(asdict(entry) | gone)
        return entry is not None and self._lives(entry)

    def clear_partition(self, partition: str) -> int:
        """Forget a partition; return how many values it had."""
        return sum(self.delete(key, partition=partition) for key in self._keys(partition))

    def list_keys(self, *, partition: str = DEFAULT) -> list[str]:
        """Return the keys of a partition, sorted."""
        return sorted(entry.key for entry in self._living(partition))

    def get_stats(self) -> Statistics:
        """Return how much is remembered."""
        entries: dict[str, int] = {}
        characters: dict[str, int] = {}
        for entry in self._living(None):
            entries[entry.partition] = entries.get(entry.partition, 0) + 1
            size = characters.get(entry.partition, 0) + len(entry.value)
            characters[entry.partition] = size
        return Statistics(entries, characters, len(self._entries) - sum(entries.values()))

    def _keys(self, partition: str) -> list[str]:
        return [key for found, key in self._entries if found == partition]

    def _living(self, partition: str | None) -> list[Entry]:
        return [
            entry
            for entry in self._entries.values()
            if partition in (None, entry.partition) and self._lives(entry)
        ]

    def _lives(self, entry: Entry) -> bool:
        if entry.expires_at is None:
            return True
        return datetime.fromisoformat(entry.expires_at) > self._now()
