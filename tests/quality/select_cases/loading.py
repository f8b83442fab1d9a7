"""Modules that are found or loaded while tests run, or that Python finds elsewhere."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "optional module that a test looks for",
        """
        -- shop.py --
        from importlib.util import find_spec

        def price():
            return 2 if find_spec("fast") is None else 3
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"fast.py": ""},
        selected={"test_price"},
    ),
    Case(
        "dynamic import",
        """
        -- plugins/__init__.py --
        -- plugins/gold.py --
        def price():
            return 2
        -- shop.py --
        from importlib import import_module

        def price(name):
            return import_module(f"plugins.{name}").price()
        -- test_shop.py --
        import shop

        def test_gold():
            assert shop.price("gold") == 2
        """,
        change={"plugins/gold.py": Swap("2", "3")},
        selected={"test_gold"},
    ),
    Case(
        "dunder import",
        """
        -- rates.py --
        RATE = 2
        -- test_shop.py --
        def test_rate():
            assert __import__("rates").RATE == 2
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "reload",
        """
        -- limits.py --
        def limit():
            return 2
        -- settings.py --
        from limits import limit
        LIMIT = limit()
        -- test_shop.py --
        import importlib
        import settings

        def test_limit():
            settings.LIMIT = 0
            assert importlib.reload(settings).LIMIT == 2
        """,
        change={"limits.py": Swap("2", "3")},
        selected={"test_limit"},
    ),
    Case(
        "module loaded by its path",
        """
        -- plugins/gold-plan.py --
        PRICE = 2
        -- test_shop.py --
        from importlib.util import module_from_spec, spec_from_file_location
        from pathlib import Path

        def test_gold():
            path = Path(__file__).parent / "plugins" / "gold-plan.py"
            spec = spec_from_file_location("gold", path)
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            assert module.PRICE == 2
        """,
        change={"plugins/gold-plan.py": Swap("2", "3")},
        selected={"test_gold"},
    ),
    Case(
        "script run by its path",
        """
        -- scripts/report.py --
        total = 2
        -- test_shop.py --
        import runpy
        from pathlib import Path

        def test_report():
            script = Path(__file__).parent / "scripts" / "report.py"
            assert runpy.run_path(str(script))["total"] == 2
        """,
        change={"scripts/report.py": Swap("2", "3")},
        selected={"test_report"},
    ),
    Case(
        "module run as a program",
        """
        -- shop/__init__.py --
        -- shop/__main__.py --
        total = 2
        -- test_shop.py --
        import runpy

        def test_report():
            assert runpy.run_module("shop")["total"] == 2
        """,
        change={"shop/__main__.py": Swap("2", "3")},
        selected={"test_report"},
    ),
    Case(
        "what a script does only as a program",
        """
        -- report.py --
        def total():
            return 2
        if __name__ == "__main__":
            printed = total()
        -- test_shop.py --
        import runpy
        from pathlib import Path
        import report

        def test_report():
            script = Path(__file__).with_name("report.py")
            ran = runpy.run_path(str(script), run_name="__main__")
            assert ran["printed"] == 2
        def test_total():
            assert report.total() == 2
        """,
        change={"report.py": Swap("printed = total()", "printed = total() + 1")},
        selected={"test_report"},
        spared={"test_total", "test_bystander"},
    ),
    Case(
        "function that a module has only as a program",
        """
        -- shop/__init__.py --
        -- shop/__main__.py --
        if "__main__" == __name__:
            def total():
                return 2
        -- test_shop.py --
        import runpy
        import shop.__main__

        def test_report():
            assert runpy.run_module("shop", run_name="__main__", alter_sys=True)["total"]() == 2
        def test_none():
            assert not hasattr(shop.__main__, "total")
        """,
        change={"shop/__main__.py": Swap("return 2", "return 3")},
        selected={"test_report"},
        spared={"test_none", "test_bystander"},
    ),
    Case(
        "program run where something is called module",
        """
        -- report.py --
        def total():
            return 2
        if __name__ == "__main__":
            print(total())
        -- test_shop.py --
        import importlib
        import runpy

        def test_report(capsys):
            module = importlib.import_module("report")
            assert module.total() == 2
            runpy.run_module("report", run_name="__main__")
            assert capsys.readouterr().out == "2\\n"
        """,
        change={"report.py": Swap("print(total())", "print(total() + 1)")},
        selected={"test_report"},
    ),
    Case(
        "name that a script uses only as a program",
        """
        -- rates.py --
        RATE = 2
        -- report.py --
        from rates import RATE
        def total():
            return 2
        if __name__ == "__main__":
            total = RATE
            print(total)
        -- test_shop.py --
        import runpy
        import report

        def test_report(capsys):
            runpy.run_module("report", run_name="__main__")
            assert capsys.readouterr().out == "2\\n"
        def test_total():
            assert report.total() == 2
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_report"},
        spared={"test_total", "test_bystander"},
    ),
    Case(
        "what a module does only where it is imported",
        """
        -- report.py --
        if __name__ == "__main__":
            total = 1
        else:
            total = 2
        -- test_shop.py --
        import report

        def test_total():
            assert report.total == 2
        """,
        change={"report.py": Swap("total = 2", "total = 3")},
        selected={"test_total"},
    ),
    Case(
        "condition under which a module is a program",
        """
        -- report.py --
        total = 2
        if __name__ == "__main__":
            total = 1
        -- test_shop.py --
        import report

        def test_total():
            assert report.total == 2
        """,
        change={"report.py": Swap("__name__ ==", "__name__ !=")},
        selected={"test_total"},
    ),
    Case(
        "module that puts an object in its own place",
        """
        -- shop.py --
        import sys

        class Shop:
            def price(self):
                return 2

        sys.modules[__name__] = Shop()
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        """,
        change={"shop.py": Swap("2", "3")},
        selected={"test_price"},
    ),
    Case(
        "namespace package",
        """
        -- parts/rates.py --
        RATE = 2
        -- test_shop.py --
        from parts import rates

        def test_rate():
            assert rates.RATE == 2
        """,
        change={"parts/rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "portion of a namespace package that closes it",
        """
        -- pytest.ini --
        [pytest]
        pythonpath = one two
        -- one/parts/rates.py --
        RATE = 2
        -- two/parts/names.py --
        NAME = "shop"
        -- test_shop.py --
        def test_name():
            from parts import names
            assert names.NAME == "shop"
        """,
        change={"one/parts/__init__.py": ""},
        selected={"test_name"},
        spared=NOTHING,
    ),
    Case(
        "moved module",
        """
        -- rates.py --
        RATE = 2
        -- test_shop.py --
        def test_rate():
            from rates import RATE
            assert RATE == 2
        """,
        change={"rates.py": None, "money/rates.py": "RATE = 2\n"},
        selected={"test_rate"},
    ),
    Case(
        "moved module whose importer follows",
        """
        -- rates.py --
        RATE = 2
        -- test_shop.py --
        def test_rate():
            from rates import RATE
            assert RATE == 2
        """,
        change={
            "rates.py": None,
            "money/rates.py": "RATE = 2\n",
            "test_shop.py": Swap("from rates", "from money.rates"),
        },
        passing={"test_rate"},
    ),
    Case(
        "deleted module of a test file",
        """
        -- rates.py --
        RATE = 2
        -- test_shop.py --
        from rates import RATE

        def test_rate():
            assert RATE == 2
        """,
        change={"rates.py": None},
        selected={"test_shop"},
        spared=NOTHING,  # a file that cannot be collected ends the run before any test
    ),
    Case(
        "side effect of an import on another module",
        """
        -- rates.py --
        RATE = 1
        -- discount.py --
        import rates
        rates.RATE = 2
        -- test_shop.py --
        import discount
        import rates

        def test_rate():
            assert rates.RATE == 2
        """,
        change={"discount.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "import for type checkers, reloaded as if for one",
        """
        -- names.py --
        class Plan:
            pass
        -- shop.py --
        import typing
        if typing.TYPE_CHECKING:
            from names import Plan
        -- test_shop.py --
        import importlib
        import typing
        import shop

        def test_guarded(monkeypatch):
            monkeypatch.setattr(typing, "TYPE_CHECKING", True)
            importlib.reload(shop)
        """,
        change={"shop.py": Swap("import Plan", "import Tariff")},
        selected={"test_guarded"},
    ),
    Case(
        "class that a pickle names",
        """
        -- plans.py --
        class Gold:
            rate = 2
        -- test_shop.py --
        import pickle

        GOLD = b"cplans\\nGold\\n."

        def test_first():
            assert pickle.loads(GOLD).rate == 2
        def test_second():
            assert pickle.loads(GOLD).rate + 1 == 3
        """,
        change={"plans.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
)
