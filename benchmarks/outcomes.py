"""A pytest plugin: write what every test of a session did, and how long it took, to a file.

``-p outcomes`` with the file's path in OUTCOMES_FILE. A file that cannot be collected counts
as a failed test of that name.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_seen: dict[str, list[Any]] = {}  # node id: failed, seconds


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        _seen[report.nodeid] = [True, 0.0]


def pytest_runtest_logreport(report: Any) -> None:
    entry = _seen.setdefault(report.nodeid, [False, 0.0])
    entry[0] |= report.failed
    entry[1] += report.duration


def pytest_sessionfinish() -> None:
    Path(os.environ["OUTCOMES_FILE"]).write_text(json.dumps(_seen), encoding="utf-8")
