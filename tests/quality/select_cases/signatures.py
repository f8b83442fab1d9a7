"""Signatures and annotations that are read far from the functions that have them."""

from __future__ import annotations

from .case import Case, Swap

_CONTAINER = """
    -- container.py --
    import inspect
    import typing
    def resolve(cls):
        parameters = inspect.signature(cls).parameters.items()
        return cls(**{name: resolve(each.annotation) for name, each in parameters})
    def convert(function, value):
        return typing.get_type_hints(function)["return"](function(value))
    -- shop.py --
    class Cheap:
        rate = 2
    class Dear:
        rate = 3
    class Service:
        def __init__(self, repo: Cheap):
            self.rate = repo.rate
        def name(self):
            return "service"
    def handler(repo: Cheap):
        return repo.rate
    def parse(text) -> int:
        return text
    -- test_shop.py --
    import container
    import shop

    def test_class():
        assert container.resolve(shop.Service).rate == 2
    def test_function():
        assert container.resolve(shop.handler) == 2
    def test_result():
        assert container.convert(shop.parse, "2") == 2
    def test_call():
        assert shop.handler(shop.Cheap()) == 2
"""
_FAKES = """
    -- fakes.py --
    import inspect
    from unittest import mock
    def fake(cls):
        return mock.create_autospec(cls, instance=True)
    def fake_at(path):
        return mock.patch(path, autospec=True)
    def describe(each):
        return str(inspect.signature(each))
    def describe_all(module):
        return [describe(each) for each in vars(module).values() if callable(each)]
    -- shop.py --
    class Plan:
        def __init__(self, rate=2):
            self.rate = rate
        def price(self, amount):
            return amount
    def name(plan):
        return "gold"
    -- test_shop.py --
    import fakes
    import shop
    from unittest import mock

    def test_helper():
        fakes.fake(shop.Plan).price(1)
    def test_text():
        with fakes.fake_at("shop.Plan") as plan:
            plan().price(1)
    def test_description():
        assert fakes.describe(shop.Plan) == "(rate=2)"
    def test_descriptions():
        assert fakes.describe_all(shop) == ["(rate=2)", "(plan)"]
    def test_module():
        mock.create_autospec(shop).name(1)
    def test_module_by_text():
        with mock.patch("test_shop.shop", autospec=True) as module:
            module.name(1)
"""

_USAGE = """
    -- usage.py --
    def usage(function):
        return function.__doc__
    -- plans.py --
    "Plans."
    class Plan:
        "A plan."
    -- shop.py --
    import plans
    def price():
        "Sell it."
        return 2
    -- test_shop.py --
    import plans
    import shop
    import usage

    def test_function():
        assert usage.usage(shop.price) == "Sell it."
    def test_class():
        assert usage.usage(plans.Plan) == "A plan."
    def test_module():
        assert plans.__doc__ == "Plans."
    def test_price():
        assert shop.price() == 2
"""

CASES: tuple[Case, ...] = (
    Case(
        "annotations become texts, and a container reads them",
        _CONTAINER,
        change={"shop.py": Swap("class Cheap", "from __future__ import annotations\nclass Cheap")},
        selected={"test_class", "test_function"},
        passing={"test_result"},
        spared={"test_bystander", "test_call"},
    ),
    Case(
        "annotations become texts, and nobody reads them",
        """
    -- shop.py --
    from typing import Optional
    class Plan:
        def __init__(self, rate: Optional[int] = None) -> None:
            self.rate = rate or 2
    def price(plan: Plan) -> int:
        return plan.rate
    -- test_shop.py --
    import shop

    def test_price():
        assert shop.price(shop.Plan()) == 2
    """,
        change={"shop.py": Swap("from typing", "from __future__ import annotations\nfrom typing")},
        spared={"test_bystander", "test_price"},
    ),
    Case(
        "annotations become texts, and a dataclass reads them",
        """
    -- shop.py --
    import dataclasses
    import typing as t
    @dataclasses.dataclass
    class Plan:
        rate: int = 2
        RATES: t.ClassVar[int] = 3
    -- test_shop.py --
    import dataclasses
    import shop

    def test_types():
        assert [each.type for each in dataclasses.fields(shop.Plan)] == [int]
    """,
        change={
            "shop.py": Swap(
                "import dataclasses\n", "from __future__ import annotations\nimport dataclasses\n"
            )
        },
        selected={"test_types"},
    ),
    Case(
        "annotations become texts in what a module executes",
        """
    -- shop.py --
    def make(text):
        names = {}
        exec(text, names)
        return names["price"]
    -- test_shop.py --
    import shop

    def test_made():
        price = shop.make("def price(amount: int): return amount")
        assert price.__annotations__ == {"amount": int}
    """,
        change={"shop.py": Swap("def make", "from __future__ import annotations\ndef make")},
        selected={"test_made"},
    ),
    Case(
        "annotations are evaluated again, and one fails",
        """
    -- shop.py --
    from __future__ import annotations
    def rate(f: callable | None = None):
        return 2
    -- test_shop.py --
    def test_shop():
        import shop
        assert shop.rate() == 2
    """,
        change={"shop.py": Swap("from __future__ import annotations\n", "")},
        selected={"test_shop"},
    ),
    Case(
        "annotations become texts, and a test lists what a module has",
        """
    -- shop.py --
    def rate():
        return 2
    -- test_shop.py --
    import shop

    def test_names():
        assert sorted(name for name in vars(shop) if not name.startswith("_")) == ["rate"]
    """,
        change={"shop.py": Swap("def rate", "from __future__ import annotations\ndef rate")},
        selected={"test_names"},
    ),
    Case(
        "annotations become texts, and their name hides a module's",
        """
    -- pack/__init__.py --
    from . import annotations
    from .shop import *
    -- pack/annotations.py --
    RATE = 2
    -- pack/shop.py --
    def rate():
        return 2
    -- test_shop.py --
    import pack

    def test_rate():
        assert pack.annotations.RATE == 2
    """,
        change={"pack/shop.py": Swap("def rate", "from __future__ import annotations\ndef rate")},
        selected={"test_rate"},
    ),
    Case(
        "annotations that failed no longer do",
        """
    -- shop.py --
    def price(amount: int) -> int:
        return amount
    -- test_shop.py --
    import pytest

    def test_shop():
        import shop
        assert shop.price(2) == 2
    def test_missing():
        with pytest.raises(NameError):
            import broken
    -- broken.py --
    def price(amount: missing.Amount) -> int:
        return amount
    """,
        change={
            "broken.py": "from __future__ import annotations\n"
            "def price(amount: missing.Amount) -> int:\n    return amount\n"
        },
        selected={"test_missing"},
        spared={"test_bystander", "test_shop"},
    ),
    Case(
        "annotation of a constructor that a container reads",
        _CONTAINER,
        change={"shop.py": Swap("self, repo: Cheap", "self, repo: Dear")},
        selected={"test_class"},
        spared={"test_bystander", "test_call"},
    ),
    Case(
        "annotation of a function that a container reads",
        _CONTAINER,
        change={"shop.py": Swap("handler(repo: Cheap", "handler(repo: Dear")},
        selected={"test_function"},
        spared={"test_bystander", "test_call", "test_class"},
    ),
    Case(
        "annotation by which made-up values are built",
        """
    -- shop.py --
    class Plan:
        def __init__(self, rate: int):
            self.rate = rate
    -- test_shop.py --
    import inspect

    import shop
    from hypothesis import given, settings, strategies as st

    def test_bare():
        assert shop.Plan("2").rate == "2"
    def test_signature():
        assert "rate: int" in str(inspect.Signature.from_callable(shop.Plan))
    @given(st.builds(shop.Plan))
    @settings(database=None, max_examples=5)
    def test_built(plan):
        assert isinstance(plan.rate, int)
    """,
        change={"shop.py": Swap("rate: int", "rate: str")},
        selected={"test_built", "test_signature"},
        passing={"test_bare"},
    ),
    Case(
        "annotation of a result that a helper reads",
        _CONTAINER,
        change={"shop.py": Swap("-> int", "-> str")},
        selected={"test_result"},
        spared={"test_bystander", "test_call", "test_class"},
    ),
    Case(
        "argument of a method that a helper imitates",
        _FAKES,
        change={"shop.py": Swap("self, amount", "self, amount, currency")},
        selected={"test_helper", "test_text"},
    ),
    Case(
        "default of a constructor that a helper describes",
        _FAKES,
        change={"shop.py": Swap("rate=2", "rate=3")},
        selected={"test_description", "test_descriptions"},
    ),
    Case(
        "argument of a function that helpers find in its module",
        _FAKES,
        change={"shop.py": Swap("name(plan)", "name(plan, upper)")},
        selected={"test_descriptions", "test_module", "test_module_by_text"},
        spared={"test_bystander", "test_helper", "test_description"},
    ),
    Case(
        "docstrings that another module reads",
        _USAGE,
        change={
            "shop.py": Swap('"Sell it."', '"Buy it."'),
            "plans.py": Swap('"Plans."', '"Prices."'),
        },
        selected={"test_function", "test_module"},
        passing={"test_class"},
        spared={"test_bystander", "test_price"},
    ),
    Case(
        "docstring of a class that another module reads",
        _USAGE,
        change={"plans.py": Swap('"A plan."', '"A price."')},
        selected={"test_class"},
        passing={"test_module"},
        spared={"test_bystander", "test_price"},
    ),
    *(
        Case(
            f"docstring of a {kind} that is given to a library",
            """
    -- shop.py --
    from xmlrpc.server import SimpleXMLRPCDispatcher

    def price():
        "Sell it."
        return 2

    class Price:
        "Tell it."

    till = SimpleXMLRPCDispatcher()
    till.register_function(price)
    till.register_function(Price)
    -- test_shop.py --
    import shop

    def test_help():
        helps = [shop.till.system_methodHelp(name) for name in ("price", "Price")]
        assert helps == ["Sell it.", "Tell it."]
    """,
            change={"shop.py": Swap(f'"{doc}"', '"Buy it."')},
            selected={"test_help"},
            spared={"test_bystander"},
        )
        for kind, doc in (("function", "Sell it."), ("class", "Tell it."))
    ),
    Case(
        "docstring of a function that another module gives to a library",
        """
    -- shop.py --
    def price():
        "Sell it."
        return 2
    -- till.py --
    from xmlrpc.server import SimpleXMLRPCDispatcher
    from shop import price as cost

    till = SimpleXMLRPCDispatcher()
    till.register_function(cost)
    -- test_till.py --
    import till

    def test_help():
        assert till.till.system_methodHelp("price") == "Sell it."
    -- test_price.py --
    import shop

    def test_price():
        assert shop.price() == 2
    """,
        change={"shop.py": Swap('"Sell it."', '"Buy it."')},
        selected={"test_help"},
        spared={"test_bystander", "test_price"},
    ),
    Case(
        "docstring of a function that another module gives away, by its module's name",
        """
    -- shop.py --
    def price():
        "Sell it."
        return 2
    -- till.py --
    from xmlrpc.server import SimpleXMLRPCDispatcher
    import shop

    till = SimpleXMLRPCDispatcher()
    till.register_function(shop.price)
    -- test_till.py --
    import till

    def test_help():
        assert till.till.system_methodHelp("price") == "Sell it."
    -- test_list.py --
    import shop

    PRICES = list(map(shop.price, ()))

    def test_list():
        assert PRICES == []
    """,
        change={"shop.py": Swap('"Sell it."', '"Buy it."')},
        selected={"test_help"},
        spared={"test_bystander", "test_list"},
    ),
    Case(
        "docstring of a function that a package passes on, and another module gives away",
        """
    -- pack/__init__.py --
    from pack.shop import price
    -- pack/shop.py --
    def price():
        "Sell it."
        return 2
    -- till.py --
    from xmlrpc.server import SimpleXMLRPCDispatcher
    import pack

    till = SimpleXMLRPCDispatcher()
    till.register_function(
        name="price",
        function=pack.price  # for a day
    )
    -- test_till.py --
    import till

    def test_help():
        assert till.till.system_methodHelp("price") == "Sell it."
    -- test_price.py --
    from pack import price

    def test_price():
        assert price() == 2
    """,
        change={"pack/shop.py": Swap('"Sell it."', '"Buy it."')},
        selected={"test_help"},
        spared={"test_bystander", "test_price"},
    ),
    Case(
        "arguments that a method, a class and a function refuse",
        """
    -- shop.py --
    class Shop:
        def price(self, amount):
            return amount
    class Plan:
        def __init__(self, *, rate=2):
            self.rate = rate
    def total(amount):
        return amount
    -- conftest.py --
    import pytest
    import shop
    @pytest.fixture
    def open_shop():
        return shop.Shop()
    -- test_shop.py --
    import pytest
    import unittest
    import shop

    def test_method(open_shop):
        with pytest.raises(TypeError):
            open_shop.price(1, 2)
    def test_class():
        try:
            shop.Plan(3)
        except TypeError:
            return
        assert False
    @pytest.mark.parametrize("call", [shop.total])
    def test_function(call):
        with pytest.raises(TypeError):
            call(1, 2)
    @pytest.mark.xfail(raises=TypeError, strict=True)
    def test_mark():
        shop.total(1, 2)
    class TestCase(unittest.TestCase):
        def test_case(self):
            self.assertRaises(TypeError, shop.total, 1, 2)
    -- test_name.py --
    import shop

    def test_name():
        assert shop.Shop.__name__ == "Shop"
    """,
        change={
            "shop.py": """
    class Shop:
        def price(self, amount, rate=1):
            return amount
    class Plan:
        def __init__(self, rate=2):
            self.rate = rate
    def total(amount, rate=1):
        return amount
    """
        },
        selected={
            "test_method",
            "test_class",
            "test_function[total]",
            "test_mark",
            "TestCase::test_case",
        },
        spared={"test_bystander", "test_name"},
    ),
)
