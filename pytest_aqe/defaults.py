"""Our own behaviour behind our own hooks: each seam is proven in every session."""

from __future__ import annotations

import pytest

from pytest_aqe.data import Policy
from pytest_aqe.learning.selection import DecayedFailureRate


class Defaults:
    """The implementations that answer when nobody else does."""

    @pytest.hookimpl(trylast=True)
    def pytest_aqe_make_policy(self, learned: Policy | None) -> Policy:
        """Rank by what was learnt; without a history nothing has a rank."""
        return learned or DecayedFailureRate()
