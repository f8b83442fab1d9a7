"""What one test starts, and another goes on with."""

from __future__ import annotations

from .case import Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "generator that one test starts and another throws an error",
        """
        -- shop.py --
        def prices():
            try:
                yield 1
            except KeyError:
                yield 2

        PRICES = prices()
        -- test_shop.py --
        import shop

        def test_first():
            assert next(shop.PRICES) == 1
        def test_second():
            assert shop.PRICES.throw(KeyError()) == 2
        """,
        change={"shop.py": Swap("yield 2", "yield 3")},
        selected={"test_second"},
        passing={"test_first"},
        python=(3, 12),
    ),
    Case(
        "pool of processes that lives on",
        """
        -- rates.py --
        def rate(number):
            return 2
        -- conftest.py --
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        import pytest

        @pytest.fixture(scope="session")
        def pool():
            context = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                yield pool
        -- test_shop.py --
        import rates

        def test_first(pool):
            assert pool.submit(rates.rate, 1).result() == 2
        def test_second(pool):
            assert pool.submit(rates.rate, 1).result() + 1 == 3
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "process that two tests talk to",
        """
        -- worker.py --
        import sys

        for line in sys.stdin:
            print(2, flush=True)
        -- shop.py --
        import subprocess
        import sys

        class Client:
            process = None

            def ask(self):
                if self.process is None:
                    self.process = subprocess.Popen(
                        [sys.executable, "worker.py"], stdin=-1, stdout=-1, text=True
                    )
                self.process.stdin.write("now\\n")
                self.process.stdin.flush()
                return int(self.process.stdout.readline())
        -- conftest.py --
        import pytest
        import shop

        @pytest.fixture(scope="module")
        def client():
            client = shop.Client()
            yield client
            client.process.communicate()
        -- test_shop.py --
        def test_first(client):
            assert client.ask() == 2
        def test_second(client):
            assert client.ask() + 1 == 3
        -- test_then.py --
        def test_later():
            assert True
        """,
        change={"worker.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
        spared={"test_bystander", "test_later"},
    ),
)
