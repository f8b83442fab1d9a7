"""What is going on while something happens: whom it is charged to.

Contexts nest: a test sets up a shared fixture, whose set-up imports a module, whose body
fills a cache. What happens is noted in the innermost one and handed outwards when it ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Thread
from types import CodeType
from typing import Any

from pytest_aqe.evidence.engine import Mark


class Kind(Enum):
    """Whose turn it is."""

    SESSION = auto()  # outside everything else
    COLLECT = auto()  # the items of one test file are made
    TEST = auto()
    FIXTURE = auto()  # a fixture that several tests share is set up
    IMPORT = auto()  # the body of a module runs
    STICKY = auto()  # a function runs whose effect outlives it: a cache, a global


@dataclass(slots=True, eq=False)
class Context:
    """What happened in it. ``owner`` is a place, or the mark of a sticky function.

    ``files`` are data files, folders, packages and variables, ``modules`` places that were
    imported, ``threads`` those that were started. ``frame`` stands for the frame of a sticky
    function's call. A light one only looks at what started ``since`` it began;
    ``receiver`` is what it is on. Of one that is not ``kept`` nobody will ask.
    """

    kind: Kind
    owner: Any = None
    code: CodeType | None = None
    namespace: dict[str, Any] | None = None
    frame: Mark = 0
    since: int | None = None
    receiver: object = None
    marks: set[Mark] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    doubts: set[str] = field(default_factory=set)
    threads: list[Thread] = field(default_factory=list)
    kept: bool = True

    def absorb(self, other: Context) -> bool:
        """Take what happened in ``other``; tell whether any of it is news."""
        before = self.size()
        self.marks |= other.marks
        self.files |= other.files
        self.modules |= other.modules
        self.doubts |= other.doubts
        self.threads += other.threads
        return self.size() != before

    def size(self) -> int:
        """Count what is charged."""
        return len(self.marks) + len(self.files) + len(self.modules) + len(self.doubts)
