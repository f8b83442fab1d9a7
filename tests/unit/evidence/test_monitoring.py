"""Functions that start, told by `sys.monitoring`."""

from __future__ import annotations

import sys

import pytest

from pytest_aqe.evidence.engine import mark_of

if sys.version_info < (3, 12):
    pytest.skip("sys.monitoring is newer", allow_module_level=True)

from pytest_aqe.evidence.monitoring import NAME, Monitor, free_tools

TEXT = """
def f(): return g()
def g(): return 1
def h(): return 2
"""


@pytest.fixture
def monitor():
    tools = free_tools()
    if tools is None:
        pytest.skip("too many tool ids are taken")
    monitor = Monitor(tools)
    calls = []

    def started(code, frame):
        calls.append(("start", code.co_name, frame.f_code is code))
        return code.co_name in monitor.enough

    monitor.start(
        started,
        lambda code, frame, value: calls.append(("end", code.co_name, frame.f_code is code)),
    )
    monitor.calls = calls
    monitor.enough = set()
    yield monitor
    monitor.stop()
    assert all(sys.monitoring.get_tool(tool) is None for tool in tools)


def load(monitor):
    code = compile(TEXT, "shop.py", "exec")
    names = {function.mark: function.name for function in monitor.adopt(code)}
    namespace = {}
    exec(code, namespace)
    return namespace, lambda: sorted(names[mark] for mark in monitor.drain())


def test_the_id_that_hypothesis_takes_is_left_to_it(monitor):
    """As long as others are free: it asks for this one by its number."""
    assert not (sys.monitoring.get_tool(3) or "").startswith(NAME)


def test_two_ids_are_needed(monitor):
    """With one left nobody is followed."""
    assert free_tools() is None  # the monitor has two of three


def test_what_ran_since_the_last_time_is_told(monitor):
    """Once however often it ran, and again after the next time."""
    shop, ran = load(monitor)
    shop["f"]()
    shop["f"]()
    assert ran() == ["f", "g"]
    assert ran() == []
    shop["h"]()
    shop["f"]()
    assert ran() == ["f", "g", "h"]


@pytest.mark.parametrize("times", [2, 9, 100, 10_000])
def test_no_number_of_starts_makes_a_function_unheard(monitor, times):
    """Whatever ran often and is silent from then on is watched again, like what ran beside it."""
    shop, ran = load(monitor)
    for _ in range(20):  # longer than it is silent for
        for _ in range(times):
            shop["f"]()
        shop["h"]()
        assert ran() == ["f", "g", "h"]
        shop["f"]()
        assert ran() == ["f", "g"]
        assert ran() == []


def test_a_generator_is_told_whenever_it_goes_on(monitor):
    """By whoever asks it, however often it was asked before."""
    code = compile("def each():\n    while True:\n        yield", "shop.py", "exec")
    (mark,) = (function.mark for function in monitor.adopt(code))
    namespace = {}
    exec(code, namespace)
    running = namespace["each"]()
    for _ in range(3):
        for _ in range(100):
            next(running)
        assert monitor.drain() == {mark}


def test_special_functions_are_told_at_once_and_every_time(monitor):
    """Their starts and their ends, with their frames; others as ever."""
    shop, ran = load(monitor)
    for _ in range(100):
        shop["g"]()
    assert ran() == ["g"]
    shop["g"]()  # silent by now
    monitor.watch_calls(shop["g"].__code__)
    shop["f"]()
    shop["g"]()
    assert monitor.calls == [("start", "g", True), ("end", "g", True)] * 2
    assert ran() == ["f", "g"]
    shop["g"]()
    assert ran() == []
    assert len(monitor.calls) == 6


def test_starts_alone_can_be_told_at_once(monitor):
    """Until enough were told: the next one is told after the next look."""
    shop, ran = load(monitor)
    monitor.watch_starts(shop["g"].__code__)
    shop["f"]()
    shop["g"]()
    assert monitor.calls == [("start", "g", True)] * 2
    assert ran() == ["f"]  # who was told at once is not told again
    monitor.enough.add("g")
    shop["f"]()
    shop["g"]()
    assert len(monitor.calls) == 3
    assert ran() == ["f"]
    shop["g"]()
    assert len(monitor.calls) == 4


def test_a_start_is_told_with_its_return_whichever_was_asked_for_first(monitor):
    """Asking for starts takes no return away."""
    shop, _ = load(monitor)
    for name, asking in (
        ("g", (monitor.watch_calls, monitor.watch_starts)),
        ("h", (monitor.watch_starts, monitor.watch_calls)),
    ):
        for ask in asking:
            ask(shop[name].__code__)
        shop[name]()
    assert monitor.calls == [
        (event, name, True) for name in ("g", "h") for event in ("start", "end")
    ]


@pytest.mark.parametrize("times", [1, 100, 10_000])
def test_a_generator_is_told_at_once_as_it_starts_only(monitor, times):
    """As it goes on it counts as any other, once a look: nobody has to look at each value."""
    code = compile("def g():\n    while True: yield", "shop.py", "exec")
    (function,) = monitor.adopt(code)
    namespace = {}
    exec(code, namespace)
    monitor.watch_starts(namespace["g"].__code__)
    going = namespace["g"]()
    for _ in range(3):
        for _ in range(times):
            next(going)
        next(going)  # which is no start
        assert monitor.drain() == {function.mark}
        assert monitor.drain() == set()
    assert monitor.calls == [("start", "g", True)]


def test_who_heeds_hears_of_each_start_before_it_is_kept(monitor):
    """Of those that are told once a look too, and no more when that was said."""
    namespace, drain = load(monitor)
    heard = []
    monitor.heed(lambda frame: heard.append((frame.f_code.co_name, drain())))
    namespace["f"]()
    assert heard == [("f", []), ("g", ["f"])]
    for _ in range(100):
        namespace["h"]()
    drain()
    heard.clear()
    namespace["h"]()
    assert heard == [("h", [])]
    monitor.heed(None)
    namespace["f"]()
    assert heard == [("h", [])]
    assert drain() == ["f", "g", "h"]


def test_what_became_special_while_it_was_told_once_a_look_is_told_at_once(monitor):
    """From its next start on, and no more with the others."""
    shop, ran = load(monitor)
    for _ in range(100):
        shop["g"]()
    assert ran() == ["g"]
    monitor.watch_starts(shop["g"].__code__)
    shop["g"]()
    shop["f"]()
    assert monitor.calls == [("start", "g", True)] * 2
    assert ran() == ["f"]
    shop["g"]()
    assert ran() == []
    assert len(monitor.calls) == 3


def test_equal_code_of_two_functions_is_two_marks(monitor):
    """A mark is an identity."""
    one, two = (compile(TEXT, "shop.py", "exec") for _ in range(2))
    assert one == two
    assert mark_of(one) != mark_of(two)


def test_a_generator_that_is_thrown_an_error_runs(monitor):
    """Whoever started it; one of others is not told of."""
    text = "def f():\n    try: yield\n    except KeyError: yield"
    code = compile(text, "shop.py", "exec")
    (function,) = monitor.adopt(code)
    others, ours = {}, {}
    exec(text, others)
    exec(code, ours)
    started = ours["f"](), others["f"]()
    for each in started:
        next(each)
    monitor.drain()
    for each in started:
        each.throw(KeyError())
    assert monitor.drain() == {function.mark}


def test_recursion_ends_where_it_does_without_us(monitor):
    """The last line of the error is that of a call, not of the function that could not start."""
    code = compile("def f():\n  g()\ndef g():\n  f()\n", "shop.py", "exec")

    def last_line():
        namespace = {}
        exec(code, namespace)
        with pytest.raises(RecursionError) as raised:
            namespace["f"]()
        return raised.traceback[-1].lineno + 1

    plain = last_line()
    assert plain in (2, 4)
    monitor.adopt(code)
    assert last_line() in (2, 4)
    assert len(monitor.drain()) == 2
