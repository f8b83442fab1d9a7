"""Flaky tests told from broken ones: flaky, and why, replay, bisect, hunt below it."""

from __future__ import annotations

import argparse
import math
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pytest_aqe import suspecting
from pytest_aqe.beliefs import Belief
from pytest_aqe.cli.answer import Answer, reading, writing
from pytest_aqe.cli.arguments import count, duration
from pytest_aqe.cli.launching import Launcher, sure
from pytest_aqe.data import NodeId
from pytest_aqe.errors import HistoryBusy, HistoryDenied, NotFound
from pytest_aqe.history import attempts, browse, suspects
from pytest_aqe.history.attempts import Around, Recovery
from pytest_aqe.history.store import Connection
from pytest_aqe.history.suspects import Suspect
from pytest_aqe.learning import flaky
from pytest_aqe.learning.bisect import Launches, repeats, smallest
from pytest_aqe.learning.causes import Cause, Seen, cause, neighbours
from pytest_aqe.learning.rerun import ISOLATED, MOST_RERUNS, Case
from pytest_aqe.report.terminal import counted, table

_SUSPECTED = 0.5
_STDERR = 2
SHOWN = 10  # runs, or other tests, named
ORDERS = 10  # show 94 % of the order-dependent tests of ten projects (measured)
HUNTED = 50  # latest runs whose orders count as seen
SLOWEST, SPARE = 10.0, 60.0  # times the longest of them, and seconds, that an order may take


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    flaky_ = commands.add_parser(
        "flaky",
        parents=[common],
        help="tests that fail by themselves, how often, and whether they are broken now",
        description="tests that are known to fail by themselves, with the probability that each "
        "is flaky, and that it is broken in the lane (branch, environment) where it ran last",
    )
    flaky_.add_argument("--all", action="store_true", help="every test that ever failed")
    flaky_.set_defaults(run=_flaky)
    more = flaky_.add_subparsers(title="commands", metavar="COMMAND")
    why = more.add_parser(
        "why",
        parents=[common],
        help="what is believed of a test, its cause, and the runs that say so",
    )
    why.add_argument("test", metavar="NODEID", help="a test, or the end of its id")
    why.set_defaults(run=_why)
    replay = more.add_parser(
        "replay", parents=[common], help="run what a recorded worker ran, in its exact order"
    )
    replay.add_argument("which", metavar="RUN[:WORKER]", help="a run, and its worker under xdist")
    replay.set_defaults(run=_replay)
    bisect = more.add_parser(
        "bisect",
        parents=[common],
        help="find the test that makes another one fail, or without which it fails",
        description="find the test that makes another one fail by running before it (a polluter), "
        "or without which it fails (a setter), starting from the orders that were recorded",
    )
    bisect.add_argument("test", metavar="NODEID", help="a test, or the end of its id")
    bisect.set_defaults(run=_bisect)
    hunt = more.add_parser(
        "hunt",
        parents=[common],
        help="run the suite in orders in which pairs of tests never ran before",
    )
    hunt.add_argument(
        "--orders", type=count, default=ORDERS, metavar="N", help="runs (default: %(default)s)"
    )
    hunt.add_argument(
        "--time",
        type=duration,
        metavar="TIME",
        help="stop after so long, as 90s, 5m or 1h; an order that takes ten times as long as any "
        "run before it, and a minute, is stopped in any case",
    )
    hunt.add_argument("--suite", default="", metavar="NAME", help="as --aqe-suite")
    hunt.add_argument("--seed", default="0", metavar="N", help="as --aqe-seed")
    hunt.set_defaults(run=_hunt)


@contextmanager
def believing(asked: argparse.Namespace) -> Iterator[Connection]:
    """Open the history with beliefs up to date, or as they are where it cannot be written."""
    if asked.history.exists() or asked.history.parent.exists():
        try:
            with writing(asked.history) as connection:
                suspecting.learn(connection)
        except (HistoryBusy, HistoryDenied):
            pass
    with reading(asked.history) as connection:
        yield connection


def _flaky(asked: argparse.Namespace) -> Answer:
    with believing(asked) as connection:
        held = suspects.suspects(connection)
        shown = [each for each in held if asked.all or each.belief.flagged]
        data = [_row(each, cause_of(connection, each)) for each in shown]
    lines = table(
        ("test", "flake rate", "95 % interval", "P(flaky)", "P(broken)", "cause", "last flip"),
        [
            (
                each.node_id,
                row["flake_rate"],
                "{:.3g} - {:.3g}".format(*row["interval"]),
                row["p_flaky"],
                row["p_broken"],
                row["cause"],
                each.flipped_at,
            )
            for each, row in zip(shown, data, strict=True)
        ],
    )
    suspected = sum(
        not each.belief.flagged and flaky.p_flaky(each.belief) >= _SUSPECTED for each in held
    )
    if not shown:
        lines = ["no test is known to be flaky"]
    if suspected and not asked.all:
        lines.append(f"{counted(suspected, 'more test')} may be flaky: --all shows them")
    return Answer(data, lines)


def _row(suspect: Suspect, found: Cause) -> dict[str, Any]:
    belief = suspect.belief
    return {
        "node_id": suspect.node_id,
        "suite": suspect.suite,
        "flagged": belief.flagged,
        "flake_rate": flaky.flake_rate(belief),
        "interval": list(flaky.interval(belief)),
        "p_flaky": flaky.p_flaky(belief),
        "p_broken": flaky.p_broken(belief, belief.latest),
        "cause": found.name,
        "cause_evidence": found.evidence,
        "last_flip": suspect.flipped_at,
        "last_flip_run": suspect.flipped_run,
        "last_flip_commit": suspect.flipped_commit,
        "evidence_runs": list(suspect.evidence),
        "signature": suspect.signature,
        "runs": suspect.runs,
        "failures": suspect.failures,
    }


def cause_of(connection: Connection, suspect: Suspect) -> Cause:
    """Name why a test flakes, from its latest runs."""
    return _cause(connection, suspect, attempts.around(connection, suspect.number))


def _cause(connection: Connection, suspect: Suspect, runs: Sequence[Around]) -> Cause:
    """Name the cause that a bisect has proved, or else that the runs show."""
    proved = attempts.kept_cause(connection, suspect.number)
    return Cause(proved.name, proved.evidence) if proved is not None else cause(_seen(runs))


def _seen(runs: Sequence[Around]) -> list[Seen]:
    return [
        Seen(
            each.attempts,
            each.environment,
            each.started_at.hour if each.started_at else None,
            each.seconds,
            each.signature,
            each.outage,
            each.before,
        )
        for each in runs
    ]


def _named(connection: Connection, name: str) -> Suspect:
    """Return the one test that a name means and that failed before."""
    rows = browse.tests_named(connection, name)
    if not rows:
        raise NotFound(f"no test in {connection.path} is called {name!r}")
    found = [
        each
        for row in rows
        for each in suspects.suspects(
            connection,
            "test_no in (select test_no from tests where suite = $1 and identity = $2)",
            (row.suite, row.identity),
        )
    ]
    if not found:
        raise NotFound(f"{rows[0].identity} never failed in the runs that are recorded")
    if len(found) > 1:
        shown = ", ".join(each.identity for each in found[:SHOWN])
        raise NotFound(f"{name!r} means {len(found)} tests: {shown}; give more of the id")
    return found[0]


def _why(asked: argparse.Namespace) -> Answer:
    with believing(asked) as connection:
        suspect = _named(connection, asked.test)
        runs = attempts.around(connection, suspect.number)
        found = _cause(connection, suspect, runs)
        others = attempts.names(connection, found.others[:SHOWN])
        recovery = attempts.recovery(connection, suspect.number)
    belief = suspect.belief
    row = _row(suspect, found)
    needed = flaky.clean_runs(_rate(recovery)) if recovery.failures else None
    failures = [each for each in runs if any(failed for _, failed in each.attempts)]
    low, high = row["interval"]
    lines = [
        suspect.identity,
        f"  flaky:     P {row['p_flaky']:.3f}, flake rate {row['flake_rate']:.3g} "
        f"(95 %: {low:.3g} to {high:.3g}), {recovery.failures} of "
        f"{counted(recovery.runs + recovery.clean, 'run')} failed",
        f"  cause:     {found.name}: {found.evidence}",
        *(f"    {name}" for name in others.values()),
        *(
            f"  in lane:   {branch or '(no branch)'} {environment}: P(broken) "
            f"{flaky.p_broken(belief, (branch, environment)):.3g}"
            + ("" if lane.code else ", by the tree alone (its code is not followed)")
            for (branch, environment), lane in belief.lanes.items()
        ),
    ]
    if needed is not None:
        lines.append(
            f"  to clear:  {counted(needed, 'clean run')} at this rate, "
            f"{recovery.clean} so far since it last failed"
        )
    if failures:
        settle = _settle(belief, failures[0])
        if settle:
            lines.append(f"  to settle: {settle}")
    lines += ["", *(f"  {line}" for line in _runs_table(failures[:SHOWN]))]
    more = max(recovery.failures, len(failures)) - SHOWN
    if more > 0:
        lines.append(f"  ... and {counted(more, 'more failing run')}")
    return Answer(
        {
            **row,
            "identity": suspect.identity,
            "others": list(others.values()),
            "lanes": [
                {
                    "branch": branch,
                    "environment": environment,
                    "p_broken": flaky.p_broken(belief, (branch, environment)),
                    "code_followed": lane.code is not None,
                }
                for (branch, environment), lane in belief.lanes.items()
            ],
            "clean_runs": recovery.clean,
            "clean_runs_needed": needed,
            "failing_runs": [asdict(each) | {"before": None} for each in failures],
        },
        lines,
    )


def _rate(recovery: Recovery) -> float:
    """Return the share of runs that failed, up to the last that did."""
    return recovery.failures / max(recovery.runs, 1)


def _settle(belief: Belief, latest: Around) -> str | None:
    """Say what further attempts at its latest failure would show, where it is not settled."""
    broken = flaky.p_broken(belief, belief.latest)
    if latest.p_broken is None or flaky.verdict(flaky.p_flaky(belief), broken) != "unknown":
        return None
    lane = belief.lanes[belief.latest] if belief.latest else None
    if lane is None:
        return None
    case = Case(tuple(belief.rates), tuple(lane.broken), 0.0, False, False, belief.executions)
    fails, passes = case, case
    for number in range(1, MOST_RERUNS + 1):
        fails, passes = fails.after(ISOLATED, failed=True), passes.after(ISOLATED, failed=False)
        if fails.p_broken >= flaky.LIKELY or passes.p_broken <= flaky.SUPPRESS:
            return (
                f"{counted(number, 'more attempt')} in a fresh process: P(broken) would be "
                f"{fails.p_broken:.2g} if it fails, {passes.p_broken:.2g} if it passes"
            )
    return None


def _runs_table(runs: Sequence[Around]) -> list[str]:
    return table(
        (
            "run",
            "started (UTC)",
            "attempts",
            "P(flaky)",
            "P(broken)",
            "worker",
            "place",
            "signature",
        ),
        [
            (
                each.run_id,
                each.started_at,
                "".join("F" if failed else "P" for _, failed in each.attempts),
                each.p_flaky,
                each.p_broken,
                each.worker or "-",
                each.position,
                each.signature or "-",
            )
            for each in runs
        ],
    )


def _replay(asked: argparse.Namespace) -> Answer:
    run, _, worker = asked.which.partition(":")
    with reading(asked.history) as connection:
        order = attempts.order_of(connection, run, worker or None)
    launcher = _launcher(asked)
    code = launcher.replay(order)
    return Answer({"tests": order, "exit_code": code}, [], exit_code=code or 0)


def _launcher(asked: argparse.Namespace) -> Launcher:
    quiet = asked.format == "json"  # what pytest prints is no part of the answer
    return Launcher(asked.history.parent.parent, asked.history, _STDERR if quiet else None)


def _bisect(asked: argparse.Namespace) -> Answer:
    """Find what makes a test fail, or pass, and print the command that shows it."""
    with believing(asked) as connection:
        suspect = _named(connection, asked.test)
        runs = attempts.around(connection, suspect.number)
        polluters, setters = neighbours(_seen(runs))
        named = attempts.names(connection, [*polluters, *setters])
        orders = {
            failed: _order_before(connection, suspect.node_id, runs, failed=failed)
            for failed in (True, False)
        }
    launcher, node_id = _launcher(asked), suspect.node_id

    def fails_after(tests: Sequence[NodeId]) -> bool:
        return sure(launcher.outcome([*tests, node_id], node_id), node_id)

    count_of = Launches(fails_after)
    alone = count_of([])
    kind, likely = ("brittle", setters) if alone else ("victim", polluters)
    before = orders[not alone]
    has_effect: Launches[NodeId] = Launches(lambda tests: count_of(tests) != alone)
    if before is None or not has_effect(before):
        what = "fails" if alone else "passes"
        raise NotFound(
            f"{node_id} {what} alone, and no recorded order changes that; "
            "`pytest-aqe flaky hunt` runs others"
        )
    found = smallest(before, has_effect, [named[each] for each in likely if each in named][:SHOWN])
    for _ in range(repeats(flaky.flake_rate(suspect.belief))):
        if count_of.again([]) != alone or count_of.again(found) == alone:
            with writing(asked.history) as connection:
                attempts.forget_cause(connection, suspect.number)
            raise NotFound(f"{node_id} fails and passes in the same order: not order-dependent")
    command = "pytest -p no:randomly " + " ".join(shlex.quote(each) for each in [*found, node_id])
    with writing(asked.history) as connection:
        attempts.keep_cause(
            connection,
            suspect.number,
            attempts.FoundCause(
                f"order-dependent ({kind})",
                f"{'fails' if alone else 'passes'} alone, and "
                f"{'passes' if alone else 'fails'} after {' and '.join(found)}",
                found,
            ),
        )
    role = "setter" if alone else "polluter"
    return Answer(
        {
            "node_id": node_id,
            "kind": kind,
            "found": found,
            "launches": count_of.count,
            "command": command,
        },
        [
            f"{node_id} is {'brittle' if alone else 'a victim'}: it "
            + ("fails alone, and passes after" if alone else "passes alone, and fails after"),
            *(f"  {each}  ({role})" for each in found),
            f"found in {counted(count_of.count, 'launch').replace('launchs', 'launches')}; "
            "this shows it:",
            f"  {command}",
        ],
    )


def _order_before(
    connection: Connection, node_id: NodeId, runs: Sequence[Around], *, failed: bool
) -> list[NodeId] | None:
    """Return what ran before a test in the shortest recorded order in which it so ended."""
    found: list[NodeId] | None = None
    for each in runs:
        if each.before is None or each.attempts[0][1] != failed:
            continue
        order = attempts.order_of(connection, each.run_id, each.worker)
        before = order[: order.index(node_id)] if node_id in order else []
        if before and (found is None or len(before) < len(found)):
            found = before
    return found


def _hunt(asked: argparse.Namespace) -> Answer:
    from pytest_aqe.learning.orders import orders
    from pytest_aqe.learning.qlearning import seeded

    with reading(asked.history) as connection:
        ran = attempts.latest_orders(connection, asked.suite, HUNTED)
        longest = attempts.longest_run(connection, asked.suite, HUNTED)
    if not ran:
        raise NotFound(f"{asked.history} knows no order yet; `pytest --aqe` records one")
    tests = list(dict.fromkeys(each for order in ran for each in order))
    number = {each: index for index, each in enumerate(tests)}
    seen = [[number[each] for each in order] for order in ran]
    launcher = _launcher(asked)
    suite = [f"--aqe-suite={asked.suite}"] if asked.suite else []
    end = time.monotonic() + (asked.time or math.inf)
    each = SLOWEST * longest + SPARE if longest is not None else math.inf
    codes: list[int | None] = []
    for order in orders(len(tests), seen, asked.orders, seeded(asked.seed)):
        limit = min(each, end - time.monotonic())
        if limit <= 0:
            break
        codes.append(
            launcher.replay(
                [tests[index] for index in order],
                "-q",
                *suite,
                limit=limit if limit < math.inf else None,
            )
        )
    found = _flaky(asked)
    lines = [f"{counted(len(codes), 'order')} of {asked.orders} run"]
    if None in codes:
        lines[0] += f", {codes.count(None)} of them not to its end: the time was over"
    return Answer(
        {"orders": len(codes), "exit_codes": codes, "flaky": found.data},
        [*lines, "", *found.lines],
    )
