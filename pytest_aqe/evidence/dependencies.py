"""What each test depends on, followed while it runs.

Pieces (functions, module bodies, data files, packages, variables) are charged to whatever
was going on when they were used: see `contexts`. A test's *own* set is what happened during
its protocol and in the shared fixtures it used; its *base* is what had to happen before: its
module, the conftests above it, what those import, and what ran outside any test.

Code that runs once serves many tests. What a function filled (a cache, a global) is charged
to whoever calls it later; what ran while a module was imported, to whoever imports it.
"""

from __future__ import annotations

import functools
import genericpath
import importlib.util
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType, FunctionType
from typing import Any

from pytest_aqe.data import PARTS
from pytest_aqe.evidence import auditing, codes
from pytest_aqe.evidence.codes import Import
from pytest_aqe.evidence.contexts import Context, Kind
from pytest_aqe.evidence.engine import Engine, Mark, mark_of
from pytest_aqe.evidence.heirs import Heirs
from pytest_aqe.evidence.imports import Found, Module, Resolver
from pytest_aqe.evidence.observing import Observer
from pytest_aqe.evidence.reachable import caches, functions_of
from pytest_aqe.evidence.territory import Territory
from pytest_aqe.evidence.versions import (
    FIXTURE,
    PACKAGE,
    UNSTABLE,
    VARIABLE,
    Packages,
    content_version,
    digest,
    variable_version,
    version_of,
)

_MANY = 16  # files of one test: more are written apart
_ONCE = 256  # starts of cache-filling functions told apart in one test; the rest are lumped
_IMPORT_MODULE = importlib.import_module.__code__  # each look at it is audited
_SCOPED_BY_FOLDER = frozenset({"conftest.py", "__init__.py"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What one test depends on, as it travels: keys, and what this process never sent before.

    ``sets`` are ``{key: {file: [names]}}``, and under `PARTS` the keys of sets that are in it;
    ``files`` are ``{file: version}``.
    """

    own: str
    base: str
    doubt: list[str]
    sets: dict[str, dict[str, list[str]]]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Part:
    """A set that was interned."""

    key: str
    doubts: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Base(_Part):
    """The modules in it, and what was made on it: the own sets, and what is in many of them."""

    closure: frozenset[str]
    own: dict[Any, tuple[str, frozenset[str]]] = field(default_factory=dict)
    parts: dict[str | frozenset[str], _Part] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Entry:
    """A function, or a class, which has no codes.

    A plain one leads to nothing but its own module; None: not looked at.
    """

    place: str
    name: str
    codes: tuple[CodeType, ...]
    plain: bool | None = None
    imports: tuple[tuple[Import, ...], tuple[str, ...]] | None = None


@dataclass(slots=True)
class _Walk:
    """Where following stands: what is still to be followed, and what was found."""

    marks: list[Mark] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    doubts: set[str] = field(default_factory=set)
    pieces: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seen: set[Mark] = field(default_factory=set)


class Dependencies:
    """Follow one session. All but `facts` may be called at any depth of contexts."""

    def __init__(
        self,
        territory: Territory,
        engine: Engine,
        variables: Sequence[str] = (),
    ) -> None:
        self._territory = territory
        self._engine = engine
        self._variables = frozenset(variables)
        self._environ = {name: os.environ.get(name) for name in variables}
        self._packages = Packages()
        self._resolver = Resolver(territory)
        self._observer = Observer(territory, lambda: self._stack[-1], _cause, self._touch)
        self._looking: dict[Mark, CodeType] = {}
        self._thread = get_ident()
        self._busy = False
        self._stack = [Context(Kind.SESSION)]
        self._modules: dict[str, Module] = {}
        self._conftests: set[str] = set()
        self._entries: dict[Mark, _Entry] = {}
        self._marks: dict[Mark, Mark] = {}  # a code object's to the one that stands for it
        self._sticky: dict[Mark, Context] = {}
        self._caches: dict[str, set[Mark]] = defaultdict(set)
        self._heirs = Heirs(self._know_class)
        self._loaded: dict[Mark, set[str]] = {}  # what functions imported by ``__import__``
        self._mentioned: set[str] = set()  # in modules where nobody tells what ran
        self._collected: dict[str, Context] = {}
        self._versions: dict[str, str] = {}
        self._unstable: set[str] = set()  # and not yet sent as such
        self._stats: dict[str, tuple[int, int]] = {}
        self._sent_sets: set[str] = set()
        self._sets: dict[str, dict[str, list[str]]] = {}
        self._sent_files: dict[str, str] = {}
        self._bases: dict[object, _Base] = {}  # by place, and by what they are made of
        self._calls = 0
        self._lumped = False
        self._undo: list[Callable[[], None]] = []
        self.error: Exception | None = None
        """What went wrong in a place where nothing could be raised."""

    # --- the session

    def start(self) -> None:
        """Watch what is loaded already, and listen."""
        self._engine.start(self._call_started, self._call_ended)
        self._observer.start()
        with self._quietly():
            self._adopt_loaded()
        handlers = {"exec": self._executed, **self._observer.handlers()}
        auditing.listen({event: self._guarded(handle) for event, handle in handlers.items()})
        self._watch_import_module()
        self._watch_looking()
        if sys.version_info < (3, 12):
            self._watch_threads()
        if self._variables:
            self._watch_environ()

    def stop(self) -> None:
        """Leave nothing behind but the audit hook, which then costs a look-up."""
        auditing.silence()
        self._observer.stop()
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self._engine.stop()

    # --- contexts

    def begin(self, kind: Kind, owner: Any = None) -> Context:
        """Charge what happens from now on to a new context inside the present one."""
        self.settle()
        context = Context(kind, owner)
        self._push(context)
        self._calls = 0
        self._heirs.begin()
        return context

    def settle(self) -> None:
        """Close bodies of modules that have run: not every engine says so."""
        self._sync(sys._getframe(1))

    def end(self, context: Context) -> Context:
        """Close a context and whatever was left open in it; return it."""
        if context in self._stack:
            while self._pop() is not context:
                pass
        return context

    def end_shared(self, context: Context) -> Context:
        """Close the set-up of a shared fixture, charging it to who asked for it, too."""
        self.end(context)
        self._look_at_threads(context)
        self._stack[-1].absorb(context)
        return context

    def end_collecting(self, context: Context) -> None:
        """Close the making of the items of a file."""
        self.end(context)
        known = self._collected.setdefault(context.owner, Context(Kind.COLLECT, context.owner))
        if known.absorb(context):
            self._bases.clear()

    def asked_for(self, file: str, fixtures: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Note the fixtures that are not the project's, by name and definitions."""
        place = self.place(file)
        context = self._collected.setdefault(place, Context(Kind.COLLECT, place))
        for name, definitions in fixtures:
            code = getattr(_unwrapped(definitions[-1].func), "__code__", None)
            if code is None or not self.place(code.co_filename):
                context.files.add(f"{FIXTURE}{name}")

    def pause(self, context: Context) -> None:
        """Bring a context up to date that goes on: a test that may be run again."""
        while self._stack[-1] is not context:
            self._pop()
        context.marks |= self._engine.drain()
        self._look_at_threads(context)

    def charge(self, context: Context, function: object) -> None:
        """Charge a function that is known to have run, where the engine cannot tell."""
        code = getattr(_unwrapped(function), "__code__", None)
        if code is not None and mark_of(code) in self._marks:
            context.marks.add(self._marks[mark_of(code)])

    def know(self, function: object) -> None:
        """Hear of a test or a fixture: `charge` will tell who runs it, if nothing calls it."""
        code = getattr(_unwrapped(function), "__code__", None)
        mark = self._marks.get(mark_of(code)) if code is not None else None
        if mark is not None:
            entry = self._entries[mark]
            if entry.name.rpartition(".")[2] not in self._mentioned:
                self._modules[entry.place].untraced.pop(entry.name, None)

    @property
    def precise(self) -> bool:
        """Whether the engine tells of every function by itself."""
        return self._engine.precise

    def place(self, path: str) -> str:
        """Return a file's place in the project, or an empty one."""
        return self._territory.place(path) or ""

    # --- facts

    def facts(
        self, test: Context, file: str, shared: Sequence[Context] = (), *, whole: bool = False
    ) -> Facts:
        """Return what a test depends on that was closed or paused.

        ``file`` is where it stands on disk, ``whole`` whether its text itself is run, as in
        a doctest.
        """
        if self.error is not None:
            test.doubts.add("tracking failed")
        charged = test
        if shared:
            charged = Context(Kind.TEST)
            for each in (test, *shared):
                charged.absorb(each)
        with self._quietly():
            place = self._territory.place(file)
            if place is None:
                charged.doubts.add("not in the project")
            elif not place.endswith(".py"):
                charged.files |= {place} | self._collected_at(place).files
            elif whole:
                charged.files.add(place)
            if self._lumped or not self._engine.precise:
                self._lump(test, self._base(place or "").closure)
            base = self._base(place or "")
            happened = (
                frozenset(charged.marks),
                frozenset(charged.files) if charged.files else None,
                frozenset(charged.modules) if charged.modules else None,
            )
            own = base.own.get(happened)
            if own is None:
                own = base.own[happened] = self._own(charged, base)
            return self._travelling(
                own[0], base.key, sorted({*charged.doubts, *own[1], *base.doubts})
            )

    def _own(self, charged: Context, base: _Base) -> tuple[str, frozenset[str]]:
        """Intern a set not seen before. Nearly all functions are plain: they are quick."""
        walk = _Walk(modules=list(charged.modules), files=set(charged.files))
        entries = self._entries
        for mark in charged.marks:
            entry = entries[mark]
            if entry.place in base.closure and (entry.plain or self._is_plain(mark, entry)):
                walk.pieces[entry.place].add(entry.name)
            else:
                walk.marks.append(mark)
        self._follow_functions(walk)
        parts = {self._part(base, place) for place in {*walk.modules} - base.closure}
        if len(walk.files) > _MANY:  # who lists hundreds of folders does so in many tests
            parts.add(self._part(base, frozenset(walk.files)))
            walk.files.clear()
        doubts = walk.doubts.union(*(part.doubts for part in parts))
        return self._intern(walk, {part.key for part in parts}), frozenset(doubts)

    def _part(self, base: _Base, needed: str | frozenset[str]) -> _Part:
        """Return what a module brings that is not in the base, or just these files."""
        known = base.parts.get(needed)
        if known is None:
            walk = _Walk(modules=[needed]) if isinstance(needed, str) else _Walk(files={*needed})
            self._follow(walk, base.closure)
            known = base.parts[needed] = _Part(self._intern(walk), frozenset(walk.doubts))
        return known

    def _is_plain(self, mark: Mark, entry: _Entry) -> bool:
        if entry.plain is None:
            imports, texts = self._imports_of(entry)
            entry.plain = (
                not imports
                and not texts
                and mark not in self._sticky
                and mark not in self._loaded
                and (self._engine.precise or mark not in self._heirs)
                and all(self._caches.keys().isdisjoint(code.co_names) for code in entry.codes)
            )
        return entry.plain

    def _imports_of(self, entry: _Entry) -> tuple[tuple[Import, ...], tuple[str, ...]]:
        if entry.imports is None:
            entry.imports = (
                tuple(each for code in entry.codes for each in codes.imports(code)),
                tuple(each for code in entry.codes for each in codes.imported_by_name(code)),
            )
        return entry.imports

    def _base(self, place: str) -> _Base:
        """Return the base of a test file; those that are made of the same are one.

        What a file that is no module opens as it is collected is its own: there are many.
        """
        known = self._bases.get(place)
        if known is not None:
            return known
        session, collected = self._stack[0], self._collected_at(place)
        marks = {m for m in session.marks if _applies(self._entries[m].place, place)}
        modules = {m for m in session.modules if _applies(m, place)}
        modules |= {m for m in self._conftests if _applies(m, place)}
        modules |= collected.modules
        if place in self._modules:
            modules.add(place)
        files = session.files | collected.files if place.endswith(".py") else session.files
        doubts = session.doubts | collected.doubts
        made_of = (
            frozenset(marks | collected.marks),
            frozenset(modules),
            frozenset(files),
            frozenset(doubts),
        )
        known = self._bases.get(made_of)
        if known is None:
            walk = _Walk(list(made_of[0]), list(modules), set(files), set(doubts))
            closure = self._follow(walk, skip=frozenset())
            known = _Base(self._intern(walk), frozenset(walk.doubts), closure)
            self._bases[made_of] = known
        self._bases[place] = known
        return known

    def _collected_at(self, place: str) -> Context:
        return self._collected.get(place) or Context(Kind.COLLECT, place)

    def _follow(self, walk: _Walk, skip: frozenset[str]) -> frozenset[str]:
        """Walk to the end; return the modules reached. Those in ``skip`` are charged elsewhere."""
        places: set[str] = set()
        self._follow_functions(walk)
        while walk.modules:
            place = walk.modules.pop()
            if place in places or place in skip:
                continue
            places.add(place)
            module = self._modules.get(place)
            if module is None:  # an extension module
                walk.files.add(place)
                continue
            walk.pieces[place].add(codes.MODULE)
            walk.doubts |= module.doubts
            walk.files |= module.files
            walk.modules += module.edges
            walk.marks += module.marks
            for untraced in module.untraced.values():
                walk.marks += untraced
            walk.marks += self._caches_named(module.names)
            self._follow_functions(walk)
        return frozenset(places)

    def _follow_functions(self, walk: _Walk) -> None:
        """Follow what functions import and what caches keep; leave the modules."""
        while walk.marks:
            mark = walk.marks.pop()
            if mark in walk.seen:
                continue
            walk.seen.add(mark)
            entry = self._entries[mark]
            walk.pieces[entry.place].add(entry.name)
            walk.modules.append(entry.place)
            if entry.plain or self._is_plain(mark, entry):
                continue
            found = Found()
            self._resolver.resolve(
                *self._imports_of(entry), self._modules[entry.place].package, found
            )
            walk.modules += found.places
            walk.files |= found.packages
            walk.modules += self._loaded.get(mark, ())
            if not self._engine.precise:
                walk.marks += self._heirs.of(mark)
            for code in entry.codes:
                walk.marks += self._caches_named(code.co_names)
            kept = self._sticky.get(mark)
            if kept is not None:
                walk.marks += kept.marks
                walk.modules += kept.modules
                walk.files |= kept.files
                walk.doubts |= kept.doubts

    def _caches_named(self, names: Iterable[str]) -> Iterator[Mark]:
        """Yield the caches that a function may ask: a hit runs none of their code."""
        if not self._caches.keys().isdisjoint(names):
            for name in self._caches.keys() & names:
                yield from self._caches[name]

    def _intern(self, walk: _Walk, parts: Iterable[str] = ()) -> str:
        """Keep a set until it is sent; return its key."""
        pieces = walk.pieces
        for file in walk.files:
            pieces[file].add("")
        lines = sorted(f"{file}::{name}" for file, names in pieces.items() for name in names)
        lines += sorted(parts)
        key = digest("\n".join(lines).encode(errors="surrogateescape"))
        if key not in self._sent_sets:
            self._sets[key] = {file: sorted(pieces[file]) for file in sorted(pieces)}
            if parts:
                self._sets[key][PARTS] = sorted(parts)
        return key

    def _travelling(self, own: str, base: str, doubts: list[str]) -> Facts:
        sets: dict[str, dict[str, list[str]]] = {}
        files: dict[str, str] = {}
        to_send = [own, base]
        while to_send:
            key = to_send.pop()
            if key in self._sent_sets:
                continue
            self._sent_sets.add(key)
            sets[key] = self._sets.pop(key)
            to_send += sets[key].get(PARTS, ())
            for file in sets[key].keys() - {PARTS}:
                version = self._version(file)
                if self._sent_files.get(file) != version:
                    files[file] = self._sent_files[file] = version
        for file in self._unstable & self._sent_files.keys():
            files[file] = self._sent_files[file] = UNSTABLE
            self._unstable.discard(file)
        return Facts(own, base, doubts, sets, files)

    # --- versions

    def _version(self, file: str) -> str:
        version = self._versions.get(file)
        if version is None:
            if file.startswith(PACKAGE):
                version = self._packages.version(file[len(PACKAGE) :])
            elif file.startswith(VARIABLE):
                version = variable_version(self._environ[file[len(VARIABLE) :]])
            else:
                version = version_of(file, self._territory.root, {})
            self._versions[file] = version
        return version

    def _touch(self, file: str) -> None:
        """Take a file's version at its first use, and notice when it is another one later."""
        path = self._territory.path(file)
        try:
            status = os.stat(path)  # noqa: PTH116
            now = (status.st_mtime_ns, status.st_size)
        except OSError:
            now = (0, 0)
        if file in self._stats and self._stats[file] == now:
            return
        self._stats[file] = now
        version = version_of(file, self._territory.root, {})
        if self._versions.setdefault(file, version) != version:
            self._versions[file] = UNSTABLE
            self._unstable.add(file)

    # --- modules

    def _executed(self, code: CodeType) -> None:
        """Take up a module whose body is about to run."""
        if code.co_name != codes.MODULE:
            return
        place = self._territory.place(code.co_filename)
        if place is None:
            return
        frame = _cause()
        module = self._module(place)
        if place in self._territory.differing:
            module.doubts.add("installed copy differs")
        self._take_version(place, code.co_filename)
        namespace = _namespace_for(frame)
        module.package = _package(namespace)
        self._adopt(module, code)
        if get_ident() != self._thread:
            self._stack[-1].modules.add(place)
            self._leave(module, code, namespace)
            return
        self._sync(frame)
        self._note_importer(module, frame)
        context = Context(Kind.IMPORT, place, code, namespace)
        self._push(context)
        self._engine.watch_end(code)

    def _module(self, place: str) -> Module:
        module = self._modules.get(place)
        if module is None:
            module = self._modules[place] = Module(place)
            if _is_conftest(place):
                self._conftests.add(place)
        return module

    def _adopt(self, module: Module, code: CodeType) -> None:
        for body in codes.bodies(code):
            module.names.update(body.co_names)
        functions = self._engine.adopt(code)
        if functions is None:
            parts: dict[str, list[CodeType]] = defaultdict(list)
            for name, inner in codes.functions(code):
                parts[name].append(inner)
            for name, inners in parts.items():
                mark = mark_of(inners[0])
                self._know_function(_Entry(module.place, name, tuple(inners)), mark)
                module.untraced[name] = {mark}
                for inner in inners:
                    self._mentioned.update(inner.co_names)
            for body in codes.bodies(code):
                self._mentioned |= codes.used_names(body)
            return
        for function in functions:
            self._know_function(_Entry(module.place, function.name, function.codes), function.mark)

    def _know_function(self, entry: _Entry, mark: Mark) -> None:
        """Take up a function; what it binds globals to is kept for whoever names them."""
        self._entries[mark] = entry
        for code in entry.codes:
            self._marks[mark_of(code)] = mark
            for name in codes.stored_globals(code):
                self._keep(name, mark, code)

    def _make_sticky(self, mark: Mark, code: CodeType) -> None:
        if mark not in self._sticky:
            self._sticky[mark] = Context(Kind.STICKY, mark)
            if self._engine.precise and not codes.suspends(code):
                self._engine.watch_calls(code)

    def _note_importer(self, module: Module, frame: FrameType | None) -> None:
        place = module.place
        top = self._stack[-1]
        if top.kind is Kind.IMPORT:
            self._modules[top.owner].edges.add(place)
        elif not (top.kind is Kind.SESSION and _is_conftest(place)):
            top.modules.add(place)
        while frame is not None:  # the innermost of the project's
            code = frame.f_code
            importer = self._modules.get(self._territory.place(code.co_filename) or "")
            if importer is not None:
                if code.co_name in (codes.MODULE, "__getattr__"):
                    importer.edges.add(place)
                    module.lazy |= importer.lazy
                else:
                    module.lazy = True
                    self._note_loader(place, code)
                return
            frame = frame.f_back

    def _note_loader(self, place: str, code: CodeType) -> None:
        """Remember what a function imported that will not say so the next time."""
        mark = self._marks.get(mark_of(code))
        if mark is not None and "__import__" in code.co_names:
            self._loaded.setdefault(mark, set()).add(place)
            self._entries[mark].plain = None

    def _leave(self, module: Module, code: CodeType, namespace: dict[str, Any] | None) -> None:
        """Take stock of a module whose body has run, or raised."""
        found = Found()
        for body in codes.bodies(code):
            self._resolver.statements(body, module.package, found)
        name = (namespace or {}).get("__name__")
        if isinstance(name, str) and "." in name:
            self._resolver.name(name.rpartition(".")[0], found)
        module.edges |= found.places - {module.place}
        module.files |= found.packages
        self._find_caches(namespace or {})
        if module.lazy and namespace is not None:
            for mark, inherited in self._heirs.take_up(module.place, namespace, self._marks):
                self._entries[mark].plain = None
                self._engine.watch_starts(inherited)
        self._bases.clear()

    def _know_class(self, mark: Mark, place: str, name: str) -> None:
        self._entries[mark] = _Entry(place, name, ())

    def _find_caches(self, namespace: dict[str, Any]) -> None:
        for name, cached in caches(namespace):
            mark = self._marks.get(mark_of(cached))
            if mark is not None:
                self._keep(name, mark, cached)

    def _keep(self, name: str, mark: Mark, code: CodeType) -> None:
        """Charge what a function does once to whoever names what it did it for."""
        if mark in self._caches[name]:
            return
        if not self._caches[name]:  # so far this name told nothing
            for entry in self._entries.values():
                entry.plain = None
        self._caches[name].add(mark)
        self._entries[mark].plain = None
        self._make_sticky(mark, code)

    def _take_version(self, place: str, path: str) -> None:
        version = content_version(path)
        if self._versions.setdefault(place, version) != version:
            self._versions[place] = UNSTABLE
            self._unstable.add(place)

    def _adopt_loaded(self) -> None:
        """Watch what can be reached of modules that were there before us."""
        loaded: list[tuple[str, str, dict[str, Any]]] = []
        for imported in list(sys.modules.values()):
            namespace = getattr(imported, "__dict__", None)
            file = namespace.get("__file__") if isinstance(namespace, dict) else None
            place = self._territory.place(file) if isinstance(file, str) else None
            if place is not None and isinstance(file, str) and isinstance(namespace, dict):
                if place.endswith(".py"):
                    loaded.append((place, file, namespace))
                else:
                    self._stack[0].modules.add(place)
        for place, file, namespace in loaded:
            module = self._module(place)
            module.package = _package(namespace)
            if place in self._territory.differing:
                module.doubts.add("installed copy differs")
            self._take_version(place, file)
            if not _is_conftest(place):
                self._stack[0].modules.add(place)
        for file, there in functions_of((file, names) for _, file, names in loaded).items():
            module = self._modules[self.place(file)]
            for each in self._engine.adopt_loaded(file, there):
                self._know_function(_Entry(module.place, each.name, each.codes), each.mark)
                if not each.told:
                    module.untraced.setdefault(each.name, set()).add(each.mark)
        for _, _, namespace in loaded:
            self._find_caches(namespace)

    def _watch_import_module(self) -> None:
        """Hear of modules imported by name that were loaded before."""
        if self._engine.precise:
            self._engine.watch_end(_IMPORT_MODULE)
            return
        bootstrap: Any = importlib._bootstrap
        plain = bootstrap._gcd_import

        def noting(name: str, package: str | None = None, level: int = 0) -> Any:
            module = plain(name, package, level)
            self._import_by_name(getattr(module, "__name__", ""))
            return module

        bootstrap._gcd_import = noting
        self._undo.append(lambda: setattr(bootstrap, "_gcd_import", plain))

    def _watch_looking(self) -> None:
        """Hear of files that are asked about, not opened: that is no audit event."""
        for function in _looking_at_files():
            code = function.__code__
            if self._engine.precise:
                self._looking[mark_of(code)] = code
                self._engine.watch_end(code)
            else:
                function.__code__ = _noting(function, self._guarded(self._looked_at))
                self._undo.append(functools.partial(setattr, function, "__code__", code))

    def _looked_at(self, path: object) -> None:
        if self._stack[-1].kind is not Kind.SESSION:
            self._observer.looked_at(path)

    def _import_by_name(self, name: str) -> None:
        found = Found()
        self._resolver.name(name, found)
        top = self._stack[-1]
        if top.kind is Kind.IMPORT:
            self._modules[top.owner].edges |= found.places - {top.owner}
        elif top.kind is not Kind.SESSION:
            top.modules |= found.places
        top.files |= found.packages

    # --- the stack

    def _push(self, context: Context) -> None:
        self._drain_into(self._stack[-1])
        self._stack.append(context)

    def _pop(self) -> Context:
        context = self._stack[-1]
        if len(self._stack) == 1:
            raise IndexError("the session itself does not end")
        self._drain_into(context)
        self._stack.pop()
        if context.kind is Kind.IMPORT:
            module = self._modules[context.owner]
            module.marks |= context.marks
            module.files |= context.files
            module.edges |= context.modules - {context.owner}
            module.doubts |= context.doubts
            if context.code is not None:
                self._leave(module, context.code, context.namespace)
        elif context.kind is Kind.STICKY:
            if self._sticky[context.owner].absorb(context):
                self._bases.clear()
            self._stack[-1].absorb(context)
        return context

    def _drain_into(self, context: Context) -> None:
        fired = self._engine.drain()
        if fired:
            if context.kind is Kind.SESSION and not fired <= context.marks:
                self._bases.clear()
            context.marks |= fired

    def _sync(self, frame: FrameType | None) -> None:
        """Close bodies and calls that ended by raising."""
        while (top := self._stack[-1]).kind in (Kind.IMPORT, Kind.STICKY):
            each = frame
            while each is not None and each.f_code is not top.code:
                each = each.f_back
            if each is not None:
                return
            self._pop()

    def _call_started(self, code: CodeType, frame: FrameType) -> bool:
        """Note a start; tell whether enough of them were told."""
        if self._busy:
            return False
        mark = mark_of(code)
        top = self._stack[-1]
        top.marks.add(mark)
        enough = mark in self._heirs and self._look(mark, code, frame, top)
        if mark not in self._sticky or codes.suspends(code):
            return enough
        if get_ident() != self._thread or self._calls >= _ONCE:
            self._lumped = True
        elif top.kind is Kind.STICKY and top.owner == mark:
            top.depth += 1
        else:
            self._calls += 1
            self._push(Context(Kind.STICKY, mark, code))
        return False

    def _look(self, mark: Mark, code: CodeType, frame: FrameType, context: Context) -> bool:
        """Charge the class that an inherited method is called on; tell whether that is enough."""
        try:
            classes, enough = self._heirs.look(mark, code, frame)
        except Exception as error:
            self._note_error(error)
            return False
        context.marks |= classes
        return enough

    def _call_ended(self, code: CodeType, frame: FrameType) -> None:
        if self._busy or get_ident() != self._thread:
            return
        self._busy = True
        try:
            if code is _IMPORT_MODULE:
                name, package = frame.f_locals["name"], frame.f_locals["package"]
                if name.startswith("."):
                    name = importlib.util.resolve_name(name, package)
                self._import_by_name(name)
                return
            if mark_of(code) in self._looking:
                self._looked_at(frame.f_locals[code.co_varnames[0]])
                return
            for context in reversed(self._stack):
                if context.code is code:
                    break
                if context.kind not in (Kind.IMPORT, Kind.STICKY):
                    return
            else:
                return
            if context.depth and context is self._stack[-1]:
                context.depth -= 1
            else:
                self.end(context)
        except Exception as error:
            self._note_error(error)
        finally:
            self._busy = False

    def _lump(self, test: Context, closure: frozenset[str]) -> None:
        """Let caches whose calls were not told apart keep all that the test did.

        Where nobody tells whether they are called at all, those of the project alone do: a
        checkout next door may be what started this session, inside a test of its own.
        """
        self._lumped = False
        for mark, kept in self._sticky.items():
            place, name = self._entries[mark].place, self._entries[mark].name
            is_untold = mark in self._modules[place].untraced.get(name, ())
            may_run = is_untold and place in closure and self._territory.inside(place)
            if (may_run or mark in test.marks) and kept.absorb(test):
                self._bases.clear()

    # --- the rest of the world

    def _look_at_threads(self, context: Context) -> None:
        if any(thread.is_alive() for thread in context.threads):
            context.doubts.add("thread")

    def _watch_threads(self) -> None:
        """Hear of threads where starting one is no audit event yet."""
        plain = threading._start_new_thread  # type: ignore[attr-defined]
        note = self._guarded(self._observer.thread_started)

        def noting(function: Callable[..., object], *arguments: Any) -> Any:
            note(function)
            return plain(function, *arguments)

        threading._start_new_thread = noting  # type: ignore[attr-defined]
        self._undo.append(lambda: setattr(threading, "_start_new_thread", plain))

    def _watch_environ(self) -> None:
        """Note which declared variables are looked up: each look-up encodes the name first."""
        environ: Any = os.environ
        plain = environ.encodekey

        def noting(key: Any) -> Any:
            if key in self._variables:
                self._stack[-1].files.add(f"{VARIABLE}{key}")
            return plain(key)

        environ.encodekey = noting
        self._undo.append(lambda: setattr(environ, "encodekey", plain))

    def _guarded(self, handle: Callable[..., None]) -> auditing.Handler:
        def call(*arguments: Any) -> None:
            if self._busy:
                return
            self._busy = True
            try:
                handle(*arguments)
            except Exception as error:
                self._note_error(error)
            finally:
                self._busy = False

        return call

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    def _note_error(self, error: Exception) -> None:
        self.error = self.error or error


def _cause() -> FrameType | None:
    """Return the frame that caused the audit event being handled."""
    start = frame = sys._getframe(1)
    while frame.f_code.co_filename != auditing.__file__:
        if frame.f_back is None:
            return start  # not an audit event, but what stands in for one
        frame = frame.f_back
    return frame.f_back


def _applies(place: str, test: str) -> bool:
    """Tell whether a file concerns a test: a conftest only those below its folder."""
    folder, _, name = place.rpartition("/")
    return name not in _SCOPED_BY_FOLDER or not folder or test.startswith(f"{folder}/")


def _is_conftest(place: str) -> bool:
    return place.rpartition("/")[2] == "conftest.py"


def _namespace_for(frame: FrameType | None) -> dict[str, Any] | None:
    """Return the namespace that a loader is about to execute a module in."""
    for _ in range(3):
        if frame is None:
            return None
        module = frame.f_locals.get("module")
        namespace = getattr(module, "__dict__", None)
        if isinstance(namespace, dict) and "__name__" in namespace:
            return namespace
        frame = frame.f_back
    return None


def _package(namespace: dict[str, Any] | None) -> str:
    if not namespace:
        return ""
    package = namespace.get("__package__")
    if isinstance(package, str):
        return package
    name = namespace.get("__name__", "")
    return name if "__path__" in namespace else str(name).rpartition(".")[0]


def _unwrapped(function: object) -> object:
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        function = inner
    return function


def _looking_at_files() -> Iterator[Any]:
    """Yield the functions that ask whether a file is there, or what it is."""
    for function in (
        genericpath.exists,
        genericpath.isfile,
        genericpath.getsize,
        genericpath.getmtime,
        Path.exists,
        Path.is_file,
        Path.stat,
    ):
        if hasattr(function, "__code__"):  # some are written in C on some systems
            yield function


def _noting(function: Any, note: Callable[[object], None]) -> CodeType:
    """Return code for a function that tells its first argument and goes on as it was.

    Whoever holds the function runs it, under whatever name; what it needs are constants.
    """
    plain = FunctionType(function.__code__, function.__globals__, function.__name__)
    plain.__defaults__, plain.__kwdefaults__ = function.__defaults__, function.__kwdefaults__

    def noting(*arguments: Any, **named: Any) -> Any:
        tell: Any = "tell"
        go_on: Any = "go on"
        tell(arguments[0] if arguments else None)
        return go_on(*arguments, **named)

    constants = {"tell": note, "go on": plain}
    code = noting.__code__
    return code.replace(
        co_consts=tuple(constants.get(each, each) for each in code.co_consts),
        co_name=function.__name__,
    )
