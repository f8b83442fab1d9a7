"""Names that go, and modules that come to stand before others."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "deleted function that was only asked for",
        """
        -- shop.py --
        def price():
            return 2
        def bonus():
            return 1
        -- test_shop.py --
        import shop

        def test_bonus():
            assert callable(getattr(shop, "bonus", None))
        def test_price():
            assert shop.price() == 2
        """,
        change={"shop.py": Swap("def bonus():\n    return 1\n", "")},
        selected={"test_bonus"},
        spared={"test_bystander", "test_price"},
    ),
    Case(
        "deleted function that a test replaced",
        """
        -- shop.py --
        def price():
            return 2
        def total():
            return 5
        -- test_shop.py --
        import shop

        def test_replaced(monkeypatch):
            monkeypatch.setattr("shop.price", lambda: 3)
            assert shop.price() == 3
        """,
        change={"shop.py": Swap("def price():\n    return 2\n", "")},
        selected={"test_replaced"},
    ),
    Case(
        "function renamed without its callers",
        """
        -- rates.py --
        def rate():
            return 2
        -- shop.py --
        import rates
        def price():
            return rates.rate()
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"rates.py": Swap("rate()", "percent()")},
        selected={"test_price"},
    ),
    Case(
        "new module over one of the standard library",
        """
        -- test_shop.py --
        def test_tabs():
            import tabnanny
            assert tabnanny.verbose == 0
        """,
        change={"tabnanny.py": "verbose = 1\n"},
        selected={"test_tabs"},
    ),
    Case(
        "new module before another of its name",
        """
        -- pytest.ini --
        [pytest]
        pythonpath = first second
        -- first/names.py --
        NAME = "shop"
        -- second/rates.py --
        RATE = 2
        -- test_shop.py --
        import names

        def test_rate():
            import rates
            assert rates.RATE == 2
        """,
        change={"first/rates.py": "RATE = 3\n"},
        selected={"test_rate"},
    ),
    Case(
        "new package over a module",
        """
        -- shop.py --
        RATE = 2
        -- test_shop.py --
        import shop

        def test_rate():
            assert shop.RATE == 2
        """,
        change={"shop/__init__.py": "RATE = 3\n"},
        selected={"test_rate"},
    ),
    Case(
        "new submodule over an attribute",
        """
        -- shop/__init__.py --
        rates = {"gold": 2}
        -- shop/names.py --
        NAME = "shop"
        -- test_shop.py --
        def test_rates():
            import shop
            try:
                import shop.rates
            except ImportError:
                pass
            assert shop.rates["gold"] == 2
        """,
        change={"shop/rates.py": "GOLD = 2\n"},
        selected={"test_rates"},
    ),
    Case(
        "new plugin found by a walk over a package",
        """
        -- plugins/__init__.py --
        -- plugins/gold.py --
        PRICE = 2
        -- shop.py --
        import importlib
        import pkgutil
        import plugins

        def prices():
            names = [found.name for found in pkgutil.iter_modules(plugins.__path__)]
            return [importlib.import_module(f"plugins.{name}").PRICE for name in names]
        -- test_shop.py --
        import shop

        def test_prices():
            assert shop.prices() == [2]
        """,
        change={"plugins/silver.py": "PRICE = 1\n"},
        selected={"test_prices"},
    ),
    Case(
        "function read as a string in a table",
        """
        -- rates.py --
        def gold():
            return 2
        -- shop.py --
        import pydoc
        TABLE = {"gold": "rates.gold", "silver": "rates.silver"}
        def known(name):
            return pydoc.locate(TABLE[name]) is not None
        -- test_shop.py --
        import shop

        def test_silver():
            assert not shop.known("silver")
        """,
        change={"rates.py": Swap("def ", "def silver():\n    return 1\ndef ")},
        selected={"test_silver"},
        spared=NOTHING,
    ),
)
