"""Tests that were skipped, by what cannot change outside and by what can.

Where the interpreter decided it, such a test is known: only a change of what it depends on
selects it. In each case a test that is skipped before runs, and fails, after the change.
"""

from __future__ import annotations

from .case import Case, Swap

MARKED = """
    -- shop.py --
    RATE = 2
    -- test_shop.py --
    import os
    import sys
    import pytest
    import shop

    @pytest.mark.skipif({condition}, reason="not here")
    def test_shop():
        assert shop.RATE == 0
    @pytest.mark.skipif(sys.platform == os.name, reason="never")
    def test_other():
        assert shop.RATE
    """


CASES: tuple[Case, ...] = (
    Case(
        "skipped, and the condition changes",
        MARKED.format(condition="sys.version_info > (3,)"),
        change={"test_shop.py": Swap("> (3,)", "> (3000,)")},
        selected={"test_shop"},
    ),
    Case(
        "skipped, and the mark goes",
        MARKED.format(condition="hasattr(sys, 'platform')"),
        change={
            "test_shop.py": Swap(
                "@pytest.mark.skipif(hasattr(sys, 'platform'), reason=\"not here\")\n", ""
            )
        },
        selected={"test_shop"},
    ),
    Case(
        "skipped by a name of another module",
        """
    -- places.py --
    import sys
    NEW = sys.version_info[:2] >= (3, 1)
    -- test_shop.py --
    import pytest
    from places import NEW

    on_old = pytest.mark.skipif(NEW, reason="old ones only")

    @on_old
    def test_shop():
        assert not NEW, "new"
        assert 0
    """,
        change={"places.py": Swap("(3, 1)", "(3000, 1)")},
        selected={"test_shop"},
    ),
    Case(
        "skipped by a name that a conftest sets",
        """
    -- conftest.py --
    import places
    places.NEW = True
    -- places.py --
    NEW = True
    -- test_shop.py --
    import pytest
    import places

    pytestmark = pytest.mark.skipif(places.NEW, reason="old ones only")

    def test_shop():
        assert 0
    """,
        change={"conftest.py": Swap("True", "False")},
        selected={"test_shop"},
        spared=frozenset(),
    ),
    Case(
        "skipped, and a conftest takes the mark off",
        """
    -- conftest.py --
    def pytest_collection_modifyitems(items):
        for item in items:
            if item.name == "nobody":
                item.own_markers.clear()
    -- test_shop.py --
    import pytest

    @pytest.mark.skip
    def test_shop():
        assert 0
    """,
        change={"conftest.py": Swap('"nobody"', '"test_shop"')},
        selected={"test_shop"},
        spared=frozenset(),
    ),
    Case(
        "skipped as all of its class is",
        """
    -- test_shop.py --
    import sys
    import pytest

    @pytest.mark.skipif(sys.maxsize > 2, reason="large")
    class TestShop:
        def test_price(self):
            assert 0
        def test_rate(self):
            assert 0
    """,
        change={"test_shop.py": Swap("> 2", "> 2 ** 80")},
        selected={"TestShop::test_price", "TestShop::test_rate"},
    ),
    Case(
        "skipped in the manner of unittest",
        """
    -- places.py --
    import sys
    WINDOWS = sys.platform.startswith("win")
    -- test_shop.py --
    import unittest
    from places import WINDOWS

    class Shop(unittest.TestCase):
        @unittest.skipUnless(WINDOWS, "windows")
        def test_price(self):
            assert 0
    @unittest.skip("never")
    class Never(unittest.TestCase):
        def test_rate(self):
            assert 0
    """,
        change={"places.py": Swap('startswith("win")', 'startswith("")')},
        selected={"Shop::test_price"},
    ),
    Case(
        "skipped, and a function elsewhere changes",
        """
    -- shop.py --
    def rate():
        return 2
    -- test_shop.py --
    import os
    import pytest
    import shop

    @pytest.mark.skipif(os.name != "other", reason="elsewhere")
    @pytest.mark.parametrize("number", [1, 2])
    def test_other(number):
        assert shop.rate() == 0
    def test_shop():
        assert shop.rate() == 2
    """,
        change={"shop.py": Swap("2", "3")},
        selected={"test_shop"},
        spared={"test_bystander", "test_other[1]", "test_other[2]"},
    ),
    Case(
        "skipped for what is outside",
        """
    -- shop.py --
    def rate():
        return 2
    -- test_shop.py --
    import os
    import shutil
    import sys
    import pytest
    import shop

    try:
        import not_here
        HERE = True
    except ImportError:
        HERE = False

    @pytest.mark.skipif(shutil.which("no-such-program") is None, reason="no program")
    def test_program():
        assert shop.rate() == 0
    @pytest.mark.skipif("AQE_NO_SUCH_VARIABLE" not in os.environ, reason="no variable")
    def test_variable():
        assert shop.rate() == 0
    @pytest.mark.skipif(not HERE, reason="no package")
    def test_package():
        assert shop.rate() == 0
    @pytest.mark.skipif(sys.platform == "mars" or shutil.which("mars") is None, reason="mars")
    def test_either():
        assert shop.rate() == 0
    @pytest.fixture
    def program():
        pytest.skip("no program")
    @pytest.mark.skipif(sys.platform == "mars", reason="mars")
    def test_fixture(program):
        assert shop.rate() == 0
    def test_inside():
        pytest.skip("nothing there")
    def test_shop():
        assert shop.rate() == 2
    """,
        change={"shop.py": Swap("2", "3")},
        selected={"test_shop"},
        passing={
            *("test_program", "test_variable", "test_package", "test_either"),
            *("test_fixture", "test_inside"),
        },
    ),
)
