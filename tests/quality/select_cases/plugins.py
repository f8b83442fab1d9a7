"""Plugins and hooks that a project writes for itself."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "plugin of a conftest: a fixture",
        """
        -- conftest.py --
        pytest_plugins = ["plugs.rates"]
        -- plugs/__init__.py --
        -- plugs/rates.py --
        import pytest

        @pytest.fixture
        def rate():
            return 2
        -- test_shop.py --
        def test_rate(rate):
            assert rate == 2
        """,
        change={"plugs/rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "plugin of a conftest: a hook around every test",
        """
        -- conftest.py --
        pytest_plugins = "plug"
        -- rates.py --
        RATE = 1
        -- plug.py --
        import rates

        def pytest_runtest_setup(item):
            rates.RATE = 2
        -- test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 2
        """,
        change={"plug.py": Swap("2", "3")},
        selected={"test_rate"},
        spared=NOTHING,
    ),
    Case(
        "hook of a conftest that configures",
        """
        -- conftest.py --
        import rates

        def pytest_configure(config):
            rates.RATE = 2
        -- rates.py --
        RATE = 1
        -- test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 2
        """,
        change={"conftest.py": Swap("2", "3")},
        selected={"test_rate"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "hook of a conftest that marks what was collected",
        """
        -- conftest.py --
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if "slow" in item.name:
                    item.add_marker(pytest.mark.skip)
        -- test_shop.py --
        def test_slow():
            assert False
        """,
        change={"conftest.py": Swap('"slow"', '"fast"')},
        selected={"test_slow"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "hook of a conftest around the call",
        """
        -- shop/conftest.py --
        def pytest_pyfunc_call(pyfuncitem):
            pyfuncitem.obj(2)
            return True
        -- shop/test_shop.py --
        def test_rate(rate=0):
            assert rate == 2
        """,
        change={"shop/conftest.py": Swap("2", "3")},
        selected={"test_rate"},
        full=True,
    ),
    Case(
        "option of a conftest",
        """
        -- conftest.py --
        import pytest

        def pytest_addoption(parser):
            parser.addoption("--rate", default=2)

        @pytest.fixture
        def rate(pytestconfig):
            return pytestconfig.getoption("rate")
        -- test_shop.py --
        def test_rate(rate):
            assert rate == 2
        """,
        change={"conftest.py": Swap("default=2", "default=3")},
        selected={"test_rate"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "data that an installed plugin reads",
        """
        -- ../site-packages/datum.py --
        import shutil
        import pytest

        @pytest.fixture
        def datum(request):
            return request.path.with_name("rates.txt").read_text()
        @pytest.fixture(scope="module")
        def shared_datum(request):
            return request.path.with_name("rates.txt").read_text()
        @pytest.fixture
        def copied(request, tmp_path):
            return shutil.copytree(request.path.with_name("data"), tmp_path / "data")
        -- pytest.ini --
        [pytest]
        addopts = -p datum
        pythonpath = .
        -- rates.txt --
        2
        -- data/rates.py --
        RATE = 2
        -- test_shop.py --
        def test_own(datum):
            assert datum == "2\\n"
        def test_shared(shared_datum):
            assert shared_datum == "2\\n"
        def test_copied(copied):
            assert (copied / "rates.py").read_text() == "RATE = 2\\n"
        def test_none(request):
            assert request.path.name
        """,
        change={"rates.txt": "3\n", "data/rates.py": "RATE = 3\n"},
        selected={"test_own", "test_shared", "test_copied"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "data that an installed base class reads",
        """
        -- ../site-packages/datum.py --
        import sys
        import unittest
        from pathlib import Path

        class TestCase(unittest.TestCase):
            fixtures = ()
            @classmethod
            def setUpClass(cls):
                here = Path(sys.modules[cls.__module__].__file__).parent
                cls.data = [(here / name).read_text() for name in cls.fixtures]
        -- rates.json --
        2
        -- test_shop.py --
        import datum

        class TestRates(datum.TestCase):
            fixtures = ("rates.json",)
            def test_first(self):
                assert self.data == ["2\\n"]
            def test_second(self):
                assert len(self.data[0]) == 2 and "2" in self.data[0]
        class TestNothing(datum.TestCase):
            def test_none(self):
                assert not self.data
        """,
        change={"rates.json": "3\n"},
        selected={"TestRates::test_first", "TestRates::test_second"},
        spared={"test_bystander", "TestNothing::test_none"},
    ),
)
