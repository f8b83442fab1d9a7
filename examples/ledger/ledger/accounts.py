"""The chart of accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ledger.errors import LedgerError, UnknownAccount


class Kind(Enum):
    """What an account stands for, which decides the side it grows on."""

    ASSET = "asset"
    LIABILITY = "liability"
    EQUITY = "equity"
    INCOME = "income"
    EXPENSE = "expense"

    @property
    def grows_by_debit(self) -> bool:
        """Whether a debit makes the balance larger."""
        return self in {Kind.ASSET, Kind.EXPENSE}

    @property
    def is_permanent(self) -> bool:
        """Whether the balance is carried into the next year."""
        return self in {Kind.ASSET, Kind.LIABILITY, Kind.EQUITY}


@dataclass(frozen=True, slots=True)
class Account:
    """One account; a longer code that begins with this one names a part of it."""

    code: str
    name: str
    kind: Kind


class Chart:
    """The accounts of one ledger, by code."""

    def __init__(self, *accounts: Account) -> None:
        self._accounts: dict[str, Account] = {}
        for account in accounts:
            self.add(account)

    def add(self, account: Account) -> None:
        """Add an account whose code is not taken."""
        if account.code in self._accounts:
            raise LedgerError(f"account {account.code} exists already")
        self._accounts[account.code] = account

    def __getitem__(self, code: str) -> Account:
        try:
            return self._accounts[code]
        except KeyError:
            raise UnknownAccount(f"no account has the code {code!r}") from None

    def __iter__(self) -> Iterator[Account]:
        return iter(sorted(self._accounts.values(), key=lambda account: account.code))

    def __len__(self) -> int:
        return len(self._accounts)

    def of_kind(self, *kinds: Kind) -> list[Account]:
        """Return the accounts of these kinds, by code."""
        return [account for account in self if account.kind in kinds]

    def parts_of(self, code: str) -> list[Account]:
        """Return the account and every account below it, by code."""
        whole = self[code]
        return [account for account in self if account.code.startswith(whole.code)]
