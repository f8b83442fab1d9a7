"""What each test depends on, followed while it runs.

Pieces (functions, module bodies, data files, packages, variables) are charged to whatever
was going on when they were used: see `contexts`. A test's *own* set is what happened during
its protocol and in the shared fixtures it used; its *base* is what had to happen before: its
module, the conftests above it, what those import, and what ran outside any test.

Code that runs once serves many tests. What a function filled (a cache, a global) is charged
to whoever calls it later; what ran while a module was imported, to whoever imports it: see
`program`.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

from pytest_aqe.evidence import auditing, children, codes, watching
from pytest_aqe.evidence.children import Children
from pytest_aqe.evidence.contexts import Context, Kind
from pytest_aqe.evidence.early import Early, code_of
from pytest_aqe.evidence.engine import Engine, Mark, mark_of
from pytest_aqe.evidence.facts import Base, Facts, Sets, Versions
from pytest_aqe.evidence.imports import Module, is_lazy
from pytest_aqe.evidence.observing import Observer
from pytest_aqe.evidence.program import Program
from pytest_aqe.evidence.reachable import functions_of, is_a, namespace_of
from pytest_aqe.evidence.territory import Territory
from pytest_aqe.evidence.versions import FIXTURE, VARIABLE

# Starts of cache-filling functions that are told apart: so many at once, and for each test some
# more, up to a few thousand tests' worth. The rest are lumped.
_AT_ONCE = 4096
_A_TEST = 256
_AT_MOST = 1 << 16
_CLOSELY = 64  # starts inside such a call before only the 128th, the 256th, ... is looked at
_IMPORT_MODULE = importlib.import_module.__code__  # each look at it is audited
_OURS = __name__.removesuffix("dependencies")
_MAKERS = (
    functools.lru_cache.__code__,
    *(each for each in functools.lru_cache.__code__.co_consts if isinstance(each, CodeType)),
    functools.cached_property.__init__.__code__,
)  # of what remembers
_FAILED = "tracking failed"
_LOCATING = "_pytest._code.code"  # asks in each test for its file: told before the path is read
_SCOPED_BY_FOLDER = frozenset({"conftest.py", "__init__.py"})


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
        self._program = Program(territory, engine)
        self._heirs = self._program.heirs
        self._versions = Versions(territory, variables)
        self._sets = Sets(self._program, self._versions)
        self._observer = Observer(territory, lambda: self._stack[-1], _cause, self._versions.touch)
        self._children = Children()
        self._looking: dict[Mark, auditing.Handler] = {}
        self._makers = frozenset(map(mark_of, _MAKERS))
        self._thread = get_ident()
        self._busy = False
        self._stack = [Context(Kind.SESSION)]
        self._conftests: set[str] = set()
        self._collected: dict[str, Context] = {}
        self._bases: dict[str, Base] = {}  # by the place of a test file
        self._allowed = _AT_ONCE
        self._untold: set[Mark] = set()  # of functions that others keep: calls not told apart
        self._inside = 0  # starts since the call began that is on top
        self._attends = True
        self._undo: list[watching.Undo] = []
        self.error: Exception | None = None
        """What went wrong in a place where nothing could be raised."""

    # --- the session

    def start(self) -> None:
        """Watch what is loaded already, and listen."""
        self._engine.start(self._call_started, self._call_ended)
        self._observer.start()
        with self.quietly():
            self._adopt_loaded()
        handlers: dict[str, Callable[..., None]] = {
            "exec": self._executed,
            "pickle.find_class": lambda module, _: self._import_by_name(module),
            **self._observer.handlers(),
        }
        for event in children.EVENTS:
            handlers[event] = self._process_started(handlers[event])
        auditing.listen({event: self._guarded(handle) for event, handle in handlers.items()})
        self._watch()

    def _watch(self) -> None:
        """Hear of what is no event: files asked about, modules imported by name and loaded."""
        if self._engine.precise:
            self._engine.watch_end(_IMPORT_MODULE)
            for code in _MAKERS:
                self._engine.watch_end(code)
            for function, note in self._observer.looks():
                self._looking[mark_of(function.__code__)] = note
                self._engine.watch_starts(function.__code__)
        else:
            self._undo.append(watching.imports_by_name(self._guarded(self._import_by_name)))
            for function, note in self._observer.looks():
                look = functools.partial(self._looked, note)
                self._undo.append(watching.starts(function, self._guarded(look)))
        look = functools.partial(self._looked, self._observer.looked_at)
        self._undo.append(watching.globs(self._guarded(look)))
        if sys.version_info < (3, 12):
            self._undo.append(watching.threads(self._guarded(self._observer.thread_started)))
        if self._variables:
            self._undo += watching.environ(self._variables, self._variable_read)

    def _process_started(self, note: Callable[..., None]) -> Callable[..., None]:
        def started(*arguments: Any) -> None:
            self._children.started(_cause())
            note(*arguments)

        return started

    def stop(self) -> None:
        """Leave nothing behind but the audit hook, which then costs a look-up."""
        auditing.silence()
        self._observer.stop()
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self._engine.stop()

    # --- contexts

    def begin(self, kind: Kind, owner: Any = None, *, kept: bool = True) -> Context:
        """Charge what happens from now on to a new context inside the present one.

        Of one that is not ``kept`` no facts are asked, so little is looked at: what later tests
        may depend on, which is modules, what functions remember, and what the test leaves.
        """
        self.settle()
        context = Context(kind, owner, kept=kept)
        self._push(context)
        self._heirs.begin()
        self._program.sharing.begin()
        if kind in (Kind.TEST, Kind.COLLECT):
            self._allowed = min(self._allowed + _A_TEST, _AT_MOST)
        if kind is Kind.TEST:
            self._children.begin(context)
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
        self._look_at_what_lives(context)
        self._stack[-1].absorb(context)
        return context

    def share(self, value: object, owner: object = None) -> None:
        """Hear of an object that several tests use, and of a module or class that holds some."""
        with self.quietly():
            if not self._program.sharing:
                return
            news = self._program.share(value)
            if owner is not None:
                news |= self._program.share_names(owner)
            if news:
                self._forget()

    def end_teardown(self, context: Context) -> Context:
        """Close what tears a shared fixture down: it is not the test's that happens to be last."""
        self.end(context)
        self._look_at_what_lives(context)
        return context

    def end_collecting(self, context: Context) -> None:
        """Close the making of the items of a file."""
        self.end(context)
        known = self._collected.setdefault(context.owner, Context(Kind.COLLECT, context.owner))
        if known.absorb(context):
            self._forget()

    def asked_for(self, file: str, fixtures: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Note the fixtures that are not the project's, by name and definitions."""
        place = self.place(file)
        context = self._collected.setdefault(place, Context(Kind.COLLECT, place))
        for name, definitions in fixtures:
            code = _code(definitions[-1].func)
            if code is None or not self.place(code.co_filename):
                context.files.add(f"{FIXTURE}{name}")

    def pause(self, context: Context) -> None:
        """Bring a context up to date that goes on: a test that may be run again."""
        while self._stack[-1] is not context:
            self._pop()
        context.marks |= self._engine.drain()
        self._look_at_what_lives(context)

    def charge(self, context: Context, function: object) -> None:
        """Charge a function that is known to have run, where the engine cannot tell."""
        mark = self._program.mark(_code(function))
        if mark is not None:
            context.marks.add(mark)

    def know(self, function: object) -> None:
        """Hear of a test or a fixture: `charge` will tell who runs it, if nothing calls it."""
        mark = self._program.mark(_code(function))
        if mark is not None:
            self._program.take_as_told(mark)

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
        charged = test
        if shared:
            charged = Context(Kind.TEST)
            for each in (test, *shared):
                charged.absorb(each)
        with self.quietly():
            place = self._territory.place(file)
            if place is None:
                charged.doubts.add("not in the project")
            elif not place.endswith(".py"):
                charged.files |= {place} | self._collected_at(place).files
            elif whole:
                charged.files.add(place)
            self._lump(test, place or "")
            base = self._base(place or "")
            return self._sets.facts(self._sets.own(charged, base), base, charged.doubts)

    def with_more(self, own: str, more: Context) -> Facts | None:
        """Return the facts of tests with this own set, with what was torn down after them."""
        with self.quietly():
            return self._sets.with_more(own, more)

    def leave(self, test: Context, file: str) -> None:
        """Take from a test of which no facts are asked what later ones may depend on."""
        with self.quietly():
            self._lump(test, self.place(file))

    def _lump(self, test: Context, place: str) -> None:
        """Let caches whose calls were not told apart keep what a test did."""
        if self._engine.precise:
            self._keep_untold(test)
        elif self._program.lump(test, self._base(place).closure):
            self._forget()

    def _base(self, place: str) -> Base:
        """Return the base of a test file.

        What a file that is no module opens as it is collected is its own: there are many.
        """
        known = self._bases.get(place)
        if known is not None:
            return known
        session, collected = self._stack[0], self._collected_at(place)
        marks = {m for m in session.marks if _applies(self._program.place(m), place)}
        modules = {m for m in session.modules if _applies(m, place)}
        modules |= {m for m in self._conftests if _applies(m, place)}
        modules |= collected.modules
        if place in self._program.modules:
            modules.add(place)
        files = session.files | collected.files if place.endswith(".py") else session.files
        known = self._bases[place] = self._sets.base(
            marks | collected.marks, modules, files, session.doubts | collected.doubts
        )
        return known

    def _collected_at(self, place: str) -> Context:
        return self._collected.get(place) or Context(Kind.COLLECT, place)

    def _forget(self) -> None:
        """Follow bases anew: more is known than when they were followed."""
        self._bases.clear()
        self._sets.forget()

    # --- modules

    def _executed(self, code: CodeType) -> None:
        """Take up a module whose body is about to run, or a text."""
        if code.co_name != codes.MODULE:
            return
        place = self._territory.place(code.co_filename)
        if place is None:
            self._note_text(code)
            return
        module = self._module(place)
        try:
            self._take_up(module, code)
        except Exception as error:  # it is loaded once, and concerns whoever needs it later
            self._note_error(error, module.doubts)
            self._stack[-1].modules.add(place)

    def _take_up(self, module: Module, code: CodeType) -> None:
        place, frame = module.place, _cause()
        if place in self._territory.differing:
            module.doubts.add("installed copy differs")
        self._versions.take(place, code.co_filename)
        namespace = _namespace_for(frame)
        module.package = _package(namespace)
        self._program.adopt(module, code)
        is_imported = _is_loading(frame) and (namespace or {}).get("__name__", "") != "__main__"
        marks = set() if is_imported else {self._program.main(place)}
        if get_ident() != self._thread:
            self._stack[-1].marks |= marks
            self._stack[-1].modules.add(place)
            self._leave(module, code, namespace)
            return
        self._sync(frame)
        self._stack[-1].marks |= marks
        self._note_importer(module, frame)
        if namespace is not None and is_lazy(namespace):
            self._note_holders(place, namespace)
        context = Context(Kind.IMPORT, place, code, namespace)
        self._push(context)
        self._engine.watch_end(code)

    def _note_text(self, code: CodeType) -> None:
        """Charge what a text imports: no function says so, and all of it may be loaded already."""
        if not self._stack[-1].kept or self._territory.is_foreign(code.co_filename):
            return
        mark = self._program.text(self._executing, code)
        if mark is not None:
            self._stack[-1].marks.add(mark)

    def _executing(self) -> str:
        """Return where the code stands that is running now, or what it runs for."""
        importer, _ = self._importer(_cause())
        if importer is not None:
            return importer.place
        owners = (context.owner for context in reversed(self._stack))
        return next((owner for owner in owners if isinstance(owner, str)), "")

    def _importer(self, frame: FrameType | None) -> tuple[Module | None, FrameType | None]:
        """Return the innermost module of the project that is running, and its frame."""
        while frame is not None:
            place = self._territory.place(frame.f_code.co_filename)
            if place in self._program.modules:
                return self._program.modules[place], frame
            frame = frame.f_back
        return None, None

    def _module(self, place: str) -> Module:
        if _is_conftest(place):
            self._conftests.add(place)
        return self._program.module(place)

    def _note_importer(self, module: Module, frame: FrameType | None) -> None:
        place = module.place
        top = self._stack[-1]
        if top.kind is Kind.IMPORT:
            self._program.modules[top.owner].edges.add(place)
        elif not (top.kind is Kind.SESSION and _is_conftest(place)):
            top.modules.add(place)
        importer, cause = self._importer(frame)
        if importer is None or cause is None:
            return
        if cause.f_code.co_name in (codes.MODULE, "__getattr__"):
            importer.edges.add(place)
            module.lazy |= importer.lazy
        else:
            module.lazy = True
            self._program.note_loader(cause.f_code, place)
            package = self._asked_of(cause.f_back)
            if package is not None:
                package.edges.add(place)

    def _asked_of(self, frame: FrameType | None) -> Module | None:
        """Return the module whose ``__getattr__`` runs a helper: it may keep what that loads."""
        while frame is not None:
            place = self._territory.place(frame.f_code.co_filename)
            module = self._program.modules.get(place or "")
            if module is None or frame.f_code.co_name == "__getattr__":
                return module
            frame = frame.f_back
        return None

    def _note_holders(self, place: str, namespace: dict[str, Any]) -> None:
        """Charge a module that loads itself when it is used to those where it waited for that."""
        lazy = sys.modules.get(namespace["__name__"])
        holders = {
            self._territory.place(str(held.get("__file__")))
            for held in map(namespace_of, list(sys.modules.values()))
            if lazy is not None and any(value is lazy for value in list(held.values()))
        }
        known = self._program.modules.keys() & holders
        for holder in known:
            self._program.modules[holder].edges.add(place)
        if not known:
            self._stack[0].modules.add(place)
        self._forget()

    def _leave(self, module: Module, code: CodeType, namespace: dict[str, Any] | None) -> None:
        try:
            self._program.leave(module, code, namespace)
        except Exception as error:
            self._note_error(error, module.doubts)
        self._forget()

    def _adopt_loaded(self) -> None:
        """Watch what can be reached of modules that were there before us."""
        loaded: list[tuple[str, str, dict[str, Any]]] = []
        for imported in list(sys.modules.values()):
            namespace = namespace_of(imported)
            file = namespace.get("__file__")
            place = self._territory.place(file) if is_a(file, str) else None
            if place is not None and is_a(file, str):
                if place.endswith(".py"):
                    loaded.append((place, file, namespace))
                else:
                    self._stack[0].modules.add(place)
        for place, file, namespace in loaded:
            module = self._module(place)
            module.package = _package(namespace)
            if place in self._territory.differing:
                module.doubts.add("installed copy differs")
            self._versions.take(place, file)
            if not _is_conftest(place):
                self._stack[0].modules.add(place)
            if namespace.get("__name__") == "__main__":
                self._stack[0].marks.add(self._program.main(place))
        for file, there in functions_of((file, names) for _, file, names in loaded).items():
            self._program.adopt_loaded(self._module(self.place(file)), file, there)
        for place, _, namespace in loaded:
            self._program.find_caches(namespace)
            self._program.find_changes(self._module(place), namespace)
        self._suppose_run(loaded)

    def _suppose_run(self, loaded: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
        """Charge what modules can have run and read that were there before us."""
        early = Early(namespace for _, _, namespace in loaded)
        for place, file, namespace in loaded:
            code = code_of(file, namespace)
            if code is not None:
                self._program.import_loaded(self._module(place), code)
                early.body(code, namespace)
        everywhere = self._stack[0]
        marks = (self._program.mark(function.__code__) for function in early.called)
        everywhere.marks.update(mark for mark in marks if mark is not None)
        everywhere.files.update(filter(None, map(self._territory.place, early.read)))
        if any(map(self._territory.inside, early.hidden)):  # not of who started this session
            everywhere.doubts.add("read before the start")

    def _looked(self, note: auditing.Handler, path: object) -> None:
        if self._stack[-1].kind is not Kind.SESSION:
            note(path)

    def _look_started(self, note: auditing.Handler, code: CodeType, frame: FrameType) -> None:
        caller = frame.f_back
        if self._stack[-1].kind is Kind.SESSION:
            return
        if caller is not None:
            if caller.f_globals.get("__name__") == _LOCATING:
                return
            if mark_of(caller.f_code) in self._looking:
                return  # it told already
        self._busy = True
        try:
            note(frame.f_locals[code.co_varnames[0]])
        except Exception as error:
            self._note_error(error)
        finally:
            self._busy = False

    def _import_by_name(self, name: str) -> None:
        found = self._program.imported(name)
        top = self._stack[-1]
        if top.kind is Kind.IMPORT:
            self._program.modules[top.owner].edges |= found.places - {top.owner}
        elif top.kind is not Kind.SESSION:
            top.modules |= found.places
        top.files |= found.packages

    def _variable_read(self, name: str) -> None:
        if not self._observer.is_our_own():
            self.settle()
            self._stack[-1].files.add(f"{VARIABLE}{name}")

    # --- the stack

    def _push_lightly(self, context: Context) -> None:
        """Look into a call that nearly always finds its answer, and starts little."""
        self._stack.append(context)
        self._attend()
        context.since = self._engine.count()

    def _push(self, context: Context) -> None:
        self._drain()
        self._stack.append(context)
        self._attend()

    def _attend(self) -> None:
        """Let the engine rest while what happens is not kept, and heed calls that may raise."""
        sticky = self._stack[-1].kind is Kind.STICKY
        self._engine.heed(self._started_inside if sticky else None)
        self._inside = 0
        if self._stack[-1].kept == self._attends:
            return
        self._attends = not self._attends
        if self._attends:
            self._engine.go_on()
        else:
            self._engine.rest()

    def _pop(self) -> Context:
        context = self._stack[-1]
        if len(self._stack) == 1:
            raise IndexError("the session itself does not end")
        if context.since is None:
            self._drain()
        else:
            context.marks |= self._engine.told(context.since)
        self._stack.pop()
        if context.kind is not Kind.TEST:  # of which `_lump` is asked
            self._keep_untold(context)
        if context.kind is Kind.IMPORT:
            module = self._program.modules[context.owner]
            module.marks |= context.marks
            module.files |= context.files
            module.edges |= context.modules - {context.owner}
            module.doubts |= context.doubts
            if context.code is not None:
                self._leave(module, context.code, context.namespace)
        elif context.kind is Kind.STICKY:
            if self._program.keep(context.owner, context):
                self._forget()
            self._stack[-1].absorb(context)
        self._attend()
        return context

    def _keep_untold(self, context: Context) -> None:
        """Let caches whose calls were not told apart keep all that happened in a context."""
        keepers = self._program.keepers
        untold = list(self._untold) if self._engine.precise else keepers.keys() & context.marks
        for mark in untold:
            if self._program.keep(mark, context):
                self._forget()
        if context.kind in (Kind.TEST, Kind.COLLECT):
            self._untold.difference_update(untold)  # another thread may have added one meanwhile

    def _drain(self) -> None:
        """Charge what started: what did in light contexts, to the one they are in as well."""
        place = -1
        while (since := self._stack[place].since) is not None:
            self._stack[place].marks |= self._engine.told(since)
            self._stack[place].since = 0
            place -= 1
        context = self._stack[place]
        fired = self._engine.drain()
        if fired:
            if context.kind is Kind.SESSION and not fired <= context.marks:
                self._forget()
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

    def _started_inside(self, frame: FrameType) -> None:
        """See whether a call still runs when something else starts: no event says that it raised.

        Greenlets have stacks of their own, so there nobody can see it.
        """
        self._inside += 1
        if self._inside <= _CLOSELY or not self._inside & (self._inside - 1):
            self._close_raised(frame)

    def _close_raised(self, frame: FrameType) -> None:
        if self._busy or get_ident() != self._thread or "greenlet" in sys.modules:
            return
        while (top := self._stack[-1]).kind is Kind.STICKY and not _runs(top, frame.f_back):
            self._pop()

    def _call_started(self, code: CodeType, frame: FrameType) -> bool:
        """Note a start; tell whether enough of them were told."""
        if self._busy:
            return False
        mark = mark_of(code)
        if self._stack[-1].kind is Kind.STICKY:
            caller = frame.f_back
            recurs = (  # then the call around runs
                mark == self._stack[-1].owner and caller is not None and caller.f_code is code
            )
            if mark in self._program.keepers and not recurs:
                self._close_raised(frame)
            else:
                self._started_inside(frame)
        if mark in self._looking:
            if not self._stack[-1].kept:
                return True
            self._look_started(self._looking[mark], code, frame)
            return False
        top = self._stack[-1]
        top.marks.add(mark)
        enough = not top.kept or (mark in self._heirs and self._look(mark, code, frame, top))
        if mark not in self._program.keepers:
            return enough
        counts, receiver = self._program.sharing.counts(mark, code, frame)
        if not counts:
            return self._program.sharing.is_silent() and not self._is_open(code)
        if codes.awaits(code):  # others may do its work meanwhile
            self._untold.add(mark)
            self._keep_all()
        is_here = get_ident() == self._thread
        if is_here and top.kind is Kind.STICKY and top.owner == mark:
            return False
        if not is_here or not self._allowed:
            is_told = mark in self._untold
            self._untold.add(mark)
            self._keep_all()
            return is_told and is_here and not self._is_open(code)
        self._allowed -= 1
        context = Context(Kind.STICKY, mark, code, frame=mark_of(frame), receiver=receiver)
        if self._program.is_light(mark):
            self._push_lightly(context)
        else:
            self._push(context)
        return False

    def _keep_all(self) -> None:
        """Keep from now on what happens in a test of which that was not asked."""
        for context in self._stack:
            context.kept = True
        self._attend()

    def _look(self, mark: Mark, code: CodeType, frame: FrameType, context: Context) -> bool:
        """Charge the class that an inherited method is called on; tell whether that is enough."""
        try:
            classes, enough = self._heirs.look(mark, code, frame)
        except Exception as error:
            self._note_error(error)
            return False
        context.marks |= classes
        return enough

    def _is_open(self, code: CodeType) -> bool:
        return any(context.code is code for context in self._stack)

    def _call_ended(self, code: CodeType, frame: FrameType, value: object) -> None:
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
            if mark_of(code) in self._makers:
                self._cache_made(frame)
                return
            for context in reversed(self._stack):
                if context.code is code and context.frame in (0, mark_of(frame)):
                    break
                if context.kind not in (Kind.IMPORT, Kind.STICKY):
                    return
            else:
                return
            self.end(context)
            if context.kind is Kind.STICKY and self._program.share_what_is_bound(
                context.owner, code, frame.f_globals, context.receiver, value
            ):
                self._forget()
        except Exception as error:
            self._note_error(error)
        finally:
            self._busy = False

    def _cache_made(self, frame: FrameType) -> None:
        """Take up what functions remember that no name of a module may lead to."""
        cached = _code(frame.f_locals.get("user_function", frame.f_locals.get("func")))
        module, maker = self._importer(frame)
        if cached is None or module is None or maker is None:
            return
        if self._program.cache_made(cached, maker.f_code):
            self._forget()

    def _look_at_what_lives(self, context: Context) -> None:
        self._children.look(context)
        if any(thread.is_alive() for thread in context.threads):
            context.doubts.add("thread")

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
    def quietly(self) -> Iterator[None]:
        """Take no notice of what happens meanwhile."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    def _note_error(self, error: Exception, doubts: set[str] | None = None) -> None:
        """Put in doubt what the error can concern: what is going on, if nothing else is named."""
        self.error = self.error or error
        (self._stack[-1].doubts if doubts is None else doubts).add(_FAILED)
        if self._stack[-1].kind is Kind.SESSION:
            self._forget()


def _cause() -> FrameType | None:
    """Return the frame that caused the event being handled: the innermost that is not ours.

    Globals tell, for each look at a frame's code is audited.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if not (is_a(name, str) and name.startswith(_OURS)):
            break
        frame = frame.f_back
        if name == auditing.__name__:
            break
    return frame


def _runs(call: Context, frame: FrameType | None) -> bool:
    """Tell whether a call is what this frame runs for. The next frame may stand in its memory."""
    while frame is not None:
        if mark_of(frame) == call.frame and frame.f_code is call.code:
            return True
        frame = frame.f_back
    return False


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
        namespace = namespace_of(frame.f_locals.get("module"))
        if "__name__" in namespace:
            return namespace
        frame = frame.f_back
    return None


def _is_loading(frame: FrameType | None) -> bool:
    """Tell whether a loader executes a module, and no one who runs a program."""
    for _ in range(2):
        if frame is not None and frame.f_code.co_name != "exec_module":
            frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "exec_module"


def _package(namespace: dict[str, Any] | None) -> str:
    if not namespace:
        return ""
    package = namespace.get("__package__")
    if isinstance(package, str):
        return package
    name = namespace.get("__name__", "")
    return name if "__path__" in namespace else str(name).rpartition(".")[0]


def _code(function: object) -> CodeType | None:
    return getattr(_unwrapped(function), "__code__", None)


def _unwrapped(function: object) -> object:
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        function = inner
    return function
