"""The chart of accounts."""

from __future__ import annotations

import pytest

from ledger import Account, Chart, Kind, LedgerError
from ledger.errors import UnknownAccount


def test_a_chart_finds_an_account_by_its_code(chart: Chart) -> None:
    assert chart["101"].name == "Bank"


def test_an_unknown_code_is_named_in_the_error(chart: Chart) -> None:
    with pytest.raises(UnknownAccount, match="'77'"):
        chart["77"]


def test_a_code_is_taken_once(chart: Chart) -> None:
    with pytest.raises(LedgerError, match="101 exists already"):
        chart.add(Account("101", "Another bank", Kind.ASSET))
    assert len(chart) == 9


def test_accounts_come_in_the_order_of_their_codes(chart: Chart) -> None:
    codes = [account.code for account in chart]
    assert codes == sorted(codes)


def test_parts_of_an_account_include_itself(chart: Chart) -> None:
    assert [account.code for account in chart.parts_of("10")] == ["10", "101", "102"]


@pytest.mark.parametrize(
    ("kind", "by_debit"),
    [(Kind.ASSET, True), (Kind.EXPENSE, True), (Kind.LIABILITY, False), (Kind.INCOME, False)],
)
def test_assets_and_expenses_grow_by_debit(kind: Kind, by_debit: bool) -> None:
    assert kind.grows_by_debit is by_debit
