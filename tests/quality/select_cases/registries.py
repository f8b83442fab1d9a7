"""Tables that modules fill as they are imported."""

from __future__ import annotations

from .case import Case, Swap
from .state import BOTH, TWO_TESTS

CASES: tuple[Case, ...] = (
    Case(
        "registry filled at import",
        """
    -- registry.py --
    TABLE = {}
    def register(function):
        TABLE[function.__name__] = function
        return function
    -- gold.py --
    from registry import register

    @register
    def gold():
        return 2
    -- shop.py --
    import gold
    import registry

    def price():
        return registry.TABLE["gold"]()
    """
        + TWO_TESTS,
        change={"gold.py": Swap("2", "3")},
        selected=BOTH,
    ),
    Case(
        "registry that gains an entry",
        """
        -- registry.py --
        TABLE = {}
        def register(function):
            TABLE[function.__name__] = function
            return function
        -- prices.py --
        from registry import register

        @register
        def gold():
            return 2
        -- test_shop.py --
        import prices
        import registry

        def test_names():
            assert sorted(registry.TABLE) == ["gold"]
        """,
        change={"prices.py": Swap("@register", "@register\ndef iron():\n    return 1\n@register")},
        selected={"test_names"},
    ),
    Case(
        "registry of subclasses",
        """
        -- plans.py --
        class Plan:
            pass
        -- gold.py --
        import plans

        class Gold(plans.Plan):
            pass
        -- test_shop.py --
        import gold
        import plans

        def test_names():
            assert [plan.__name__ for plan in plans.Plan.__subclasses__()] == ["Gold"]
        """,
        change={"gold.py": Swap("    pass", "    pass\nclass Iron(plans.Plan):\n    pass")},
        selected={"test_names"},
    ),
    Case(
        "callback registered by an import",
        """
        -- events.py --
        LISTENERS = []
        def fire():
            return [listener() for listener in LISTENERS]
        -- gold.py --
        import events

        def listen():
            return 2
        events.LISTENERS.append(listen)
        -- test_shop.py --
        import events
        import gold

        def test_fire():
            assert events.fire() == [2]
        """,
        change={"gold.py": Swap("2", "3")},
        selected={"test_fire"},
    ),
    Case(
        "operator that ties objects",
        """
        -- dag.py --
        class Task:
            def __init__(self, name):
                self.name, self.down = name, []
            def __rshift__(self, other):
                self.down.append(other.name)
                return other
        -- shop.py --
        from dag import Task
        extract = Task("extract")
        load = Task("load")
        clean = Task("clean")
        chain = extract >> load
        def last():
            return chain
        -- test_shop.py --
        import shop

        def test_down():
            assert shop.extract.down == ["load"]
        def test_last():
            assert shop.last()
        """,
        change={"shop.py": Swap("extract >> load", "extract >> clean")},
        selected={"test_down"},
    ),
)
