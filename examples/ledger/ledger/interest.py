"""Interest: savings that compound, loans that are paid back, invoices that are late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ledger.errors import LedgerError
from ledger.money import Money

MONTHS = 12
GRACE = 14  # days after the due date for which no interest is asked


@dataclass(frozen=True, slots=True)
class Instalment:
    """One month of a loan."""

    month: int
    interest: Money
    repaid: Money
    rest: Money


def compound(principal: Money, rate: Decimal, months: int) -> list[Money]:
    """Return the balance after every month; ``rate`` is a year's, 0.03 for 3 %."""
    balances, balance = [], principal
    for _ in range(months):
        balance += balance.times(rate / MONTHS)
        balances.append(balance)
    return balances


def annuity(principal: Money, rate: Decimal, months: int) -> list[Instalment]:
    """Return the schedule of a loan with equal payments; the last one takes the cents."""
    if months < 1:
        raise LedgerError("a loan runs for a month at least")
    monthly = rate / MONTHS
    share = monthly / (1 - (1 + monthly) ** -months) if monthly else Decimal(1) / months
    payment = principal.times(share)
    schedule, rest = [], principal
    for month in range(1, months + 1):
        interest = rest.times(monthly)
        repaid = rest if month == months else payment - interest
        rest -= repaid
        schedule.append(Instalment(month, interest, repaid, rest))
    return schedule


def late_fee(amount: Money, due: date, paid: date, rate: Decimal) -> Money:
    """Return the interest that a late payment owes, by days, after the grace days."""
    days = (paid - due).days - GRACE
    if days <= 0:
        return Money.zero(amount.currency)
    return amount.times(rate * days / 365)
