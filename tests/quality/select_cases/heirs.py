"""Classes of modules that a function imports, used by tests that run no code of theirs."""

from __future__ import annotations

from .case import Case, Swap

_SHELF = """
    -- base.py --
    class Plan:
        rate = 1

        def price(self):
            return self.rate

        @classmethod
        def twice(cls):
            return cls.rate * 2

        @property
        def tag(self):
            return f"{self.rate}!"

        def steps(self):
            yield self.rate
    -- shelf.py --
    import importlib
    LOADED = {}

    def load():
        module = importlib.import_module("plans")
        for name in module.__all__:
            LOADED[name] = getattr(module, name)

    def get(name):
        if name not in LOADED:
            load()
        return LOADED[name]
"""
_PLANS = """
    -- plans.py --
    import base
    __all__ = ["Gold", "Iron"]

    class Gold(base.Plan):
        rate = 2

    class Iron(base.Plan):
        rate = 3
"""
_EARLY = """
    -- pytest.ini --
    [pytest]
    addopts = -p shelf
"""
# The first test loads what the second one finds there.
_SPARED = frozenset({"test_bystander", "test_shelf"})
_TESTS = """
    -- test_shelf.py --
    import shelf

    def test_gold():
        assert shelf.get("Gold")().price() == 2

    def test_iron():
        assert {check}

    def test_shelf():
        assert shelf.LOADED is not None
"""


def _shelf(
    name: str,
    check: str,
    *,
    plans: str = _PLANS,
    change: tuple[str, str] = ("rate = 3", "rate = 4"),
    file: str = "plans.py",
    spared: frozenset[str] = _SPARED,
) -> Case:
    return Case(
        name,
        _SHELF + plans + _TESTS.replace("{check}", check),
        change={file: Swap(*change)},
        selected={"test_iron"},
        spared=spared,
    )


CASES: tuple[Case, ...] = (
    _shelf("data of a class that another test loaded", 'shelf.get("Iron")().price() == 3'),
    _shelf("class method of a class that another test loaded", 'shelf.get("Iron").twice() == 6'),
    _shelf("property of a class that another test loaded", 'shelf.get("Iron")().tag == "3!"'),
    _shelf(
        "generator of a class that another test loaded",
        'list(shelf.get("Iron")().steps()) == [3]',
    ),
    _shelf(
        "two classes that another test loaded",
        'shelf.get("Gold")().price() * shelf.get("Iron")().price() == 6',
    ),
    _shelf(
        "many objects of a class that another test loaded",
        "[shelf.get(('Gold', 'Iron')[n == 9_999])().price() for n in range(10_000)][-1] == 3",
    ),
    _shelf(
        "constant in a class that another test loaded",
        'shelf.get("Iron")().price() == 3',
        plans="""
    -- plans.py --
    import base
    __all__ = ["Gold", "Iron"]

    RATE = 3

    class Gold(base.Plan):
        rate = 2

    class Iron(base.Plan):
        rate = RATE
""",
        change=("RATE = 3", "RATE = 4"),
    ),
    _shelf(
        "base of a class that another test loaded",
        'shelf.get("Iron")().price() == 3',
        plans="""
    -- metals.py --
    import base

    class Metal(base.Plan):
        rate = 3
    -- plans.py --
    import base
    import metals
    __all__ = ["Gold", "Iron"]

    class Gold(base.Plan):
        rate = 2

    class Iron(metals.Metal):
        pass
""",
        file="metals.py",
    ),
    _shelf(
        "class with a metaclass that another test loaded",
        'shelf.get("Iron").made() == 3',
        plans="""
    -- metals.py --
    import base

    class Metal(type):
        def made(cls):
            return cls.rate
    -- plans.py --
    import base
    import metals
    __all__ = ["Gold", "Iron"]

    class Gold(base.Plan):
        rate = 2

    class Iron(metaclass=metals.Metal):
        rate = 3
""",
        spared=frozenset({"test_bystander"}),
    ),
    _shelf(
        "class inside a class that another test loaded",
        'shelf.get("Box").Iron().price() == 3',
        plans="""
    -- plans.py --
    import base
    __all__ = ["Gold", "Box"]

    class Gold(base.Plan):
        rate = 2

    class Box:
        class Iron(base.Plan):
            rate = 3
""",
    ),
    Case(
        "module that another test loaded by dunder import",
        """
        -- plans/__init__.py --
        -- plans/gold.py --
        RATE = 2
        TAG = "gold"
        -- shelf.py --
        def get(name, attribute):
            return vars(__import__(f"plans.{name}", fromlist=["*"]))[attribute]
        -- test_shelf.py --
        import shelf

        def test_gold():
            assert shelf.get("gold", "TAG") == "gold"

        def test_rate():
            assert shelf.get("gold", "RATE") == 2
        """,
        change={"plans/gold.py": Swap("RATE = 2", "RATE = 3")},
        selected={"test_rate"},
        passing={"test_gold"},
    ),
    Case(
        "data of a class, its table loaded before the session",
        _EARLY + _SHELF + _PLANS + _TESTS.replace("{check}", 'shelf.get("Iron")().price() == 3'),
        change={"plans.py": Swap("rate = 3", "rate = 4")},
        selected={"test_iron"},
        environ={"PYTHONPATH": (".", ".")},
    ),
    Case(
        "dunder import that another test made, its module loaded before the session",
        _EARLY
        + """
    -- shelf.py --
    def peek(name, attribute):
        return vars(__import__(name))[attribute]
    -- plans.py --
    RATE = 3
    TAG = "gold"
    -- test_shop.py --
    import shelf

    def test_gold():
        assert shelf.peek("plans", "TAG") == "gold"

    def test_rate():
        assert shelf.peek("plans", "RATE") == 3
""",
        change={"plans.py": Swap("RATE = 3", "RATE = 4")},
        selected={"test_rate"},
        passing={"test_gold"},
        environ={"PYTHONPATH": (".", ".")},
    ),
    Case(
        "import in a function whose module was loaded before the session",
        _EARLY
        + """
    -- shelf.py --
    def rate():
        import plans

        return plans.RATE
    -- plans.py --
    RATE = 3
    -- test_shop.py --
    import shelf

    def test_first():
        assert shelf.rate() > 0

    def test_rate():
        assert shelf.rate() == 3
""",
        change={"plans.py": Swap("RATE = 3", "RATE = 4")},
        selected={"test_rate"},
        passing={"test_first"},
        environ={"PYTHONPATH": (".", ".")},
    ),
    Case(
        "global filled by a function of a module loaded before the session",
        _EARLY
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
    -- plans.py --
    RATE = 3
    -- test_shop.py --
    import shelf

    def test_first():
        assert shelf.rate() > 0

    def test_rate():
        assert shelf.rate() == 3
""",
        change={"plans.py": Swap("RATE = 3", "RATE = 4")},
        selected={"test_rate"},
        passing={"test_first"},
        environ={"PYTHONPATH": (".", ".")},
    ),
    Case(
        "function that no name leads to, in a module loaded before the session",
        _EARLY
        + """
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
        change={"shelf.py": Swap("3", "4")},
        selected={"test_rate"},
        environ={"PYTHONPATH": (".", ".")},
    ),
    Case(
        "one function of two, their module loaded before the session",
        _EARLY
        + """
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
        change={"shelf.py": Swap("3", "4")},
        selected={"test_rate"},
        spared=frozenset({"test_bystander", "test_other"}),
        environ={"PYTHONPATH": (".", ".")},
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
