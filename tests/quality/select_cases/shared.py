"""Fixtures that several tests share: what runs once belongs to everyone who uses it."""

from __future__ import annotations

from .case import NOTHING, Case, Swap


def _shared(scope: str, tests: str) -> str:
    return f"""
    -- rates.py --
    def rate():
        return 2
    -- conftest.py --
    import pytest
    import rates

    @pytest.fixture(scope="{scope}")
    def shared():
        return rates.rate()
    {tests}"""


CASES: tuple[Case, ...] = (
    Case(
        "session fixture",
        _shared(
            "session",
            """-- test_one.py --
    def test_first(shared):
        assert shared == 2
    -- test_two.py --
    def test_second(shared):
        assert shared + 1 == 3
    def test_alone():
        assert True
    """,
        ),
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
        spared={"test_bystander", "test_alone"},
    ),
    Case(
        "package fixture",
        _shared(
            "package",
            """-- shop/__init__.py --
    -- shop/test_one.py --
    def test_first(shared):
        assert shared == 2
    -- shop/test_two.py --
    def test_second(shared):
        assert shared + 1 == 3
    """,
        ),
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "module fixture",
        _shared(
            "module",
            """-- test_one.py --
    def test_first(shared):
        assert shared == 2
    def test_second(shared):
        assert shared + 1 == 3
    def test_alone():
        assert True
    """,
        ),
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
        spared={"test_bystander", "test_alone"},
    ),
    Case(
        "class fixture",
        _shared(
            "class",
            """-- test_one.py --
    class TestShop:
        def test_first(self, shared):
            assert shared == 2
        def test_second(self, shared):
            assert shared + 1 == 3
    """,
        ),
        change={"rates.py": Swap("2", "3")},
        selected={"TestShop::test_first", "TestShop::test_second"},
    ),
    Case(
        "session fixture under another one",
        _shared(
            "session",
            """-- shop/conftest.py --
    import pytest

    @pytest.fixture(scope="session")
    def price(shared):
        return shared * 10
    -- shop/test_one.py --
    def test_first(price):
        assert price == 20
    -- shop/test_two.py --
    def test_second(price):
        assert price + 1 == 21
    """,
        ),
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "session fixture that every test uses by autouse",
        """
        -- rates.py --
        RATE = 1
        def double():
            return 2
        -- shop/conftest.py --
        import pytest
        import rates

        @pytest.fixture(scope="session", autouse=True)
        def dear():
            rates.RATE = rates.double()
        -- shop/test_one.py --
        import rates

        def test_first():
            assert rates.RATE == 2
        def test_second():
            assert rates.RATE * 2 == 4
        """,
        change={"rates.py": Swap("return 2", "return 3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "teardown of a session fixture",
        """
        -- tills.py --
        def close():
            assert True
        -- conftest.py --
        import pytest
        import tills

        @pytest.fixture(scope="session")
        def till():
            yield []
            tills.close()
        -- test_one.py --
        def test_first(till):
            assert till == []
        def test_second(till):
            assert till == []
        """,
        change={"tills.py": Swap("True", "False")},
        selected={"test_second"},
        spared=NOTHING,
    ),
    Case(
        "parametrized session fixture",
        """
        -- rates.py --
        def rate(name):
            return {"gold": 2, "silver": 1}[name]
        -- conftest.py --
        import pytest
        import rates

        @pytest.fixture(scope="session", params=["gold", "silver"])
        def shared(request):
            return request.param, rates.rate(request.param)
        -- test_one.py --
        def test_first(shared):
            assert shared in [("gold", 2), ("silver", 1)]
        def test_second(shared):
            assert shared in [("gold", 2), ("silver", 1)]
        """,
        change={"rates.py": Swap('"silver": 1', '"silver": 3')},
        selected={"test_first[silver]", "test_second[silver]"},
        passing={"test_first[gold]", "test_second[gold]"},
    ),
    Case(
        "function that runs only when a shared object is used",
        """
        -- tills.py --
        class Till:
            def count(self):
                return 2
            def name(self):
                return "till"
        -- conftest.py --
        import pytest
        import tills

        @pytest.fixture(scope="session")
        def till():
            return tills.Till()
        -- test_one.py --
        def test_name(till):
            assert till.name() == "till"
        def test_count(till):
            assert till.count() == 2
        """,
        change={"tills.py": Swap("2", "3")},
        selected={"test_count"},
        spared={"test_bystander", "test_name"},
    ),
    Case(
        "shared fixture that the first test asks for by name",
        """
        -- rates.py --
        def rate():
            return 2
        -- conftest.py --
        import pytest
        import rates

        @pytest.fixture(scope="session")
        def shared():
            return rates.rate()
        @pytest.fixture
        def lazy(request):
            return lambda: request.getfixturevalue("shared")
        -- test_one.py --
        def test_first(lazy):
            assert lazy() == 2
        def test_second(lazy):
            assert lazy() + 1 == 3
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "data file of a shared fixture",
        """
        -- rates.txt --
        2
        -- conftest.py --
        from pathlib import Path
        import pytest

        @pytest.fixture(scope="session")
        def rate():
            return int(Path(__file__).with_name("rates.txt").read_text())
        -- test_one.py --
        def test_first(rate):
            assert rate == 2
        def test_second(rate):
            assert rate + 1 == 3
        """,
        change={"rates.txt": "3\n"},
        selected={"test_first", "test_second"},
    ),
)
