"""New functions: names that were looked for and not found, or found elsewhere."""

from __future__ import annotations

from .case import Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "module getattr",
        """
        -- shop.py --
        def __getattr__(name):
            if name == "price":
                return 2
            raise AttributeError(name)
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price == 2
        """,
        change={"shop.py": Swap("2", "3")},
        selected={"test_price"},
    ),
    Case(
        "new function before a module getattr",
        """
        -- shop.py --
        def __getattr__(name):
            return lambda: 2
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"shop.py": "def price():\n    return 3\ndef __getattr__(name):\n    return 2\n"},
        selected={"test_price"},
    ),
    Case(
        "new function over one from a star import",
        """
        -- old.py --
        def price():
            return 2
        -- new.py --
        def name():
            return "new"
        -- shop.py --
        from old import *
        from new import *
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"new.py": Swap("def name", "def price():\n    return 3\ndef name")},
        selected={"test_price"},
    ),
    Case(
        "new function over an imported one",
        """
        -- rates.py --
        def rate():
            return 2
        -- shop.py --
        from rates import rate
        def price(amount):
            return amount * rate()
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price(2) == 4
        """,
        change={"shop.py": Swap("def price", "def rate():\n    return 3\ndef price")},
        selected={"test_price"},
    ),
    Case(
        "new function over a builtin",
        """
        -- shop.py --
        def price(amounts):
            return sum(amounts)
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price([2, 3]) == 5
        """,
        change={"shop.py": Swap("def price", "def sum(many):\n    return 0\ndef price")},
        selected={"test_price"},
    ),
    Case(
        "second definition of one function",
        """
        -- shop.py --
        def price():
            return 2
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"shop.py": "def price():\n    return 2\ndef price():\n    return 3\n"},
        selected={"test_price"},
    ),
    Case(
        "new function found by dir",
        """
        -- checks.py --
        def check_one():
            return True
        -- shop.py --
        import checks
        def count():
            return len([name for name in dir(checks) if name.startswith("check_")])
        -- test_shop.py --
        import shop

        def test_count():
            assert shop.count() == 1
        """,
        change={"checks.py": Swap("def ", "def check_two():\n    return True\ndef ")},
        selected={"test_count"},
    ),
    Case(
        "new function found in globals",
        """
        -- shop.py --
        def on_default():
            return 2
        def handle(event):
            return globals().get("on_" + event, on_default)()
        -- test_shop.py --
        import shop

        def test_handle():
            assert shop.handle("buy") == 2
        """,
        change={"shop.py": Swap("def handle", "def on_buy():\n    return 3\ndef handle")},
        selected={"test_handle"},
    ),
    Case(
        "new function found by getattr",
        """
        -- events.py --
        def on_default():
            return 2
        -- shop.py --
        import events
        def handle(event):
            return getattr(events, f"on_{event}", events.on_default)()
        -- test_shop.py --
        import shop

        def test_handle():
            assert shop.handle("buy") == 2
        """,
        change={"events.py": Swap("def ", "def on_buy():\n    return 3\ndef ")},
        selected={"test_handle"},
    ),
    Case(
        "new function found by getmembers",
        """
        -- shop.py --
        def price():
            return 2
        -- test_shop.py --
        import inspect
        import shop

        def test_public():
            names = [name for name, _ in inspect.getmembers(shop, inspect.isfunction)]
            assert names == ["price"]
        """,
        change={"shop.py": Swap("def ", "def name():\n    return 'shop'\ndef ")},
        selected={"test_public"},
    ),
    Case(
        "new function found in vars by an importer of the importer",
        """
        -- events.py --
        def on_buy():
            return 1
        -- shop.py --
        import events
        table = vars(events)
        -- till.py --
        from shop import table
        def handlers():
            return sorted(name for name in table if name.startswith("on_"))
        -- test_shop.py --
        import till

        def test_handlers():
            assert till.handlers() == ["on_buy"]
        """,
        change={"events.py": Swap("def ", "def on_sell():\n    return 1\ndef ")},
        selected={"test_handlers"},
    ),
)
