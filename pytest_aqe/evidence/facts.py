"""What tests depend on, as it travels: sets with keys, each sent once, and versions of files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from pytest_aqe.data import PARTS
from pytest_aqe.evidence.contexts import Context
from pytest_aqe.evidence.engine import Mark
from pytest_aqe.evidence.program import Program, Walk
from pytest_aqe.evidence.territory import Territory
from pytest_aqe.evidence.versions import (
    UNSTABLE,
    Packages,
    content_version,
    digest,
    version_of,
)

_MANY = 16  # files of one test: more are written apart


class Facts(NamedTuple):
    """What one test depends on, as it travels: keys, and what this process never sent before.

    ``sets`` are ``{key: {file: [names]}}``, and under `PARTS` the keys of sets that are in it;
    ``files`` are ``{file: version}``.
    """

    own: str
    base: str
    doubt: list[str]
    sets: dict[str, dict[str, list[str]]]
    files: dict[str, str]


class Part(NamedTuple):
    """A set that was interned."""

    key: str
    doubts: frozenset[str]


class Base(NamedTuple):
    """The modules in it, functions of theirs as they come to be known, and what was made on it.

    These are the own sets, and what is in many of them.
    """

    key: str
    doubts: frozenset[str]
    closure: frozenset[str]
    functions: set[Mark]
    own: dict[Any, Part]
    parts: dict[str | frozenset[str], Part]


_Happened = tuple[frozenset[Mark], frozenset[str] | None, frozenset[str] | None]


class Sets:
    """The sets of one session."""

    def __init__(self, program: Program, versions: Versions) -> None:
        self._program = program
        self._versions = versions
        self._bases: dict[object, Base] = {}  # by what they are made of
        self._made_of: dict[str, tuple[_Happened, Base]] = {}  # own sets
        self._waiting: dict[str, dict[str, list[str]]] = {}
        self._sent: set[str] = set()

    def forget(self) -> None:
        """Follow anew from now on: more is known of the project."""
        self._bases.clear()

    def base(
        self,
        marks: Collection[Mark],
        modules: Collection[str],
        files: Collection[str],
        doubts: Collection[str],
    ) -> Base:
        """Return the base with these; those that are made of the same are one."""
        made_of = (frozenset(marks), frozenset(modules), frozenset(files), frozenset(doubts))
        known = self._bases.get(made_of)
        if known is None:
            walk = Walk(list(marks), list(modules), set(files), set(doubts))
            closure = self._program.follow(walk, skip=frozenset())
            key = self._intern(walk)
            known = self._bases[made_of] = Base(key, frozenset(walk.doubts), closure, set(), {}, {})
        return known

    def own(self, charged: Context, base: Base) -> Part:
        """Return the set of what was charged on top of a base."""
        happened = (
            frozenset(charged.marks),
            frozenset(charged.files) if charged.files else None,
            frozenset(charged.modules) if charged.modules else None,
        )
        known = base.own.get(happened)
        if known is None:
            known = base.own[happened] = self._own(charged, base)
            self._made_of.setdefault(known.key, (happened, base))
        return known

    def with_more(self, own: str, more: Context) -> Facts | None:
        """Return an own set with what happened later; None where that adds nothing to it."""
        (marks, files, modules), base = self._made_of[own]
        charged = Context(more.kind)
        charged.marks |= marks
        charged.files |= files or set()
        charged.modules |= modules or set()
        charged.absorb(more)
        new = self.own(charged, base)
        return None if new.key == own else self.facts(new, base, more.doubts)

    def _own(self, charged: Context, base: Base) -> Part:
        walk = Walk(modules=list(charged.modules), files=set(charged.files))
        self._program.follow_functions(walk, charged.marks, base.closure, base.functions)
        parts = {self._part(base, place) for place in {*walk.modules} - base.closure}
        if len(walk.files) > _MANY:  # who lists hundreds of folders does so in many tests
            parts.add(self._part(base, frozenset(walk.files)))
            walk.files.clear()
        doubts = walk.doubts.union(*(part.doubts for part in parts))
        return Part(self._intern(walk, {part.key for part in parts}), frozenset(doubts))

    def _part(self, base: Base, needed: str | frozenset[str]) -> Part:
        """Return what a module brings that is not in the base, or just these files."""
        known = base.parts.get(needed)
        if known is None:
            walk = Walk(modules=[needed]) if isinstance(needed, str) else Walk(files={*needed})
            self._program.follow(walk, base.closure)
            known = base.parts[needed] = Part(self._intern(walk), frozenset(walk.doubts))
        return known

    def _intern(self, walk: Walk, parts: Iterable[str] = ()) -> str:
        """Keep a set until it is sent; return its key."""
        pieces = walk.pieces
        for file in walk.files:
            pieces[file].add("")
        content = {file: sorted(pieces[file]) for file in sorted(pieces)}
        if parts:
            content[PARTS] = sorted(parts)
        lines = [f"{file}::" + f"\n{file}::".join(names) for file, names in content.items()]
        key = digest("\n".join(lines).encode(errors="surrogateescape"))
        if key not in self._sent:
            self._waiting[key] = content
        return key

    def facts(self, own: Part, base: Base, doubts: Iterable[str]) -> Facts:
        """Return keys, and what they stand for as far as that was not sent before."""
        sets: dict[str, dict[str, list[str]]] = {}
        files: dict[str, str] = {}
        to_send = [own.key, base.key]
        while to_send:
            key = to_send.pop()
            if key in self._sent:
                continue
            self._sent.add(key)
            sets[key] = self._waiting.pop(key)
            to_send += sets[key].get(PARTS, ())
            for file in sets[key].keys() - {PARTS}:
                self._versions.send(file, files)
        self._versions.send_changed(files)
        doubt = sorted({*doubts, *own.doubts, *base.doubts})
        return Facts(own.key, base.key, doubt, sets, files)


class Versions:
    """What each file was at its first use in this session; one that changed is unstable."""

    def __init__(self, territory: Territory, variables: Sequence[str]) -> None:
        self._territory = territory
        self._environ = {name: os.environ[name] for name in variables if name in os.environ}
        self._packages = Packages()
        self._first: dict[str, str] = {}
        self._stats: dict[str, tuple[int, int]] = {}
        self._unstable: set[str] = set()  # and not yet sent as such
        self._sent: dict[str, str] = {}

    def take(self, place: str, path: str) -> None:
        """Take the version of a module whose body is about to run."""
        self._compare(place, content_version(path))

    def touch(self, file: str) -> None:
        """Take the version of what is being opened, unless it is as it was the last time."""
        path = self._territory.path(file)
        try:
            status = os.stat(path)  # noqa: PTH116
            now = (status.st_mtime_ns, status.st_size)
        except OSError:
            now = (0, 0)
        if file in self._stats and self._stats[file] == now:
            return
        self._stats[file] = now
        self._compare(file, version_of(file, self._territory.root, {}))

    def _compare(self, file: str, version: str) -> None:
        if self._first.setdefault(file, version) != version:
            self._first[file] = UNSTABLE
            self._unstable.add(file)

    def send(self, file: str, files: dict[str, str]) -> None:
        """Add a version to ``files`` unless it was sent before."""
        version = self._version(file)
        if self._sent.get(file) != version:
            files[file] = self._sent[file] = version

    def send_changed(self, files: dict[str, str]) -> None:
        """Add those that were sent and turned out to be unstable."""
        for file in self._unstable & self._sent.keys():
            files[file] = self._sent[file] = UNSTABLE
            self._unstable.discard(file)

    def _version(self, file: str) -> str:
        version = self._first.get(file)
        if version is None:
            root, environ = self._territory.root, self._environ
            version = self._first[file] = version_of(file, root, environ, self._packages)
        return version
