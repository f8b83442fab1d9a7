"""Changes that change nothing, or nothing for most: what selection must leave alone."""

from __future__ import annotations

from .case import Case, Swap

SHOP = '''
    -- shop.py --
    """A shop."""
    from __future__ import annotations

    # what gold costs
    RATE = 1000
    NAME = "gold"

    def price(amount: int) -> int:
        """Return the price."""
        total: int = amount * RATE
        return total

    def name() -> str:
        return NAME

    class Till:
        """A till."""

        def count(self, amounts: list[int]) -> int:
            """Return the sum."""
            return sum(amounts)
    -- conftest.py --
    import pytest

    @pytest.fixture
    def till():
        """A till to count with."""
        import shop
        return shop.Till()

    @pytest.fixture
    def unused():
        return 1
    -- README.md --
    A shop.
    -- data/used.txt --
    1
    -- data/unused.txt --
    1
    -- docs/index.md --
    A shop.
    -- test_shop.py --
    """Tests of the shop."""
    import shop
    from pathlib import Path

    def test_price():
        assert shop.price(2) == 2000
    def test_name():
        assert shop.name() == "gold"
    def test_count(till):
        """It counts."""
        assert till.count([1, 2]) == 3
    def test_used():
        # the one that is used
        assert (Path(__file__).parent / "data" / "used.txt").read_text() == "1\\n"
    '''

ALL = frozenset({"test_price", "test_name", "test_count", "test_used", "test_bystander"})


def _inert(name: str, path: str, edit: str | Swap | None) -> Case:
    """A change to `SHOP` after which no test needs to run."""
    return Case(name, SHOP, change={path: edit}, spared=ALL)


def _reaches(name: str, tests: set[str], change: dict[str, str | Swap | None]) -> Case:
    """A change to `SHOP` after which these tests must run, and pass, and no others."""
    return Case(name, SHOP, change=change, passing=tests, spared=ALL - tests)


CASES: tuple[Case, ...] = (
    _inert("comment", "shop.py", Swap("# what gold costs", "# what gold costs today")),
    _inert("comment lines above all", "shop.py", Swap('"""A shop."""', '# 1\n# 2\n"""A shop."""')),
    _inert("comment at the end of a line", "shop.py", Swap("return NAME", "return NAME  # gold")),
    _inert("comment of a test", "test_shop.py", Swap("# the one that is used", "# it is used")),
    _inert("comment of a conftest", "conftest.py", Swap("import pytest", "import pytest  # 9")),
    _inert("docstring of a module", "shop.py", Swap('"""A shop."""', '"""The shop."""')),
    _inert("docstring of a function", "shop.py", Swap("Return the price.", "Price it.")),
    _inert("docstring of a class", "shop.py", Swap('"""A till."""', '"""The till."""')),
    _inert("docstring of a method", "shop.py", Swap("Return the sum.", "Sum up.")),
    _inert("docstring of a test", "test_shop.py", Swap("It counts.", "It does count.")),
    _inert("docstring of a fixture", "conftest.py", Swap("A till to count with.", "A till.")),
    _inert("docstring that goes", "shop.py", Swap('        """Return the sum."""\n', "")),
    _inert(
        "docstring that comes", "shop.py", Swap("return NAME", '"""Say it."""\n    return NAME')
    ),
    _inert("blank lines", "shop.py", Swap("class Till", "\n\n\nclass Till")),
    _inert("quotes", "shop.py", Swap('"gold"', "'gold'")),
    _inert("parentheses", "shop.py", Swap("return total", "return (total)")),
    _inert(
        "line breaks", "shop.py", Swap("amount * RATE", "(\n        amount\n        * RATE\n    )")
    ),
    _inert("spelling of a number", "shop.py", Swap("1000", "1_000")),
    _inert(
        "trailing comma", "shop.py", Swap("sum(amounts)", "sum(\n            amounts,\n        )")
    ),
    _inert("annotation of an argument", "shop.py", Swap("amount: int", "amount: float")),
    _inert("annotation of a result", "shop.py", Swap("-> str", "-> str | None")),
    _inert("annotation of a local name", "shop.py", Swap("total: int", "total: float")),
    _inert("annotation of a method", "shop.py", Swap("amounts: list[int]", "amounts: tuple[int]")),
    _inert("annotation that goes", "shop.py", Swap("name() -> str", "name()")),
    _inert("same text, newly written", "shop.py", Swap("RATE = 1000", "RATE = 1000")),
    _inert(
        "program that comes",
        "shop.py",
        Swap("class Till", 'if __name__ == "__main__":\n    print(name())\n\nclass Till'),
    ),
    _inert("unused fixture", "conftest.py", Swap("return 1", "return 2")),
    _inert("data file that no test reads", "data/unused.txt", "2\n"),
    _inert("new data file that no test reads", "data/new.txt", "2\n"),
    _inert("deleted data file that no test reads", "data/unused.txt", None),
    _inert("README", "README.md", "The shop.\n"),
    _inert("page of the documentation", "docs/index.md", "The shop.\n"),
    _inert("new module that nobody imports", "unheard.py", "RATE = 2\n"),
    _inert(
        "new function that nobody names",
        "shop.py",
        Swap("def name()", "def refund():\n    return 1\n\ndef name()"),
    ),
    _reaches(
        "local name",
        {"test_price"},
        {
            "shop.py": Swap(
                "total: int = amount * RATE\n    return total",
                "all = amount * RATE\n    return all",
            )
        },
    ),
    _reaches(
        "function body",
        {"test_count"},
        {"shop.py": Swap("return sum(amounts)", "return sum(list(amounts))")},
    ),
    _reaches("fixture", {"test_count"}, {"conftest.py": Swap("shop.Till()", "(shop.Till or 0)()")}),
    _reaches(
        "test", {"test_name"}, {"test_shop.py": Swap('name() == "gold"', 'name() in ["gold"]')}
    ),
    _reaches(
        "new test",
        {"test_new"},
        {"test_shop.py": Swap("def test_used", "def test_new():\n    assert 1\n\ndef test_used")},
    ),
    _reaches("new test file", {"test_new"}, {"test_new.py": "def test_new():\n    assert 1\n"}),
    _reaches(
        "data file",
        {"test_used"},
        {
            "data/used.txt": "1\n",
            "test_shop.py": Swap('"used.txt").read_text()', '"used.txt").open().read()'),
        },
    ),
    Case(
        "deleted test",
        SHOP,
        change={"test_shop.py": Swap('def test_name():\n    assert shop.name() == "gold"\n', "")},
        spared=ALL - {"test_name"},
    ),
    Case(
        "function renamed with its callers",
        """
        -- rates.py --
        def rate():
            return 2
        def name():
            return "gold"
        -- shop.py --
        import rates
        def price():
            return rates.rate()
        def name():
            return rates.name()
        -- test_shop.py --
        import shop

        def test_price():
            assert shop.price() == 2
        def test_name():
            assert shop.name() == "gold"
        """,
        change={
            "rates.py": Swap("rate()", "percent()"),
            "shop.py": Swap("rates.rate()", "rates.percent()"),
        },
        passing={"test_price"},
        spared={"test_name", "test_bystander"},
    ),
    Case(
        "unrelated function",
        """
        -- shop.py --
        def price():
            return 2
        def name():
            return "gold"
        -- test_price.py --
        import shop

        def test_price():
            assert shop.price() == 2
        -- test_name.py --
        import shop

        def test_name():
            assert shop.name() == "gold"
        """,
        change={"shop.py": Swap("return 2", "return 3")},
        selected={"test_price"},
        spared={"test_name", "test_bystander"},
    ),
    Case(
        "unrelated module",
        """
        -- gold.py --
        RATE = 2
        -- iron.py --
        RATE = 1
        -- test_gold.py --
        import gold

        def test_gold():
            assert gold.RATE == 2
        -- test_iron.py --
        import iron

        def test_iron():
            assert iron.RATE == 1
        """,
        change={"gold.py": Swap("2", "3")},
        selected={"test_gold"},
        spared={"test_iron", "test_bystander"},
    ),
    Case(
        "version of a package that a text names",
        """
        -- shop/__init__.py --
        VERSION = "1.0"

        def price():
            return 2
        -- shop/plugins.py --
        import pkgutil
        import shop

        PLUGINS = [each.name for each in pkgutil.iter_modules(shop.__path__)]
        -- shop/cli.py --
        from shop import VERSION

        PROGRAM = "shop"

        def main():
            return f"{PROGRAM} {VERSION}"
        -- test_shop.py --
        import shop
        from shop import cli

        def test_price():
            from shop import plugins

            assert shop.price() == len(plugins.PLUGINS)

        def test_version():
            assert cli.main() == "shop 1.0"
        """,
        change={"shop/__init__.py": Swap("1.0", "1.1")},
        selected={"test_version"},
        spared={"test_price", "test_bystander"},
    ),
)
