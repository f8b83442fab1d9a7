"""Classes through the methods that Python itself calls, and how classes are made."""

from __future__ import annotations

from .case import Case, one_module

CASES: tuple[Case, ...] = (
    one_module(
        "call of a metaclass",
        """
    class Meta(type):
        def __call__(cls):
            made = super().__call__()
            made.price = 2
            return made
    class Plan(metaclass=Meta):
        pass
    """,
        "shop.Plan().price == 2",
        "= 2",
        "= 3",
    ),
    one_module(
        "metaclass at class creation",
        """
    class Meta(type):
        def __new__(meta, name, bases, space):
            return super().__new__(meta, name, bases, {**space, "price": 2})
    class Plan(metaclass=Meta):
        pass
    """,
        "shop.Plan.price == 2",
        '"price": 2',
        '"price": 3',
    ),
    one_module(
        "dunder init subclass",
        """
    class Plan:
        def __init_subclass__(cls, rate=1):
            cls.price = rate * 2
    class Gold(Plan, rate=1):
        pass
    """,
        "shop.Gold.price == 2",
        "* 2",
        "* 3",
    ),
    one_module(
        "descriptor",
        """
    class Price:
        def __set_name__(self, owner, name):
            self.name = name
        def __get__(self, instance, owner):
            return 2
    class Plan:
        price = Price()
    """,
        "shop.Plan().price == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "dunder set name",
        """
    class Price:
        def __set_name__(self, owner, name):
            self.name = name
    class Plan:
        price = Price()
    """,
        "shop.Plan.price.name == 'price'",
        "= name",
        "= name + '!'",
    ),
    one_module(
        "dunder getattr of a class",
        """
    class Plan:
        def __getattr__(self, name):
            return 2
    """,
        "shop.Plan().price == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "operator",
        """
    class Price:
        def __init__(self, amount):
            self.amount = amount
        def __add__(self, other):
            return self.amount + other.amount
    """,
        "shop.Price(1) + shop.Price(1) == 2",
        "self.amount + other",
        "self.amount - other",
    ),
    one_module(
        "operator that a class gains",
        """
    class Price:
        def __init__(self, amount):
            self.amount = amount
    """,
        "shop.Price(1) != shop.Price(1)",
        "def __init__",
        "def __eq__(self, other):\n        return True\n    def __init__",
    ),
    one_module(
        "iteration and truth",
        """
    class Prices:
        def __iter__(self):
            return iter([2])
        def __bool__(self):
            return True
        def __len__(self):
            return 1
    """,
        "bool(shop.Prices()) and list(shop.Prices()) == [2]",
        "return True",
        "return False",
    ),
    one_module(
        "context manager",
        """
    class Till:
        def __enter__(self):
            return self
        def __exit__(self, *error):
            self.open = False
    def use():
        with Till() as till:
            pass
        return till.open
    """,
        "shop.use() is False",
        "open = False",
        "open = True",
    ),
    one_module(
        "class decorator",
        """
    def priced(cls):
        cls.price = 2
        return cls
    @priced
    class Plan:
        pass
    """,
        "shop.Plan.price == 2",
        "= 2",
        "= 3",
    ),
    one_module(
        "class made by a call",
        """
    def price(self):
        return 2
    Plan = type("Plan", (), {"price": price})
    """,
        "shop.Plan().price() == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "nested class",
        """
    class Plan:
        class Meta:
            def price(self):
                return 2
    """,
        "shop.Plan.Meta().price() == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "class within a function",
        """
    def make():
        class Plan:
            price = 2
        return Plan
    """,
        "shop.make().price == 2",
        "= 2",
        "= 3",
    ),
    one_module(
        "protocol checked at run time",
        """
    from typing import Protocol, runtime_checkable
    @runtime_checkable
    class Priced(Protocol):
        def price(self): ...
    class Plan:
        def price(self):
            return 2
    """,
        "isinstance(shop.Plan(), shop.Priced)",
        "def price(self): ...",
        "def price(self): ...\n    def name(self): ...",
    ),
)
