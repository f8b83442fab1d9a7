"""Classes of modules that a function imports, used by tests that run no code of theirs."""

from __future__ import annotations

from .case import Case, Swap

SHELF = """
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
PLANS = """
    -- plans.py --
    import base
    __all__ = ["Gold", "Iron"]

    class Gold(base.Plan):
        rate = 2

    class Iron(base.Plan):
        rate = 3
"""
# The first test loads what the second one finds there.
_SPARED = frozenset({"test_bystander", "test_shelf"})
TESTS = """
    -- test_shelf.py --
    import shelf

    def test_gold():
        assert shelf.get("Gold")().price() == 2

    def test_iron():
        assert {check}

    def test_shelf():
        assert callable(shelf.get)
"""


def _shelf(
    name: str,
    check: str,
    *,
    plans: str = PLANS,
    change: tuple[str, str] = ("rate = 3", "rate = 4"),
    file: str = "plans.py",
    spared: frozenset[str] = _SPARED,
) -> Case:
    return Case(
        name,
        SHELF + plans + TESTS.replace("{check}", check),
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
)
