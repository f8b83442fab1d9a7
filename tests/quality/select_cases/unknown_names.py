"""New functions: names that were looked for and not found, or found elsewhere."""

from __future__ import annotations

from .case import Case, Swap

_REGISTRY = """
    -- registry.py --
    import inspect
    import sys
    def by_name(each):
        return getattr(sys.modules[each.__module__], "DEFAULT_" + each.__name__.upper())
    def by_module(each):
        return getattr(inspect.getmodule(each), "DEFAULT_" + each.__name__.upper())
    def by_globals(function):
        return function.__globals__["DEFAULT_" + function.__name__.upper()]
    def of_caller(name):
        return sys._getframe(1).f_globals.get(name + "_PLAN")
    def call(name):
        function = sys._getframe(1).f_globals.get("default_" + name)
        return function() if function else 2
    -- shop.py --
    import registry
    DEFAULT_PLAN = 2
    class Plan:
        pass
    def plan():
        return 1
    def price():
        return DEFAULT_PLAN
    def called():
        return registry.of_caller("DEFAULT")
    def rate():
        return registry.call("rate")
    -- test_shop.py --
    import registry
    import shop

    def test_class():
        assert registry.by_name(shop.Plan) == 2
    def test_module():
        assert registry.by_module(shop.Plan) == 2
    def test_function():
        assert registry.by_globals(shop.plan) == 2
    def test_caller():
        assert shop.called() == 2
    def test_new():
        assert shop.rate() == 2
    def test_price():
        assert shop.price()
    def test_plan():
        assert shop.plan() == 1
"""

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
    Case(
        "constant found in the module of an object",
        _REGISTRY,
        change={"shop.py": Swap("DEFAULT_PLAN = 2", "DEFAULT_PLAN = 3")},
        selected={"test_class", "test_module", "test_function", "test_caller"},
        passing={"test_price"},
        spared={"test_bystander", "test_plan"},
    ),
    Case(
        "new function found in the module of a caller",
        _REGISTRY,
        change={"shop.py": Swap("def plan", "def default_rate():\n    return 3\ndef plan")},
        selected={"test_new"},
        spared={"test_bystander", "test_plan"},
    ),
    Case(
        "constant found in the module of a test",
        """
        -- conftest.py --
        import pytest
        def name_of(function):
            return function.__name__.removeprefix("test_") + "_data"
        @pytest.fixture
        def data(request):
            return getattr(request.module, name_of(request.function))
        def pytest_generate_tests(metafunc):
            if "row" in metafunc.fixturenames:
                rows = getattr(metafunc.module, name_of(metafunc.function))
                metafunc.parametrize("row", rows, ids=["a"])
        -- test_shop.py --
        price_data = [2]

        def test_price(data):
            assert data == [2]
        def test_named():
            assert price_data
        -- test_rows.py --
        rows_data = [2]

        def test_rows(row):
            assert row == 2
        def test_named_rows():
            assert rows_data
        """,
        change={
            "test_shop.py": Swap("price_data = [2]", "price_data = [3]"),
            "test_rows.py": Swap("rows_data = [2]", "rows_data = [3]"),
        },
        selected={"test_price", "test_rows[a]"},
        passing={"test_named", "test_named_rows"},
    ),
    Case(
        "order in which names are found",
        """
        -- base.py --
        class Handler:
            def matches(self):
                return True
        def first():
            return next(each.__name__ for each in Handler.__subclasses__() if each().matches())
        -- plans.py --
        GOLD = 1
        IRON = 2
        -- shop.py --
        import plans
        from base import Handler
        class Gold(Handler):
            pass
        class Iron(Handler):
            pass
        def rule_gold():
            return "gold"
        def rule_iron():
            return "iron"
        def rule():
            return next(each() for name, each in globals().items() if name.startswith("rule_"))
        def names():
            return [name for name in vars(plans) if name.isupper()]
        -- test_shop.py --
        import base
        import shop

        def test_class():
            assert base.first() == "Gold"
        def test_function():
            assert shop.rule() == "gold"
        def test_constant():
            assert shop.names() == ["GOLD", "IRON"]
        def test_name():
            assert shop.rule_gold() == "gold"
        """,
        change={
            "plans.py": "IRON = 2\nGOLD = 1\n",
            "shop.py": """
            import plans
            from base import Handler
            class Iron(Handler):
                pass
            class Gold(Handler):
                pass
            def rule_iron():
                return "iron"
            def rule_gold():
                return "gold"
            def rule():
                return next(each() for name, each in globals().items() if name.startswith("rule_"))
            def names():
                return [name for name in vars(plans) if name.isupper()]
            """,
        },
        selected={"test_class", "test_function", "test_constant"},
        spared={"test_bystander", "test_name"},
    ),
)
