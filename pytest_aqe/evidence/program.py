"""The project's code as a session comes to know it, and what a use of any of it leads to.

A module leads to what its import needs, a function to what it imports and to what others
keep for whoever names it: a cache, a global.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_aqe.data import MAIN
from pytest_aqe.evidence import codes, outliving
from pytest_aqe.evidence.codes import Import
from pytest_aqe.evidence.contexts import Context, Kind
from pytest_aqe.evidence.engine import Engine, Function, Mark, mark_of
from pytest_aqe.evidence.heirs import Heirs
from pytest_aqe.evidence.imports import Found, Module, Resolver
from pytest_aqe.evidence.outliving import Change, Root
from pytest_aqe.evidence.reachable import (
    attribute,
    caches,
    defaults,
    held,
    is_a,
    members_of,
    namespace_of,
    shared,
    size,
)
from pytest_aqe.evidence.sharing import Sharing
from pytest_aqe.evidence.territory import Territory

_SHARES = 64  # times that what a keeper has bound is looked at, before only each 128th, 256th, ...


@dataclass(slots=True, eq=False)
class _Entry:
    """A function, or a class, which has no codes."""

    place: str
    name: str
    codes: tuple[CodeType, ...]
    imports: tuple[tuple[Import, ...], tuple[str, ...]] | None = None


class _Lead(NamedTuple):
    """Where a function leads besides its own module."""

    marks: frozenset[Mark]
    modules: frozenset[str]
    files: frozenset[str]


@dataclass(slots=True)
class Walk:
    """Where following stands: what is still to be followed, and what was found."""

    marks: list[Mark] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    doubts: set[str] = field(default_factory=set)
    pieces: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seen: set[Mark] = field(default_factory=set)
    ran: Collection[Mark] = ()  # what ran in the test itself


class Program:
    """Modules by place, functions by mark, and those that keep something for others."""

    def __init__(self, territory: Territory, engine: Engine) -> None:
        self._territory = territory
        self._engine = engine
        self._resolver = Resolver(territory)
        self.modules: dict[str, Module] = {}
        self.heirs = Heirs(self._add_class)
        self.keepers: dict[Mark, Context] = {}
        """What functions did whose effect outlives them: see `Kind.STICKY`."""
        self.sharing = Sharing(self.mark)
        self._bindings: dict[Mark, list[Change]] = defaultdict(list)  # what keepers change
        self._shared_of: dict[Mark, tuple[tuple[Mark, int], ...]] = {}  # what keepers held last
        self._binds_anew: dict[Mark, bool] = {}
        self._shares: Counter[Mark] = Counter()
        self._waiting: dict[Mark, set[str]] = {}  # memos that nothing was kept in yet, by name
        self._entries: dict[Mark, _Entry] = {}
        self._plain: set[Mark] = set()  # of entries that lead to nothing but their own module
        self._leading: set[Mark] = set()  # of others; the rest was not looked at
        self._leads: dict[Mark, _Lead] = {}  # of these, while what is imported is the same
        self._imported: list[str] = []
        self._marks: dict[Mark, Mark] = {}  # a code object's to the one that stands for it
        self._caches: dict[str, set[Mark]] = defaultdict(set)  # the keepers, by name
        self._cached: set[Mark] = set()  # of these, those that who hands their name on may ask
        self._light: set[Mark] = set()  # those that start to look whether they have an answer
        self._made: dict[Mark, set[Mark]] = {}  # the keepers, by the function that made them so
        self._texts: dict[tuple[object, ...], Mark] = {}  # code of no file, by what it leads to
        self._mains: dict[str, object] = {}  # what has the mark of a module as a program
        self._loaded: dict[Mark, set[str]] = {}  # what functions imported by ``__import__``
        self._mentioned: set[str] = set()  # in modules where nobody tells what ran

    # --- what is there

    def module(self, place: str) -> Module:
        """Return the module at a place, from now on known."""
        known = self.modules.get(place)
        if known is None:
            known = self.modules[place] = Module(place)
        return known

    def mark(self, code: CodeType | None) -> Mark | None:
        """Return what stands for a code object of the project's, if it is one."""
        return self._marks.get(mark_of(code)) if code is not None else None

    def place(self, mark: Mark) -> str:
        """Return where a function stands."""
        return self._entries[mark].place

    def adopt(self, module: Module, code: CodeType) -> None:
        """Watch the functions of a module that is about to be executed."""
        self._note_names(module, code)
        functions = self._engine.adopt(code)
        if functions is not None:
            for function in functions:
                self._add(module, function)
            return
        parts: dict[str, list[CodeType]] = defaultdict(list)
        for name, inner in codes.functions(code):
            parts[name].append(inner)
        for name, inners in parts.items():
            self._add(module, Function(mark_of(inners[0]), name, tuple(inners), told=False))
            for inner in inners:
                self._mentioned.update(inner.co_names)
        for body in codes.bodies(code):
            self._mentioned |= codes.used_names(body)

    def adopt_loaded(self, module: Module, path: str, functions: Iterable[FunctionType]) -> None:
        """Watch the functions of a module that was executed before."""
        for function in self._engine.adopt_loaded(path, functions):
            self._add(module, function)

    def import_loaded(self, module: Module, code: CodeType) -> None:
        """Take up what the body of a module imported that was executed before."""
        found = Found()
        self._note_names(module, code)
        for body in codes.bodies(code):
            self._resolver.statements(body, module.package, found)
        module.edges |= found.places - {module.place}
        module.files |= found.packages

    def _note_names(self, module: Module, code: CodeType) -> None:
        bodies = list(codes.bodies(code))
        for body in bodies:
            module.names.update(body.co_names)
        module.asked |= codes.asked_names(bodies)

    def _add(self, module: Module, function: Function) -> None:
        """Take up a function; what it binds globals to is kept for whoever names them."""
        mark = function.mark
        self._entries[mark] = _Entry(module.place, function.name, function.codes)
        if not function.told:
            module.untraced.setdefault(function.name, set()).add(mark)
        for code in function.codes:
            self._marks[mark_of(code)] = mark
            for name in codes.stored_globals(code):
                self._keep(name, mark, code)
            if not function.name.rpartition(".")[2].startswith("test"):  # which put it back
                module.changes += [(change, mark, code) for change in outliving.changes(code)]

    def _add_class(self, mark: Mark, place: str, name: str) -> None:
        self._entries[mark] = _Entry(place, name, ())

    def main(self, place: str) -> Mark:
        """Return what stands for what runs of a module only where it is the program."""
        mark = mark_of(self._mains.setdefault(place, object()))
        self._entries.setdefault(mark, _Entry(place, MAIN, ()))
        return mark

    def text(self, executing: Callable[[], str], code: CodeType) -> Mark | None:
        """Return what stands for a text that is executed, if it leads anywhere.

        Most texts do not (`dataclasses` and `namedtuple` execute several for each class): only
        of others it is asked where the code stands that is ``executing`` them, which is slow.
        """
        inside = tuple(codes.whole(code))
        imports = tuple(each for inner in inside for each in codes.imports(inner))
        texts = tuple(each for inner in inside for each in codes.imported_by_name(inner))
        is_doctest = code.co_filename.startswith("<doctest ")
        if not imports and not texts and not is_doctest:
            return None
        place = executing()
        if not place:
            return None
        names = frozenset(name for inner in inside for name in inner.co_names)
        known = self._texts.get((place, imports, texts, names))
        if known is None:
            known = self._texts[place, imports, texts, names] = mark_of(code)
            name = codes.MODULE if place.endswith(".py") else ""
            self._entries[known] = _Entry(place, name, inside, (imports, texts))
        return known

    def take_as_told(self, mark: Mark) -> None:
        """Rely on somebody to tell who runs a function, unless some code may call it."""
        entry = self._entries[mark]
        if entry.name.rpartition(".")[2] not in self._mentioned:
            self.modules[entry.place].untraced.pop(entry.name, None)

    def note_loader(self, code: CodeType, place: str) -> None:
        """Remember what a function imported that will not say so the next time."""
        mark = self.mark(code)
        if mark is not None and "__import__" in code.co_names:
            self._loaded.setdefault(mark, set()).add(place)
            self._plain.discard(mark)
            self._leads.pop(mark, None)

    def imported(self, name: str) -> Found:
        """Return what a module that was imported by name needs."""
        found = Found()
        self._resolver.name(name, found)
        return found

    def leave(self, module: Module, code: CodeType, namespace: dict[str, Any] | None) -> None:
        """Take stock of a module whose body has run, or raised."""
        found = Found()
        for body in codes.bodies(code):
            self._resolver.statements(body, module.package, found)
        name = (namespace or {}).get("__name__")
        if isinstance(name, str) and "." in name:
            self._resolver.name(name.rpartition(".")[0], found)
        module.edges |= found.places - {module.place}
        module.files |= found.packages
        self.find_caches(namespace or {})
        self.find_changes(module, namespace or {})
        if module.lazy and namespace is not None:
            for mark, inherited in self.heirs.take_up(module.place, namespace, self._marks):
                self._plain.discard(mark)
                self._leads.clear()
                self._engine.watch_starts(inherited)

    # --- what is kept

    def find_caches(self, namespace: dict[str, Any]) -> None:
        """Take up the functions in a namespace that remember what they return."""
        for name, cached, by_hand in caches(namespace):
            mark = self.mark(cached)
            if mark is None or (by_hand and not self._engine.precise):
                continue
            is_news = mark not in self.keepers
            self._keep(name, mark, cached)
            if is_news and by_hand:
                self._light.add(mark)

    def find_changes(self, module: Module, namespace: dict[str, Any]) -> None:
        """Take up the functions that change what outlives their calls: see `outliving`.

        Where nobody tells of single calls, only those that bind globals of other modules:
        a function that asks a memo runs in every test that does, and would keep all they do.
        """
        precise = self._engine.precise
        taken: set[Mark] = set()  # arguments with the same default
        home = namespace.get("__name__")
        if is_a(home, str) and home.startswith(f"{__package__}."):
            module.changes.clear()  # of who follows: what it notes is no test's memo
        self.sharing.know(home)
        for change, mark, code in module.changes:
            if change.root is Root.GLOBAL:
                self._take_global(change, mark, code, namespace)
            elif not precise or not change.calls:
                pass
            elif change.root is Root.ARGUMENT:
                taken.add(mark)
            elif change.root is not Root.FREE:
                self.sharing.add(change, mark)
        if taken:
            for function, names in defaults(namespace):
                mark_here = self.mark(function)
                if mark_here in taken and any(
                    change.name in names
                    for change, mark, _ in module.changes
                    if mark == mark_here and change.root is Root.ARGUMENT
                ):
                    self._expect(function.co_name, mark_here, function, None)
        module.changes.clear()
        if precise and self.sharing:
            for name, value in shared(namespace):
                self.share(value, name)

    def share_names(self, owner: object) -> bool:
        """Take up the objects that a module or a class has been given."""
        names = dict(members_of(owner)) if is_a(owner, type) else namespace_of(owner)
        news = False
        for name, value in shared(names):
            news |= self.share(value, name)
        return news

    def _take_global(
        self, change: Change, mark: Mark, code: CodeType, namespace: dict[str, Any]
    ) -> None:
        if change.name not in namespace:  # a builtin, or it was deleted
            return
        value = namespace[change.name]
        if is_a(value, ModuleType):
            file = namespace_of(value).get("__file__")
            ours = is_a(file, str) and self._territory.place(file) is not None
            if not ours or not change.names:
                return
            if change.binds and len(change.names) == 1:
                self._keep(change.names[-1], mark, code)
                return
        if self._engine.precise and change.calls:
            self._bindings[mark].append(change)
            self._expect(change.names[-1] if change.names else change.name, mark, code, None)

    def share(self, value: object, name: str = "") -> bool:
        """Take up an object that outlives tests, or a class; tell whether that is news.

        What its methods change is charged to whoever names it.
        """
        news = False
        for change, mark, code, guard in self.sharing.take_up(value):
            if change not in self._bindings[mark]:
                self._bindings[mark].append(change)
                self._binds_anew.pop(mark, None)
            news |= self._expect(change.names[-1] if change.names else name, mark, code, guard)
        return news

    def share_what_is_bound(
        self,
        mark: Mark,
        code: CodeType,
        namespace: dict[str, Any],
        receiver: object,
        answer: object,
    ) -> bool:
        """Take up what a keeper has just bound, or put into what was there, or answers."""
        found = [namespace.get(name) for name in codes.stored_globals(code)]
        if mark not in self._light:
            found.append(answer)
        for change in self._bindings.get(mark, ()):
            if change.root is Root.GLOBAL:
                found.append(attribute(namespace.get(change.name), change.names))
            elif receiver is not None and change.root is not Root.ARGUMENT:
                owner = type(receiver) if change.root is Root.KIND else receiver
                found.append(attribute(owner, change.names))
        state = tuple((mark_of(value), size(value)) for value in found)
        if self._shared_of.get(mark) == state:
            return False
        self._shared_of[mark] = state
        self._shares[mark] += 1
        often = self._shares[mark]
        if often > _SHARES and often & (often - 1):
            return False
        news = False
        for value in found:
            for each in held(value):
                news |= self.share(each)
        return news

    def _expect(self, name: str, mark: Mark, code: CodeType, guard: bool | None) -> bool:
        """Charge what a function keeps by hand to whoever names it, as soon as there is any.

        Tell whether that is news.
        """
        is_known = mark in self.keepers
        self.sharing.guard(mark, guard, known=is_known)
        if is_known and mark not in self._waiting:
            return self._charge(name, mark)
        self._waiting.setdefault(mark, set()).add(name)
        self._light.add(mark)
        self._take_as_keeper(mark, code)
        return False

    def _overwrites(self, mark: Mark) -> bool:
        """Tell whether a method binds anew all that it keeps, and does not look what was there."""
        known = self._binds_anew.get(mark)
        if known is None:
            bindings = self._bindings.get(mark, ())
            known = self._binds_anew[mark] = bool(bindings) and not any(
                each.asks or each.root is not Root.RECEIVER for each in bindings
            )
        return known and mark not in self._cached

    def is_light(self, mark: Mark) -> bool:
        """Tell whether a keeper starts only to look whether it has an answer, mostly."""
        return mark in self._light

    def keep(self, mark: Mark, happened: Context) -> bool:
        """Let a function keep what happened in it for others; tell whether that is news."""
        news = self.keepers[mark].absorb(happened)
        if news:
            for name in self._waiting.pop(mark, ()):
                self._charge(name, mark)
        return news

    def _keep(self, name: str, mark: Mark, code: CodeType) -> bool:
        """Charge what a function does once to whoever names it; tell whether that is news."""
        self._take_as_keeper(mark, code)
        self._cached.add(mark)
        self._light.discard(mark)
        self.sharing.guard(mark, None, known=True)
        news = self._charge(name, mark)
        for each in self._waiting.pop(mark, ()):
            news |= self._charge(each, mark)
        return news

    def _charge(self, name: str, mark: Mark) -> bool:
        if mark in self._caches[name]:
            return False
        if not self._caches[name]:  # so far this name told nothing
            self._plain.clear()
        self._caches[name].add(mark)
        self._plain.discard(mark)
        self._leads.clear()
        return True

    def cache_made(self, cached: CodeType, maker: CodeType) -> bool:
        """Charge what a function does once to whoever ran the one that made its cache.

        Where a body did, to whoever names it. Tell whether that is news.
        """
        mark, made_by = self.mark(cached), self.mark(maker)
        if mark is None:
            return False
        if made_by is None:
            return self._keep(cached.co_name, mark, cached)
        if mark in self._made.get(made_by, ()):
            return False
        self._made.setdefault(made_by, set()).add(mark)
        self._plain.discard(made_by)
        self._leads.pop(made_by, None)
        self._take_as_keeper(mark, cached)
        self._light.discard(mark)
        self.sharing.guard(mark, None, known=True)
        return True

    def _take_as_keeper(self, mark: Mark, code: CodeType) -> None:
        self._plain.discard(mark)
        if mark not in self.keepers:
            self.keepers[mark] = Context(Kind.STICKY, mark)
            if self._engine.precise:
                self._engine.watch_calls(code)

    def lump(self, test: Context, closure: Collection[str]) -> bool:
        """Let caches keep all that a test did, where nobody tells of single calls.

        These are all that ran, and those of which nobody tells whether they are called at all;
        of the latter those of the project alone: a checkout next door may be what started this
        session, inside a test of its own. Tell whether any of it is news.
        """
        news = False
        for mark in list(self.keepers):
            place, name = self._entries[mark].place, self._entries[mark].name
            is_untold = mark in self.modules[place].untraced.get(name, ())
            may_run = is_untold and place in closure and self._territory.inside(place)
            if may_run or mark in test.marks:
                news |= self.keep(mark, test)
        return news

    # --- where it leads

    def follow(self, walk: Walk, skip: Collection[str]) -> frozenset[str]:
        """Walk to the end; return the modules reached. Those in ``skip`` are charged elsewhere."""
        places: set[str] = set()
        self._follow_marks(walk)
        while walk.modules:
            place = walk.modules.pop()
            if place in places or place in skip:
                continue
            places.add(place)
            module = self.modules.get(place)
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
            if not self._caches.keys().isdisjoint(module.names):
                walk.marks += self._caches_named(module.names, module.asked)
            self._follow_marks(walk)
        return frozenset(places)

    def follow_functions(
        self, walk: Walk, marks: set[Mark], skip: Collection[str], skipped: set[Mark]
    ) -> None:
        """Follow functions, and leave the modules. Nearly all are plain: they are quick.

        ``skipped`` are functions of the modules in ``skip``, as they come to be known.
        """
        quick = marks & skipped & self._plain
        walk.ran = marks
        for mark in marks - quick:
            entry = self._entries[mark]
            if entry.place in skip and self._is_plain(mark, entry):
                skipped.add(mark)
                quick.add(mark)
            else:
                walk.marks.append(mark)
        pieces = walk.pieces
        for entry in map(self._entries.__getitem__, quick):
            pieces[entry.place].add(entry.name)
        self._follow_marks(walk)

    def _follow_marks(self, walk: Walk) -> None:
        """Follow what functions import and what caches keep; leave the modules."""
        if walk.marks and (imported := list(sys.modules)) != self._imported:
            self._leads.clear()
            self._imported = imported
        while walk.marks:
            mark = walk.marks.pop()
            if mark in walk.seen:
                continue
            walk.seen.add(mark)
            entry = self._entries[mark]
            walk.pieces[entry.place].add(entry.name)
            walk.modules.append(entry.place)
            if self._is_plain(mark, entry):
                continue
            lead = self._leads.get(mark) or self._lead(mark, entry)
            walk.marks += lead.marks
            walk.modules += lead.modules
            walk.files |= lead.files
            kept = self.keepers.get(mark)
            if kept is not None and not (mark in walk.ran and self._overwrites(mark)):
                walk.marks += kept.marks
                walk.modules += kept.modules
                walk.files |= kept.files
                walk.doubts |= kept.doubts

    def _lead(self, mark: Mark, entry: _Entry) -> _Lead:
        """Find where a function leads; keep that, unless some of its imports are still to run."""
        found = Found()
        module = self.modules.get(entry.place)  # none of a text that pytest executes
        package = module.package if module is not None else ""
        self._resolver.resolve(*self._imports_of(entry), package, found)
        marks = {*self._made.get(mark, ())}
        if not self._engine.precise:
            marks |= self.heirs.of(mark)
        for code in entry.codes:
            if not self._caches.keys().isdisjoint(code.co_names):
                marks.update(self._caches_named(code.co_names, codes.asked_names([code])))
        lead = _Lead(
            frozenset(marks),
            frozenset(found.places.union(self._loaded.get(mark, ()))),
            frozenset(found.packages),
        )
        if found.complete:
            self._leads[mark] = lead
        return lead

    def _is_plain(self, mark: Mark, entry: _Entry) -> bool:
        if mark in self._plain:
            return True
        if mark in self._leading:
            return False
        imports, texts = self._imports_of(entry)
        is_plain = (
            not imports
            and not texts
            and mark not in self.keepers
            and mark not in self._loaded
            and mark not in self._made
            and (self._engine.precise or mark not in self.heirs)
            and all(self._caches.keys().isdisjoint(code.co_names) for code in entry.codes)
        )
        (self._plain if is_plain else self._leading).add(mark)
        return is_plain

    def _imports_of(self, entry: _Entry) -> tuple[tuple[Import, ...], tuple[str, ...]]:
        if entry.imports is None:
            entry.imports = (
                tuple(each for code in entry.codes for each in codes.imports(code)),
                tuple(each for code in entry.codes for each in codes.imported_by_name(code)),
            )
        return entry.imports

    def _caches_named(self, names: Iterable[str], asked: Collection[str]) -> Iterator[Mark]:
        """Yield the caches that a function may ask: a hit runs none of their code.

        Who binds the name of a cache may hand it on. A memo that is kept by hand is asked.
        """
        for name in self._caches.keys() & names:
            is_asked = name in asked
            yield from (each for each in self._caches[name] if is_asked or each in self._cached)
