"""Money as whole minor units, so that sums are exact and rounding happens in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from ledger.errors import LedgerError, UnknownCurrency

_DIGITS = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0}


def register(currency: str, digits: int) -> None:
    """Make ``currency`` known to the whole process, with ``digits`` after the point."""
    _DIGITS[currency] = digits


def digits_of(currency: str) -> int:
    """Return how many digits ``currency`` has after the point."""
    try:
        return _DIGITS[currency]
    except KeyError:
        raise UnknownCurrency(f"no currency has the code {currency!r}") from None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of ``minor`` units (cents) of one currency."""

    minor: int
    currency: str = "EUR"

    @classmethod
    def of(cls, amount: str | int | Decimal, currency: str = "EUR") -> Money:
        """Return the exact amount, refusing digits that the currency does not have."""
        try:
            exact = Decimal(amount).scaleb(digits_of(currency))
        except InvalidOperation:
            raise LedgerError(f"{amount!r} is not an amount") from None
        if exact != exact.to_integral_value():
            raise LedgerError(f"{amount} has more digits than {currency} knows")
        return cls(int(exact), currency)

    @classmethod
    def zero(cls, currency: str = "EUR") -> Money:
        """Return nothing, in ``currency``."""
        return cls(0, currency)

    @property
    def amount(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.minor).scaleb(-digits_of(self.currency))

    def times(self, factor: Decimal | int | str, rounding: str = ROUND_HALF_EVEN) -> Money:
        """Return the product, rounded to whole minor units (half to even unless told)."""
        exact = Decimal(self.minor) * Decimal(factor)
        return Money(int(exact.quantize(Decimal(1), rounding=rounding)), self.currency)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """Share the amount by ``weights`` without losing a minor unit.

        What is left over by rounding down goes, one unit each, to the first shares.
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise LedgerError("weights must not be negative, and one must be positive")
        shares = [self.minor * weight // total for weight in weights]
        for index in range(self.minor - sum(shares)):
            shares[index] += 1
        return [Money(share, self.currency) for share in shares]

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other).minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def __str__(self) -> str:
        return f"{self.amount:,.{digits_of(self.currency)}f} {self.currency}"

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise LedgerError(f"cannot mix {self.currency} and {other.currency}")
        return other


def total(amounts: Iterable[Money], currency: str = "EUR") -> Money:
    """Return the sum; ``currency`` names it when there is nothing to add."""
    result = Money.zero(currency)
    for amount in amounts:
        result += amount
    return result
