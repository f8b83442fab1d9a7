"""Bank statements as CSV."""

from __future__ import annotations

from datetime import date

import pytest

from ledger import Journal, Money
from ledger.csv_import import Rule, merge, read
from ledger.errors import BadRow

RULES = [Rule("rent|landlord", "50"), Rule("coffee", "51")]
STATEMENT = [
    "date,text,amount",
    "2026-03-01,LANDLORD   March,-400.00",
    "2026-03-02,Coffee corner,-3.80",
    "2026-03-03,Something else,12.00",
]


def test_each_row_becomes_a_transaction() -> None:
    assert [t.day for t in read(STATEMENT, "101", RULES, "99")] == [
        date(2026, 3, 1),
        date(2026, 3, 2),
        date(2026, 3, 3),
    ]


def test_rules_choose_the_other_account_whatever_the_case() -> None:
    accounts = [t.postings[1].account for t in read(STATEMENT, "101", RULES, "99")]
    assert accounts == ["50", "51", "99"]


def test_money_that_leaves_the_bank_is_a_credit_there() -> None:
    rent = read(STATEMENT, "101", RULES, "99")[0]
    assert rent.postings[0].amount == Money.of(-400)


def test_blanks_in_a_text_are_folded() -> None:
    assert read(STATEMENT, "101", RULES, "99")[0].text == "LANDLORD March"


def test_a_missing_column_is_named() -> None:
    with pytest.raises(BadRow, match="line 1: no column amount"):
        read(["date,text", "2026-03-01,x"], "101", RULES, "99")


@pytest.mark.parametrize("row", ["2026-13-01,x,1.00", "2026-03-01,x,one", "2026-03-01,x,1.005"])
def test_a_bad_row_is_refused_with_its_line(row: str) -> None:
    with pytest.raises(BadRow, match="line 5") as refused:
        read([*STATEMENT, row], "101", RULES, "99")
    assert refused.value.line == 5


def test_a_statement_read_twice_is_posted_once(journal: Journal) -> None:
    transactions = read(STATEMENT, "101", RULES, "99")
    assert merge(journal, transactions) == 3
    assert merge(journal, transactions) == 0
