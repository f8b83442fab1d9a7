"""Flaky tests, from the results in the history to a belief; asked by sessions and commands.

The history knows the results and keeps the beliefs, `learning.flaky` moves them. A suite in
which no test ever failed has no beliefs, and pays one query.
"""

from __future__ import annotations

from pytest_aqe.history import queries
from pytest_aqe.history.store import Connection

PATIENCE = 2.0  # seconds a session spends on runs that the beliefs do not know yet


def learn(connection: Connection, *, patience: float = float("inf")) -> bool:
    """Bring the beliefs up to date; tell whether they are, or the rest waits for the next time."""
    if not queries.ever_failed(connection):
        return True
    from pytest_aqe.history import flakes
    from pytest_aqe.learning.flaky import LaneBayes

    return flakes.catch_up(connection, LaneBayes, patience=patience)
