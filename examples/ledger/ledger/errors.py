"""Everything that can go wrong by name.

LedgerError
├── UnknownAccount     no account has that code
├── UnknownCurrency    no currency has that code
├── Unbalanced         debits and credits of a transaction differ
├── BadRow             a row of an imported file cannot be read
└── FeedDropped        the bank feed closed the connection
"""


class LedgerError(Exception):
    """A fault with a message for people."""


class UnknownAccount(LedgerError):
    """No account has that code."""


class UnknownCurrency(LedgerError):
    """No currency has that code."""


class Unbalanced(LedgerError):
    """Debits and credits of a transaction differ."""


class BadRow(LedgerError):
    """A row of an imported file cannot be read."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


class FeedDropped(LedgerError):
    """The bank feed closed the connection."""
