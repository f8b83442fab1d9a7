"""Tests that are inherited, imported or written as doctests."""

from __future__ import annotations

from .case import Case, Swap

DOCTEST = '''
    -- pytest.ini --
    [pytest]
    addopts = --doctest-modules
    -- shop.py --
    def price(amount):
        """Double it.

        >>> price(2)
        4
        """
        return rate() * amount
    def rate():
        return 2
    '''


CASES: tuple[Case, ...] = (
    Case(
        "inherited test class",
        """
        -- cases.py --
        class Prices:
            price = 2
            def test_price(self):
                assert self.price == 2
        -- test_shop.py --
        import cases

        class TestShop(cases.Prices):
            pass
        """,
        change={"cases.py": Swap("== 2", "== 3")},
        selected={"TestShop::test_price"},
    ),
    Case(
        "inherited test class that gains a test",
        """
        -- cases.py --
        class Prices:
            def test_price(self):
                assert True
        -- test_shop.py --
        import cases

        class TestShop(cases.Prices):
            pass
        """,
        change={"cases.py": Swap("def ", "def test_more(self):\n        assert False\n    def ")},
        selected={"TestShop::test_more"},
    ),
    Case(
        "fixture of an inherited test class",
        """
        -- cases.py --
        import pytest

        class Prices:
            @pytest.fixture
            def price(self):
                return 2
        -- test_shop.py --
        import cases

        class TestShop(cases.Prices):
            def test_price(self, price):
                assert price == 2
        """,
        change={"cases.py": Swap("2", "3")},
        selected={"TestShop::test_price"},
    ),
    Case(
        "imported test",
        """
        -- cases.py --
        def test_price():
            assert 2 == 2
        -- test_shop.py --
        from cases import test_price
        """,
        change={"cases.py": Swap("2 == 2", "2 == 3")},
        selected={"test_price"},
    ),
    Case(
        "helper that asserts in a test file of another",
        """
        -- test_helper.py --
        def check(amount):
            assert amount < 3
        def test_check():
            check(1)
        -- test_shop.py --
        from test_helper import check

        def test_amount():
            check(2)
        """,
        change={"test_helper.py": Swap("< 3", "< 2")},
        selected={"test_amount"},
        passing={"test_check"},
    ),
    Case(
        "function under a doctest",
        DOCTEST,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"shop.price"},
    ),
    Case(
        "docstring that is a doctest",
        DOCTEST,
        change={"shop.py": Swap(" 4\n", " 5\n")},
        selected={"shop.price"},
    ),
    Case(
        "text file of doctests",
        """
        -- pytest.ini --
        [pytest]
        addopts = --doctest-glob=*.txt
        -- guide.txt --
        >>> 1 + 1
        2
        """,
        change={"guide.txt": ">>> 1 + 1\n3\n"},
        selected={"guide.txt"},
    ),
)
