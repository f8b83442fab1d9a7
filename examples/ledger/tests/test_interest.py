"""Savings, loans and late payments."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ledger import LedgerError, Money
from ledger.interest import annuity, compound
from ledger.money import total


def test_savings_compound_every_month() -> None:
    assert compound(Money.of(1000), Decimal("0.12"), 3) == [
        Money.of("1010.00"),
        Money.of("1020.10"),
        Money.of("1030.30"),
    ]


def test_no_rate_leaves_the_principal() -> None:
    assert set(compound(Money.of(10), Decimal(0), 12)) == {Money.of(10)}


@pytest.mark.parametrize("months", [1, 7, 120])
def test_a_loan_ends_at_zero(months: int) -> None:
    assert annuity(Money.of(9999), Decimal("0.045"), months)[-1].rest == Money.zero()


def test_repayments_add_up_to_the_loan() -> None:
    schedule = annuity(Money.of(5000), Decimal("0.05"), 36)
    assert total(month.repaid for month in schedule) == Money.of(5000)


def test_interest_falls_as_the_loan_is_repaid() -> None:
    interest = [month.interest.minor for month in annuity(Money.of(5000), Decimal("0.05"), 36)]
    assert interest == sorted(interest, reverse=True)


def test_a_loan_without_interest_is_repaid_evenly() -> None:
    assert {month.repaid for month in annuity(Money.of(120), Decimal(0), 12)} == {Money.of(10)}


def test_a_loan_needs_a_month() -> None:
    with pytest.raises(LedgerError, match="a month at least"):
        annuity(Money.of(1), Decimal(0), 0)
