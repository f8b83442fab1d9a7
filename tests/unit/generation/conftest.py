"""Interpreters that are warm, for all trials of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_aqe.generation.interpreters import Interpreters, Warm


@pytest.fixture(scope="session")
def processes() -> Iterator[Interpreters]:
    warm = Warm()
    yield warm
    warm.close()
