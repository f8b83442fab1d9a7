"""Looking at the history: status, history, why, doctor."""

from __future__ import annotations

import argparse
import glob
import platform
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_aqe import __version__, training
from pytest_aqe.cli.answer import Answer, reading
from pytest_aqe.cli.arguments import count
from pytest_aqe.cli.choose import Place, is_gone, place_with, select_now
from pytest_aqe.data import Policy, Rank
from pytest_aqe.errors import NotFound
from pytest_aqe.history import browse, dependencies, policies, queries, runfile
from pytest_aqe.history.store import SCHEMA_VERSION, Connection
from pytest_aqe.learning.impact import told_apart, upper_bound
from pytest_aqe.learning.selection import NEW_TEST, DecayedFailureRate
from pytest_aqe.report.terminal import SHORT_COMMIT, Verdicts, counted, table, verdict_line
from pytest_aqe.selecting import Selected

if TYPE_CHECKING:
    from pytest_aqe.learning.publish import Part

PARTS = 4  # of the learning curve
MOVERS = 5  # features shown that moved a test
RECENT = 10  # rows shown unless --limit says otherwise


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    status = commands.add_parser(
        "status", parents=[common], help="size of the history, latest runs, failing tests"
    )
    status.set_defaults(run=_status)
    history = commands.add_parser(
        "history", parents=[common], help="the latest runs, or every attempt at one test"
    )
    history.add_argument("test", nargs="?", metavar="NODEID", help="a test; default: runs")
    history.add_argument(
        "--limit",
        type=count,
        default=RECENT,
        metavar="N",
        help="rows to show (default: %(default)s)",
    )
    history.set_defaults(run=_history)
    why = commands.add_parser(
        "why",
        parents=[common],
        help="why a test runs where it runs: its record and its rank",
        description="why a test runs where it runs: its record, and its rank by the built-in "
        "policy. That of a plugin or a conftest.py exists in a session only: "
        "pytest --aqe-explain shows its reasons",
    )
    why.add_argument("test", metavar="NODEID", help="a test, or the end of its id")
    why.set_defaults(run=_why)
    doctor = commands.add_parser(
        "doctor", parents=[common], help="is everything well: versions, tables, run files, faults"
    )
    doctor.set_defaults(run=_doctor)


def _status(asked: argparse.Namespace) -> Answer:
    with reading(asked.history) as connection:
        totals = browse.totals(connection)
        runs = browse.recent_runs(connection, RECENT)
        failing = browse.failing_tests(connection, RECENT)
        suites = {suite: _verdicts(connection, suite) for suite in browse.suites(connection)}
        curves = {suite: policies.curve(connection, suite, PARTS) for suite in suites}
    lines = [
        f"{asked.history}: {counted(totals.runs, 'run')}, {counted(totals.tests, 'test')}, "
        f"{counted(totals.results, 'result')}",
        "",
        *_run_table(runs),
    ]
    if failing:
        lines += ["", "failed when last run:", *_test_table(failing)]
    judged = [
        f"{f'suite {suite}: ' if suite else ''}{verdict_line(verdicts)}"
        for suite, verdicts in suites.items()
        if verdicts.runs
    ]
    if judged:
        lines += ["", *judged]
    for suite, curve in curves.items():
        if curve:
            lines += ["", *_curve_table(suite, curve)]
    return Answer(
        {
            "history": str(asked.history),
            **asdict(totals),
            "latest_runs": [asdict(run) for run in runs],
            "failing": [asdict(test) for test in failing],
            "selection": {suite: verdicts._asdict() for suite, verdicts in suites.items()},
            "learning": {
                suite: [asdict(each) for each in curve] for suite, curve in curves.items()
            },
        },
        lines,
    )


def _curve_table(suite: str, curve: list[policies.Curve]) -> list[str]:
    """Return how soon each policy met failures, from the first scored runs to the last."""
    timed = all(each.apfdc is not None for each in curve)
    names = ("in force", "linear-q", "beta-mean", "failed-first", "random")
    values = {(each.part, each.policy): each.apfdc if timed else each.apfd for each in curve}
    runs = {each.part: each.runs for each in curve}
    title = f"how soon failures were met{f' in suite {suite}' if suite else ''}"
    metric = "APFDc" if timed else "APFD"
    return [
        f"{title} ({metric} of full runs with failures, 1 is at once):",
        *table(
            ("runs", *names),
            [
                (count, *(values.get((part, name)) for name in names))
                for part, count in runs.items()
            ],
        ),
    ]


def _verdicts(connection: Connection, suite: str) -> Verdicts:
    runs, failures, caught, escaped, unstable = dependencies.verdicts(connection, suite)
    return Verdicts(runs, failures, caught, escaped, unstable, upper_bound(escaped, failures))


def _history(asked: argparse.Namespace) -> Answer:
    with reading(asked.history) as connection:
        if asked.test is None:
            runs = browse.recent_runs(connection, asked.limit)
            return Answer({"runs": [asdict(run) for run in runs]}, _run_table(runs))
        tests = _named(connection, asked.test)
        data: list[dict[str, Any]] = []
        lines: list[str] = []
        for test, heading in zip(tests, _headings(tests), strict=True):
            attempts = browse.results_of(connection, test, asked.limit)
            renames = browse.renames_of(connection, test)
            data.append(
                {
                    **asdict(test),
                    "renames": [asdict(rename) for rename in renames],
                    "attempts": [asdict(attempt) for attempt in attempts],
                }
            )
            lines += ["", heading] if lines else [heading]
            lines += [f"  renamed from {rename.old}" for rename in renames]
            lines += [f"  {line}" for line in _attempt_table(attempts)]
    return Answer({"tests": data}, lines)


def _why(asked: argparse.Namespace) -> Answer:
    data: list[dict[str, Any]] = []
    lines: list[str] = []
    with reading(asked.history) as connection:
        tests = _named(connection, asked.test)
        places = [place_with(asked.history, test.suite, test.identity) for test in tests]
        selections = {
            ground: select_now(connection, ground) for ground in {each.ground for each in places}
        }
        for test, at, heading in zip(tests, places, _headings(tests), strict=True):
            selected = selections[at.ground]
            selection = _selection(selected, test.identity, at)
            policy, rank, parts = _rank(connection, test, selected)
            last = browse.results_of(connection, test, 1)
            changed = (
                browse.changed_files_of(connection, test.last_failed_run)
                if test.last_failed_run
                else []
            )
            place = ("failed last", "new", "known")[rank.tier]
            data.append(
                {
                    **asdict(test),
                    "policy": policy.name,
                    "tier": place,
                    "score": rank.score,
                    "reason": rank.reason,
                    "features": [asdict(part) for part in parts],
                    "selection": selection,
                    "last_attempt": asdict(last[0]) if last else None,
                    "changed_when_it_last_failed": changed,
                }
            )
            lines += ["", heading] if lines else [heading]
            lines += [
                f"  why here:  {rank.reason}",
                f"  select:    {selection['chain']}",
                f"  tier:      {place}; modules run in the order of their most urgent test",
                f"  score:     {rank.score:.3g} ({policy.name})",
                f"  record:    {counted(test.runs, 'run')}, {test.failures} failed, "
                f"{test.flips} flips, {test.flaked} failed first and then passed",
            ]
            lines += [
                f"  {'moved by:' if part is parts[0] else '':<9}  {part.moved:+.2f} {part.feature} "
                f"(is {part.value:.3g}, weighs {part.weight:.3g})"
                for part in parts[:MOVERS]
            ]
            if test.last_failed_run:
                lines.append(f"  last fail: run {test.last_failed_run}")
            if changed:
                shown = ", ".join(changed[:RECENT])
                more = f" and {len(changed) - RECENT} more" if len(changed) > RECENT else ""
                lines.append(f"  changed then: {shown}{more}")
            if last and last[0].signature:
                lines.append(f"  signature: {last[0].signature}")
    return Answer({"tests": data}, lines)


def _rank(
    connection: Connection, test: browse.TestRow, selected: Selected
) -> tuple[Policy, Rank, list[Part]]:
    """Return what ranks a test in a session without plugins, its rank, and what moved it."""
    changed = [file for file in selected.files if not file.startswith("<")]
    rollup = queries.rollup(connection, test.suite, test.identity)
    affected = told_apart(selected.decision)
    learned = None
    if rollup and rollup.q:
        learned = training.order(connection, test.suite, changed, affected)
    policy: Policy = learned or DecayedFailureRate(affected)
    if rollup is None:
        return policy, NEW_TEST, []
    (rank,) = policy.rank([rollup])
    parts = training.parts(connection, test.suite, rollup.number, changed) if learned else []
    return policy, rank, parts


def _selection(selected: Selected, identity: str, place: Place) -> dict[str, Any]:
    """Say what --aqe-mode=select would do with a test now, and the chain that leads to it."""
    decision = selected.decision
    if decision is None:
        return {"runs": True, "why": "full run", "chain": f"runs: {selected.full}"}
    if identity in decision.left_out:
        chain = "left out: nothing it uses has changed since it last passed or was skipped"
        return {"runs": False, "why": None, "chain": chain}
    because = decision.runs.get(identity)
    if is_gone(identity, place, selected):
        chain = f"nothing to run: {identity.partition('[')[0]} is not there any more"
        return {"runs": False, "why": "gone", "chain": chain}
    if because is None:
        return {"runs": True, "why": "new", "chain": "runs: what it depends on is not known"}
    chain = f"runs: {because.reason}"
    if because.kind == "affected" and not because.notices:
        link = "which it ran or opened" if identity in selected.ran else "which it needs to import"
        chain = f"{chain}, {link} when it last passed"
    return {"runs": True, "why": because.kind, "chain": chain}


def _doctor(asked: argparse.Namespace) -> Answer:
    from importlib import metadata

    folder = asked.history.parent
    with reading(asked.history) as connection:
        meta = browse.meta(connection)
        rows = browse.tables(connection)
        stale = browse.stale_rollups(connection)
    size = asked.history.stat().st_size
    versions = {
        "pytest-aqe": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("pytest", "duckdb")},
    }
    waiting = runfile.waiting(folder)
    running = sum(map(runfile.is_running, waiting))
    refused = sorted(path.name for path in (folder / runfile.REFUSED).glob("*"))
    faults = sorted(path.name for path in (folder / "faults").glob("*.txt"))
    aside = sorted(path.name for path in folder.glob(f"{glob.escape(asked.history.name)}.broken-*"))
    problems = [f"a fault of ours was saved: {folder / 'faults' / name}" for name in faults]
    problems += [f"no run file: {folder / runfile.REFUSED / name}" for name in refused]
    problems += [f"a broken history was kept: {folder / name}" for name in aside]
    if stale:
        problems.append(
            f"{counted(stale, 'test')} differ from their rollup; `pytest-aqe prune` rolls up again"
        )
    lines = [
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"{asked.history}: schema {meta.get('schema_version')} (this version: {SCHEMA_VERSION}), "
        f"{size:,} bytes",
        f"run files: {len(waiting) - running} waiting, {running} still being written",
        "",
        *table(
            ("table", "rows", "last write (UTC)", "last read (UTC)"),
            [(row.table, row.rows, row.last_write, row.last_read) for row in rows],
        ),
        "",
        *(problems or ["no problems found"]),
    ]
    return Answer(
        {
            "versions": versions,
            "history": str(asked.history),
            "schema_version": int(meta["schema_version"]),
            "bytes": size,
            "tables": [asdict(row) for row in rows],
            "run_files_waiting": len(waiting) - running,
            "run_files_running": running,
            "problems": problems,
        },
        lines,
        exit_code=1 if problems else 0,
    )


def _named(connection: Any, name: str) -> list[browse.TestRow]:
    tests = browse.tests_named(connection, name)
    if not tests:
        raise NotFound(f"no test in {connection.path} is called {name!r}")
    return tests


def _headings(tests: list[browse.TestRow]) -> list[str]:
    """Return what stands above each test: its identity, and the suite where that tells more."""
    suites = Counter(test.identity for test in tests)
    return [
        f"{test.identity}  ({f'suite {test.suite}' if test.suite else 'no suite'})"
        if suites[test.identity] > 1
        else test.identity
        for test in tests
    ]


def _run_table(runs: list[browse.RunRow]) -> list[str]:
    return table(
        (
            "run",
            "started (UTC)",
            "mode",
            "status",
            "commit",
            "branch",
            "tests",
            "failed",
            "flaky",
            "seconds",
        ),
        [
            (
                run.run_id,
                run.started_at,
                run.mode or run.origin,
                run.status,
                run.commit[:SHORT_COMMIT] if run.commit else None,
                run.branch,
                run.tests,
                run.failed,
                run.flaked,
                run.seconds,
            )
            for run in runs
        ],
    )


def _test_table(tests: list[browse.TestRow]) -> list[str]:
    return table(
        ("in a row", "failed", "of runs", "seconds", "test"),
        [
            (-test.streak, test.failures, test.runs, test.seconds, heading)
            for test, heading in zip(tests, _headings(tests), strict=True)
        ],
    )


def _attempt_table(attempts: list[browse.ResultRow]) -> list[str]:
    return table(
        (
            "run",
            "started (UTC)",
            "commit",
            "branch",
            "try",
            "outcome",
            "seconds",
            "worker",
            "place",
            "signature",
        ),
        [
            (
                row.run_id,
                row.started_at,
                row.commit[:SHORT_COMMIT] if row.commit else None,
                row.branch,
                row.attempt + 1,
                row.outcome,
                row.duration,
                row.worker,
                row.position,
                row.signature,
            )
            for row in attempts
        ],
    )
