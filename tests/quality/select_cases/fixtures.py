"""Conftest files at every depth, and fixtures that stand above or below one another."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

THREE_DEPTHS = """
    -- conftest.py --
    import pytest

    @pytest.fixture
    def root():
        return 1
    -- shop/conftest.py --
    import pytest

    @pytest.fixture
    def middle(root):
        return root + 1
    -- shop/till/conftest.py --
    import pytest

    @pytest.fixture
    def leaf(middle):
        return middle + 1
    -- test_root.py --
    def test_root(root):
        assert root == 1
    def test_none():
        assert True
    -- shop/test_middle.py --
    def test_middle(middle):
        assert middle == 2
    -- shop/till/test_leaf.py --
    def test_leaf(leaf):
        assert leaf == 3
    """

CASES: tuple[Case, ...] = (
    Case(
        "conftest at the root",
        THREE_DEPTHS,
        change={"conftest.py": Swap("return 1", "return 2")},
        selected={"test_root", "test_middle", "test_leaf"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "conftest in the middle",
        THREE_DEPTHS,
        change={"shop/conftest.py": Swap("+ 1", "+ 2")},
        selected={"test_middle", "test_leaf"},
        spared={"test_bystander", "test_root", "test_none"},
    ),
    Case(
        "conftest at the leaf",
        THREE_DEPTHS,
        change={"shop/till/conftest.py": Swap("+ 1", "+ 2")},
        selected={"test_leaf"},
        spared={"test_bystander", "test_middle", "test_root", "test_none"},
    ),
    Case(
        "constant of a conftest in the middle",
        """
        -- shop/conftest.py --
        import pytest
        RATE = 2

        @pytest.fixture
        def rate():
            return RATE
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 2
        """,
        change={"shop/conftest.py": Swap("= 2", "= 3")},
        selected={"test_rate"},
    ),
    Case(
        "fixture that overrides and asks for the one above",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 1
        -- shop/conftest.py --
        import pytest

        @pytest.fixture
        def rate(rate):
            return rate + 1
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 2
        """,
        change={"conftest.py": Swap("return 1", "return 2")},
        selected={"test_rate"},
    ),
    Case(
        "fixture over a shared one that is set up already",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture(scope="session")
        def rate():
            return 1
        -- shop/conftest.py --
        import pytest

        @pytest.fixture
        def rate(rate):
            return rate + 1
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 2
        -- a_test/test_above.py --
        def test_above(rate):
            assert rate == 1
        """,
        change={"conftest.py": Swap("return 1", "return 2")},
        selected={"test_above", "test_rate"},
    ),
    Case(
        "shared fixture over a shared one that is set up already",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture(scope="session")
        def rate():
            return 1
        -- shop/conftest.py --
        import pytest

        @pytest.fixture(scope="module")
        def rate(rate):
            return rate + 1
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 2
        -- a_test/test_above.py --
        def test_above(rate):
            assert rate == 1
        """,
        change={"conftest.py": Swap("return 1", "return 2")},
        selected={"test_above", "test_rate"},
    ),
    Case(
        "test that another test calls",
        """
        -- test_shop.py --
        def test_rate():
            assert 1 == 1

        def test_both():
            test_rate()
        """,
        change={"test_shop.py": Swap("1 == 1", "1 == 2")},
        selected={"test_rate", "test_both"},
        spared={"test_bystander"},
    ),
    Case(
        "function that is called and made a fixture of",
        """
        -- conftest.py --
        import pytest

        def make_rate():
            return 1

        rate = pytest.fixture(make_rate)
        -- test_shop.py --
        from conftest import make_rate

        def test_fixture(rate):
            assert rate == 1

        def test_call():
            assert make_rate() == 1
        """,
        change={"conftest.py": Swap("return 1", "return 2")},
        selected={"test_fixture", "test_call"},
        spared=frozenset(),
    ),
    Case(
        "fixture that is overridden",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 1
        -- test_above.py --
        def test_above(rate):
            assert rate == 1
        -- shop/conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 2
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 2
        """,
        change={"conftest.py": Swap("return 1", "return 3")},
        selected={"test_above"},
        spared={"test_bystander", "test_rate"},
    ),
    Case(
        "new fixture over one of a conftest",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 1
        -- shop/conftest.py --
        def name():
            return "shop"
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 1
        -- test_above.py --
        def test_above(rate):
            assert rate == 1
        """,
        change={
            "shop/conftest.py": Swap(
                "def name", "import pytest\n@pytest.fixture\ndef rate():\n    return 2\ndef name"
            )
        },
        selected={"test_rate"},
        spared={"test_bystander", "test_above"},
    ),
    Case(
        "new fixture in the test file over one of a conftest",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 1
        -- test_shop.py --
        import pytest

        def test_rate(rate):
            assert rate == 1
        """,
        change={
            "test_shop.py": Swap("def test", "@pytest.fixture\ndef rate():\n    return 2\ndef test")
        },
        selected={"test_rate"},
    ),
    Case(
        "new conftest",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 1
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 1
        """,
        change={
            "shop/conftest.py": """
            import pytest

            @pytest.fixture
            def rate():
                return 2
            """
        },
        selected={"test_rate"},
    ),
    Case(
        "new conftest with an autouse fixture",
        """
        -- rates.py --
        RATE = 1
        -- shop/test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 1
        """,
        change={
            "shop/conftest.py": """
            import pytest

            @pytest.fixture(autouse=True)
            def dear(monkeypatch):
                monkeypatch.setattr("rates.RATE", 2)
            """
        },
        selected={"test_rate"},
    ),
    Case(
        "deleted conftest",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 1
        -- shop/conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 2
        -- shop/test_shop.py --
        def test_rate(rate):
            assert rate == 2
        """,
        change={"shop/conftest.py": None},
        selected={"test_rate"},
    ),
    Case(
        "deleted fixture",
        """
        -- conftest.py --
        import pytest

        @pytest.fixture
        def rate():
            return 1

        @pytest.fixture
        def name():
            return "shop"
        -- test_shop.py --
        def test_name(name):
            assert name == "shop"
        """,
        change={"conftest.py": Swap('@pytest.fixture\ndef name():\n    return "shop"\n', "")},
        selected={"test_name"},
        spared=NOTHING,
    ),
)
