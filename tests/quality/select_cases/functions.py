"""Functions in every form the language has, their defaults and their decorators."""

from __future__ import annotations

from .case import Case, Swap, one_module

CASES: tuple[Case, ...] = (
    one_module(
        "generator",
        """
    def amounts():
        yield 1
        yield 2
    """,
        "list(shop.amounts()) == [1, 2]",
        "yield 2",
        "yield 3",
    ),
    Case(
        "generator that the second test takes further",
        """
        -- shop.py --
        def amounts():
            yield 1
            yield 2
        AMOUNTS = amounts()
        -- test_shop.py --
        import shop

        def test_first():
            assert next(shop.AMOUNTS) == 1
        def test_second():
            assert next(shop.AMOUNTS) == 2
        """,
        change={"shop.py": Swap("yield 2", "yield 3")},
        selected={"test_second"},
        passing={"test_first"},
    ),
    one_module(
        "coroutine",
        """
    import asyncio
    async def rate():
        await asyncio.sleep(0)
        return 2
    async def price():
        return await rate()
    """,
        "__import__('asyncio').run(shop.price()) == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "asynchronous generator",
        """
    import asyncio
    async def amounts():
        yield 2
    async def collect():
        return [amount async for amount in amounts()]
    def price():
        return asyncio.run(collect())
    """,
        "shop.price() == [2]",
        "yield 2",
        "yield 3",
    ),
    one_module(
        "lambda of a module",
        """
    price = lambda amount: amount * 2
    """,
        "shop.price(2) == 4",
        "* 2",
        "* 3",
    ),
    one_module(
        "lambda within a function",
        """
    def price(amounts):
        return sorted(amounts, key=lambda amount: amount)
    """,
        "shop.price([2, 1]) == [1, 2]",
        ": amount)",
        ": -amount)",
    ),
    one_module(
        "comprehension of a module",
        """
    AMOUNTS = [number * 2 for number in range(3)]
    """,
        "shop.AMOUNTS == [0, 2, 4]",
        "* 2",
        "* 3",
    ),
    one_module(
        "comprehension within a function",
        """
    def amounts():
        return {number: number * 2 for number in range(2)}
    """,
        "shop.amounts() == {0: 0, 1: 2}",
        "* 2",
        "* 3",
    ),
    one_module(
        "nested function",
        """
    def outer():
        def inner():
            return 2
        return inner
    """,
        "shop.outer()() == 2",
        "2",
        "3",
    ),
    one_module(
        "closure made at import",
        """
    def times(factor):
        def multiply(amount):
            return amount * factor
        return multiply
    double = times(2)
    """,
        "shop.double(2) == 4",
        "* factor",
        "* factor + 1",
    ),
    one_module(
        "function that runs at import alone",
        """
    def load():
        return 2
    RATE = load()
    """,
        "shop.RATE == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "default argument",
        """
    def price(amount=2):
        return amount
    """,
        "shop.price() == 2",
        "=2",
        "=3",
    ),
    one_module(
        "keyword default",
        """
    def price(*, amount=2):
        return amount
    """,
        "shop.price() == 2",
        "=2",
        "=3",
    ),
    one_module(
        "decorator of another function",
        """
    def doubled(function):
        def wrapper():
            return function() * 2
        return wrapper
    @doubled
    def price():
        return 1
    """,
        "shop.price() == 2",
        "* 2",
        "* 3",
    ),
    one_module(
        "decorator that goes",
        """
    def doubled(function):
        return lambda: function() * 2
    @doubled
    def price():
        return 1
    """,
        "shop.price() == 2",
        "@doubled\n",
        "",
    ),
    one_module(
        "argument of a decorator",
        """
    def times(factor):
        return lambda function: lambda: function() * factor
    @times(2)
    def price():
        return 1
    """,
        "shop.price() == 2",
        "times(2)",
        "times(3)",
    ),
    one_module(
        "function that becomes a coroutine",
        """
    def price():
        return 2
    """,
        "shop.price() == 2",
        "def",
        "async def",
    ),
    one_module(
        "definition under a condition",
        """
    DEAR = False
    if DEAR:
        def price():
            return 3
    else:
        def price():
            return 2
    """,
        "shop.price() == 2",
        "return 2",
        "return 4",
    ),
    one_module(
        "partial application",
        """
    from functools import partial
    def multiply(factor, amount):
        return factor * amount
    price = partial(multiply, 2)
    """,
        "shop.price(2) == 4",
        "partial(multiply, 2)",
        "partial(multiply, 3)",
    ),
    Case(
        "function made of the code of another",
        """
        -- clones.py --
        import types
        def renamed(function, name):
            return types.FunctionType(function.__code__.replace(co_name=name), {})
        def put(here, there):
            here.__code__ = there.__code__
        -- shop.py --
        def price():
            return 2
        def rate():
            return 0
        -- test_shop.py --
        import clones
        import shop

        def test_renamed():
            assert clones.renamed(shop.price, "cost")() == 2
        def test_put():
            def cost():
                return 0
            clones.put(cost, shop.price)
            assert cost() == 2
        def test_rate():
            assert shop.rate() == 0
        """,
        change={"shop.py": Swap("2", "3")},
        selected={"test_renamed", "test_put"},
        spared={"test_bystander", "test_rate"},
    ),
    one_module(
        "code that is stored and loaded",
        """
    import marshal
    from types import FunctionType
    def price():
        return 2
    def stored(function):
        return FunctionType(marshal.loads(marshal.dumps(function.__code__)), {})
    """,
        "shop.stored(shop.price)() == 2",
        "2",
        "3",
        python=(3, 12),  # before, a function that is followed has a code of its own
    ),
)
