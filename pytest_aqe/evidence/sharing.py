"""Objects that outlive tests, and the methods that leave something in them."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from weakref import ref

from pytest_aqe.evidence.codes import suspends
from pytest_aqe.evidence.engine import Mark, mark_of
from pytest_aqe.evidence.outliving import Change, Root, is_making
from pytest_aqe.evidence.reachable import (
    first_argument,
    functions_behind,
    home_of,
    is_a,
    is_mutable,
    line_of,
    may_hold,
    members_of,
)

_DEPTH = 5  # of objects, and what they keep their attributes in, inside one another
_REACHED = 256  # objects that one may lead to
_LOOKS = 256  # at objects that a test does not share, before that is believed of all others


_Method = tuple[Change, Mark, CodeType]


class Sharing:
    """Methods that change what they are called on, and the objects that tests share.

    A method of a guarded mark leaves nothing behind in an object that a test made for itself.
    """

    def __init__(self, mark: Callable[[CodeType | None], Mark | None]) -> None:
        self._mark = mark
        self._methods: dict[Mark, list[Change]] = {}
        self._changing: dict[Mark, tuple[ref[type], list[_Method]]] = {}  # of each class
        self._homes: set[str] = set()  # the project's modules
        self._receivers: dict[Mark, object] = {}  # while they live
        self._guarded: dict[Mark, bool] = {}  # whether the class of what is called on counts
        self._looks = 0

    def __bool__(self) -> bool:
        """Tell whether there is any such method."""
        return bool(self._methods)

    def begin(self) -> None:
        """Start to count looks anew."""
        self._looks = 0

    def add(self, change: Change, mark: Mark) -> None:
        """Hear what a method changes."""
        self._methods.setdefault(mark, []).append(change)
        self._changing.clear()

    def know(self, home: object) -> None:
        """Hear of a module that may define classes."""
        if is_a(home, str) and home not in self._homes:
            self._homes.add(home)
            self._changing.clear()

    def take_up(self, value: object) -> Iterator[tuple[Change, Mark, CodeType, bool | None]]:
        """Hear of an object that outlives tests; yield what its methods change, and how guarded.

        So do the objects that it holds. The guard is whether objects of such a class count, or
        None where all calls do.
        """
        for each in self._reached(value):
            yield from self._take_up(each)

    def _reached(self, value: object) -> Iterator[object]:
        """Yield an object and what it holds that is not known, near ones first.

        The collector says what an object holds; who asks the object may run its code.
        """
        found, seen = deque([(value, 0)]), {mark_of(value)}
        while found:
            each, depth = found.popleft()
            if self._receivers.get(mark_of(each)) is not None:
                continue
            yield each
            if depth == _DEPTH or (is_a(each, type) and depth):
                continue
            for inner in () if is_a(each, type) else gc.get_referents(each):
                if len(seen) >= _REACHED:
                    return
                if may_hold(inner) and mark_of(inner) not in seen:
                    seen.add(mark_of(inner))
                    found.append((inner, depth + 1))

    def _take_up(self, value: object) -> Iterator[tuple[Change, Mark, CodeType, bool | None]]:
        found = False
        for change, mark, code in self._methods_of(type(value)):
            if change.root in (Root.RECEIVER, Root.CLASS) and not is_making(code):
                found = True
                yield change, mark, code, False
        for change, mark, code in self._methods_of(value) if is_a(value, type) else ():
            if change.root is not Root.RECEIVER:
                found = True
                yield change, mark, code, change.root is Root.KIND
            elif not change.binds and _holds(value, change.names):
                yield change, mark, code, None
        if found:
            self._remember(value)

    def _methods_of(self, kind: type) -> list[_Method]:
        """Return the methods of a class that change something; it is asked for many objects."""
        known = self._changing.get(mark_of(kind))
        if known is None or known[0]() is not kind:
            known = self._changing[mark_of(kind)] = (ref(kind), list(self._changing_in(kind)))
        return known[1]

    def _changing_in(self, kind: type) -> Iterator[_Method]:
        for each in line_of(kind):
            home = home_of(each)
            if not is_a(home, str) or home not in self._homes:
                continue
            for member in list(members_of(each).values()):
                for function in functions_behind(member):
                    mark = self._mark(function.__code__)
                    if mark is not None:
                        for change in self._methods.get(mark, ()):
                            yield change, mark, function.__code__

    def _remember(self, value: object) -> None:
        mark = mark_of(value)
        if mark not in self._receivers:
            try:
                self._receivers[mark] = ref(value, lambda _: self._receivers.pop(mark, None))
            except TypeError:  # what has its place later is taken for it
                self._receivers[mark] = None

    def guard(self, mark: Mark, how: bool | None, *, known: bool) -> None:
        """Let only calls on shared objects count, unless all do: of a ``known`` one they may."""
        if how is None or (known and mark not in self._guarded):
            self._guarded.pop(mark, None)
        else:
            self._guarded[mark] = how or self._guarded.get(mark, False)

    def counts(self, mark: Mark, code: CodeType, frame: FrameType) -> tuple[bool, object]:
        """Tell whether what a keeper's call leaves behind outlives the test, and what it is on.

        The frame is one that has just started.
        """
        guard = self._guarded.get(mark)
        if guard is None or suspends(code):
            return True, None
        receiver = first_argument(code, frame)
        if mark_of(receiver) in self._receivers:
            return True, receiver
        self._looks += 1
        return guard and mark_of(type(receiver)) in self._receivers, receiver

    def is_silent(self) -> bool:
        """Tell whether enough calls were looked at."""
        return self._looks > _LOOKS


def _holds(owner: object, names: tuple[str, ...]) -> bool:
    """Tell whether a class holds a container by this name, that all its objects share."""
    if len(names) != 1 or not is_a(owner, type):
        return False
    return any(is_mutable(members_of(kind).get(names[0])) for kind in line_of(owner))
