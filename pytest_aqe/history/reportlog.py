"""A pytest-reportlog file, read back into the reports it was written from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pytest_aqe.data import Result
from pytest_aqe.errors import InterchangeError

_REQUIRED = ("nodeid", "outcome", "when")


class Fold(Protocol):
    """Turns reports into results: ``evidence.reports.Fold``."""

    def add(self, report: Any) -> Result | None:
        """Take one report; return the result that it completes, if it completes one."""


@dataclass(slots=True)
class Log:
    """What the file says beside its results: filled in as they are read."""

    started_at: str | None = None


class LoggedReport:
    """A test's report as the log kept it: its keys are attributes."""

    nodeid: str
    outcome: str
    when: str
    duration: float | None = None
    longrepr: Any = None

    def __init__(self, keys: dict[str, Any]) -> None:
        vars(self).update(keys)


class SubtestReport(LoggedReport):
    """A part of a test. `evidence.reports` tells it by the name of its class."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Where a failure was raised, and its message."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Longrepr:
    """What a signature reads of pytest's own representation of a failure."""

    reprcrash: Crash


def read(path: Path, log: Log, rootdir: Path, fold: Fold) -> Iterator[tuple[int, Result]]:
    """Yield the results that the file's reports fold into, with the line that ends each.

    They are as they would have been live. A failure's path is absolute on the machine that
    wrote the log; where it ends like the test's own file it is read as that file here, so
    that signatures agree. Raise an `InterchangeError` that names the line.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            report = _report(path, number, line, rootdir)
            if report is None:
                continue
            if log.started_at is None:
                log.started_at = _started_at(report)
            try:
                result = fold.add(report)
            except (AttributeError, TypeError, ValueError) as error:
                problem = f"no report of a test ({error})"
                raise InterchangeError(path, number, None, problem) from error
            if result is not None:
                yield number, result


def _report(path: Path, number: int, line: bytes, rootdir: Path) -> LoggedReport | None:
    """Return the line's report, None for those that are not of a test."""
    try:
        keys = json.loads(line)
    except ValueError as error:
        raise InterchangeError(path, number, None, f"no JSON ({error})") from error
    if not isinstance(keys, dict):
        raise InterchangeError(path, number, None, "no JSON object")
    kind = str(keys.pop("$report_type", ""))
    subtest = kind.lower() == "subtestreport"
    if kind != "TestReport" and not subtest:
        return None
    for key in _REQUIRED:
        if not isinstance(keys.get(key), str):
            raise InterchangeError(path, number, key, "is missing")
    seconds = keys.get("duration")
    if not isinstance(seconds, int | float | None) or not 0 <= (seconds or 0) < math.inf:
        raise InterchangeError(path, number, "duration", f"{seconds!r} is no duration")
    crash = keys["longrepr"].get("reprcrash") if isinstance(keys.get("longrepr"), dict) else None
    if isinstance(crash, dict):
        where = _here(str(crash.get("path", "")), keys["nodeid"], rootdir)
        keys["longrepr"] = Longrepr(Crash(where, str(crash.get("message", ""))))
    return SubtestReport(keys) if subtest else LoggedReport(keys)


def _here(path: str, node_id: str, rootdir: Path) -> str:
    file = PurePosixPath(node_id.partition("::")[0]).parts
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return str(rootdir.joinpath(*file)) if file and parts[-len(file) :] == file else path


def _started_at(report: LoggedReport) -> str | None:
    start = getattr(report, "start", None)
    if not isinstance(start, int | float) or not start:  # a sub-test has 0
        return None
    try:
        return datetime.fromtimestamp(start, timezone.utc).isoformat()
    except (OverflowError, OSError, ValueError):
        return None
