"""Modules and objects that load themselves when they are first used, and not before."""

from __future__ import annotations

from .case import Case, Swap

LAZY_LOADER = """
    -- lazy.py --
    import importlib.util
    import sys

    def lazy(name):
        spec = importlib.util.find_spec(name)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    rates = lazy("rates")
    -- rates.py --
    RATE = 2
    """

CASES: tuple[Case, ...] = (
    Case(
        "lazy module that a test finds asleep",
        LAZY_LOADER
        + """
    -- test_shop.py --
    import sys
    import lazy

    def test_asleep():
        assert type(sys.modules["rates"]).__name__ == "_LazyModule"
    def test_rate():
        assert lazy.rates.RATE == 2
    """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "lazy module that another test woke",
        LAZY_LOADER
        + """
    -- test_shop.py --
    import lazy

    def test_first():
        assert lazy.rates.RATE == 2
    def test_second():
        assert lazy.rates.RATE + 1 == 3
    """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "lazy object that a test finds asleep",
        """
        -- shop.py --
        import os

        class Lazy:
            def _value(self):
                return vars(self).setdefault("value", os.environ.get("SHOP_RATE", "1"))

            @property
            def __class__(self):
                return type(self._value())

        rate = Lazy()

        def price():
            return 2 * int(rate._value())
        -- test_shop.py --
        import shop

        def test_price(monkeypatch):
            monkeypatch.setenv("SHOP_RATE", "2")
            assert shop.price() == 4
        """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"test_price"},
    ),
    Case(
        "module that cannot be looked at, and tests that do not need it",
        """
        -- shop.py --
        class Name:
            def __eq__(self, other):
                raise RuntimeError("not now")

        class Shop:
            price = 2

        Shop.__module__ = Name()
        -- other.py --
        RATE = 1
        -- test_shop.py --
        import subprocess
        import pytest

        def test_price():
            import shop
            assert shop.Shop.price == 2
        def test_program():
            with pytest.raises(IndexError):
                subprocess.run([])
        def test_other():
            assert True
        """,
        change={"shop.py": Swap("2", "3"), "other.py": Swap("1", "2")},
        selected={"test_price"},
        spared={"test_other", "test_bystander"},
    ),
    Case(
        "lazy package whose helper keeps what it loads",
        """
        -- pkg/__init__.py --
        from importlib import import_module

        def _load(name):
            value = globals()[name] = getattr(import_module("pkg._rates"), name)
            return value

        def __getattr__(name):
            if name.startswith("_"):
                raise AttributeError(name)
            return _load(name)
        -- pkg/_rates.py --
        RATES = {"gold": 2}
        -- test_shop.py --
        import pkg

        def test_first():
            assert pkg.RATES["gold"] == 2
        def test_second():
            assert pkg.RATES["gold"] + 1 == 3
        """,
        change={"pkg/_rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
)
