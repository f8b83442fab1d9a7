"""What is recorded of a test's dependencies, in sessions of their own and under xdist.

The sessions are processes: in this one, another session may be following already.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pytest_aqe.data import PARTS

PLUGIN = """
import json, os, pytest
from pathlib import Path
from pytest_aqe.faults import Faults
from pytest_aqe.tracking import Tracking


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config):
    faults = Faults(Path(os.environ["FOLLOW_OUT"]).parent / "faults")
    variables = os.environ.get("FOLLOW_VARIABLES", "").split()
    folder = early_config.rootpath / ".aqe"
    tracking = Tracking(early_config, faults, folder, variables)
    tracking.start()
    early_config.pluginmanager.register(tracking, "tracking")
    early_config.pluginmanager.register(Printer(faults, tracking), "printer")
    return (yield)


class Printer:
    def __init__(self, faults, tracking):
        self.faults, self.tracking = faults, tracking

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        if report.when == "teardown" and not os.environ.get("PYTEST_XDIST_WORKER"):
            with open(os.environ["FOLLOW_OUT"], "a") as file:
                facts = getattr(report, "aqe", None)
                file.write(json.dumps([report.nodeid, facts]) + "\\n")

    def pytest_sessionfinish(self, session):
        following = self.tracking._dependencies
        error = following.error if following else None
        assert self.faults.lines() == [] and error is None, (self.faults.lines(), error)
"""


class Followed:
    """What the tests of one session were found to depend on."""

    def __init__(self, text: str) -> None:
        self.sets: dict[str, dict[str, list[str]]] = {}
        self.files: dict[str, str] = {}
        self.tests: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            node_id, facts = json.loads(line)
            if facts is None:  # a session inside another
                continue
            self.sets.update(facts.get("sets", {}))
            self.files.update(facts.get("files", {}))
            self.tests[node_id.rpartition("/")[2]] = facts["depends"]

    def _lines(self, test: str, which: str) -> set[str]:
        return self._pieces(self.tests[test][which])

    def _pieces(self, key: str) -> set[str]:
        found = dict(self.sets[key])
        parts = found.pop(PARTS, [])
        own = {f"{file}::{name}" for file, names in found.items() for name in names}
        return own.union(*map(self._pieces, parts))

    def own(self, test: str) -> set[str]:
        return self._lines(test, "own")

    def base(self, test: str) -> set[str]:
        return self._lines(test, "base")

    def all(self, test: str) -> set[str]:
        return self.own(test) | self.base(test)

    def doubt(self, test: str) -> list[str]:
        found: list[str] = self.tests[test].get("doubt", [])
        return found


class Project:
    def __init__(self, pytester: pytest.Pytester, out: Path) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self._out = out

    def write(self, **files: str) -> None:
        for stem, text in files.items():
            stem = stem.replace("__init__", "|").replace("__", "/").replace("|", "__init__")
            path = self.path / f"{stem}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")

    def follow(self, *arguments: str, script: str | None = None) -> Followed:
        self._out.unlink(missing_ok=True)
        if script is None:
            result = self.pytester.runpytest_subprocess("-p", "follow", *arguments)
        else:
            result = self.pytester.run(sys.executable, self.path / script, "-p", "follow")
        assert result.ret == 0, str(result.stdout) + str(result.stderr)
        return Followed(self._out.read_text(encoding="utf-8"))


@pytest.fixture
def project(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    folder = tmp_path_factory.mktemp("follow")
    (folder / "follow.py").write_text(PLUGIN, encoding="utf-8")
    for name in ("PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest -p no:aqe")
    monkeypatch.setenv("FOLLOW_OUT", str(folder / "out.jsonl"))
    paths = [str(folder), str(pytester.path), str(pytester.path / "src")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    (pytester.path / ".git").mkdir()
    return Project(pytester, folder / "out.jsonl")


PRECISE = sys.version_info >= (3, 12)


def test_functions_that_run_are_charged_to_the_test_that_runs_them(project: Project) -> None:
    """A test's own pieces are the functions it entered, methods by their qualified names."""
    project.write(
        shop="""
        def used(): return inner()
        def inner(): return (lambda: 1)()
        def unused(): return 2
        class Cart:
            @property
            def total(self): return 3
            class Row:
                def price(self): return 4
        """,
        test_shop="""
        import shop
        def test_one(): assert shop.used() == 1
        def test_two(): assert shop.Cart().total == 3
        def test_three(): assert shop.Cart.Row().price() == 4
        def test_four(): assert shop.used() == 1
        """,
    )
    followed = project.follow()
    assert followed.own("test_shop.py::test_one") == {
        "shop.py::used",
        "shop.py::inner",
        "test_shop.py::test_one",
    }
    assert "shop.py::Cart.total" in followed.own("test_shop.py::test_two")
    assert "shop.py::Cart.Row.price" in followed.own("test_shop.py::test_three")
    assert "shop.py::used" in followed.own("test_shop.py::test_four")
    assert all("unused" not in line for line in followed.all("test_shop.py::test_one"))
    assert followed.doubt("test_shop.py::test_one") == []


@pytest.mark.parametrize("times", [40, 100, 10_000])
def test_a_function_that_starts_often_is_charged_to_each_test(project: Project, times: int) -> None:
    """Also to those before and after the one that starts it so often, and to no other."""
    project.write(
        shop="def often(): return 1\ndef once(): return 2\n",
        test_shop=f"""
        import shop
        def test_before(): assert shop.often() == 1
        def test_often(): assert [shop.often() for _ in range({times})] and shop.once() == 2
        def test_again(): assert [shop.often() for _ in range({times})]
        def test_after(): assert shop.often() == 1
        def test_other(): assert shop.once() == 2
        """,
    )
    followed = project.follow()
    for name in ("before", "often", "again", "after"):
        assert "shop.py::often" in followed.own(f"test_shop.py::test_{name}")
    for name in ("before", "again", "after"):
        assert "shop.py::once" not in followed.own(f"test_shop.py::test_{name}")
    assert followed.own("test_shop.py::test_other") == {
        "shop.py::once",
        "test_shop.py::test_other",
    }


def test_two_workers_find_the_same(project: Project) -> None:
    """Under xdist the facts are those of one process."""
    pytest.importorskip("xdist")
    project.write(
        shop="""
        import prices
        def used(): return prices.get()
        """,
        prices="def get(): return 1",
        test_a="""
        import shop
        def test_one(): assert shop.used()
        def test_two(): assert shop
        """,
        test_b="""
        def test_three(): pass
        """,
    )
    alone = project.follow()
    two = project.follow("-n2")
    assert alone.tests == two.tests
    assert alone.sets == two.sets
    assert alone.files == two.files


def test_set_up_and_teardown_count(project: Project) -> None:
    """Fixtures and xunit methods of a test are its own, before and after it."""
    project.write(
        shop="""
        def before(): pass
        def after(): pass
        def method(): pass
        """,
        test_shop="""
        import pytest, shop
        @pytest.fixture
        def cart():
            shop.before()
            yield
            shop.after()
        def test_one(cart): pass
        class TestTwo:
            def setup_method(self): shop.method()
            def test_two(self): pass
        """,
    )
    followed = project.follow()
    assert {"shop.py::before", "shop.py::after", "test_shop.py::cart"} <= followed.own(
        "test_shop.py::test_one"
    )
    assert "shop.py::method" in followed.own("test_shop.py::TestTwo::test_two")
    assert "shop.py::method" not in followed.all("test_shop.py::test_one")


def test_a_shared_fixture_is_charged_to_all_its_users(project: Project) -> None:
    """What sets up a session, module or class fixture belongs to every test that uses it."""
    project.write(
        shop="""
        def connect(): return 1
        def fill(): return 2
        """,
        conftest="""
        import pytest, shop
        @pytest.fixture(scope="session")
        def server(): return shop.connect()
        @pytest.fixture(scope="module")
        def rows(server): return shop.fill()
        """,
        test_shop="""
        def test_one(rows): pass
        def test_two(rows): pass
        def test_three(server): pass
        def test_four(): pass
        def test_five(request): request.getfixturevalue("rows")
        """,
    )
    followed = project.follow()
    for name in ("one", "two", "five"):
        own = followed.own(f"test_shop.py::test_{name}")
        assert {"shop.py::connect", "shop.py::fill", "conftest.py::rows"} <= own
    three = followed.own("test_shop.py::test_three")
    assert "shop.py::connect" in three
    assert "shop.py::fill" not in three
    assert "shop.py::connect" not in followed.all("test_shop.py::test_four")


def test_a_fixture_asked_for_by_name_inside_another_is_charged(project: Project) -> None:
    """``getfixturevalue`` in a shared fixture brings what was set up before it."""
    project.write(
        shop="def connect(): return 1",
        test_shop="""
        import pytest, shop
        @pytest.fixture(scope="module")
        def server(): return shop.connect()
        @pytest.fixture(scope="module")
        def rows(request): return request.getfixturevalue("server")
        def test_one(server): pass
        def test_two(rows): pass
        def test_three(rows): pass
        """,
    )
    followed = project.follow()
    for name in ("one", "two", "three"):
        assert "shop.py::connect" in followed.own(f"test_shop.py::test_{name}")


def test_xunit_and_unittest_set_up_is_shared(project: Project) -> None:
    """``setup_module``, ``setup_class`` and ``setUpClass`` belong to all tests below them."""
    project.write(
        shop="""
        def module(): pass
        def of_class(): pass
        def of_case(): pass
        def each(): pass
        """,
        test_shop="""
        import unittest, shop
        def setup_module(): shop.module()
        class TestOne:
            @classmethod
            def setup_class(cls): shop.of_class()
            def test_a(self): pass
            def test_b(self): pass
        class Case(unittest.TestCase):
            @classmethod
            def setUpClass(cls): shop.of_case()
            def setUp(self): shop.each()
            def test_c(self): pass
            def test_d(self): pass
        """,
    )
    followed = project.follow()
    for test in ("TestOne::test_a", "TestOne::test_b"):
        assert {"shop.py::module", "shop.py::of_class"} <= followed.own(f"test_shop.py::{test}")
    for test in ("Case::test_c", "Case::test_d"):
        own = followed.own(f"test_shop.py::{test}")
        assert {"shop.py::module", "shop.py::of_case", "shop.py::each"} <= own


def test_import_time_code_belongs_to_every_importer(project: Project) -> None:
    """A module's body, and the functions that ran in it, are in the base of all importers."""
    project.write(
        deep="""
        def compute(): return 1
        VALUE = compute()
        def later(): return 2
        """,
        shop="import deep",
        test_a="import shop\ndef test_a(): pass",
        test_b="import shop\ndef test_b(): pass",
        test_c="import deep\ndef test_c(): pass",
        test_d="def test_d(): pass",
    )
    followed = project.follow()
    for name in ("a", "b", "c"):
        base = followed.base(f"test_{name}.py::test_{name}")
        assert {"deep.py::<module>", "deep.py::compute"} <= base
        assert "deep.py::later" not in base
    assert "shop.py::<module>" in followed.base("test_b.py::test_b")
    assert followed.base("test_d.py::test_d") == {"test_d.py::<module>"}


@pytest.mark.parametrize(
    "statement",
    [
        "from pkg import sub",
        "import pkg.sub",
        "from pkg.sub import f",
        "from pkg.sub import *",
        "import importlib; importlib.import_module('pkg.sub')",
        "import importlib; name = 'sub'; importlib.import_module('pkg.' + name)",
        "__import__('pkg.sub')",
        "import pytest; pytest.importorskip('pkg.sub')",
        "from pkg.lazy import sub",
        "from pkg.relative import sub",
    ],
)
def test_each_way_to_import_what_is_loaded_already_counts(project: Project, statement: str) -> None:
    """The second importer depends on a module as the first did; packages count too."""
    project.write(
        pkg____init__="",
        pkg__sub="def f(): pass",
        pkg__relative="from . import sub",
        pkg__lazy="""
        def __getattr__(name):
            if name.startswith("__"):
                raise AttributeError(name)
            import importlib
            return importlib.import_module('.' + name, 'pkg')
        """,
        test_a=f"{statement}\ndef test_a(): pass",
        test_b=f"{statement}\ndef test_b(): pass",
        test_c=f"def test_c():\n    {statement}\n" if "*" not in statement else "",
        test_d=f"def test_d():\n    {statement}\n" if "*" not in statement else "",
    )
    followed = project.follow()
    for node_id in followed.tests:
        assert "pkg/sub.py::<module>" in followed.all(node_id), node_id
        assert "pkg/__init__.py::<module>" in followed.all(node_id), node_id


def test_a_module_first_imported_during_a_test_belongs_to_it(project: Project) -> None:
    """So does a module whose functions a test runs, whoever imported it."""
    project.write(
        plugin="LIMIT = 3\ndef limit(): return LIMIT",
        registry="""
        import importlib
        PLUGINS = {}
        def load():
            name = "plu" + "gin"
            if not PLUGINS:
                PLUGINS[name] = importlib.import_module(name)
            return PLUGINS[name]
        """,
        test_a="import registry\ndef test_a(): assert registry.load()",
        test_b="import registry\ndef test_b(): assert registry.load().limit()",
    )
    followed = project.follow()
    assert "plugin.py::<module>" in followed.own("test_a.py::test_a")
    assert {"plugin.py::<module>", "plugin.py::limit"} <= followed.own("test_b.py::test_b")


def test_a_module_that_raises_at_import_is_followed(project: Project) -> None:
    """An import that fails and is caught leaves what comes after it where it belongs."""
    project.write(
        broken="""
        def boom(): raise ImportError("no")
        boom()
        """,
        test_a="""
        try:
            import broken
        except ImportError:
            broken = None
        def test_a(): helper()
        def helper(): pass
        """,
        test_b="def test_b(): pass",
    )
    followed = project.follow()
    assert {"broken.py::<module>", "broken.py::boom"} <= followed.base("test_a.py::test_a")
    assert "test_a.py::helper" in followed.all("test_a.py::test_a")
    assert followed.all("test_b.py::test_b") == {"test_b.py::<module>", "test_b.py::test_b"}


def test_conftests_above_a_test_are_its_base(project: Project) -> None:
    """A conftest, and what it imports, belongs to the tests below its folder only."""
    project.write(
        helper="def get(): pass",
        conftest="",
        a__conftest="import helper",
        a__test_a="def test_a(): pass",
        b__test_b="def test_b(): pass",
    )
    followed = project.follow()
    assert {
        "conftest.py::<module>",
        "a/conftest.py::<module>",
        "helper.py::<module>",
    } <= followed.base("test_a.py::test_a")
    assert followed.base("test_b.py::test_b") == {
        "conftest.py::<module>",
        "b/test_b.py::<module>",
    }


def test_hooks_that_run_outside_tests_belong_to_all(project: Project) -> None:
    """A conftest's hook, and what it calls, is charged to the tests below the conftest."""
    project.write(
        helper="def sort(items): pass",
        conftest="""
        import helper
        def pytest_collection_modifyitems(items): helper.sort(items)
        """,
        a__conftest="""
        def pytest_generate_tests(metafunc): pass
        """,
        a__test_a="def test_a(): pass",
        b__test_b="def test_b(): pass",
    )
    followed = project.follow()
    for test in ("test_a.py::test_a", "test_b.py::test_b"):
        base = followed.base(test)
        assert {"conftest.py::pytest_collection_modifyitems", "helper.py::sort"} <= base
    assert "a/conftest.py::pytest_generate_tests" in followed.base("test_a.py::test_a")
    assert "a/conftest.py::pytest_generate_tests" not in followed.all("test_b.py::test_b")


def test_what_makes_the_items_of_a_file_belongs_to_its_tests(project: Project) -> None:
    """``ids`` and ``pytest_generate_tests`` are charged to the file, not to all."""
    project.write(
        values="def label(value): return str(value)\ndef cases(): return [1, 2]",
        test_a="""
        import values
        def pytest_generate_tests(metafunc):
            metafunc.parametrize("x", values.cases(), ids=values.label)
        def test_a(x): pass
        """,
        test_b="import values\ndef test_b(): pass",
    )
    followed = project.follow()
    assert {"values.py::label", "values.py::cases"} <= followed.base("test_a.py::test_a[1]")
    assert "values.py::label" not in followed.all("test_b.py::test_b")


def test_plugins_of_the_project_belong_to_all(project: Project) -> None:
    """Modules loaded by ``pytest_plugins`` or ``-p`` are in every base."""
    project.write(
        extra="def helper(): pass",
        more="def more(): pass",
        conftest="pytest_plugins = ['extra']",
        test_a="def test_a(): pass",
    )
    followed = project.follow("-p", "more")
    assert {"extra.py::<module>", "more.py::<module>"} <= followed.base("test_a.py::test_a")


def test_modules_loaded_before_the_start_are_followed(project: Project) -> None:
    """The functions of a module that was there before can be told all the same."""
    project.write(
        more="""
        import functools, pytest
        class Box:
            @property
            def size(self): return 1
            @staticmethod
            def make(): return Box()
        def wrap(f):
            @functools.wraps(f)
            def inner(): return f()
            return inner
        @wrap
        def plain(): return 2
        @pytest.fixture
        def box(): return Box.make()
        """,
        test_a="""
        import more
        def test_a(): assert more.Box().size
        def test_b(): assert more.plain()
        """,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_PLUGINS", "more")
        followed = project.follow()
    own = followed.all("test_a.py::test_a")
    assert {"more.py::<module>", "more.py::Box.size"} <= own
    assert {"more.py::plain", "more.py::wrap"} <= followed.all("test_a.py::test_b")
    if PRECISE:
        assert "more.py::plain" not in own


def test_a_cache_is_charged_to_later_users(project: Project) -> None:
    """A hit runs nothing, yet depends on what filled the cache."""
    project.write(
        shop="""
        import functools
        @functools.lru_cache
        def settings(): return parse()
        def parse(): return {"a": 1}
        class Cart:
            @functools.cached_property
            def total(self): return add()
        def add(): return 3
        CART = Cart()
        def price(): return settings()["a"]
        """,
        test_shop="""
        import shop
        def test_one(): assert shop.price()
        def test_two(): assert shop.price()
        def test_three(): assert shop.settings()
        def test_four(): assert shop.CART.total
        def test_five(): assert shop.CART.total
        def test_six(): pass
        """,
    )
    followed = project.follow()
    for name in ("one", "two", "three"):
        own = followed.own(f"test_shop.py::test_{name}")
        assert {"shop.py::settings", "shop.py::parse"} <= own, name
    for name in ("four", "five"):
        assert "shop.py::add" in followed.own(f"test_shop.py::test_{name}"), name
    assert followed.own("test_shop.py::test_six") == {"test_shop.py::test_six"}


def test_a_cache_that_is_filled_often_keeps_what_filled_it(project: Project) -> None:
    """A test that fills a cache many times does much else, which the cache's users do not."""
    project.write(
        shop="""
        import functools
        @functools.lru_cache(None)
        def price(n): return look(n)
        def look(n): return n
        def other(): return 1
        """,
        test_shop="""
        import shop
        def test_many(): assert shop.other() and [shop.price(n) for n in range(1000)]
        def test_one(): assert shop.price(1) == 1
        """,
    )
    followed = project.follow()
    own = followed.own("test_shop.py::test_one")
    assert {"shop.py::price", "shop.py::look"} <= own
    if PRECISE:
        assert "shop.py::other" not in own


def test_a_call_that_raises_keeps_nothing_of_what_follows(project: Project) -> None:
    """No event of single functions says that one raised."""
    project.write(
        shop="""
        import functools
        @functools.lru_cache
        def price(text): return parse(text)
        def parse(text): return float(text)
        def guess(text):
            try: return price(text)
            except ValueError: return other()
        def other(): return 1
        class Later:
            @functools.cached_property
            def total(self): return price("2")
        """,
        test_shop="""
        import pytest, shop
        def test_wrong(): assert shop.guess("a") == 1
        def test_right(): assert shop.price("1") == 1.0
        def test_inside():
            with pytest.raises(ValueError):
                shop.price("b")
            assert shop.Later().total and shop.other()
        def test_late(): assert shop.price("2") == 2.0
        """,
    )
    followed = project.follow()
    for name in ("right", "late"):
        own = followed.own(f"test_shop.py::test_{name}")
        assert {"shop.py::price", "shop.py::parse"} <= own, name
        if PRECISE:
            assert "shop.py::other" not in own, name


def test_a_cache_that_is_filled_too_often_keeps_what_the_test_did(project: Project) -> None:
    """Beyond some thousand times nobody tells what filled it; other caches do not suffer."""
    project.write(
        shop="""
        import functools
        @functools.lru_cache(None)
        def price(n): return look(n)
        def look(n): return n if n < 9999 else late(n)
        def late(n): return n
        @functools.lru_cache(None)
        def settings(): return parse()
        def parse(): return 1
        """,
        test_shop="""
        import shop
        def test_many(): assert shop.settings() and [shop.price(n) for n in range(10_000)]
        def test_last(): assert shop.price(9999) == 9999
        def test_settings(): assert shop.settings() == 1
        """,
    )
    followed = project.follow()
    assert "shop.py::late" in followed.own("test_shop.py::test_last")
    own = followed.own("test_shop.py::test_settings")
    assert "shop.py::parse" in own
    if PRECISE:
        assert "shop.py::late" not in own


@pytest.mark.parametrize("function", ["async def settings():", "def settings():\n        yield"])
def test_what_a_coroutine_keeps_is_charged_to_later_users(project: Project, function: str) -> None:
    """Its calls are not told apart: it may have done whatever the test did."""
    project.write(
        shop=f"""
    _settings = None
    {function}
        global _settings
        if _settings is None:
            _settings = parse()
    def parse(): return 1
    """,
        test_shop="""
        import asyncio, inspect, shop
        def use():
            if inspect.isgeneratorfunction(shop.settings):
                assert list(shop.settings()) == [None]
            else:
                asyncio.run(shop.settings())
            assert shop._settings
        def test_one(): use()
        def test_two(): use()
        """,
    )
    followed = project.follow()
    for name in ("one", "two"):
        assert "shop.py::parse" in followed.own(f"test_shop.py::test_{name}"), name


def test_a_global_is_charged_to_later_readers(project: Project) -> None:
    """What ran while a function set a global belongs to all who call the function later."""
    project.write(
        shop="""
        _settings = None
        def settings():
            global _settings
            if _settings is None:
                _settings = parse()
            return _settings
        def parse(): return 1
        def fail():
            global _settings
            raise ValueError
        """,
        test_shop="""
        import pytest, shop
        def test_zero():
            with pytest.raises(ValueError):
                shop.fail()
        def test_one(): assert shop.settings()
        def test_two(): assert shop.settings()
        def test_three(): pass
        """,
    )
    followed = project.follow()
    for name in ("one", "two"):
        assert "shop.py::parse" in followed.own(f"test_shop.py::test_{name}")
    assert followed.own("test_shop.py::test_three") == {"test_shop.py::test_three"}
    if PRECISE:
        assert "shop.py::parse" not in followed.own("test_shop.py::test_zero")


def test_files_and_folders_that_were_read_are_dependencies(project: Project) -> None:
    """Data files, absent ones and listed folders count; what tests write does not."""
    (project.path / "data").mkdir()
    (project.path / "data" / "a.json").write_text("{}")
    project.write(
        test_a="""
        import os, sqlite3
        from pathlib import Path
        HERE = Path(__file__).parent
        def test_read(): HERE.joinpath("data/a.json").read_text()
        def test_again(): open("data/a.json").close()
        def test_absent():
            try:
                open("data/b.json")
            except OSError:
                pass
        def test_list(): os.listdir("data")
        def test_glob(): list(HERE.glob("data/*.json"))
        def test_write(tmp_path):
            Path("out.txt").write_text("x")
            Path("out.txt").read_text()
            (tmp_path / "x").write_text("")
            (tmp_path / "x").read_text()
        def test_sqlite(): sqlite3.connect("data/base.db").close()
        def test_none(): pass
        """,
    )
    followed = project.follow()
    one = "test_a.py::test_"
    assert "data/a.json::" in followed.own(one + "read") & followed.own(one + "again")
    assert "data/b.json::" in followed.own(one + "absent")
    assert followed.files["data/b.json"] == "absent"
    assert "data/::" in followed.own(one + "list") & followed.own(one + "glob")
    assert followed.own(one + "write") == {"test_a.py::test_write"}
    assert "data/base.db::" in followed.own(one + "sqlite")
    assert followed.own(one + "none") == {"test_a.py::test_none"}


def test_what_pytest_looks_at_is_not_the_doing_of_a_script_that_runs_it(project: Project) -> None:
    """Below a script of the project's, only what its tests read counts, not the collection."""
    project.write(
        runtests="import sys, pytest\nif __name__ == '__main__': sys.exit(pytest.main())",
        test_a="""
        import os
        def test_list(): os.listdir(".")
        def test_glob(): list(os.scandir(os.getcwd() + os.sep))
        def test_none(): pass
        """,
    )
    followed = project.follow(script="runtests.py")
    for name in ("list", "glob"):
        assert "./::" in followed.own(f"test_a.py::test_{name}")
    assert "./::" not in followed.all("test_a.py::test_none")


def test_whether_its_own_file_is_there_is_nothing_a_test_depends_on(project: Project) -> None:
    """Without it there is no test; whether another one's is there, or what it says, is."""
    project.write(
        test_a="""
        from pathlib import Path
        def test_own(): assert Path(__file__).exists()
        def test_other(): assert Path(__file__).with_name("test_b.py").exists()
        def test_text(): assert Path(__file__).read_text()
        """,
        test_b="def test_b(): pass",
    )
    followed = project.follow()
    assert followed.own("test_a.py::test_own") == {"test_a.py::test_own"}
    assert "<presence>/test_b.py/::" in followed.own("test_a.py::test_other")
    assert "test_a.py::" in followed.own("test_a.py::test_text")


def test_where_a_function_leads_can_become_known_later(project: Project) -> None:
    """The first test that ran it left out its import, and what that names was not there yet."""
    project.write(
        shop="""
        def f(deep):
            if deep:
                from pkg import Thing
                return Thing.price
        """,
        test_a="""
        import shop
        def test_1_load(): import pkg._thing
        def test_2_shallow(): assert shop.f(False) is None
        def test_3_fill():
            import pkg
            assert pkg.Thing.price == 1
        def test_4_deep(): assert shop.f(True) == 1
        """,
    )
    (project.path / "pkg").mkdir()
    (project.path / "pkg" / "__init__.py").write_text(
        "def __getattr__(name):\n"
        "    if name != 'Thing': raise AttributeError(name)\n"
        "    import pkg._thing\n"
        "    return globals().setdefault(name, pkg._thing.Thing)\n"
    )
    (project.path / "pkg" / "_thing.py").write_text("class Thing: price = 1\n")
    followed = project.follow("-p", "no:randomly")
    assert "pkg/_thing.py::<module>" in followed.own("test_a.py::test_4_deep")


def test_data_read_at_import_belongs_to_the_importers(project: Project) -> None:
    """A module that reads a file as it is imported hands it to all who import it."""
    (project.path / "a.json").write_text("{}")
    project.write(
        shop="DATA = open('a.json').read()",
        test_a="import shop\ndef test_a(): pass",
        test_b="import shop\ndef test_b(): pass",
    )
    followed = project.follow()
    for name in ("a", "b"):
        assert "a.json::" in followed.base(f"test_{name}.py::test_{name}")


def test_source_that_a_test_reads_is_data(project: Project) -> None:
    """``inspect.getsource`` and ``open`` depend on the text; importing does not."""
    project.write(
        shop="def f(): pass",
        test_a="""
        import inspect, shop
        def test_source(): inspect.getsource(shop.f)
        def test_none(): pass
        """,
    )
    followed = project.follow()
    assert "shop.py::" in followed.own("test_a.py::test_source")
    assert "shop.py::" not in followed.all("test_a.py::test_none")


def test_third_party_packages_are_dependencies(project: Project) -> None:
    """A package counts for who imports it, with its version; the standard library does not."""
    project.write(
        shop="import json, pluggy",
        test_a="import shop\ndef test_a(): pass",
        test_b="def test_b():\n    import pluggy",
        test_c="def test_c(): pass",
    )
    followed = project.follow()
    import pluggy

    assert "<package>/pluggy::" in followed.base("test_a.py::test_a")
    assert "<package>/pluggy::" in followed.own("test_b.py::test_b")
    assert followed.files["<package>/pluggy"] == pluggy.__version__
    assert not any("json" in line for line in followed.all("test_a.py::test_a"))
    assert not any("<package>" in line for line in followed.all("test_c.py::test_c"))


def test_declared_variables_are_dependencies(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking up a declared environment variable counts, in whichever way; others do not."""
    monkeypatch.setenv("FOLLOW_VARIABLES", "SHOP_A SHOP_B")
    monkeypatch.setenv("SHOP_A", "1")
    project.write(
        test_a="""
        import os
        def test_item(): os.environ["SHOP_A"]
        def test_get(): os.getenv("SHOP_B")
        def test_in(): "SHOP_A" in os.environ
        def test_other(): os.environ.get("SHOP_C")
        """,
    )
    followed = project.follow()
    assert "<environ>/SHOP_A::" in followed.own("test_a.py::test_item")
    assert "<environ>/SHOP_B::" in followed.own("test_a.py::test_get")
    assert "<environ>/SHOP_A::" in followed.own("test_a.py::test_in")
    assert followed.own("test_a.py::test_other") == {"test_a.py::test_other"}
    assert followed.files["<environ>/SHOP_B"] == "absent"
    assert len(followed.files["<environ>/SHOP_A"]) == 16  # a hash: it may be a secret


@pytest.mark.parametrize(
    "body, doubt",
    [
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", ["subprocess"]),
        ("import os; os.system('true')", ["subprocess"]),
        ("import subprocess; subprocess.run('true', shell=True)", ["subprocess"]),
        ("import subprocess; subprocess.run(['true'])", []),
        ("import subprocess; subprocess.run(['cat', '.'], stderr=-3)", ["subprocess"]),
        ("import os; pid = os.fork() or os._exit(0); os.waitpid(pid, 0)", ["fork"]),
        ("import threading, time; threading.Timer(2, print).start()", ["thread"]),
        ("import threading; t = threading.Thread(target=len, args=('',)); t.start(); t.join()", []),
        ("import ctypes, ctypes.util; ctypes.CDLL('libc.so.6')", ["ctypes"]),
        ("exec('x = 1')", []),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="fork and libc.so.6")
def test_what_cannot_be_followed_is_a_doubt(project: Project, body: str, doubt: list[str]) -> None:
    """Processes, forks, threads left behind and C libraries mark the test, and no other."""
    project.write(test_a=f"def test_a():\n    {body}\ndef test_b(): pass")
    followed = project.follow("-W", "ignore")
    assert followed.doubt("test_a.py::test_a") == doubt
    assert followed.doubt("test_a.py::test_b") == []


def test_a_doubt_of_a_shared_fixture_is_that_of_its_users(project: Project) -> None:
    """A server that a session fixture starts cannot be followed in any test that uses it."""
    project.write(
        test_a="""
        import subprocess, sys, pytest
        @pytest.fixture(scope="module")
        def server(): subprocess.run([sys.executable, "-c", ""])
        def test_a(server): pass
        def test_b(server): pass
        def test_c(): pass
        """,
    )
    followed = project.follow()
    assert followed.doubt("test_a.py::test_a") == ["subprocess"]
    assert followed.doubt("test_a.py::test_b") == ["subprocess"]
    assert followed.doubt("test_a.py::test_c") == []


def test_functions_in_threads_are_the_tests(project: Project) -> None:
    """What a thread runs while the test runs is the test's own."""
    project.write(
        shop="def work(): pass",
        test_a="""
        import threading, shop
        def test_a():
            thread = threading.Thread(target=shop.work)
            thread.start()
            thread.join()
        """,
    )
    assert "shop.py::work" in project.follow().own("test_a.py::test_a")


def test_generators_and_coroutines_are_followed(project: Project) -> None:
    """Code that suspends counts for the test that starts it."""
    project.write(
        shop="""
        def numbers():
            yield helper()
        def helper(): return 1
        async def fetch(): return helper()
        """,
        test_a="""
        import asyncio, shop
        def test_gen(): list(shop.numbers())
        def test_async(): asyncio.run(shop.fetch())
        """,
    )
    followed = project.follow()
    assert {"shop.py::numbers", "shop.py::helper"} <= followed.own("test_a.py::test_gen")
    assert {"shop.py::fetch", "shop.py::helper"} <= followed.own("test_a.py::test_async")


def test_a_doctest_depends_on_the_text_of_its_file(project: Project) -> None:
    """Its examples stand in a docstring, which is no piece."""
    project.write(
        shop='''
        def double(x):
            """
            >>> double(2)
            4
            """
            return helper(x)
        def helper(x): return 2 * x
        ''',
    )
    (project.path / "test_read.txt").write_text(">>> import shop\n>>> shop.double(3)\n6\n")
    followed = project.follow("--doctest-modules", "--doctest-glob=*.txt")
    module = followed.all("shop.py::shop.double")
    assert {"shop.py::", "shop.py::helper", "shop.py::<module>"} <= module
    text = followed.all("test_read.txt::test_read.txt")
    assert {"test_read.txt::", "shop.py::double"} <= text


def test_attempts_of_a_rerun_are_united(project: Project) -> None:
    """A test that is run again depends on what all its attempts ran."""
    pytest.importorskip("pytest_rerunfailures")
    project.write(
        shop="def first(): pass\ndef second(): pass",
        test_a="""
        import shop
        seen = []
        def test_a():
            seen.append(1)
            if len(seen) == 1:
                shop.first()
                assert False
            shop.second()
        """,
    )
    followed = project.follow("--reruns=1")
    assert {"shop.py::first", "shop.py::second"} <= followed.own("test_a.py::test_a")


def test_what_can_be_no_path_is_no_file(project: Project) -> None:
    """Nor is anything in a working folder that is gone."""
    project.write(
        test_a="""
        import os, pytest
        @pytest.mark.parametrize("name", ["a\\0b", "a\\ud800b"])
        def test_name(name):
            for function in (open, os.listdir, os.scandir):
                with pytest.raises(ValueError):
                    function(name)
            assert not os.path.exists(name)
        def test_folder(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            tmp_path.rmdir()
            for function in (open, os.listdir):
                with pytest.raises(FileNotFoundError):
                    function("a.txt")
        """,
    )
    followed = project.follow()
    assert len(followed.tests) == 3
    for test in followed.tests:
        assert followed.own(test) == {test.partition("[")[0]}
        assert not followed.doubt(test)


def test_an_edit_while_the_session_runs_is_unstable(project: Project) -> None:
    """A file that was two things in one session has no version."""
    (project.path / "a.json").write_text("{}")
    project.write(
        shop="VALUE = 1",
        test_a="""
        import importlib, os, shop
        def test_a():
            open("a.json").close()
            os.system("echo 12345 > a.json; echo VALUE = 23456 > shop.py")
        def test_b():
            open("a.json").close()
            importlib.reload(shop)
        """,
    )
    followed = project.follow()
    assert followed.files["a.json"] == "unstable"
    assert followed.files["shop.py"] == "unstable"


@pytest.mark.parametrize("same", [True, False])
def test_an_installed_copy_is_its_source_while_they_agree(
    project: Project, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """A suite that runs against a wheel depends on the source, or is in doubt."""
    text = "def f(): return 1\n"
    project.write(src__shop____init__=text, test_a="import shop\ndef test_a(): shop.f()")
    installed = project.path / ".tox" / "lib" / "site-packages"
    (installed / "shop").mkdir(parents=True)
    (installed / "shop" / "__init__.py").write_text(text if same else text + "# other\n")
    follow = os.environ["PYTHONPATH"].split(os.pathsep)[0]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([follow, str(installed)]))
    followed = project.follow()
    assert "src/shop/__init__.py::f" in followed.own("test_a.py::test_a")
    assert followed.doubt("test_a.py::test_a") == ([] if same else ["installed copy differs"])


def test_a_session_inside_a_test_disturbs_nothing(project: Project) -> None:
    """pytester runs pytest in the same process; the outer session goes on following."""
    project.write(
        shop="def after(): pass",
        conftest="pytest_plugins = ['pytester']",
        test_a="""
        import shop
        def test_inner(pytester):
            pytester.makepyfile("def test_x(): pass")
            result = pytester.runpytest_inprocess("-p", "follow", "-p", "no:cacheprovider")
            result.assert_outcomes(passed=1)
        def test_after(): shop.after()
        """,
    )
    followed = project.follow()
    assert not any("test_x" in node_id for node_id in followed.tests)
    assert "shop.py::after" in followed.own("test_a.py::test_after")


@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_coverage_figures_stay_what_they_are(
    project: Project, monkeypatch: pytest.MonkeyPatch, core: str
) -> None:
    """pytest-cov finds the same lines and branches with and without us, in either core."""
    pytest.importorskip("pytest_cov")
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring is newer")
    monkeypatch.setenv("COVERAGE_CORE", core)
    project.write(
        shop='''
        """Doc."""
        import functools
        def plain(x):
            """Doc."""
            if x:
                return [y for y in range(x)]
            return None
        def only_doc():
            """Doc."""
        @functools.lru_cache
        def cached(
            x,
        ):
            for _ in range(x): pass
            while x:
                x -= 1
            return lambda: x
        class A:
            def m(self): return (lambda: 1)()
            async def n(self):
                try:
                    yield 1
                finally:
                    pass
            def unused(self):
                pass
        def nested():
            @functools.lru_cache
            def inner(): return 1
            return inner()
        ''',
        test_a="""
        import shop
        def test_a():
            assert shop.plain(3) and shop.only_doc() is None and shop.cached(2)
            assert shop.A().m() and shop.nested()
        """,
    )
    arguments = ["--cov=shop", "--cov-report=json"]
    if core == "ctrace":
        arguments.append("--cov-branch")

    def measured(*more: str) -> Any:
        result = project.pytester.runpytest_subprocess(*arguments, *more)
        assert result.ret == 0
        found = json.loads((project.path / "coverage.json").read_text())
        return found["files"], found["totals"]

    assert measured() == measured("-p", "follow")
    facts = Followed(Path(os.environ["FOLLOW_OUT"]).read_text(encoding="utf-8"))
    assert "shop.py::plain" in facts.own("test_a.py::test_a")


def test_code_is_what_it_was_to_who_looks_at_it(project: Project) -> None:
    """Source, traceback lines, docstrings, signatures, pickles and files are undisturbed."""
    project.write(
        shop='''
        from __future__ import annotations
        import functools
        def f(a: int, *, b=lambda x: x + 1) -> Unknown:
            """Doc."""
            x = 1
            raise ValueError(x)
        def g(): yield 1
        async def h(): pass
        @functools.wraps(f)
        def k(): """Only."""
        ''',
        test_a="""
        import inspect, pickle, traceback, shop
        def test_a():
            assert shop.f.__doc__ == "Doc."
            assert shop.f.__annotations__["a"] == "int"
            assert inspect.getsource(shop.g) == "def g(): yield 1\\n"
            assert inspect.isgeneratorfunction(shop.g)
            assert inspect.iscoroutinefunction(shop.h)
            assert shop.f.__kwdefaults__["b"](1) == 2
            assert shop.__file__.endswith("shop.py")
            assert pickle.loads(pickle.dumps(shop.f)) is shop.f
            assert shop.f.__code__.co_firstlineno == 3
            try:
                shop.f(1)
            except ValueError as error:
                lines = [each.lineno for each in traceback.extract_tb(error.__traceback__)]
                assert lines[-1] == 6
        """,
    )
    project.follow()
    cached = [path.name for path in (project.path / "__pycache__").glob("shop*")]
    assert PRECISE or cached == []


def test_modules_that_tests_import_are_written_once(project: Project) -> None:
    """However many tests import them, each with others; and each test has all of theirs."""
    for name in "abc":
        project.write(**{f"lazy_{name}": f"import shared\ndef f(): return shared.f('{name}')"})
    project.write(
        shared="def f(name): return name",
        test_shop="""
            import importlib
            import pytest

            @pytest.mark.parametrize("names", ["a", "ab", "bc", "abc"])
            def test_lazy(names):
                for name in names:
                    assert importlib.import_module(f"lazy_{name}").f() == name
        """,
    )
    followed = project.follow()
    for names in ("a", "ab", "bc", "abc"):
        assert followed.own(f"test_shop.py::test_lazy[{names}]") == {
            "test_shop.py::test_lazy",
            "shared.py::<module>",
            "shared.py::f",
            *(f"lazy_{name}.py::<module>" for name in names),
            *(f"lazy_{name}.py::f" for name in names),
        }
    written = [file for content in followed.sets.values() for file in content]
    assert sum(file == "lazy_a.py" for file in written) <= 1 + 3  # its part; who runs its function
    parts = [content[PARTS] for content in followed.sets.values() if PARTS in content]
    assert sorted(map(len, parts)) == [2, 3, 3, 4]
