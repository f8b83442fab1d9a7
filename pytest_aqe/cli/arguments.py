"""Values that several commands take on the command line."""

from __future__ import annotations

import argparse

_MOST = 1_000_000_000  # more than any history holds, less than any database refuses


def count(text: str) -> int:
    """Read a number of rows or runs."""
    if not text.isdecimal() or len(text) > len(str(_MOST)) or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST:,}")
    return int(text)


def duration(text: str) -> float:
    """Read ``90s``, ``5m`` or ``1h`` as seconds."""
    import pytest

    from pytest_aqe import options

    try:
        return options.duration(text, "")
    except pytest.UsageError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 90s, 5m or 1h") from None
