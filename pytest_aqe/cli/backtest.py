"""What would have been concluded of every past failure: backtest --learner flaky."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from pytest_aqe import suspecting
from pytest_aqe.cli.answer import Answer, reading, writing
from pytest_aqe.cli.exchange import evidence_of
from pytest_aqe.history import interchange, suspects
from pytest_aqe.history.store import Connection
from pytest_aqe.history.suspects import Verdict
from pytest_aqe.learning.flaky import verdict


def walk(asked: argparse.Namespace) -> Answer:
    """Walk the history, or files as one; every verdict as it would have been at that moment."""
    if not asked.files:
        with writing(asked.history) as connection:
            suspecting.learn(connection)
        with reading(asked.history) as connection:
            return _answer(connection)
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.duckdb"
        with writing(history) as connection:
            for path in asked.files:
                interchange.import_file(connection, path, evidence_of(Path.cwd()), runs=asked.runs)
            suspecting.learn(connection)
            return _answer(connection)


def _answer(connection: Connection) -> Answer:
    rows = [_row(each) for each in suspects.verdicts(connection)]
    return Answer(rows, [json.dumps(row) for row in rows], as_lines=True)


def _row(found: Verdict) -> dict[str, Any]:
    return {
        "run_id": found.run_id,
        "node_id": found.node_id,
        "attempt": found.attempt,
        "verdict": verdict(found.p_flaky, found.p_broken),
        "p_flaky": found.p_flaky,
        "p_broken": found.p_broken,
        "suppressed": found.suppressed,
    }
