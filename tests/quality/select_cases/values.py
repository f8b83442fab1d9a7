"""Names bound to what a call makes: who uses the name notices, others do not."""

from __future__ import annotations

from .case import Case, Swap

SPARED = frozenset({"test_bystander", "test_other"})

CASES: tuple[Case, ...] = (
    Case(
        "constant that a getter fetches by a text",
        """
    -- shop.py --
    RATE = 2
    OTHER = 1
    -- tools.py --
    from operator import attrgetter, itemgetter
    rate = attrgetter("RATE")
    entry = itemgetter("RATE")
    def fetch(module):
        return rate(module)
    def look(module):
        return entry(vars(module))
    -- test_shop.py --
    import shop
    import tools

    def test_fetch():
        assert tools.fetch(shop) == 2
    def test_look():
        assert tools.look(shop) == 2
    """,
        change={"shop.py": Swap("RATE = 2", "RATE = 3")},
        selected={"test_fetch", "test_look"},
    ),
    Case(
        "what a getter fetches",
        """
    -- shop.py --
    from operator import attrgetter
    RATE = attrgetter("price")
    def other():
        return 1
    class Plan:
        price, cost = 2, 3
    def rate():
        return RATE(Plan())
    -- test_shop.py --
    import shop

    def test_rate():
        assert shop.rate() == 2
    def test_other():
        assert shop.other() == 1
    """,
        change={"shop.py": Swap('attrgetter("price")', 'attrgetter("cost")')},
        selected={"test_rate"},
        spared={"test_bystander", "test_other"},
    ),
    Case(
        "compiled pattern",
        """
        -- shop.py --
        import re

        CODE = re.compile("[a-z]+")

        def is_code(text):
            return CODE.fullmatch(text) is not None

        def other():
            return 1
        -- test_shop.py --
        import shop

        def test_code():
            assert shop.is_code("abc")

        def test_other():
            assert shop.other() == 1
        """,
        change={"shop.py": Swap("[a-z]+", "[0-9]+")},
        selected={"test_code"},
        spared=SPARED,
    ),
    Case(
        "compiled pattern made of a constant",
        """
        -- shop.py --
        import re

        LETTERS = "[a-z]+"
        CODE = re.compile(LETTERS)

        def is_code(text):
            return CODE.fullmatch(text) is not None

        def other():
            return 1
        -- test_shop.py --
        import shop

        def test_code():
            assert shop.is_code("abc")

        def test_other():
            assert shop.other() == 1
        """,
        change={"shop.py": Swap("[a-z]+", "[0-9]+")},
        selected={"test_code"},
        spared=SPARED,
    ),
    Case(
        "compiled pattern as a default",
        """
        -- shop.py --
        import re

        def find(text, code=re.compile("a")):
            return code.search(text) is not None
        -- test_shop.py --
        import shop

        def test_find():
            assert shop.find("a")
        """,
        change={"shop.py": Swap('"a"', '"b"')},
        selected={"test_find"},
    ),
    Case(
        "fields of a named tuple",
        """
        -- shop.py --
        from collections import namedtuple

        Item = namedtuple("Item", "name price")

        def pen():
            return Item("pen", 2)

        def other():
            return 1
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.pen().price == 2

        def test_other():
            assert shop.other() == 1
        """,
        change={"shop.py": Swap("name price", "price name")},
        selected={"test_price"},
        spared=SPARED,
    ),
    Case(
        "frozen set by a star import",
        """
        -- rates.py --
        ALLOWED = frozenset({"a"})
        -- shop.py --
        from rates import *

        def allows(name):
            return name in ALLOWED
        -- test_shop.py --
        import shop

        def test_allows():
            assert shop.allows("a")
        """,
        change={"rates.py": Swap('{"a"}', '{"b"}')},
        selected={"test_allows"},
    ),
    Case(
        "decimal under a name that is put together",
        """
        -- shop.py --
        from decimal import Decimal

        RATE = Decimal("2")
        -- test_shop.py --
        import shop

        def test_rate():
            assert getattr(shop, "RA" + "TE") == 2
        """,
        change={"shop.py": Swap('"2"', '"3"')},
        selected={"test_rate"},
    ),
    Case(
        "factory of a dataclass's field",
        """
        -- shop.py --
        from dataclasses import dataclass, field

        @dataclass
        class Cart:
            items: list = field(default_factory=list)

        def empty():
            return Cart()

        def other():
            return 1
        -- test_shop.py --
        import shop

        def test_cart():
            assert shop.empty().items == []

        def test_other():
            assert shop.other() == 1
        """,
        change={"shop.py": Swap("default_factory=list", "default_factory=dict")},
        selected={"test_cart"},
        spared=SPARED,
    ),
    Case(
        "member of an enumeration above another",
        """
        -- shop.py --
        from enum import Enum, auto

        class Colour(Enum):
            RED = auto()

        def number():
            return Colour.RED.value
        -- test_shop.py --
        import shop

        def test_number():
            assert shop.number() == 1
        """,
        change={"shop.py": Swap("    RED", "    BLUE = auto()\n    RED")},
        selected={"test_number"},
    ),
    Case(
        "name of a logger",
        """
        -- shop.py --
        import logging

        log = logging.getLogger("shop")

        def work():
            log.warning("done")
        -- test_shop.py --
        import shop

        def test_work(caplog):
            shop.work()
            assert caplog.records[0].name == "shop"
        """,
        change={"shop.py": Swap('"shop"', '"store"')},
        selected={"test_work"},
    ),
    Case(
        "container of what a function gives",
        """
        -- shop.py --
        LOADED = []

        def load(name):
            LOADED.append(name)
            return [(name, 1)]

        RATES = dict(load("a"))
        -- test_shop.py --
        import shop

        def test_loaded():
            assert shop.LOADED == ["a"]
        """,
        change={"shop.py": Swap('load("a")', 'load("b")')},
        selected={"test_loaded"},
    ),
    Case(
        "container that uses up what another module has",
        """
        -- feed.py --
        ITEMS = iter([1, 2])
        -- shop.py --
        from feed import ITEMS

        FIRST = list(ITEMS)
        -- test_shop.py --
        import feed
        import shop

        def test_used_up():
            assert list(feed.ITEMS) == []
        """,
        change={"shop.py": Swap("list(ITEMS)", "list()")},
        selected={"test_used_up"},
    ),
    Case(
        "function called like a builtin",
        """
        -- shop.py --
        SEEN = []

        def frozenset(names):
            SEEN.append(sorted(names))

        ALLOWED = frozenset({"a"})
        -- test_shop.py --
        import shop

        def test_seen():
            assert shop.SEEN == [["a"]]
        """,
        change={"shop.py": Swap('{"a"}', '{"b"}')},
        selected={"test_seen"},
    ),
    Case(
        "function in place of one of the standard library's",
        """
        -- patterns.py --
        SEEN = []

        def compile(text):
            SEEN.append(text)
        -- shop.py --
        import patterns as re

        CODE = re.compile("a")
        -- test_shop.py --
        import patterns
        import shop

        def test_seen():
            assert patterns.SEEN == ["a"]
        """,
        change={"shop.py": Swap('"a"', '"b"')},
        selected={"test_seen"},
    ),
)
