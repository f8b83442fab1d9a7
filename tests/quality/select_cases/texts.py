"""Code that stands in no module: doctests, and texts that are executed."""

from __future__ import annotations

from .case import Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "doctests of one module that import the same",
        """
        -- pytest.ini --
        [pytest]
        addopts = --doctest-modules
        pythonpath = .
        -- rates.py --
        RATE = 2
        -- shop.py --
        def price():
            '''
            >>> from rates import RATE
            >>> RATE
            2
            '''

        def cost():
            '''
            >>> import rates
            >>> rates.RATE
            2
            '''

        def total():
            '''
            >>> 1 + 1
            2
            '''
        """,
        change={"rates.py": Swap("RATE = 2", "RATE = 3")},
        selected={"shop.price", "shop.cost"},
        spared={"shop.total", "test_bystander"},
    ),
    Case(
        "documents that import the same",
        """
        -- pytest.ini --
        [pytest]
        addopts = --doctest-glob=*.rst
        pythonpath = .
        -- rates.py --
        RATE = 2
        -- first.rst --
        >>> from rates import RATE
        >>> RATE
        2
        -- second.rst --
        >>> import rates
        >>> rates.RATE
        2
        -- third.rst --
        >>> 1 + 1
        2
        """,
        change={"rates.py": Swap("RATE = 2", "RATE = 3")},
        selected={"first.rst", "second.rst"},
        spared={"third.rst", "test_bystander"},
    ),
    Case(
        "doctest that reads a cache another test filled",
        """
        -- pytest.ini --
        [pytest]
        addopts = --doctest-modules
        pythonpath = .
        -- shop.py --
        from functools import cache

        @cache
        def price():
            return load()

        def load():
            return 2

        def first():
            '''
            >>> price()
            2
            '''

        def second():
            '''
            >>> price() + 1
            3
            '''
        """,
        change={"shop.py": Swap("    return 2", "    return 3")},
        selected={"shop.first", "shop.second"},
    ),
    Case(
        "texts that import the same",
        """
        -- rates.py --
        RATE = 2
        -- test_shop.py --
        def run(text):
            space = {}
            exec(text, space)
            return space["RATE"]

        def test_first():
            assert run("from rates import RATE") == 2
        def test_second():
            assert run("from rates import RATE") + 1 == 3
        def test_inside():
            assert run("def rate():\\n  import rates\\n  return rates.RATE\\nRATE = rate()") == 2
        def test_other():
            assert run("RATE = 2") == 2
        """,
        change={"rates.py": Swap("RATE = 2", "RATE = 3")},
        selected={"test_first", "test_second", "test_inside"},
        spared={"test_other", "test_bystander"},
    ),
)
