"""A small double-entry ledger: accounts, money, transactions, import, statements, interest."""

from ledger.accounts import Account, Chart, Kind
from ledger.errors import LedgerError
from ledger.journal import Journal, Posting, Transaction
from ledger.money import Money

__all__ = ["Account", "Chart", "Journal", "Kind", "LedgerError", "Money", "Posting", "Transaction"]
