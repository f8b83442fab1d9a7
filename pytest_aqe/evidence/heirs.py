"""Who uses the classes of modules that functions import, when no code of theirs runs.

A test that gets such a class from a table that an earlier test filled need not import its
module, and where the class only has data, all that runs are methods it inherits. So these
methods are looked at as they start: the class of the object they are called on counts as used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

from pytest_aqe.evidence.codes import suspends
from pytest_aqe.evidence.engine import Mark, mark_of
from pytest_aqe.evidence.reachable import (
    classes_of,
    first_argument,
    home_of,
    inherited,
    line_of,
)

_name_of: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_LOOKS = 4096  # at objects in one test, before any object may be any class' that inherits


class Heirs:
    """The classes of lazy modules. ``know`` hears of each: its mark, place and name."""

    def __init__(self, know: Callable[[Mark, str, str], None]) -> None:
        self._know = know
        self._places: dict[str, str] = {}  # of lazy modules, by name
        self._marks: dict[tuple[str, str], Mark] = {}  # by place and name; below those of code
        self._of: dict[Mark, set[Mark]] = {}  # by an inherited function
        self._looks = 0

    def begin(self) -> None:
        """Start to count looks anew."""
        self._looks = 0

    def __contains__(self, function: Mark) -> bool:
        return function in self._of

    def of(self, function: Mark) -> set[Mark]:
        """Return the classes that inherit a function."""
        return self._of.get(function, set())

    def take_up(
        self, place: str, namespace: dict[str, Any], marks: Mapping[Mark, Mark]
    ) -> Iterator[tuple[Mark, CodeType]]:
        """Take up a lazy module; yield the functions that nobody inherited before.

        ``marks`` are those that stand for the code of the project's functions.
        """
        name = namespace.get("__name__")
        if not isinstance(name, str):
            return
        self._places[name] = place
        for heir in classes_of(namespace):
            line = self.classes(heir)
            for code in inherited(heir):
                function = marks.get(mark_of(code))
                if function is None:
                    continue
                if function not in self._of:
                    self._of[function] = set()
                    yield function, code
                self._of[function] |= line

    def classes(self, kind: type) -> set[Mark]:
        """Return the classes in a class' line that lazy modules define."""
        found = set()
        for each in line_of(kind):
            place = self._places.get(home_of(each))  # type: ignore[call-overload]
            if place is None:
                continue
            name = _name_of(each).rpartition(".")[2]
            mark = self._marks.get((place, name))
            if mark is None:
                mark = self._marks[place, name] = -1 - len(self._marks)
                self._know(mark, place, name)
            found.add(mark)
        return found

    def look(self, function: Mark, code: CodeType, frame: FrameType) -> tuple[set[Mark], bool]:
        """Return the classes of what a function is called on, and whether this was enough.

        It is where an object does not tell, or too many were looked at: then any class may be.
        """
        if self._looks >= _LOOKS or not code.co_argcount or suspends(code):
            return self._of[function], True
        self._looks += 1
        receiver: Any = first_argument(code, frame)
        kind = type(receiver)
        found = self.classes(kind)
        return found | self.classes(receiver) if issubclass(kind, type) else found, False
