"""What was spent, and the cap that nothing passes.

Before a request is sent its worst case is reserved: no token of a byte-level tokenizer stands
for less than one byte, so the bytes of the prompt bound its tokens from above, and the reply is
bounded by ``max_tokens``. When the server tells what it counted, that replaces the reservation;
when a reply ends without telling, the reservation stays: the cap holds whatever happened.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_aqe.generation.providers import Price

FRAMING = 64  # tokens that a chat template may add around the messages


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that a session may spend. ``dollars`` is None where no price is known."""

    tokens: int
    dollars: float | None


@dataclass(frozen=True, slots=True)
class Reserved:
    """The worst case of one request on its way."""

    tokens: int
    dollars: float
    price: Price | None


class Ledger:
    """Count tokens and dollars, measured and assumed, against a cap."""

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self.input_tokens = 0
        self.output_tokens = 0
        self.assumed_tokens = 0
        """Reserved for requests that ended without a count."""
        self.dollars = 0.0
        """Measured and assumed; of models with a price."""
        self.on_their_way: list[Reserved] = []

    @property
    def tokens(self) -> int:
        """All tokens that count against the cap, but for requests on their way."""
        return self.input_tokens + self.output_tokens + self.assumed_tokens

    def worst_case(self, price: Price | None, sent_bytes: int, max_tokens: int) -> Reserved:
        """Return the most that a request of this size can cost."""
        sent = sent_bytes + FRAMING
        return Reserved(sent + max_tokens, price.of(sent, max_tokens) if price else 0.0, price)

    def fits(self, worst: Reserved, *, alone: bool = False) -> bool:
        """Tell whether a request cannot pass the cap; ``alone``: were none on its way."""
        waiting = [] if alone else self.on_their_way
        tokens = self.tokens + sum(other.tokens for other in waiting) + worst.tokens
        dollars = self.dollars + sum(other.dollars for other in waiting) + worst.dollars
        cap = self.caps.dollars
        return tokens <= self.caps.tokens and (cap is None or dollars <= cap)

    def reserve(self, worst: Reserved) -> None:
        """Set the worst case aside while the request is on its way."""
        self.on_their_way.append(worst)

    def release(self, worst: Reserved) -> None:
        """Take a reservation back: the request was refused or never arrived."""
        self._remove(worst)

    def settle(self, worst: Reserved, input_tokens: int | None, output_tokens: int | None) -> None:
        """Replace a reservation by what the server counted; without a count it stays."""
        self._remove(worst)
        if input_tokens is None or output_tokens is None:
            self.assumed_tokens += worst.tokens
            self.dollars += worst.dollars
            return
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        if worst.price is not None:
            self.dollars += worst.price.of(input_tokens, output_tokens)

    def _remove(self, worst: Reserved) -> None:
        for place, other in enumerate(self.on_their_way):
            if other is worst:
                del self.on_their_way[place]
                return
        raise ValueError("this request is not on its way")
