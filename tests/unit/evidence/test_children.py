"""Processes that tests start."""

from __future__ import annotations

import itertools
import multiprocessing.process
import sys

import pytest

from pytest_aqe.evidence.children import Children
from pytest_aqe.evidence.contexts import Context, Kind


def test_importing_multiprocessing_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing.process")
    monkeypatch.setattr(multiprocessing.process, "_process_counter", itertools.count(1))
    monkeypatch.setattr(multiprocessing.process, "_children", set())
    children = Children()
    monkeypatch.setitem(sys.modules, "multiprocessing.process", multiprocessing.process)
    test = Context(Kind.TEST)
    children.look(test)
    assert test.doubts == set()
