"""Dispatch, context, control flow, and code that is made from text."""

from __future__ import annotations

from .case import Case, Swap, one_module

CASES: tuple[Case, ...] = (
    one_module(
        "single dispatch",
        """
    from functools import singledispatch
    @singledispatch
    def price(amount):
        return 0
    @price.register
    def _(amount: int):
        return 2
    @price.register
    def _(amount: str):
        return 1
    """,
        "shop.price(5) == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "single dispatch that gains a case",
        """
    from functools import singledispatch
    @singledispatch
    def price(amount):
        return 2
    """,
        "shop.price(5) == 2",
        "return 2",
        "return 2\n@price.register(int)\ndef price_int(amount):\n    return 3",
    ),
    one_module(
        "annotation that a dispatch reads",
        """
    from __future__ import annotations
    from functools import singledispatch
    @singledispatch
    def price(amount):
        return 0
    @price.register
    def price_number(amount: int):
        return 2
    """,
        "shop.price(5) == 2",
        "amount: int",
        "amount: str",
    ),
    one_module(
        "context manager from a generator",
        """
    from contextlib import contextmanager
    @contextmanager
    def till():
        yield 2
    def price():
        with till() as amount:
            return amount
    """,
        "shop.price() == 2",
        "yield 2",
        "yield 3",
    ),
    Case(
        "code after a yield",
        """
        -- shop.py --
        from contextlib import contextmanager
        LOG = []
        @contextmanager
        def till():
            yield
            LOG.append("closed")
        -- test_shop.py --
        import shop

        def test_till():
            with shop.till():
                assert shop.LOG == []
            assert shop.LOG == ["closed"]
        """,
        change={"shop.py": Swap('"closed"', '"shut"')},
        selected={"test_till"},
    ),
    one_module(
        "recursive function",
        """
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)
    """,
        "shop.factorial(3) == 6",
        "return 1",
        "return 2",
    ),
    one_module(
        "pattern matching",
        """
    def price(plan):
        match plan:
            case {"name": "gold"}:
                return 2
            case _:
                return 0
    """,
        "shop.price({'name': 'gold'}) == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "order of exception handlers",
        """
    def price():
        try:
            return {}["gold"]
        except KeyError:
            return 2
    """,
        "shop.price() == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "exception group",
        """
    def price():
        try:
            raise ExceptionGroup("two", [KeyError()])
        except* KeyError:
            amount = 2
        return amount
    """,
        "shop.price() == 2",
        "= 2",
        "= 3",
        python=(3, 11),
    ),
    one_module(
        "generic function",
        """
    def price[T: int](amount: T) -> T:
        return amount * 2
    """,
        "shop.price(1) == 2",
        "* 2",
        "* 3",
        python=(3, 12),
    ),
    one_module(
        "lazy type alias",
        """
    type Amount = int
    """,
        "shop.Amount.__value__ is int",
        "int",
        "float",
        python=(3, 12),
    ),
    one_module(
        "code executed from a string",
        """
    SOURCE = "def price(): return 2"
    space = {}
    exec(SOURCE, space)
    """,
        "shop.space['price']() == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "expression evaluated from a string",
        """
    def rate():
        return 2
    def price(expression):
        return eval(expression)
    """,
        "shop.price('ra' 'te()') == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "function made from code",
        """
    import types
    def model():
        return 2
    price = types.FunctionType(model.__code__, {})
    """,
        "shop.price() == 2",
        "return 2",
        "return 3",
    ),
    one_module(
        "docstring that code reads",
        '''
    def usage():
        """Usage: shop"""
    def text():
        return usage.__doc__
    ''',
        "shop.text() == 'Usage: shop'",
        "Usage: shop",
        "Usage: till",
    ),
)
