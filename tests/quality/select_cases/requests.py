"""How a test comes by a fixture that no file of its own defines, and what ends it."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "autouse fixture",
        """
        -- rates.py --
        RATE = 1
        -- shop/conftest.py --
        import pytest

        @pytest.fixture(autouse=True)
        def dear(monkeypatch):
            monkeypatch.setattr("rates.RATE", 2)
        -- shop/test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 2
        """,
        change={"shop/conftest.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "fixture that becomes autouse",
        """
        -- rates.py --
        RATE = 1
        -- shop/conftest.py --
        import pytest

        @pytest.fixture
        def dear(monkeypatch):
            monkeypatch.setattr("rates.RATE", 2)
        -- shop/test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 1
        """,
        change={"shop/conftest.py": Swap("fixture\n", "fixture(autouse=True)\n")},
        selected={"test_rate"},
    ),
    Case(
        "usefixtures",
        """
        -- rates.py --
        RATE = 1
        -- conftest.py --
        import pytest

        @pytest.fixture
        def dear(monkeypatch):
            monkeypatch.setattr("rates.RATE", 2)
        -- test_shop.py --
        import pytest
        import rates

        @pytest.mark.usefixtures("dear")
        def test_dear():
            assert rates.RATE == 2
        def test_cheap():
            assert rates.RATE == 1
        """,
        change={"conftest.py": Swap("2", "3")},
        selected={"test_dear"},
        spared={"test_bystander", "test_cheap"},
    ),
    Case(
        "fixture asked for by name while the test runs",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 2
        -- test_shop.py --
        def test_rate(request):
            assert request.getfixturevalue("ra" + "te") == 2
        """,
        change={"conftest.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "fixture that gives a function",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def make():
            def build(amount):
                return amount * 2
            return build
        -- test_shop.py --
        def test_build(make):
            assert make(2) == 4
        """,
        change={"conftest.py": Swap("* 2", "* 3")},
        selected={"test_build"},
    ),
    Case(
        "teardown of a fixture",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def till():
            yield []
            assert True
        -- test_shop.py --
        def test_till(till):
            assert till == []
        """,
        change={"conftest.py": Swap("assert True", "assert False")},
        selected={"test_till"},
    ),
    Case(
        "finalizer of a fixture",
        """
        -- tills.py --
        def close():
            assert True
        -- conftest.py --
        import pytest
        import tills

        @pytest.fixture
        def till(request):
            request.addfinalizer(tills.close)
            return []
        -- test_shop.py --
        def test_till(till):
            assert till == []
        """,
        change={"tills.py": Swap("True", "False")},
        selected={"test_till"},
    ),
    Case(
        "scope of a fixture",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def till():
            return []
        -- test_shop.py --
        def test_first(till):
            till.append(1)
            assert till == [1]
        def test_second(till):
            assert till == []
        """,
        change={"conftest.py": Swap("fixture\n", "fixture(scope='module')\n")},
        selected={"test_second"},
        passing={"test_first"},
        spared=NOTHING,
    ),
)
