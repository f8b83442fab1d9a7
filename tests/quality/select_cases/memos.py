"""Memos that are kept by hand: the second test asks one that the first test filled."""

from __future__ import annotations

from textwrap import dedent, indent

from .case import Case, Swap
from .state import BOTH, SHARED_SHOP, TWO_TESTS

# How a module keeps what ``load()`` returned, for ``price()``.
MEMOS = (
    (
        "dictionary",
        """
    _memo = {}

    def price():
        if "gold" not in _memo:
            _memo["gold"] = load()
        return _memo["gold"]
        """,
    ),
    (
        "dictionary of another name",
        """
    _memo = {}

    def price(names=("go", "ld")):
        memo = _memo
        try:
            return memo["".join(names)]
        except KeyError:
            memo["".join(names)] = load()
            return memo["gold"]
        """,
    ),
    (
        "list",
        """
    _rates = []

    def price():
        if not _rates:
            _rates.append(load())
        return _rates[0]
        """,
    ),
    (
        "dictionary that one function fills and another reads",
        """
    _memo = {}

    def fill():
        _memo.update(gold=load())
    def price():
        if not _memo:
            fill()
        return _memo["gold"]
        """,
    ),
    (
        "attribute of a class, by a class method",
        """
    class Shop:
        _rate = None

        @classmethod
        def rate(cls):
            if cls._rate is None:
                cls._rate = load()
            return cls._rate

    def price():
        return Shop.rate()
        """,
    ),
    (
        "attribute of a class, by its name",
        """
    class Shop:
        rate = None

        def get(self):
            if Shop.rate is None:
                Shop.rate = load()
            return Shop.rate

    def price():
        return Shop().get()
        """,
    ),
    (
        "attribute of a class, by its object",
        """
    class Shop:
        rate = None
        tax = None

        def get(self):
            if self.rate is None:
                type(self).rate = load()
            if self.tax is None:
                self.__class__.tax = self.rate
            return self.tax

    def price():
        return Shop().get()
        """,
    ),
    (
        "single object",
        """
    class Shop:
        _only = None

        def __new__(cls):
            if cls._only is None:
                cls._only = super().__new__(cls)
                cls._only.rate = load()
            return cls._only

    def price():
        return Shop().rate
        """,
    ),
    (
        "single object that fills itself",
        """
    class Shop:
        _only = None

        def __init__(self):
            self._rate = None

        @classmethod
        def only(cls):
            if cls._only is None:
                cls._only = cls()
            return cls._only

        def price(self):
            if self._rate is None:
                self._rate = load()
            return self._rate

    def price():
        return Shop.only().price()
        """,
    ),
    (
        "object that a global is bound to late",
        """
    _shop = None

    class Shop:
        def __init__(self):
            self._rates = {}

        def price(self):
            if "gold" not in self._rates:
                self._rates["gold"] = load()
            return self._rates["gold"]

    def shop():
        global _shop
        if _shop is None:
            _shop = Shop()
        return _shop
    def price():
        return shop().price()
        """,
    ),
    (
        "objects in a dictionary",
        """
    _shops = {}

    class Shop:
        rate = None

        def price(self):
            if self.rate is None:
                self.rate = load()
            return self.rate

    def shop(name):
        if name not in _shops:
            _shops[name] = Shop()
        return _shops[name]
    def price():
        return shop("gold").price()
        """,
    ),
    (
        "dictionary of a class",
        """
    class Base:
        _rates = {}

    class Shop(Base):
        def price(self):
            rates = self._rates
            if "gold" not in rates:
                rates["gold"] = load()
            return rates["gold"]

    def price():
        return Shop().price()
        """,
    ),
    (
        "object of a module",
        """
    class Shop:
        def __init__(self):
            self._rate = None

        @property
        def price(self):
            if self._rate is None:
                self._rate = load()
            return self._rate

    SHOP = Shop()

    def price():
        return SHOP.price
        """,
    ),
    (
        "object of a module that is a dictionary",
        """
    class Rates(dict):
        def __missing__(self, name):
            self[name] = load()
            return self[name]

    RATES = Rates()

    def price():
        return RATES["gold"]
        """,
    ),
    (
        "slice of a list",
        """
    _rates = []

    def price():
        if not _rates:
            _rates[:] = [load()]
        return _rates[0]
        """,
    ),
    (
        "dictionary in a dictionary",
        """
    _memo = {"gold": {}}

    def price():
        if not _memo["gold"]:
            _memo["gold"]["rate"] = load()
        return _memo["gold"]["rate"]
        """,
    ),
    (
        "object that a cached function made",
        """
    import functools

    class Shop:
        rate = None

        def price(self):
            if self.rate is None:
                self.rate = load()
            return self.rate

    @functools.lru_cache
    def shop():
        return Shop()
    def price():
        return shop().price()
        """,
    ),
    (
        "object in a slot of another one",
        """
    class Till:
        __slots__ = ("rate",)

        def price(self):
            try:
                return self.rate
            except AttributeError:
                self.rate = load()
                return self.rate

    class Shop:
        __slots__ = ("till",)

        def __init__(self):
            self.till = Till()

    SHOP = Shop()

    def price():
        return SHOP.till.price()
        """,
    ),
    (
        "attribute by its name",
        """
    class Shop:
        def price(self):
            if not hasattr(self, "rate"):
                setattr(self, "rate", load())
            return getattr(self, "rate")

    SHOP = Shop()

    def price():
        return SHOP.price()
        """,
    ),
    (
        "lazy property of the project's own, by a name",
        """
    def lazy(function):
        name = f"_{function.__name__}"
        @property
        def ask(self):
            if not hasattr(self, name):
                setattr(self, name, function(self))
            return getattr(self, name)
        return ask

    class Shop:
        @lazy
        def price(self):
            return load()

    SHOP = Shop()

    def price():
        return SHOP.price
        """,
    ),
    (
        "lazy property of the project's own, that gives way",
        """
    class Lazy:
        def __init__(self, function):
            self.function = function
            self.name = function.__name__

        def __get__(self, owner, kind=None):
            answer = owner.__dict__[self.name] = self.function(owner)
            return answer

    class Shop:
        @Lazy
        def price(self):
            return load()

    SHOP = Shop()

    def price():
        return SHOP.price
        """,
    ),
    (
        "attribute of a function",
        """
    def price():
        if not hasattr(price, "rate"):
            price.rate = load()
        return price.rate
        """,
    ),
    (
        "default of an argument",
        """
    def price(memo={}):
        if "gold" not in memo:
            memo["gold"] = load()
        return memo["gold"]
        """,
    ),
    (
        "decorator",
        """
    import functools

    def remember(function):
        memo = {}
        @functools.wraps(function)
        def remembered(*names):
            if names not in memo:
                memo[names] = function(*names)
            return memo[names]
        return remembered

    @remember
    def price():
        return load()
        """,
    ),
    (
        "decorator of a method",
        """
    def once(function):
        answer = None
        def ask(self):
            nonlocal answer
            if answer is None:
                answer = function(self)
            return answer
        return ask

    class Shop:
        @once
        def price(self):
            return load()

    def price():
        return Shop().price()
        """,
    ),
    (
        "decorator that is a class",
        """
    class Remembered:
        def __init__(self, function):
            self.function = function
            self.memo = {}

        def __call__(self, *names):
            if names not in self.memo:
                self.memo[names] = self.function(*names)
            return self.memo[names]

    @Remembered
    def price():
        return load()
        """,
    ),
    (
        "objects in a list, one after the other",
        """
    class Till:
        rate = None

    tills = [Till(), Till()]

    def price():
        if tills[0].rate is None:
            for till in tills:
                till.rate = load()
        return tills[0].rate
        """,
    ),
    (
        "objects in a dictionary, with their names",
        """
    class Till:
        rate = None

    tills = {"front": Till(), "back": Till()}

    def price():
        if tills["back"].rate is None:
            for _, till in tills.items():
                till.rate = load()
        return tills["back"].rate
        """,
    ),
    (
        "global by its name in a text",
        """
    rate = None

    def price():
        if rate is None:
            globals()["rate"] = load()
        return rate
        """,
    ),
    (
        "variable of the function around",
        """
    def asking():
        memo = {}
        def ask():
            if "gold" not in memo:
                memo["gold"] = load()
            return memo["gold"]
        return ask

    price = asking()
        """,
    ),
)

CASES: tuple[Case, ...] = (
    *(
        Case(
            f"memo kept by hand: {how}",
            f"""
    -- shop.py --
    def load():
        return 2

{indent(dedent(code).strip(), "    ")}
"""
            + TWO_TESTS,
            change={"shop.py": Swap("return 2", "return 3")},
            selected=BOTH,
            python=(3, 12),  # before, nobody tells of single calls
        )
        for how, code in MEMOS
    ),
    Case(
        "memo of an object that a fixture shares",
        """
    -- shop.py --
    def load():
        return 2

    class Till:
        def __init__(self):
            self.rate = None

        def get(self):
            if self.rate is None:
                self.rate = load()
            return self.rate

    class Shop:
        def __init__(self):
            self.till = Till()

        def get(self):
            return self.till.get()
    """
        + SHARED_SHOP,
        change={"shop.py": Swap("return 2", "return 3")},
        selected=BOTH,
        python=(3, 12),
    ),
    *(
        Case(
            f"memo of an object that {how}",
            f"""
    -- shop.py --
    def load():
        return 2

    class Shop:
        rate = None

        def get(self):
            if self.rate is None:
                self.rate = load()
            return self.rate
    -- test_shop.py --
    import pytest
    import shop

{indent(dedent(code).strip(), "    ")}
    """,
            change={"shop.py": Swap("return 2", "return 3")},
            selected=BOTH,
            python=(3, 12),
        )
        for how, code in (
            (
                "a fixture puts into a list in a dictionary",
                """
    @pytest.fixture(scope="module")
    def shops():
        yield {"all": [shop.Shop()]}

    def test_first(shops):
        assert shops["all"][0].get() == 2
    def test_second(shops):
        assert shops["all"][0].get() + 1 == 3
        """,
            ),
            (
                "the set-up of a module makes",
                """
    def setup_module(module):
        module.SHOP = shop.Shop()

    def test_first():
        assert SHOP.get() == 2
    def test_second():
        assert SHOP.get() + 1 == 3
        """,
            ),
        )
    ),
    Case(
        "memo of an object that the set-up of a class makes",
        """
    -- shop.py --
    def load():
        return 2

    class Shop:
        rate = None

        def get(self):
            if self.rate is None:
                self.rate = load()
            return self.rate
    -- test_shop.py --
    import pytest
    import shop

    class TestShop:
        @pytest.fixture(scope="class", autouse=True)
        def make(self, request):
            request.cls.shop = shop.Shop()

        def test_first(self):
            assert self.shop.get() == 2
        def test_second(self):
            assert self.shop.get() + 1 == 3
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"TestShop::test_first", "TestShop::test_second"},
        python=(3, 12),
    ),
    Case(
        "attribute of a shared object that each test binds anew",
        """
    -- shop.py --
    class App:
        def __init__(self):
            self.last = None

        def get(self, view):
            self.last = view()
            return self.last

    APP = App()

    def gold():
        return 2
    def silver():
        return 1
    -- test_shop.py --
    import shop

    def test_gold():
        assert shop.APP.get(shop.gold) == 2
    def test_silver():
        assert shop.APP.get(shop.silver) == 1
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"test_gold"},
        spared={"test_silver", "test_bystander"},
        python=(3, 12),
    ),
    Case(
        "memo of an object that each test makes for itself",
        """
    -- shop.py --
    class Shop:
        def __init__(self):
            self._rates = {}

        def price(self, name):
            if name not in self._rates:
                self._rates[name] = gold() if name == "gold" else silver()
            return self._rates[name]

    def gold():
        return 2
    def silver():
        return 1
    -- test_shop.py --
    import shop

    def test_gold():
        assert shop.Shop().price("gold") == 2
    def test_silver():
        assert shop.Shop().price("silver") == 1
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"test_gold"},
        spared={"test_silver", "test_bystander"},
        python=(3, 12),
    ),
    Case(
        "table that a function reads which fills another one of its own",
        """
    -- shop.py --
    NAMES = {"gold": "au", "silver": "ag"}

    def prices(*names):
        found = {}
        for name in names:
            found[NAMES[name]] = gold() if name == "gold" else silver()
        return found
    def gold():
        return 2
    def silver():
        return 1
    -- test_shop.py --
    import shop

    def test_gold():
        assert shop.prices("gold") == {"au": 2}
    def test_silver():
        assert shop.prices("silver") == {"ag": 1}
    """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"test_gold"},
        spared={"test_silver", "test_bystander"},
    ),
)
