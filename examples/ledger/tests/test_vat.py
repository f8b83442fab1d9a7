"""Value added tax. With LEDGER_BUG=1 two tests here fail (README.md)."""

from __future__ import annotations

import pytest

from ledger import LedgerError, Money
from ledger.vat import Item, gross, summary, tax


@pytest.mark.parametrize(("rate", "expected"), [("standard", "19.00"), ("reduced", "7.00")])
def test_tax_is_a_share_of_the_net_amount(rate: str, expected: str) -> None:
    assert tax(Money.of(100), rate) == Money.of(expected)


def test_an_unknown_rate_is_named() -> None:
    with pytest.raises(LedgerError, match="'luxury'"):
        tax(Money.of(1), "luxury")


def test_an_invoice_sums_by_rate() -> None:
    items = [Item("desk", Money.of(300)), Item("book", Money.of(20), "reduced")]
    assert summary(items) == {"standard": Money.of(57), "reduced": Money.of("1.40")}


def test_half_a_cent_of_tax_is_rounded_up() -> None:
    assert tax(Money.of("0.50"), "standard") == Money.of("0.10")


def test_tax_is_rounded_once_a_rate() -> None:
    three = [Item("sticker", Money.of("0.33"))] * 3
    assert gross(three) == Money.of("1.18")


def test_nothing_sold_costs_nothing() -> None:
    assert gross([]) == Money.zero()
