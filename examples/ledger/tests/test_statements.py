"""Balance sheet, income statement and their text."""

from __future__ import annotations

from datetime import date

from ledger import Journal, Kind, Money
from ledger.money import total
from ledger.statements import balance_sheet, income_statement, render, trial_balance

YEAR = (date(2026, 1, 1), date(2026, 12, 31))


def test_a_trial_balance_is_zero(journal: Journal) -> None:
    assert total(trial_balance(journal).values()) == Money.zero()


def test_profit_is_income_less_expenses(journal: Journal) -> None:
    assert income_statement(journal, *YEAR)[1] == Money.of("-153.30")


def test_an_income_statement_keeps_to_its_period(journal: Journal) -> None:
    assert income_statement(journal, date(2026, 1, 1), date(2026, 1, 31))[1] == Money.of("250.50")


def test_a_balance_sheet_balances_with_the_profit(journal: Journal) -> None:
    profit = income_statement(journal, *YEAR)[1]
    assert balance_sheet(journal, YEAR[1])[1] == profit


def test_income_is_shown_positive(journal: Journal) -> None:
    income = income_statement(journal, *YEAR)[0][0]
    assert income.kind is Kind.INCOME
    assert income.total == Money.of("250.50")


def test_text_is_flush_right_and_leaves_out_still_accounts(journal: Journal) -> None:
    text = render(balance_sheet(journal, YEAR[1])[0], width=30)
    assert {len(line) for line in text.splitlines() if line.startswith(" ")} == {30}
    assert "Payables" not in text
