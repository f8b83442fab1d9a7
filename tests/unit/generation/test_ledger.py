"""Whatever is asked and answered, in any order, the cap holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation.ledger import FRAMING, Caps, Ledger
from pytest_aqe.generation.providers import Price


@given(
    st.integers(0, 5000),
    st.lists(
        st.tuples(
            st.integers(0, 500),
            st.integers(0, 200),
            st.sampled_from(["told", "untold", "refused", "waiting"]),
            st.floats(0, 1),
        ),
        max_size=40,
    ),
)
def test_no_honest_server_can_make_a_session_pass_its_cap(
    cap: int, requests: list[tuple[int, int, str, float]]
) -> None:
    """A server is honest that counts no more tokens than bytes were sent, and keeps max_tokens."""
    price = Price(3.0, 15.0)
    dollars = cap * 4 / 1_000_000
    ledger = Ledger(Caps(cap, dollars))
    for size, most, fate, share in requests:
        worst = ledger.worst_case(price, size, most)
        if not ledger.fits(worst):
            continue
        ledger.reserve(worst)
        if fate == "told":
            ledger.settle(worst, int((size + FRAMING) * share), int(most * share))
        elif fate == "untold":
            ledger.settle(worst, None, None)
        elif fate == "refused":
            ledger.release(worst)
    assert ledger.tokens + sum(worst.tokens for worst in ledger.on_their_way) <= cap
    assert ledger.dollars <= dollars + 1e-9


def test_without_a_price_only_tokens_are_capped() -> None:
    """And dollars stay what is known: nothing."""
    ledger = Ledger(Caps(1000, None))
    worst = ledger.worst_case(None, 100, 100)
    assert ledger.fits(worst)
    ledger.reserve(worst)
    ledger.settle(worst, 50, 50)
    assert (ledger.tokens, ledger.dollars) == (100, 0.0)


def test_what_waits_counts_until_it_has_ended() -> None:
    """A request that does not fit now may fit later."""
    ledger = Ledger(Caps(400, None))
    first, second = (ledger.worst_case(None, 100, 100) for _ in range(2))
    ledger.reserve(first)
    assert not ledger.fits(second)
    assert ledger.fits(second, alone=True)
    ledger.release(first)
    assert ledger.fits(second)


def test_a_request_ends_once() -> None:
    """Two equal ones are two."""
    ledger = Ledger(Caps(1000, None))
    first, second = (ledger.worst_case(None, 100, 100) for _ in range(2))
    ledger.reserve(first)
    ledger.reserve(second)
    ledger.release(first)
    with pytest.raises(ValueError, match="not on its way"):
        ledger.release(first)
    ledger.release(second)
