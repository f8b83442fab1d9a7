"""Functions of which an engine may not tell that they ran.

They are those of modules that were loaded before the session, and on CPython 3.10 and 3.11
what helps the tests in their own module or in a conftest. What they import and keep, the
first test that runs them brings; the second one has it all the same.
"""

from __future__ import annotations

from .case import Case, Swap
from .heirs import PLANS, SHELF, TESTS

_BYSTANDER = frozenset({"test_bystander"})
_RATE = """
    -- plans.py --
    RATE = 3
    TAG = "gold"
"""
_RATES = {"plans.py": Swap("RATE = 3", "RATE = 4")}
# The first test brings what the second one looks at.
_TWO_TESTS = """
    -- test_shop.py --
    import shelf

    def test_first():
        assert shelf.rate() > 0

    def test_rate():
        assert shelf.rate() == 3
"""


def _early(
    name: str,
    project: str,
    change: dict[str, Swap],
    selected: str = "test_rate",
    *,
    passing: frozenset[str] = frozenset(),
    spared: frozenset[str] = _BYSTANDER,
) -> Case:
    """A project whose ``shelf`` is a plugin, so it is there before anybody follows."""
    settings = """
    -- pytest.ini --
    [pytest]
    addopts = -p shelf
"""
    return Case(
        f"{name}, its module loaded before the session",
        settings + project,
        change=change,
        selected={selected},
        passing=passing,
        spared=spared,
        environ={"PYTHONPATH": (".", ".")},
    )


CASES: tuple[Case, ...] = (
    _early(
        "data of a class in a table",
        SHELF + PLANS + TESTS.replace("{check}", 'shelf.get("Iron")().price() == 3'),
        {"plans.py": Swap("rate = 3", "rate = 4")},
        "test_iron",
    ),
    _early(
        "dunder import that another test made",
        _RATE
        + """
    -- shelf.py --
    def peek(name, attribute):
        return vars(__import__(name))[attribute]
    -- test_shop.py --
    import shelf

    def test_gold():
        assert shelf.peek("plans", "TAG") == "gold"

    def test_rate():
        assert shelf.peek("plans", "RATE") == 3
""",
        _RATES,
        passing=frozenset({"test_gold"}),
    ),
    _early(
        "import in a function",
        _RATE
        + """
    -- shelf.py --
    def rate():
        import plans

        return plans.RATE
"""
        + _TWO_TESTS,
        _RATES,
        passing=frozenset({"test_first"}),
    ),
    _early(
        "global filled by a function",
        _RATE
        + """
    -- shelf.py --
    KEPT = []

    def fill():
        global KEPT
        import plans

        KEPT = [plans.RATE]

    def rate():
        if not KEPT:
            fill()
        return KEPT[0]
"""
        + _TWO_TESTS,
        _RATES,
        passing=frozenset({"test_first"}),
    ),
    _early(
        "function that no name leads to",
        """
    -- shelf.py --
    class Kept:
        def __init__(self, function):
            self.call = function

    @Kept
    def rate():
        return 3
    -- test_shop.py --
    import shelf

    def test_rate():
        assert shelf.rate.call() == 3
""",
        {"shelf.py": Swap("3", "4")},
    ),
    _early(
        "one function of two",
        """
    -- shelf.py --
    def rate():
        return 3

    def other():
        return 1
    -- test_shop.py --
    import shelf

    def test_rate():
        assert shelf.rate() == 3

    def test_other():
        assert shelf.other() == 1
""",
        {"shelf.py": Swap("3", "4")},
        spared=_BYSTANDER | {"test_other"},
    ),
    Case(
        "import in a helper of a test module",
        """
        -- plans.py --
        RATE = 3
        -- test_shop.py --
        def rate():
            import plans

            return plans.RATE

        def test_first():
            assert rate() > 0

        def test_rate():
            assert rate() == 3
        """,
        change={"plans.py": Swap("RATE = 3", "RATE = 4")},
        selected={"test_rate"},
        passing={"test_first"},
    ),
    Case(
        "import in a function inside a test",
        """
        -- plans.py --
        RATE = 3
        -- test_shop.py --
        import pytest

        @pytest.mark.parametrize("rate", [0, 1])
        def test_rate(rate):
            def found():
                import plans

                return plans.RATE

            assert found() - rate == (3 - rate)
        """,
        change={"plans.py": Swap("RATE = 3", "RATE = 4")},
        selected={"test_rate[0]", "test_rate[1]"},
    ),
    Case(
        "global filled by a helper of a test module",
        """
        -- rates.py --
        def rate():
            return 3
        -- plans.py --
        import rates

        def made():
            return rates.rate
        -- test_shop.py --
        import plans

        KEPT = None

        def fill():
            global KEPT
            KEPT = plans.made()()

        def kept():
            if KEPT is None:
                fill()
            return KEPT

        def test_first():
            assert kept() > 0

        def test_rate():
            assert kept() == 3
        """,
        change={"rates.py": Swap("3", "4")},
        selected={"test_rate"},
        passing={"test_first"},
    ),
    Case(
        "dunder import in a helper of a conftest",
        """
        -- plans.py --
        RATE = 3
        -- conftest.py --
        import pytest

        def brought(name):
            return vars(__import__(name))

        class Shelf:
            def rate(self):
                return brought("plans")["RATE"]

        @pytest.fixture
        def shelf():
            return Shelf()
        -- test_shop.py --
        def test_first(shelf):
            assert shelf.rate() > 0

        def test_rate(shelf):
            assert shelf.rate() == 3
        """,
        change={"plans.py": Swap("RATE = 3", "RATE = 4")},
        selected={"test_rate"},
        passing={"test_first"},
    ),
    Case(
        "data of a class whose base is a conftest's",
        """
        -- plans.py --
        from conftest import Plan

        class Gold(Plan):
            rate = 2

        class Iron(Plan):
            rate = 3
        -- conftest.py --
        import pytest

        LOADED = {}

        class Plan:
            rate = 1

            def price(self):
                return self.rate

        @pytest.fixture
        def shelf():
            if not LOADED:
                LOADED.update(vars(__import__("plans")))
            return LOADED
        -- test_shop.py --
        def test_gold(shelf):
            assert shelf["Gold"]().price() == 2

        def test_iron(shelf):
            assert shelf["Iron"]().price() == 3
        """,
        change={"plans.py": Swap("rate = 3", "rate = 4")},
        selected={"test_iron"},
    ),
)
