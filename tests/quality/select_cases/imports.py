"""Code that reaches a test by an import statement."""

from __future__ import annotations

from .case import Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "an import for type checkers comes",
        """
    -- shop.py --
    from typing import Any
    class Shop:
        def price(self) -> "Any":
            return 2
    -- test_shop.py --
    import shop

    def test_shop():
        assert shop.Shop().price() == 2
    """,
        change={
            "shop.py": Swap(
                "from typing import Any",
                "from typing import TYPE_CHECKING, Any\n"
                "if TYPE_CHECKING:\n    from decimal import Decimal",
            )
        },
        spared={"test_bystander", "test_shop"},
    ),
    Case(
        "an import for type checkers comes, and a test lists what a module has",
        """
    -- shop.py --
    def rate():
        return 2
    -- test_shop.py --
    import shop

    def test_names():
        assert sorted(name for name in vars(shop) if not name.startswith("_")) == ["rate"]
    """,
        change={"shop.py": Swap("def rate", "from typing import TYPE_CHECKING\ndef rate")},
        selected={"test_names"},
    ),
    Case(
        "an import for type checkers moves below its use",
        """
    -- shop.py --
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        Money = int
    else:
        Money = float
    def rate():
        return Money(2)
    -- test_shop.py --
    def test_rate():
        import shop
        assert shop.rate() == 2
    """,
        change={
            "shop.py": "if TYPE_CHECKING:\n    Money = int\nelse:\n    Money = float\n"
            "from typing import TYPE_CHECKING\ndef rate():\n    return Money(2)\n"
        },
        selected={"test_rate"},
    ),
    Case(
        "an import for type checkers goes, and what asks for it stays",
        """
    -- shop.py --
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        from decimal import Decimal
    class Shop:
        def price(self) -> "Decimal":
            return 2
    -- test_shop.py --
    def test_shop():
        import shop
        assert shop.Shop().price() == 2
    """,
        change={"shop.py": Swap("from typing import TYPE_CHECKING\n", "")},
        selected={"test_shop"},
    ),
    Case(
        "an import for type checkers comes instead of a constant",
        """
    -- shop.py --
    TYPE_CHECKING = True
    if TYPE_CHECKING:
        RATE = 2
    -- test_shop.py --
    import shop

    def test_shop():
        assert shop.RATE == 2
    """,
        change={
            "shop.py": Swap("TYPE_CHECKING = True", "from typing import TYPE_CHECKING\nRATE = 3")
        },
        selected={"test_shop"},
    ),
    Case(
        "module constant",
        """
        -- shop.py --
        RATE = 2
        -- test_shop.py --
        import shop

        def test_rate():
            assert shop.RATE == 2
        """,
        change={"shop.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "constant taken over by another module",
        """
        -- rates.py --
        RATE = 2
        -- shop.py --
        from rates import RATE

        def price(amount):
            return amount * RATE
        -- test_shop.py --
        from shop import price

        def test_price():
            assert price(5) == 10
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_price"},
    ),
    Case(
        "star import",
        """
        -- rates.py --
        def rate():
            return 2
        -- shop.py --
        from rates import *
        -- test_shop.py --
        from shop import *

        def test_rate():
            assert rate() == 2
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "dunder all",
        """
        -- rates.py --
        __all__ = ["rate", "bonus"]
        def rate():
            return 2
        def bonus():
            return 1
        -- shop.py --
        from rates import *
        -- test_shop.py --
        import shop

        def test_bonus():
            assert hasattr(shop, "bonus")
        """,
        change={"rates.py": Swap(', "bonus"', "")},
        selected={"test_bonus"},
    ),
    Case(
        "re-export through a package",
        """
        -- shop/__init__.py --
        from .prices import price
        -- shop/prices.py --
        def price():
            return 2
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"shop/prices.py": Swap("2", "3")},
        selected={"test_price"},
    ),
    Case(
        "re-export from elsewhere",
        """
        -- shop/__init__.py --
        from .old import price
        -- shop/old.py --
        def price():
            return 2
        -- shop/new.py --
        def price():
            return 3
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"shop/__init__.py": Swap("old", "new")},
        selected={"test_price"},
    ),
    Case(
        "relative import",
        """
        -- shop/__init__.py --
        -- shop/rates.py --
        RATE = 2
        -- shop/till/__init__.py --
        -- shop/till/count.py --
        from ..rates import RATE

        def count(amount):
            return amount * RATE
        -- test_shop.py --
        from shop.till.count import count

        def test_count():
            assert count(2) == 4
        """,
        change={"shop/rates.py": Swap("2", "3")},
        selected={"test_count"},
    ),
    Case(
        "empty package that gains code",
        """
        -- shop/__init__.py --
        -- shop/rates.py --
        RATE = 2
        -- test_shop.py --
        import shop.rates

        def test_rate():
            assert shop.rates.RATE == 2
        """,
        change={"shop/__init__.py": "from . import rates\nrates.RATE = 3\n"},
        selected={"test_rate"},
    ),
    Case(
        "lazy import within a function",
        """
        -- rates.py --
        RATE = 2
        -- shop.py --
        def price():
            from rates import RATE
            return RATE
        def name():
            return "shop"
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        def test_name():
            assert shop.name() == "shop"
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_price"},
        spared={"test_bystander", "test_name"},
    ),
    Case(
        "lazy import that the second test finds done",
        """
        -- rates.py --
        RATE = 2
        -- shop.py --
        def price(amount):
            from rates import RATE
            return amount * RATE
        -- test_shop.py --
        import shop

        def test_first():
            assert shop.price(1) == 2
        def test_second():
            assert shop.price(2) == 4
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "conditional import",
        """
        -- settings.py --
        FAST = False
        -- fast.py --
        def price():
            return 3
        -- slow.py --
        def price():
            return 2
        -- shop.py --
        import settings
        if settings.FAST:
            from fast import price
        else:
            from slow import price
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"settings.py": Swap("False", "True")},
        selected={"test_price"},
    ),
    Case(
        "optional module that appears",
        """
        -- slow.py --
        def price():
            return 2
        -- shop.py --
        try:
            from fast import price
        except ImportError:
            from slow import price
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"fast.py": "def price():\n    return 3\n"},
        selected={"test_price"},
    ),
    Case(
        "submodule of the standard library that another module imported",
        """
        -- shop.py --
        import wsgiref.util
        def price():
            return 1
        -- web.py --
        import wsgiref
        def scheme():
            return wsgiref.util.guess_scheme({})
        -- test_shop.py --
        import shop
        import web

        def test_scheme():
            assert web.scheme() == "http"
        def test_price():
            assert shop.price() == 1
        """,
        change={"shop.py": Swap("import wsgiref.util", "")},
        selected={"test_scheme"},
        spared={"test_bystander", "test_price"},
    ),
    Case(
        "submodule of the standard library that another module imported in part",
        """
        -- shop.py --
        import wsgiref.util
        def price():
            return 1
        -- web.py --
        import wsgiref
        def scheme():
            return wsgiref.util.guess_scheme({})
        -- test_shop.py --
        import shop
        import web

        def test_scheme():
            assert web.scheme() == "http"
        def test_price():
            assert shop.price() == 1
        """,
        change={"shop.py": Swap("import wsgiref.util", "import wsgiref")},
        selected={"test_scheme"},
        spared={"test_bystander", "test_price"},
    ),
    Case(
        "optional module that goes",
        """
        -- fast.py --
        def price():
            return 2
        -- slow.py --
        def price():
            return 3
        -- shop.py --
        try:
            from fast import price
        except ImportError:
            from slow import price
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"fast.py": None},
        selected={"test_price"},
    ),
)
