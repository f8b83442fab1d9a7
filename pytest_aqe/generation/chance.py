"""Other luck for a process: what passes nine times of ten fails there.

The first draws of each test from the generator behind the functions of `random` are the least
or the greatest that there are, and the following are as ever, so that what is drawn twice may
still differ. Who seeds it means to know what comes, and gets that.
"""

from __future__ import annotations

import random
from typing import Any

DRAWS = 6  # short names that are made up in one test must not be the same by it
_GREATEST = 1.0 - 2.0**-53


class _Chance(random.Random):
    """A generator that is lucky, or unlucky, for a few draws."""

    left = 0
    is_high = False

    def random(self) -> float:
        if not self._is_extreme():
            return super().random()
        return _GREATEST if self.is_high else 0.0

    def getrandbits(self, k: int, /) -> int:
        if not self._is_extreme():
            return super().getrandbits(k)
        return (1 << k) - 1 if self.is_high else 0

    def _randbelow(self, n: int) -> int:
        if not self._is_extreme():
            return super()._randbelow(n)  # type: ignore[misc,no-any-return]
        return n - 1 if self.is_high else 0

    def seed(self, a: Any = None, version: int = 2) -> None:
        self.left = 0
        super().seed(a, version)

    def setstate(self, state: Any) -> None:
        self.left = 0
        super().setstate(state)

    def _is_extreme(self) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        return True


def install(*, is_high: bool) -> None:
    """Let the process have it, before the project is imported."""
    chance: Any = random._inst
    chance.__class__ = _Chance
    chance.is_high = is_high
    for name in random.__all__:
        if getattr(getattr(random, name), "__self__", None) is chance:
            setattr(random, name, getattr(chance, name))


def begin() -> None:
    """Let a test begin: nothing was drawn yet. Does nothing where it was not installed."""
    chance: Any = random._inst
    if isinstance(chance, _Chance):
        chance.left = DRAWS
