"""The simulated bank. Two tests here are planted: one is slow, one is flaky (README.md)."""

from __future__ import annotations

import os
from datetime import date
from random import Random

import pytest

from ledger import Money, Transaction
from ledger.bank_feed import PAGE, SETTLING, BankFeed
from ledger.errors import FeedDropped


@pytest.fixture
def booked() -> list[Transaction]:
    return [
        Transaction.simple(date(2026, 3, 1), f"booking {n}", "101", "99", Money(n))
        for n in range(1, 26)
    ]


def test_books_are_settled_after_a_while(booked: list[Transaction]) -> None:
    """Slow on purpose: it waits for the simulated bank, about 1.5 seconds."""
    assert BankFeed(booked, Random(0)).wait_until_settled() >= SETTLING


def test_the_bank_answers_the_first_call(booked: list[Transaction]) -> None:
    """Flaky on purpose: one seed in ten makes the bank hang up, and this test asks once."""
    seed = int(os.environ.get("LEDGER_FLAKY_SEED", "1"))
    assert BankFeed(booked, Random(seed), drop_rate=0.1).page(0)


def test_a_page_is_bounded(booked: list[Transaction]) -> None:
    assert len(BankFeed(booked, Random(0)).page(0)) == PAGE


def test_fetch_walks_every_page(booked: list[Transaction]) -> None:
    assert BankFeed(booked, Random(0)).fetch() == booked


def test_fetch_asks_again_after_a_drop(booked: list[Transaction]) -> None:
    assert BankFeed(booked, Random(7), drop_rate=0.3).fetch(tries=10) == booked


def test_fetch_gives_up_after_its_last_try(booked: list[Transaction]) -> None:
    with pytest.raises(FeedDropped, match="before page 0"):
        BankFeed(booked, Random(0), drop_rate=1.0).fetch(tries=2)
