"""Statements: what a journal adds up to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ledger.accounts import Kind
from ledger.journal import Journal
from ledger.money import Money, total


@dataclass(frozen=True, slots=True)
class Section:
    """Accounts of one kind with their balances, on the side that makes them positive."""

    kind: Kind
    lines: tuple[tuple[str, Money], ...]
    total: Money


def trial_balance(journal: Journal) -> dict[str, Money]:
    """Return every account's own balance; together they are zero."""
    balances = {account.code: Money.zero(journal.currency) for account in journal.chart}
    for transaction in journal:
        for posting in transaction.postings:
            balances[posting.account] += posting.amount
    return balances


def income_statement(journal: Journal, start: date, end: date) -> tuple[list[Section], Money]:
    """Return income and expenses of a period, and the profit."""
    income, expenses = (_section(journal, kind, start, end) for kind in (Kind.INCOME, Kind.EXPENSE))
    return [income, expenses], income.total - expenses.total


def balance_sheet(journal: Journal, day: date) -> tuple[list[Section], Money]:
    """Return assets, liabilities and equity on ``day``, and the profit not yet carried over."""
    kinds = (Kind.ASSET, Kind.LIABILITY, Kind.EQUITY)
    assets, liabilities, equity = (_section(journal, kind, date.min, day) for kind in kinds)
    return [assets, liabilities, equity], assets.total - liabilities.total - equity.total


def render(sections: list[Section], width: int = 48) -> str:
    """Return sections as text, amounts flush right; accounts without movement are left out."""
    lines = []
    for section in sections:
        lines.append(section.kind.value.upper())
        for name, amount in section.lines:
            if amount:
                lines.append(_line(f"  {name}", amount, width))
        lines.append(_line("  total", section.total, width))
    return "\n".join(lines)


def _section(journal: Journal, kind: Kind, start: date, end: date) -> Section:
    lines = []
    for account in journal.chart.of_kind(kind):
        own = total(
            (
                posting.amount
                for transaction in journal
                if start <= transaction.day <= end
                for posting in transaction.postings
                if posting.account == account.code
            ),
            journal.currency,
        )
        lines.append((account.name, own if kind.grows_by_debit else -own))
    return Section(kind, tuple(lines), total((amount for _, amount in lines), journal.currency))


def _line(label: str, amount: Money, width: int) -> str:
    text = str(amount)
    return f"{label[: width - len(text) - 1]:<{width - len(text)}}{text}"
