"""What one test leaves behind and another lives on: caches, singletons, registries.

The second test does not run the function that the first one filled the cache with, yet the
answer it checks is that function's.
"""

from __future__ import annotations

import sys
from textwrap import dedent, indent

from .case import NOTHING, Case, Swap

TWO_TESTS = """
    -- test_shop.py --
    import shop

    def test_first():
        assert shop.price() == 2
    def test_second():
        assert shop.price() + 1 == 3
    """

SHARED_SHOP = """
    -- conftest.py --
    import pytest
    import shop

    @pytest.fixture(scope="session")
    def store():
        return shop.Shop()
    -- test_shop.py --
    def test_first(store):
        assert store.get() == 2
    def test_second(store):
        assert store.get() + 1 == 3
    """

CACHED_SHOP = """
    -- shop.py --
    import functools

    def load():
        return 2

    @functools.cache
    def price():
        return load()
    """

BOTH = frozenset({"test_first", "test_second"})

# A cache, and how a test asks it without saying its name.
UNNAMED = (
    (
        "in a registry that is an object",
        """
    class App:
        def __init__(self):
            self.routes = {}
        def route(self, path):
            def decorate(function):
                self.routes[path] = function
                return function
            return decorate
        def call(self, path):
            return self.routes[path]()

    app = App()

    @app.route("/price")
    @functools.cache
    def view():
        return load()
        """,
        'assert shop.app.call("/price") == 2',
    ),
    (
        "of a special method",
        """
    class Shop:
        @functools.lru_cache
        def __call__(self):
            return load()
        @functools.lru_cache
        def __getitem__(self, name):
            return load()

    shop = Shop()
        """,
        'assert shop.shop() == shop.shop["price"] == 2',
    ),
    (
        "by a computed name",
        """
    class Visitor:
        @functools.cache
        def visit_price(self):
            return load()
        def visit(self, kind):
            return getattr(self, f"visit_{kind}")()

    visitor = Visitor()
        """,
        'assert shop.visitor.visit("price") == 2',
    ),
    (
        "by a text",
        """
    @functools.cache
    def price():
        return load()
        """,
        'assert getattr(shop, "price")() == eval("shop.price()") == 2',
    ),
    (
        "of a property that a pattern asks",
        """
    class Shop:
        @functools.cached_property
        def price(self):
            return load()

    shop = Shop()

    def cheap(shop):
        match shop:
            case Shop(price=2):
                return True
        return False
        """,
        "assert shop.cheap(shop.shop)",
    ),
)

CASES: tuple[Case, ...] = (
    Case(
        "global of a coroutine",
        """
    -- shop.py --
    import asyncio

    _rates = None

    def parse():
        return {"gold": 2}
    async def rates():
        global _rates
        if _rates is None:
            await asyncio.sleep(0)
            _rates = parse()
        return _rates
    def price():
        return asyncio.run(rates())["gold"]
    """
        + TWO_TESTS,
        change={"shop.py": Swap('"gold": 2', '"gold": 3')},
        selected=BOTH,
    ),
    Case(
        "global of a generator that goes on later",
        """
    -- shop.py --
    _rate = None

    def parse():
        return 2
    def opening():
        global _rate
        yield "opening"
        _rate = _rate or parse()
        yield _rate
    def price():
        *_, rate = opening()
        return rate
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "cache filled after another one raised",
        """
    -- shop.py --
    import functools

    @functools.cache
    def listed(name):
        return {"silver": 1}[name]
    def usual():
        return 2
    @functools.cache
    def price():
        try:
            return listed("gold")
        except KeyError:
            return usual()
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "cache that raised late and is asked again",
        """
    -- shop.py --
    import functools

    def step():
        return 1
    def late():
        return 2
    @functools.cache
    def price(number):
        for _ in range(70):
            step()
        if number < 0:
            raise ValueError(number)
        for _ in range(70):
            step()
        return late()
    -- test_shop.py --
    import pytest
    import shop

    def test_first():
        with pytest.raises(ValueError) as caught:
            shop.price(-1)
        assert shop.price(1) == 2
    def test_second():
        assert shop.price(1) + 1 == 3
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "global of a context that is left by an error",
        """
    -- shop.py --
    import contextlib

    _rate = None

    def parse():
        return 2
    @contextlib.contextmanager
    def opening():
        global _rate
        try:
            yield
        except KeyError:
            _rate = _rate or parse()
    def price():
        with opening():
            raise KeyError
        return _rate
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "global of a generator that is given up",
        """
    -- shop.py --
    _rate = None

    def parse():
        return 2
    def opening():
        global _rate
        try:
            yield 1
        finally:
            _rate = _rate or parse()
    def price():
        for _ in opening():
            break
        return _rate
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "global of a coroutine that waits for another task",
        """
    -- shop.py --
    import asyncio

    _rate = None

    async def parse():
        return 2
    async def rate():
        global _rate
        if _rate is None:
            _rate = await asyncio.create_task(parse())
        return _rate
    def price():
        return asyncio.run(rate())
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "cache that is filled while test files are collected",
        """
    -- shop.py --
    import functools

    def late():
        return 2
    @functools.cache
    def price(number):
        return late() if number == 8999 else number
    -- test_a.py --
    import shop

    PRICES = [shop.price(number) for number in range(9000)]

    def test_all():
        assert len(PRICES) == 9000
    -- test_b.py --
    def test_none():
        assert True
    -- test_c.py --
    import shop

    def test_last():
        assert shop.price(8999) == 2
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"test_last"},
        spared=NOTHING,
    ),
    Case(
        "what follows a cache that raised",
        """
        -- shop.py --
        import functools

        @functools.cache
        def listed(name):
            return {"silver": 1}[name]
        def usual():
            return 2
        -- test_shop.py --
        import pytest
        import shop

        def test_usual():
            with pytest.raises(KeyError):
                shop.listed("gold")
            assert shop.usual() == 2
        def test_listed():
            assert shop.listed("silver") == 1
        """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"test_usual"},
        # before 3.12 nobody tells when
        spared={"test_bystander"} | ({"test_listed"} if sys.version_info >= (3, 12) else set()),
    ),
    Case(
        "functools.cache shared by tests",
        """
    -- shop.py --
    from functools import cache

    @cache
    def price():
        return 2
    """
        + TWO_TESTS,
        change={"shop.py": Swap("2", "3")},
        selected=BOTH,
    ),
    Case(
        "functools.cache over a helper shared by tests",
        """
    -- rates.py --
    def rate():
        return 2
    -- shop.py --
    import functools
    import rates

    @functools.lru_cache(maxsize=None)
    def price():
        return rates.rate()
    """
        + TWO_TESTS,
        change={"rates.py": Swap("2", "3")},
        selected=BOTH,
    ),
    Case(
        "cached property of a shared object",
        """
    -- shop.py --
    from functools import cached_property

    class Shop:
        @cached_property
        def total(self):
            return 2
    SHOP = Shop()
    def price():
        return SHOP.total
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "global filled by the first test",
        """
    -- rates.py --
    def load():
        return 2
    -- shop.py --
    import rates
    _rate = None

    def price():
        global _rate
        if _rate is None:
            _rate = rates.load()
        return _rate
    """
        + TWO_TESTS,
        change={"rates.py": Swap("2", "3")},
        selected=BOTH,
    ),
    Case(
        "cache filled by another test file",
        """
        -- shop.py --
        from functools import cache

        @cache
        def price(name):
            return {"gold": 2}[name]
        -- a/test_first.py --
        import shop

        def test_first():
            assert shop.price("gold") == 2
        -- b/test_second.py --
        import shop

        def test_second():
            assert shop.price("gold") == 2
        """,
        change={"shop.py": Swap("2", "3")},
        selected=BOTH,
    ),
    Case(
        "data file behind a cache",
        """
    -- rates.txt --
    2
    -- shop.py --
    from functools import cache
    from pathlib import Path

    @cache
    def price():
        return int(Path(__file__).with_name("rates.txt").read_text())
    """
        + TWO_TESTS,
        change={"rates.txt": "3\n"},
        selected=BOTH,
    ),
    Case(
        "functools.lru_cache under another decorator",
        """
    -- shop.py --
    import functools

    def logged(function):
        @functools.wraps(function)
        def call():
            return function()
        return call

    @logged
    @functools.lru_cache
    def price():
        return load()

    def load():
        return 2
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "functools.lru_cache in a table",
        """
    -- shop.py --
    import functools

    def load():
        return 2

    TABLE = {"price": functools.lru_cache(lambda: load())}

    def price():
        return TABLE["price"]()
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "functools.cache of a nested class",
        """
    -- shop.py --
    import functools

    class Shop:
        class Till:
            @property
            @functools.cache
            def price(self):
                return load()

        till = Till()

    def load():
        return 2

    def price():
        return Shop.till.price
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "functools.lru_cache of one object",
        """
    -- shop.py --
    import functools

    class Shop:
        def __init__(self):
            self.get = functools.lru_cache(maxsize=None)(self._load)

        def _load(self):
            return load()

    def load():
        return 2
    """
        + SHARED_SHOP,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
        python=(3, 12),  # before, nobody tells that a cache is made
    ),
    Case(
        "functools.cached_property of a local class",
        """
    -- shop.py --
    import functools

    def Shop():
        class Local:
            @functools.cached_property
            def price(self):
                return load()

            def get(self):
                return self.price
        return Local()

    def load():
        return 2
    """
        + SHARED_SHOP,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
        python=(3, 12),  # before, nobody tells that a cache is made
    ),
    Case(
        "global of another module filled by the first test",
        """
    -- config.py --
    RATE = None
    -- shop.py --
    import config as settings

    def load():
        return 2

    def price():
        if settings.RATE is None:
            settings.RATE = load()
        return settings.RATE
    """
        + TWO_TESTS,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "functools.cache asked at import, by a name that is gone afterwards",
        CACHED_SHOP
        + """
    -- test_first.py --
    from shop import price as ask
    PRICE = ask()
    del ask
    def test_first():
        assert PRICE == 2
    -- test_second.py --
    from shop import price as ask
    PRICE = ask()
    del ask
    def test_second():
        assert PRICE == 2
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "functools.cache asked at import, through its module and in a comprehension",
        CACHED_SHOP
        + """
    -- test_first.py --
    import shop
    PRICE = shop.price()
    def test_first():
        assert PRICE == 2
    -- test_second.py --
    from shop import *
    PRICES = [price() for _ in range(2)]
    def test_second():
        assert PRICES == [2, 2]
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
    Case(
        "functools.cache of a fixture",
        """
    -- shop.py --
    def load():
        return 2
    -- conftest.py --
    import functools
    import pytest
    import shop

    @pytest.fixture
    @functools.cache
    def price():
        return shop.load()
    -- test_shop.py --
    def test_first(price):
        assert price == 2
    def test_second(price):
        assert price + 1 == 3
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
        spared=NOTHING,
    ),
    *(
        Case(
            f"functools.cache {how}",
            f"""
    -- shop.py --
    import functools

    def load():
        return 2

{indent(dedent(code).strip(), "    ")}
    -- test_shop.py --
    import shop

    def test_first():
        {check}
    def test_second():
        {check}
    """,
            change={"shop.py": Swap("return 2", "return 3")},
            selected=BOTH,
        )
        for how, code, check in UNNAMED
    ),
    Case(
        "global that a function filled, imported by a module of a later test",
        """
    -- config.py --
    RATE = None

    def load():
        return 2

    def set_up():
        global RATE
        RATE = load()
    -- shop.py --
    from config import RATE

    def price():
        return RATE
    -- test_shop.py --
    def test_first():
        import config
        config.set_up()
        assert config.RATE == 2
    def test_second():
        import shop
        assert shop.price() == 2
    """,
        change={"config.py": Swap("return 2", "return 3")},
        selected=BOTH,
    ),
)
