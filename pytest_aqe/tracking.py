"""Role 2, follows tests: hangs on each test's last report what it depends on.

Only the outermost session of a process follows; in a nested one (pytester) `Tracking.reason`
says so. See `evidence.dependencies` for what is followed, and how it is charged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_aqe.data import SKIPPED, Depends
from pytest_aqe.evidence import auditing
from pytest_aqe.evidence.contexts import Context, Kind
from pytest_aqe.evidence.dependencies import Dependencies
from pytest_aqe.evidence.engine import Engine
from pytest_aqe.evidence.identity import git_root
from pytest_aqe.evidence.skips import Skips
from pytest_aqe.evidence.territory import Territory
from pytest_aqe.faults import Faults

Carries = Callable[[pytest.Item], Depends | None]


class Tracking:
    """Follow every test of this process, from `start` on.

    ``folder`` is ``.aqe``, where rewritten modules are kept (Python 3.10 and 3.11), or None;
    ``variables`` are the environment variables whose look-up makes a test depend on them.
    """

    def __init__(
        self,
        config: pytest.Config,
        faults: Faults,
        folder: Path | None = None,
        variables: Sequence[str] = (),
    ) -> None:
        self._config = config
        self._faults = faults
        self._folder = folder
        self._variables = variables
        self._following = faults.guard("following tests")
        self._dependencies: Dependencies | None = None
        self._test: Context | None = None
        self._node_id = ""
        self._item: pytest.Item | None = None
        self._shared: dict[Any, Context] = {}
        self._teardowns: dict[Any, Context] = {}  # that go on
        self._users: dict[Any, set[str]] = {}  # of shared fixtures, by their own sets
        self._amended: dict[str, str] = {}  # own sets, with what was torn down after their tests
        self._untold: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        self._known = False
        self._skips = Skips()
        self._skipped = False  # before it began
        self._carries: Carries | None = None
        self._carried: Depends | None = None
        self.reason: str | None = "tracking was not started"
        """Why no test is followed, or None."""

    def start(self) -> None:
        """Begin, as soon as the configuration is known: best before conftests are loaded.

        What is imported already is charged to every test.
        """
        with self._following:
            self.reason = self._start()
        self._config.add_cleanup(self._end)  # unlike a hook, that of a forked child too

    def carry(self, carries: Carries) -> None:
        """Ask of each test what is known already of what it depends on: that is not followed."""
        self._carries = carries

    def stop(self) -> None:
        """Leave nothing behind."""
        if self._dependencies is not None:
            dependencies, self._dependencies = self._dependencies, None
            self.reason = "tracking has ended"
            dependencies.stop()

    def _start(self) -> str | None:
        if auditing.listening():
            return "another session in this process is being tracked"
        root = git_root(self._config.rootpath) or self._config.rootpath
        base = self._config.getoption("basetemp", None)
        own = Path(__file__).parent
        outside = [str(Path(base).absolute())] if base else []
        if not own.is_relative_to(root):
            outside.append(str(own))  # a checkout of ours next door is no project of the user's
        territory = Territory(str(root), outside)
        engine: Engine
        if sys.version_info >= (3, 12):
            from pytest_aqe.evidence.monitoring import Monitor, free_tools

            tools = free_tools()
            if tools is None:
                return "other tools hold too many ids of sys.monitoring"
            engine = Monitor(tools)
        else:
            from pytest_aqe.evidence.flags import Flags

            engine = Flags(
                lambda path: territory.place(path) is not None,
                self._folder / "flags" if self._folder else None,
            )
        self._dependencies = Dependencies(territory, engine, self._variables)
        self._dependencies.start()
        return None

    def pytest_plugin_registered(self) -> None:
        """See that a conftest's import is over: what its hooks run is nobody's import."""
        if self._dependencies is not None:
            with self._following:
                self._dependencies.settle()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """Charge what the making of items runs to the tests of their file."""
        following = self._dependencies
        if following is None or isinstance(collector, (pytest.Session, pytest.Directory)):
            return (yield)
        context = None
        with self._following:
            context = following.begin(Kind.COLLECT, following.place(str(collector.path)))
        try:
            return (yield)
        finally:
            with self._following:
                if context is not None:
                    following.end_collecting(context)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Charge everything up to the end of the last attempt to the test."""
        following = self._dependencies
        if following is None:
            return (yield)
        with self._following:
            if not self._known:
                self._learn(item.session)
            self._item, self._node_id, self._used = item, item.nodeid, {}
            self._carried = self._carries(item) if self._carries is not None else None
            self._test = following.begin(
                Kind.TEST, following.place(str(item.path)), kept=self._carried is None
            )
        try:
            return (yield)
        finally:
            with self._following:
                if self._test is not None:
                    following.end(self._test)
                self._test = self._item = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        """Keep what sets up a shared fixture for every test that uses it later."""
        __tracebackhide__ = True
        following = self._dependencies
        if following is None or self._test is None:
            return (yield)
        if fixturedef.scope == "function":
            with self._following:
                if not following.precise:
                    following.charge(self._test, fixturedef.func)
            return (yield)
        context = None
        with self._following:
            fixturedef.addfinalizer(lambda: self._end_teardown(fixturedef))  # the last
            context = following.begin(Kind.FIXTURE)
        try:
            return (yield)
        finally:
            with self._following:
                fixturedef.addfinalizer(lambda: self._begin_teardown(fixturedef))  # the first
                if context is not None:
                    following.end_shared(context)
                    sets_up = "_setup" in fixturedef.argname or "request" in fixturedef.argnames
                    following.share(
                        (fixturedef.cached_result or [None])[0],
                        getattr(request.node, "_obj", None) if sets_up else None,
                    )
                    if "request" in fixturedef.argnames:
                        # what it asked for by name; some of it was set up before
                        for other in _active(request).values():
                            if other is not fixturedef and other in self._shared:
                                context.absorb(self._shared[other])
                    if not following.precise:
                        following.charge(context, fixturedef.func)
                    self._shared[fixturedef] = context

    def told_last(self) -> dict[str, Any]:
        """Return what no report tells: sets, files and `amended` sets, as on a report."""
        told, self._untold = self._untold, {}
        return told

    def _begin_teardown(self, fixturedef: Any) -> None:
        following = self._dependencies
        if following is not None:
            with self._following:
                self._teardowns[fixturedef] = following.begin(Kind.FIXTURE)

    def _end_teardown(self, fixturedef: Any) -> None:
        """Charge what tore a fixture down to every test that used it; most have ended before."""
        context, following = self._teardowns.pop(fixturedef, None), self._dependencies
        if context is None or following is None:
            return
        with self._following:
            following.end_teardown(context)
            users = self._users.pop(fixturedef, ())
            shared = self._shared.get(fixturedef)
            if shared is None or not shared.absorb(context):
                return
            for own in users:
                facts = following.with_more(self._amended.get(own, own), context)
                if facts is not None:
                    self._amended[own] = facts.own
                    for name, new in (("sets", facts.sets), ("files", facts.files)):
                        self._untold.setdefault(name, {}).update(new)
                    self._untold.setdefault("amended", {})[own] = [facts.own, *facts.doubt]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """See which fixtures the test used, while that is known."""
        __tracebackhide__ = True
        if self._test is not None and self._carried is None:
            with self._following:
                self._used.update(_active(getattr(item, "_request", None)))
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hang the facts on the report that ends an attempt; the last attempt's say all."""
        if report.when == "setup":
            self._skipped = report.skipped
        elif report.skipped:
            self._skipped = getattr(getattr(self._item, "obj", None), "__unittest_skip__", False)
        if report.when == "teardown" and self._test is not None:
            with self._following:
                self._attach(report, self._test)

    def _end(self) -> None:
        with self._following:
            self.stop()

    def _overridden(self, request: Any) -> Iterator[Context]:
        """Yield what shared fixtures did that others override, and that something asked for.

        pytest keeps one definition a name of what a test has used: the closest.
        """
        definitions = getattr(request, "_arg2fixturedefs", {})
        asked = {name for each in self._used.values() for name in each.argnames}
        for name in asked & self._used.keys():
            if len(definitions.get(name, ())) > 1:
                yield from (
                    self._shared[each] for each in definitions[name] if each in self._shared
                )

    def _attach(self, report: pytest.TestReport, test: Context) -> None:
        following, item = self._dependencies, self._item
        if following is None or item is None or report.nodeid != self._node_id:
            return
        following.pause(test)
        if self._carried is not None:
            following.leave(test, str(item.path))
            _hang(report, self._carried, **self.told_last())
            return
        used = [each for each in self._used.values() if each in self._shared]
        shared = [self._shared[each] for each in used]
        shared += self._overridden(getattr(item, "_request", None))
        settled = self._settled(item)
        if settled or not following.precise:
            following.charge(test, getattr(item, "function", None))
        facts = following.facts(
            test, str(item.path), shared, whole=isinstance(item, pytest.DoctestItem)
        )
        for each in used:
            self._users.setdefault(each, set()).add(facts.own)
        new = self.told_last()
        for name, what in (("sets", facts.sets), ("files", facts.files)):
            if what:
                new[name] = {**new.get(name, {}), **what}
        doubt = (*facts.doubt, SKIPPED) if settled else tuple(facts.doubt)
        _hang(report, Depends(facts.own, facts.base, doubt), **new)

    def _settled(self, item: pytest.Item) -> bool:
        """Tell whether only the project's code and the interpreter decided that it was skipped."""
        if not self._skipped or self._dependencies is None:
            return False
        with self._dependencies.quietly():
            return self._skips.are_settled(item)

    def _learn(self, session: pytest.Session) -> None:
        """Hear of the fixtures of others that tests use, which the project may come to override.

        And tell apart tests and fixtures, where the engine cannot follow a test module.
        """
        self._known = True
        following = self._dependencies
        if following is None:
            return
        infos: dict[int, tuple[str, Any]] = {}  # one for all parameters of a test
        for item in session.items:
            info = getattr(item, "_fixtureinfo", None)
            if info is not None:
                infos.setdefault(id(info), (str(item.path), info))
        for file, info in infos.values():
            following.asked_for(file, info.name2fixturedefs.items())
        if following.precise:
            return
        for item in session.items:
            following.know(getattr(item, "function", None))
        for definition in _fixtures(session):
            following.know(definition.func)


def _hang(report: pytest.TestReport, depends: Depends, **new: Any) -> None:
    """Let a report tell what its test depends on, and what it is the first to tell."""
    told: dict[str, Any] = {"own": depends.own, "base": depends.base}
    if depends.doubt:
        told["doubt"] = list(depends.doubt)
    hung = {**getattr(report, "aqe", {}), "depends": told, **new}
    report.aqe = hung  # type: ignore[attr-defined]  # travels with the report


def _fixtures(session: pytest.Session) -> Iterator[Any]:
    """Yield the definitions of all fixtures there are, where pytest shows them."""
    manager: Any = getattr(session, "_fixturemanager", None)
    if hasattr(manager, "_get_all_fixture_defs"):
        yield from manager._get_all_fixture_defs()
    else:  # before pytest 9
        for definitions in getattr(manager, "_arg2fixturedefs", {}).values():
            yield from definitions


def _active(request: Any) -> dict[str, Any]:
    """Return the fixtures that a test has used so far, those asked for by name included."""
    active = getattr(request, "_fixture_defs", None)
    return active if isinstance(active, dict) else {}
