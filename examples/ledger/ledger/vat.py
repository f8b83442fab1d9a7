"""Value added tax on invoices."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from ledger.errors import LedgerError
from ledger.money import Money, total

RATES = {"standard": Decimal("0.19"), "reduced": Decimal("0.07"), "zero": Decimal(0)}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an invoice, without tax."""

    text: str
    net: Money
    rate: str = "standard"


def tax(net: Money, rate: str) -> Money:
    """Return the tax on ``net``, rounded half up as tax offices ask."""
    if rate not in RATES:
        raise LedgerError(f"no tax rate is called {rate!r}")
    return net.times(RATES[rate], rounding=_rounding())


def summary(items: Iterable[Item]) -> dict[str, Money]:
    """Return the tax of an invoice by rate: rounded once a rate, not once a line."""
    nets: defaultdict[str, list[Money]] = defaultdict(list)
    for item in items:
        nets[item.rate].append(item.net)
    return {rate: tax(total(amounts), rate) for rate, amounts in nets.items()}


def gross(items: Iterable[Item]) -> Money:
    """Return what the customer pays."""
    items = list(items)
    return total(item.net for item in items) + total(summary(items).values())


def _rounding() -> str:
    # The planted bug of this example: see README.md.
    return ROUND_DOWN if os.environ.get("LEDGER_BUG") == "1" else ROUND_HALF_UP
