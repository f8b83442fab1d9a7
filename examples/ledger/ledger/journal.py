"""Transactions, and the journal that keeps them. A debit is positive, a credit negative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from ledger.accounts import Chart
from ledger.errors import Unbalanced
from ledger.money import Money, total


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of a transaction."""

    account: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Transaction:
    """Postings that cancel out, made on one day for one reason."""

    day: date
    text: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if len(self.postings) < 2:
            raise Unbalanced(f"{self.text!r} needs at least two postings")
        rest = total((p.amount for p in self.postings), self.postings[0].amount.currency)
        if rest:
            raise Unbalanced(f"{self.text!r} is off by {rest}")

    @classmethod
    def simple(cls, day: date, text: str, debit: str, credit: str, amount: Money) -> Transaction:
        """Return a transaction of one debit and one credit."""
        return cls(day, text, (Posting(debit, amount), Posting(credit, -amount)))

    def reversed(self, day: date) -> Transaction:
        """Return the transaction that undoes this one."""
        undone = tuple(Posting(p.account, -p.amount) for p in self.postings)
        return Transaction(day, f"reversal: {self.text}", undone)


class Journal:
    """Every transaction over one chart of accounts, in the order of their days."""

    def __init__(self, chart: Chart, currency: str = "EUR") -> None:
        self.chart = chart
        self.currency = currency
        self._transactions: list[Transaction] = []

    def post(self, *transactions: Transaction) -> None:
        """Add transactions; when one names an unknown account, none of them is added."""
        for transaction in transactions:
            for posting in transaction.postings:
                self.chart[posting.account]
        self._transactions += transactions
        self._transactions.sort(key=lambda transaction: transaction.day)

    def __iter__(self) -> Iterator[Transaction]:
        return iter(self._transactions)

    def __len__(self) -> int:
        return len(self._transactions)

    def balance(self, code: str, start: date = date.min, end: date = date.max) -> Money:
        """Return debits less credits of an account and its parts, both days included."""
        codes = {account.code for account in self.chart.parts_of(code)}
        return total(
            (
                posting.amount
                for transaction in self
                if start <= transaction.day <= end
                for posting in transaction.postings
                if posting.account in codes
            ),
            self.currency,
        )

    def lines(self, code: str) -> list[tuple[date, str, Money]]:
        """Return day, text and running balance after every posting to one account."""
        self.chart[code]
        lines, running = [], Money.zero(self.currency)
        for transaction in self:
            for posting in transaction.postings:
                if posting.account == code:
                    running += posting.amount
                    lines.append((transaction.day, transaction.text, running))
        return lines
