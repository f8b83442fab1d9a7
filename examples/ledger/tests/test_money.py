"""Money. The two tests of a registered currency are planted: the order matters (README.md)."""

from __future__ import annotations

import pytest

from ledger import LedgerError, Money
from ledger.money import digits_of, register, total


@pytest.mark.parametrize(
    ("text", "currency", "minor"), [("12.50", "EUR", 1250), ("-3", "USD", -300), ("7", "JPY", 7)]
)
def test_an_amount_is_kept_in_minor_units(text: str, currency: str, minor: int) -> None:
    assert Money.of(text, currency).minor == minor


@pytest.mark.parametrize("text", ["1.005", "many"])
def test_what_is_not_exact_is_refused(text: str) -> None:
    with pytest.raises(LedgerError):
        Money.of(text)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(LedgerError, match="cannot mix EUR and USD"):
        Money.of(1) + Money.of(1, "USD")


@pytest.mark.parametrize(("factor", "minor"), [("0.005", 0), ("0.015", 2), ("0.025", 2)])
def test_a_product_rounds_half_to_even(factor: str, minor: int) -> None:
    assert Money.of(1).times(factor) == Money(minor)


def test_a_split_loses_nothing() -> None:
    shares = Money.of(100).split([1, 1, 1])
    assert [share.minor for share in shares] == [3334, 3333, 3333]
    assert total(shares) == Money.of(100)


def test_a_split_needs_a_weight() -> None:
    with pytest.raises(LedgerError, match="one must be positive"):
        Money.of(1).split([0, 0])


def test_an_amount_prints_with_its_currency() -> None:
    assert str(Money.of("-1234.50")) == "-1,234.50 EUR"


def test_a_currency_can_be_registered() -> None:
    """First of the pair: it leaves XAU registered in the whole process."""
    register("XAU", 4)
    assert digits_of("XAU") == 4


def test_a_registered_currency_is_usable() -> None:
    """Second of the pair: it fails when the first did not run before it in this process."""
    assert str(Money.of("1.2345", "XAU")) == "1.2345 XAU"
