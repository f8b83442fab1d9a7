"""Role 2, runs tests: applies the controller's plan and knows the facts of each test.

Lives in every process that runs tests; without xdist that is the controller's own. It holds
no learner, no database and no randomness, so all workers arrange alike: xdist refuses to run
when they do not.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Sequence, Sized
from pathlib import Path
from typing import Any

import pytest

from pytest_aqe.data import ALWAYS, Depends, Identity, NodeId, Plan
from pytest_aqe.evidence import identity as identities
from pytest_aqe.evidence.reports import Facts
from pytest_aqe.faults import Faults
from pytest_aqe.learning.budget import cut
from pytest_aqe.learning.selection import Place, arrange

MOST_ELSEWHERE = 0.5  # of what is left out: who asks for a small part is told of no other
_PINNING_MARKS = ("order", "dependency")  # of pytest-order and pytest-dependency
_WIDE_SCOPES = frozenset({"class", "module", "package"})
_CROSSING_SCOPES = frozenset({"package", "session"})
# Options by which others take away, or give to another machine, what they see collected: they
# must see all of it. Of pytest, pytest-split, pytest-shard and pytest-test-groups.
_CHOOSING = ("keyword", "markexpr", "splits", "num_shards", "test_group_count", "pyargs")
_COUNTS = ("kinds", "replayed", "to_run")  # of what a worker tells


class Worker:
    """Arrange what was collected; say of each test what only this process knows."""

    def __init__(
        self,
        config: pytest.Config,
        faults: Faults,
        plan: Callable[[], Plan],
        finish: Callable[[dict[str, Any]], None],
    ) -> None:
        self._config = config
        self._faults = faults
        self._plan = plan
        self._finish = finish
        self._items: dict[NodeId, tuple[int, pytest.Item]] = {}
        self._identities = _Identities(config.rootpath, "")
        self._collected = 0
        self._deselected = 0
        self._started = 0
        self._adds_evidence = False
        self._follows = False
        self._told: dict[str, Any] = {}
        self._unvisited: dict[str, str] | None = None
        self._passed_by: dict[str, int] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Do not even import a file of which every test is left out; count them."""
        with self._faults.guard("passing by files"):
            if self._unvisited is None:
                self._unvisited = self._files_to_pass_by()
            file = self._unvisited.get(str(collection_path))
            if file is not None:
                self._passed_by[file] = self._plan().unvisited[file]
                return True
        return None

    def _files_to_pass_by(self) -> dict[str, str]:
        """Return them, of those that were asked for, by where they are.

        pytest looks at all that stands beside a folder that was asked for.
        """
        plan = self._plan()
        if plan.replay is not None:
            return {}
        if any(self._config.getoption(name, None) for name in _CHOOSING):
            return {}
        start = self._config.invocation_params.dir
        asked = [start / each.partition("::")[0] for each in self._config.args]
        root = self._config.rootpath
        for _ in range(plan.prefix.count("/")):
            root = root.parent
        return {
            str(root / file): file
            for file in plan.unvisited
            if any((root / file).is_relative_to(each) for each in asked)
        }

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Reorder after every other plugin has had its say.

        A plain or ``trylast`` hook lost tests under pytest-split (measured); this slot runs
        after it and before ``--lf``, ``--ff`` and ``--nf``, which therefore win.
        """
        with self._faults.guard("counting tests"):
            self._count(items)
        yield
        with self._faults.guard("ordering tests"):
            self._items = {item.nodeid: (index, item) for index, item in enumerate(items)}
            hook = self._config.pluginmanager.hook.pytest_aqe_evidence
            self._adds_evidence = bool(hook.get_hookimpls())
            self._collected = len(items) + self._deselected + sum(self._passed_by.values())
            plan = self._plan()
            self._follows = plan.follows
            self._identities = _Identities(self._config.rootpath, plan.prefix)
            if plan.replay is not None:
                self._replay(items, plan.replay)
            elif plan.mode != "observe":
                self._choose(items, plan)
                order = arrange(self._places(items), plan.ranks)
                items[:] = [items[index] for index in order]
            if plan.tells_order:
                self._told["order"] = [item.nodeid for item in items]

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count what anybody deselects: xdist's controller never hears of it.

        Some hand over a generator, which is not ours to exhaust.
        """
        if isinstance(items, Sized):
            self._deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is to run after everybody has taken away."""
        self._told["to_run"] = len(session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Send what the controller cannot see."""
        with self._faults.guard("finishing a worker"):
            self._finish(
                {
                    "collected": self._collected,
                    "deselected": self._deselected,
                    "faults": self._faults.lines(),
                    **self._told,
                }
            )

    def chosen(self) -> dict[str, Any]:
        """Return how many tests are left out and how many are to run."""
        return {name: self._told[name] for name in _COUNTS if name in self._told}

    def identity(self, item: pytest.Item) -> Identity:
        """Return an item's name in the history."""
        return self._identities.of(item, item.nodeid)

    def carried(self, item: pytest.Item) -> Depends | None:
        """Return what a test depends on, where nothing of it has changed."""
        return self._plan().carried.get(self.identity(item))

    def facts(self, report: pytest.TestReport) -> Facts:
        """Return what the history wants to know of an attempt; ``report`` is its last one."""
        return self.facts_at_start(report) | self.facts_at_end(report)

    def facts_at_start(self, report: pytest.TestReport) -> Facts:
        """Return what is known before an attempt ran. Call it once an attempt."""
        known = self._items.get(report.nodeid)
        if known is None:
            return {}
        index, item = known
        facts: Facts = {"position": self._started, "collected": index}
        self._started += 1
        identity = self._identities.of(item, report.nodeid)
        if identity != self._identities.prefix + identities.without_group(report.nodeid):
            facts["identity"] = identity
        body = self._identities.body_of(item)
        if body is not None:
            facts["body"] = body
        return facts

    def facts_at_end(self, report: pytest.TestReport) -> Facts:
        """Return what marks and other plugins say of an attempt that ended."""
        known = self._items.get(report.nodeid)
        if known is None:
            return {}
        facts: Facts = {}
        if self._follows and (mark := known[1].get_closest_marker("aqe_depends")) is not None:
            facts["globs"] = [str(glob) for glob in mark.args]
        if self._follows and known[1].get_closest_marker("aqe_always") is not None:
            facts[ALWAYS] = True
        return facts | self._evidence(known[1], report) if self._adds_evidence else facts

    def _evidence(self, item: pytest.Item, report: pytest.TestReport) -> Facts:
        merged: Facts = {}
        with self._faults.guard("asking plugins for evidence"):
            hook = self._config.pluginmanager.hook.pytest_aqe_evidence
            for facts in reversed(hook(item=item, report=report)):
                merged.update(facts)
            merged = json.loads(json.dumps(merged, default=str))  # what execnet can carry
        return {"evidence": merged} if merged else {}

    def _choose(self, items: list[pytest.Item], plan: Plan) -> None:
        """Take away what the plan leaves out and what exceeds its budget; count why."""
        kinds: Counter[str] = Counter()
        kept: list[pytest.Item] = []
        rest: list[pytest.Item] = []
        left_out: set[Identity] = set()
        always: set[Identity] = set()
        for item in items:
            identity = self._identities.of(item, item.nodeid)
            because = plan.because.get(identity, "")
            if not because and plan.mode == "select":
                because = "unknown" if identity in plan.ranks else "new"
            if identity not in plan.left_out or not _is_known(plan, identity, item.nodeid):
                kept.append(item)
            elif item.get_closest_marker("aqe_always") is not None:
                because = "always"
                kept.append(item)
                always.add(identity)
            else:
                because = "left out"
                rest.append(item)
                left_out.add(identity)
            kinds[because] += 1
        if plan.budget is not None:
            names = [self._identities.of(item, item.nodeid) for item in kept]
            over = cut(names, plan.ranks, plan.budget, plan.workers, plan.stale)
            kinds["cut"] = len(over)
            rest += [item for index, item in enumerate(kept) if index in over]
            kept = [item for index, item in enumerate(kept) if index not in over]
        self._take_away(items, kept, rest)
        if self._passed_by:
            kinds["left out"] += sum(self._passed_by.values())
        self._told["kinds"] = dict(kinds)
        self._tell_of_others(plan, left_out - always)
        if plan.tells_rest:
            self._told["rest"] = [item.nodeid for item in rest]

    def _tell_of_others(self, plan: Plan, met: set[Identity]) -> None:
        """Tell which tests of the plan are not here to be left out; nothing where most are not."""
        others = [
            identity
            for identity in plan.left_out - met
            if identity.partition("::")[0] not in self._passed_by
        ]
        if len(others) <= MOST_ELSEWHERE * len(plan.left_out):
            self._told["others"] = others

    def _count(self, items: list[pytest.Item]) -> None:
        """Count the tests of each file, where all of them were collected."""
        asked = self._config.args
        if any("::" in each for each in asked) or self._config.getoption("lf", False):
            return
        prefix = self._plan().prefix
        counts: Counter[str] = Counter(str(item.path) for item in items)
        self._told["files"] = {
            prefix + place: count
            for path, count in counts.items()
            if (place := _below(path, self._config.rootpath)) is not None
        } | self._passed_by

    def _replay(self, items: list[pytest.Item], wanted: Sequence[NodeId]) -> None:
        """Leave the tests of a written plan, in its order; say which are not there."""
        known = {item.nodeid: item for item in items}
        kept = [known[node_id] for node_id in wanted if node_id in known]
        chosen = set(kept)
        rest = [item for item in items if item not in chosen]
        self._told["replayed"] = (len(kept), len(rest))
        if self._plan().tells_rest:
            self._told["rest"] = [item.nodeid for item in rest]
        self._take_away(items, kept, rest)
        self._told["missing"] = [node_id for node_id in wanted if node_id not in known]

    def _take_away(
        self, items: list[pytest.Item], kept: list[pytest.Item], rest: list[pytest.Item]
    ) -> None:
        self._told["left"] = len(kept)
        if rest:
            self._config.hook.pytest_deselected(items=rest)
        items[:] = kept

    def _places(self, items: list[pytest.Item]) -> list[Place]:
        django = self._config.pluginmanager.has_plugin("django")
        return [
            _place(
                item, self._identities.of(item, item.nodeid), _django_phase(item) if django else 0
            )
            for item in items
        ]


class Carrier:
    """Hang a worker's facts on its reports: xdist sends them to the controller."""

    def __init__(self, worker: Worker, faults: Faults) -> None:
        self._worker = worker
        self._attaching = faults.guard("describing results")
        self._told = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Attach before anybody sends the report."""
        with self._attaching:
            facts: Facts = {}
            if report.when == "setup":
                facts = self._worker.facts_at_start(report)
                if not self._told:  # nobody hears a worker out after Ctrl-C
                    self._told = True
                    facts["chosen"] = self._worker.chosen()
            elif report.when == "teardown":
                facts = self._worker.facts_at_end(report)
            if facts:
                hung: Facts = getattr(report, "aqe", {}) | facts
                report.aqe = hung  # type: ignore[attr-defined]  # travels with the report


class _Identities:
    """Identities and bodies of items, each computed once."""

    def __init__(self, rootdir: Path, prefix: str) -> None:
        self.prefix = prefix
        self._rootdir = rootdir
        self._files: dict[str, str] = {}
        self._known: dict[NodeId, Identity] = {}
        self._bodies: dict[int, str] = {}

    def of(self, item: pytest.Item, node_id: NodeId) -> Identity:
        known = self._known.get(node_id)
        if known is None:
            known = self._known[node_id] = self._identify(item, node_id)
        return known

    def body_of(self, item: pytest.Item) -> str | None:
        """Fingerprint the test's own function, or return None where it cannot be told.

        An inherited or generated test, and one behind a decorator that hides it, has a
        body that other tests share, which must not make them one.
        """
        function = getattr(item, "function", None)
        function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
        while (inner := getattr(function, "__wrapped__", None)) is not None:
            function = inner
        code = getattr(function, "__code__", None)
        if code is None or code.co_name != getattr(item, "originalname", None):
            return None
        if code.co_filename != str(item.path):
            return None
        body = self._bodies.get(id(code))  # a code object's own hash reads all of it
        if body is None:
            body = self._bodies[id(code)] = identities.body(code)
        return body

    def _identify(self, item: pytest.Item, node_id: NodeId) -> Identity:
        node_file, _, name = identities.without_group(node_id).partition("::")
        if "[" in name:
            callspec = getattr(item, "callspec", None)
            if callspec is not None:
                name = identities.stable_parameters(name, callspec.params)
            name = identities.stable_name(name)
        for mark in item.own_markers:  # not a class's or a module's: it names one test
            if mark.name == "aqe_id" and mark.args:
                start = name.find("[")
                return f"aqe_id::{mark.args[0]}{name[start:] if start >= 0 else ''}"
        file = self._files.get(node_file)
        if file is None:
            file = self._files[node_file] = self._place(item.path, node_file)
        return f"{file}::{name}" if name else file

    def _place(self, path: Path, node_file: str) -> str:
        """Return the file's path from the git root.

        Below rootdir that is the controller's prefix and the rest: a worker on another
        machine may have a copy of the files without the repository around it. Where a
        plugin makes node ids of its own, they are all that tells its tests apart.
        """
        if not path.as_posix().endswith(node_file):
            return self.prefix + node_file
        place = _below(str(path), self._rootdir)
        if place is not None:
            return self.prefix + place
        root = identities.git_root(self._rootdir)
        place = _below(str(path), root) if root is not None else None
        return node_file if place is None else place


def _below(path: str, folder: Path) -> str | None:
    """Return the path from the folder, with slashes, or None where it is not below.

    On strings: where each data file is a test, `Path.relative_to` is what a session notices.
    """
    start = str(folder).rstrip(os.sep) + os.sep
    return path[len(start) :].replace(os.sep, "/") if path.startswith(start) else None


def _is_known(plan: Plan, identity: Identity, node_id: NodeId) -> bool:
    """Tell whether it is this test that was seen, where others have the same identity."""
    seen = plan.only.get(identity)
    return seen is None or identities.without_group(node_id) in seen


def _place(item: pytest.Item, identity: Identity, phase: int) -> Place:
    """Say what keeps this item where it is, from its fixtures and marks."""
    shared = False
    block: list[str] = []
    fixtures = getattr(item, "_fixtureinfo", None)
    for name, definitions in fixtures.name2fixturedefs.items() if fixtures else ():
        definition = definitions[-1]
        if definition.scope in _WIDE_SCOPES or name == "benchmark":
            shared = True
            if definition.scope == "package":
                block.append(f"{name} in {definition.baseid}")
    callspec = getattr(item, "callspec", None)
    if callspec is not None:
        for name, scope in getattr(callspec, "_arg2scope", {}).items():
            if scope.value != "function":
                shared = True
            if scope.value in _CROSSING_SCOPES:
                block.append(f"{name}={callspec.indices.get(name)}")
    pinned = any(item.get_closest_marker(name) is not None for name in _PINNING_MARKS)
    return Place(identity, str(item.path), phase, tuple(block), shared, pinned)


def _django_phase(item: pytest.Item) -> int:
    """Number pytest-django's groups in its order: database, transactional, no database.

    A transactional test flushes what later database tests rely on.
    """
    bases = {
        base.__name__
        for base in getattr(getattr(item, "cls", None), "__mro__", ())
        if base.__module__.startswith("django.test")
    }
    if bases:
        return 0 if "TestCase" in bases else 1 if "TransactionTestCase" in bases else 2
    names = getattr(item, "fixturenames", ())
    mark = item.get_closest_marker("django_db")
    flushing = mark is not None and (
        mark.kwargs.get("transaction") or mark.kwargs.get("reset_sequences")
    )
    if flushing or {"transactional_db", "django_db_reset_sequences", "live_server"} & set(names):
        return 1
    return 0 if mark is not None or "db" in names else 2
