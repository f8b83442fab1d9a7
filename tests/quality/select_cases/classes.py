"""What the body, the fields and the bases of a class make of a test."""

from __future__ import annotations

from .case import Case, one_module

CASES: tuple[Case, ...] = (
    one_module(
        "property",
        """
    class Shop:
        @property
        def price(self):
            return 2
    """,
        "shop.Shop().price == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "setter of a property",
        """
    class Shop:
        @property
        def price(self):
            return self._price
        @price.setter
        def price(self, amount):
            self._price = amount * 2
    def sell():
        shop = Shop()
        shop.price = 1
        return shop.price
    """,
        "shop.sell() == 2",
        "* 2",
        "* 3",
    ),
    one_module(
        "static and class methods",
        """
    class Shop:
        @staticmethod
        def rate():
            return 2
        @classmethod
        def price(cls):
            return cls.rate()
    """,
        "shop.Shop.price() == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "class attribute",
        """
    class Shop:
        rate = 2
        def price(self):
            return self.rate
    """,
        "shop.Shop().price() == 2",
        "rate = 2",
        "rate = 3",
    ),
    one_module(
        "default of a dataclass",
        """
    from dataclasses import dataclass
    @dataclass
    class Plan:
        price: int = 2
    """,
        "shop.Plan().price == 2",
        "= 2",
        "= 3",
    ),
    one_module(
        "default factory of a dataclass",
        """
    from dataclasses import dataclass, field
    def start():
        return [2]
    @dataclass
    class Plan:
        prices: list = field(default_factory=start)
    """,
        "shop.Plan().prices == [2]",
        "[2]",
        "[3]",
    ),
    one_module(
        "annotation that a dataclass reads",
        """
    from __future__ import annotations
    from dataclasses import dataclass
    from typing import ClassVar
    @dataclass
    class Plan:
        name: str
        price: int = 2
    """,
        "shop.Plan('gold', 3).price == 3",
        "price: int",
        "price: ClassVar[int]",
    ),
    one_module(
        "annotation without a value that a dataclass reads",
        """
    from __future__ import annotations
    from dataclasses import dataclass, fields
    @dataclass
    class Plan:
        name: str
    """,
        "len(shop.fields(shop.Plan)) == 1",
        "name: str",
        "name: str\n    price: int",
    ),
    one_module(
        "annotation that code reads",
        """
    from __future__ import annotations
    from typing import get_type_hints
    def price(amount: int) -> int:
        return amount
    def convert(text):
        return get_type_hints(price)["amount"](text)
    """,
        "shop.convert('2') == 2",
        "amount: int",
        "amount: str",
    ),
    one_module(
        "member of an enum",
        """
    from enum import Enum
    class Plan(Enum):
        GOLD = 2
    """,
        "shop.Plan.GOLD.value == 2",
        "= 2",
        "= 3",
    ),
    one_module(
        "method of an enum",
        """
    from enum import Enum
    class Plan(Enum):
        GOLD = 1
        def price(self):
            return self.value * 2
    """,
        "shop.Plan.GOLD.price() == 2",
        "* 2",
        "* 3",
    ),
    one_module(
        "enum that computes its values",
        """
    from enum import Enum, auto
    class Plan(Enum):
        def _generate_next_value_(name, start, count, last):
            return name.lower()
        GOLD = auto()
    """,
        "shop.Plan.GOLD.value == 'gold'",
        "name.lower()",
        "name.title()",
    ),
    one_module(
        "field of a named tuple",
        """
    from typing import NamedTuple
    class Plan(NamedTuple):
        name: str
    """,
        "shop.Plan('gold') == ('gold',)",
        "name: str",
        "name: str\n    price: int = 2",
    ),
    one_module(
        "slots",
        """
    class Plan:
        __slots__ = ("name", "price")
        def fill(self):
            self.name = "gold"
            self.price = 2
            return self.price
    """,
        "shop.Plan().fill() == 2",
        ', "price"',
        ",",
    ),
    one_module(
        "base class",
        """
    class Dear:
        rate = 3
    class Cheap:
        rate = 2
    class Plan(Cheap):
        pass
    """,
        "shop.Plan.rate == 2",
        "Plan(Cheap)",
        "Plan(Dear)",
    ),
    one_module(
        "method over an inherited one",
        """
    class Plan:
        def price(self):
            return 2
    class Gold(Plan):
        def name(self):
            return "gold"
    """,
        "shop.Gold().price() == 2",
        "def name",
        "def price(self):\n        return 3\n    def name",
    ),
    one_module(
        "method that goes and uncovers an inherited one",
        """
    class Plan:
        def price(self):
            return 3
    class Gold(Plan):
        name = "gold"
        def price(self):
            return 2
    """,
        "shop.Gold().price() == 2",
        "    def price(self):\n        return 2\n",
        "",
    ),
    one_module(
        "mixin",
        """
    class Doubled:
        def price(self):
            return super().price() * 2
    class Plan:
        def price(self):
            return 1
    class Gold(Doubled, Plan):
        pass
    """,
        "shop.Gold().price() == 2",
        "* 2",
        "* 3",
    ),
    one_module(
        "new abstract method",
        """
    from abc import ABC, abstractmethod
    class Plan(ABC):
        @abstractmethod
        def name(self): ...
    class Gold(Plan):
        def name(self):
            return "gold"
    """,
        "shop.Gold().name() == 'gold'",
        "    @abstractmethod",
        "    @abstractmethod\n    def price(self): ...\n    @abstractmethod",
    ),
)
