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
)
