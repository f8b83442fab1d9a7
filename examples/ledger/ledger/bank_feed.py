"""A simulated bank: it hands out transactions page by page, slowly and not always.

The chance of a dropped connection comes from a generator that the caller owns, so that a
run can be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from random import Random

from ledger.errors import FeedDropped
from ledger.journal import Transaction

PAGE = 10  # transactions
SETTLING = 1.5  # seconds until the bank has settled what was booked last


class BankFeed:
    """A connection to the simulated bank, drawing dropped calls from ``random``."""

    def __init__(
        self, booked: Sequence[Transaction], random: Random, drop_rate: float = 0.0
    ) -> None:
        self._booked = booked
        self._random = random
        self._drop_rate = drop_rate
        self._opened = time.monotonic()

    def page(self, number: int) -> Sequence[Transaction]:
        """Return one page, counted from 0; raise `FeedDropped` when the bank hangs up."""
        if self._random.random() < self._drop_rate:
            raise FeedDropped(f"the bank hung up before page {number}")
        return self._booked[number * PAGE : (number + 1) * PAGE]

    def fetch(self, tries: int = 3) -> list[Transaction]:
        """Return every transaction, asking up to ``tries`` times for each page."""
        fetched: list[Transaction] = []
        for number in count():
            page = self._patiently(number, tries)
            fetched += page
            if len(page) < PAGE:
                break
        return fetched

    def wait_until_settled(self, poll: float = 0.25) -> float:
        """Block until the bank has settled its books; return the seconds it took."""
        while (waited := time.monotonic() - self._opened) < SETTLING:
            time.sleep(poll)
        return waited

    def _patiently(self, number: int, tries: int) -> Sequence[Transaction]:
        for _ in range(tries - 1):
            try:
                return self.page(number)
            except FeedDropped:
                continue
        return self.page(number)
