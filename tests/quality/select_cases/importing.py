"""Modules that are imported by texts of which only the beginning stands in the source."""

from __future__ import annotations

from .case import Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "new function in a module whose name begins so",
        """
    -- rates.py --
    import importlib
    def names(kind):
        module = importlib.import_module(f".rates_{kind}", package="kinds")
        return sorted(name for name in vars(module) if name.startswith("rate"))
    -- kinds/__init__.py --
    -- kinds/rates_gold.py --
    def rate_one():
        return 1
    -- test_rates.py --
    import rates

    def test_names():
        assert rates.names("gold") == ["rate_one"]
    """,
        change={"kinds/rates_gold.py": Swap("def rate_one", "def rate(): pass\ndef rate_one")},
        selected={"test_names"},
    ),
    Case(
        "new function in a module that cannot be called so",
        """
    -- rates.py --
    from importlib import import_module
    def load(kind):
        name = ".rates_%s" % kind
        return import_module(name, "kinds").RATE
    -- kinds/__init__.py --
    -- kinds/rates_gold.py --
    RATE = 2
    -- tools.py --
    def tool():
        return 1
    -- test_rates.py --
    import rates
    import tools

    def test_rates():
        assert rates.load("gold") == 2
    def test_tool():
        assert tools.tool() == 1
    """,
        change={"tools.py": Swap("def tool", "def other(): pass\ndef tool")},
        spared={"test_bystander", "test_rates", "test_tool"},
    ),
    Case(
        "new function in a module that one which begins so hands on",
        """
    -- rates.py --
    from importlib import import_module
    def names(kind, member):
        module = import_module("kinds.rates_{}".format(kind))
        return sorted(name for name in vars(getattr(module, member)) if name[0] != "_")
    -- kinds/__init__.py --
    -- kinds/rates_gold.py --
    import tools as member
    -- tools.py --
    def tool():
        return 1
    -- test_rates.py --
    import rates

    def test_names():
        assert rates.names("gold", "mem" + "ber") == ["tool"]
    """,
        change={"tools.py": Swap("def tool", "def other(): pass\ndef tool")},
        selected={"test_names"},
    ),
    Case(
        "new function in a module whose name begins so from its own package",
        """
    -- rates/__init__.py --
    from importlib import import_module
    def names(kind):
        return sorted(name for name in vars(import_module("." + kind, __name__)) if name[0] != "_")
    -- rates/gold.py --
    def one():
        return 1
    -- tools.py --
    def tool():
        return 1
    -- test_rates.py --
    import rates
    import tools

    def test_names():
        assert rates.names("gold") == ["one"]
    def test_tool():
        assert tools.tool() == 1
    """,
        change={"rates/gold.py": Swap("def one", "def two(): pass\ndef one")},
        selected={"test_names"},
    ),
    Case(
        "new function in a module above that dots lead to",
        """
    -- kinds/__init__.py --
    -- kinds/gold.py --
    def rate():
        return 2
    -- kinds/sub/__init__.py --
    -- kinds/sub/rates.py --
    from importlib import import_module
    def names(level, kind):
        module = import_module("." * level + kind, __package__)
        return sorted(name for name in vars(module) if name[0] != "_")
    -- test_rates.py --
    from kinds.sub import rates

    def test_names():
        assert rates.names(2, "go" + "ld") == ["rate"]
    """,
        change={"kinds/gold.py": Swap("def rate", "def other(): pass\ndef rate")},
        selected={"test_names"},
    ),
    Case(
        "new function in a module of a package with another folder",
        """
    -- kinds/__init__.py --
    import os
    __path__.append(os.path.join(os.path.dirname(__path__[0]), "plugins"))
    -- plugins/plugin_gold.py --
    def tool():
        return 1
    -- rates.py --
    from importlib import import_module
    def names(kind):
        return sorted(n for n in vars(import_module("kinds.plugin_" + kind)) if n[0] != "_")
    -- test_rates.py --
    import rates

    def test_names():
        assert rates.names("gold") == ["tool"]
    """,
        change={"plugins/plugin_gold.py": Swap("def tool", "def other(): pass\ndef tool")},
        selected={"test_names"},
    ),
    Case(
        "new function in a module that two others hand on",
        """
    -- kinds/__init__.py --
    -- kinds/kind_gold.py --
    import middle
    -- middle.py --
    import tools
    -- tools.py --
    def tool():
        return 1
    -- rates.py --
    from importlib import import_module
    def names(kind, *members):
        module = import_module("kinds.kind_" + kind)
        for each in members:
            module = getattr(module, each)
        return sorted(n for n in vars(module) if n[0] != "_")
    -- test_rates.py --
    import rates

    def test_names():
        assert rates.names("gold", "mid" + "dle", "to" + "ols") == ["tool"]
    """,
        change={"tools.py": Swap("def tool", "def other(): pass\ndef tool")},
        selected={"test_names"},
    ),
    Case(
        "new function in a module that an importer asked for by a text loads",
        """
    -- rates.py --
    import importlib
    def names(kind):
        load = getattr(importlib, "import_module")
        return sorted(n for n in vars(load(kind)) if n[0] != "_")
    -- tools.py --
    def tool():
        return 1
    -- test_rates.py --
    import rates

    def test_names():
        assert rates.names("to" + "ols") == ["tool"]
    """,
        change={"tools.py": Swap("def tool", "def other(): pass\ndef tool")},
        selected={"test_names"},
    ),
    *(
        Case(
            f"new function in a module whose name is {how}",
            f"""
    -- rates.py --
    from importlib import import_module{alias}
    def names(kind, more="."):
        text = "kinds."
        {change}
        return sorted(name for name in vars({load}) if name[0] != "_")
    -- kinds/__init__.py --
    -- kinds/gold.py --
    RATE = 1
    -- tools.py --
    def tool():
        return 1
    -- test_rates.py --
    import rates

    def test_names():
        assert rates.names("{kind}") == ["tool"]
    """,
            change={"tools.py": Swap("def tool", "def other(): pass\ndef tool")},
            selected={"test_names"},
        )
        for how, alias, change, load, kind in (
            ("given", "", "pass", "import_module(kind)", "tools"),
            ("bound twice", "", "text = ''", "import_module(text + kind)", "tools"),
            ("added to", "", "text = kind[:0]; text += kind", "import_module(text)", "tools"),
            ("a loop's", "", "for text in ['']: pass", "import_module(text + kind)", "tools"),
            ("asked of another name", " as load", "pass", "load(kind)", "tools"),
            (
                "a variable that an inner function has too",
                "",
                "text = kind[:0]; (lambda text='kinds.': text)()",
                "import_module(text + kind)",
                "tools",
            ),
            ("behind a variable", "", "load = import_module", "load(kind)", "tools"),
        )
    ),
)
