"""Plugins of the project that pytest imports before any other: what they ran was not seen."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

INI = """
    -- pytest.ini --
    [pytest]
    pythonpath = .
    addopts = -p plug
    """
PATH = {"PYTHONPATH": (".", ".")}

CASES: tuple[Case, ...] = (
    Case(
        "file that an early plugin reads",
        INI
        + """
    -- rates.txt --
    2
    -- plug.py --
    from pathlib import Path
    import pytest

    DATA = Path(__file__).with_name("rates.txt").read_text()

    @pytest.fixture
    def rate():
        return int(DATA)
    -- test_shop.py --
    def test_rate(rate):
        assert rate == 2
    """,
        change={"rates.txt": "3\n"},
        selected={"test_rate"},
        spared=NOTHING,
        environ=PATH,
    ),
    Case(
        "file that an early plugin finds out about",
        INI
        + """
    -- rates.txt --
    2
    -- plug.py --
    from pathlib import Path
    import pytest

    def read(name):
        return Path(__file__).with_name(f"{name}.txt").read_text()

    DATA = read("rates")

    @pytest.fixture
    def rate():
        return int(DATA)
    -- test_shop.py --
    def test_rate(rate):
        assert rate == 2
    """,
        change={"rates.txt": "3\n"},
        selected={"test_rate"},
        spared=NOTHING,
        environ=PATH,
    ),
    Case(
        "function that an early plugin calls",
        INI
        + """
    -- shop.py --
    class Rates:
        def __init__(self):
            self.rate = self.load()

        def load(self):
            return 2

    def compute():
        return Rates().rate

    def unused():
        return 2
    -- plug.py --
    import pytest
    import shop

    RATE = shop.compute()

    @pytest.fixture
    def rate():
        return RATE
    -- test_shop.py --
    def test_rate(rate):
        assert rate == 2
    """,
        change={"shop.py": Swap("load(self):\n        return 2", "load(self):\n        return 3")},
        selected={"test_rate"},
        spared=NOTHING,
        environ=PATH,
    ),
    Case(
        "decorator in what an early plugin imports",
        INI
        + """
    -- shop.py --
    def times(number):
        def decorate(function):
            function.times = number + 1
            return function
        return decorate

    @times(1)
    def price():
        return 2
    -- plug.py --
    import shop
    -- test_shop.py --
    import shop

    def test_times():
        assert shop.price.times == 2
    """,
        change={"shop.py": Swap("number + 1", "number + 2")},
        selected={"test_times"},
        spared=NOTHING,
        environ=PATH,
    ),
    Case(
        "function that an early plugin does not call",
        INI
        + """
    -- shop.py --
    def compute():
        return 2

    def price():
        return 2
    -- plug.py --
    import shop

    RATE = shop.compute()
    -- test_shop.py --
    import shop

    def test_price():
        assert shop.price() == 2
    def test_other():
        assert shop.__name__ == "shop"
    """,
        change={"shop.py": Swap("price():\n    return 2", "price():\n    return 3")},
        selected={"test_price"},
        spared={"test_other", "test_bystander"},
        environ=PATH,
    ),
)
