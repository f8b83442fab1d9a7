"""Set-up in the manner of xUnit and unittest."""

from __future__ import annotations

from .case import Case, Swap

RATES = """
    -- rates.py --
    RATE = 0
    def rate():
        return 2
    """

CASES: tuple[Case, ...] = (
    Case(
        "setup_module",
        RATES
        + """
    -- test_shop.py --
    import rates

    def setup_module():
        rates.RATE = rates.rate()
    def teardown_module():
        rates.RATE = 0
    def test_first():
        assert rates.RATE == 2
    def test_second():
        assert rates.RATE + 1 == 3
    """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "setup_class and setup_method",
        RATES
        + """
    -- test_shop.py --
    import rates

    class TestShared:
        @classmethod
        def setup_class(cls):
            cls.rate = rates.rate()
        def test_first(self):
            assert self.rate == 2
        def test_second(self):
            assert self.rate + 1 == 3
    class TestEach:
        def setup_method(self):
            self.rate = rates.rate()
        def test_third(self):
            assert self.rate == 2
    class TestNone:
        def test_alone(self):
            assert rates.RATE == 0
    """,
        change={"rates.py": Swap("2", "3")},
        selected={"TestShared::test_first", "TestShared::test_second", "TestEach::test_third"},
        spared={"test_bystander", "TestNone::test_alone"},
    ),
    Case(
        "setup_function",
        RATES
        + """
    -- test_shop.py --
    import rates

    def setup_function():
        rates.RATE = rates.rate()
    def test_rate():
        assert rates.RATE == 2
    """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "teardown_method",
        """
        -- tills.py --
        def close():
            assert True
        -- test_shop.py --
        import tills

        class TestTill:
            def teardown_method(self):
                tills.close()
            def test_till(self):
                assert True
        """,
        change={"tills.py": Swap("True", "False")},
        selected={"TestTill::test_till"},
    ),
    Case(
        "unittest setUpClass",
        RATES
        + """
    -- test_shop.py --
    import unittest
    import rates

    class TestShop(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.rate = rates.rate()
        def test_first(self):
            self.assertEqual(self.rate, 2)
        def test_second(self):
            self.assertEqual(self.rate + 1, 3)
    """,
        change={"rates.py": Swap("2", "3")},
        selected={"TestShop::test_first", "TestShop::test_second"},
    ),
    Case(
        "unittest setUpModule",
        RATES
        + """
    -- test_shop.py --
    import unittest
    import rates

    def setUpModule():
        rates.RATE = rates.rate()
    class TestShop(unittest.TestCase):
        def test_first(self):
            self.assertEqual(rates.RATE, 2)
        def test_second(self):
            self.assertEqual(rates.RATE + 1, 3)
    """,
        change={"rates.py": Swap("2", "3")},
        selected={"TestShop::test_first", "TestShop::test_second"},
    ),
    Case(
        "assertion of a TestCase of the project",
        """
        -- cases.py --
        import unittest

        class ShopCase(unittest.TestCase):
            def assertCheap(self, amount):
                self.assertLess(amount, 3)
        -- test_shop.py --
        import cases

        class TestShop(cases.ShopCase):
            def test_cheap(self):
                self.assertCheap(2)
        """,
        change={"cases.py": Swap("3", "1")},
        selected={"TestShop::test_cheap"},
    ),
    Case(
        "clean-up of a TestCase",
        """
        -- tills.py --
        def close():
            assert True
        -- test_shop.py --
        import unittest
        import tills

        class TestShop(unittest.TestCase):
            def setUp(self):
                self.addCleanup(tills.close)
            def test_till(self):
                self.assertTrue(True)
        """,
        change={"tills.py": Swap("True", "False")},
        selected={"TestShop::test_till"},
    ),
    Case(
        "subtest of a TestCase",
        """
        -- rates.py --
        def rate(name):
            return len(name)
        -- test_shop.py --
        import unittest
        import rates

        class TestShop(unittest.TestCase):
            def test_rates(self):
                for name in ("gold", "iron"):
                    with self.subTest(name=name):
                        self.assertEqual(rates.rate(name), 4)
        """,
        change={"rates.py": Swap("len(name)", "len(name) + 1")},
        selected={"TestShop::test_rates"},
    ),
)
