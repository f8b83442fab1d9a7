"""The committed list of quarantined tests: quarantine add, list, check, release."""

from __future__ import annotations

import argparse
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pytest_aqe import quarantine
from pytest_aqe.cli.answer import Answer
from pytest_aqe.cli.flaky import believing
from pytest_aqe.data import NodeId
from pytest_aqe.errors import AqeError, NotFound
from pytest_aqe.history import attempts, browse, suspects
from pytest_aqe.history.attempts import Recovery
from pytest_aqe.history.suspects import Suspect
from pytest_aqe.learning import flaky
from pytest_aqe.learning.rerun import NEW_TEST
from pytest_aqe.quarantine import MOST_DAYS, Entry, Quarantine
from pytest_aqe.report.terminal import counted, table

DAYS = 14
FILE = "aqe-quarantine.toml"


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    common = argparse.ArgumentParser(add_help=False, parents=[common])
    common.add_argument(
        "--file", type=Path, metavar="PATH", help=f"the list (default: {FILE} in the rootdir)"
    )
    group = commands.add_parser(
        "quarantine",
        parents=[common],
        help="the committed list of tests whose flakes do not fail a session",
        description="the committed list of tests whose flakes do not fail a session with "
        "--aqe-flaky=quarantine; each has a reason, an owner and a last day. Without a command, "
        "all of them",
    )
    group.set_defaults(run=_list)
    more = group.add_subparsers(title="commands", metavar="COMMAND")
    new = more.add_parser("add", parents=[common], help="put a flaky test on the list")
    new.add_argument("test", metavar="NODEID", help="a test, with '::'")
    new.add_argument("--reason", required=True, metavar="TEXT", help="why it flakes, or a link")
    new.add_argument(
        "--owner", metavar="NAME", help="who looks after it (default: the name git knows)"
    )
    new.add_argument(
        "--days",
        type=_days,
        default=DAYS,
        metavar="N",
        help=f"days until it is red again, at most {MOST_DAYS} (default: %(default)s)",
    )
    new.add_argument(
        "--force", action="store_true", help="although it is unknown, broken or not flaky"
    )
    new.set_defaults(run=_add)
    listed = more.add_parser("list", parents=[common], help="the list, and how each test does")
    listed.set_defaults(run=_list)
    check = more.add_parser(
        "check",
        parents=[common],
        help="exit with 1 where an entry is wrong, unknown, expired, broken or fixed",
    )
    check.set_defaults(run=_check)
    release = more.add_parser(
        "release",
        parents=[common],
        help="take a test off the list, once its own rate says that it is fixed",
        description="take a test off the list, once it had so many clean runs that its own rate "
        "of failure is ruled out (95 percent)",
    )
    release.add_argument("test", nargs="?", metavar="NODEID", help="default: all that are fixed")
    release.add_argument("--force", action="store_true", help="although it may not be fixed")
    release.set_defaults(run=_release)


@dataclass(frozen=True, slots=True)
class State:
    """How one quarantined test does; no beliefs where the history has not seen it fail.

    ``unknown`` tests are not in a history that knows others.
    """

    entry: Entry
    days: int
    p_flaky: float | None
    p_broken: float | None
    clean: int | None
    needed: int | None
    runs: int | None
    unknown: bool = False

    @property
    def fixed(self) -> bool:
        """Whether its own rate of failure is ruled out by the clean runs since."""
        return self.clean is not None and self.needed is not None and self.clean >= self.needed

    @property
    def broken(self) -> bool:
        """Whether a failure of it now would be red."""
        return self.p_broken is not None and self.p_broken > flaky.SUPPRESS

    @property
    def word(self) -> str:
        """Say how it is."""
        if self.days < 0:
            return "expired"
        if self.broken:
            return "broken"
        if self.p_flaky is None:
            return "not seen" if self.runs is None else "never failed"
        return "fixed" if self.fixed else "flaky"


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_DAYS}")
    return int(text)


def _file(asked: argparse.Namespace) -> Path:
    path: Path = asked.file or asked.history.parent.parent / FILE
    return path


def _today() -> date:
    return datetime.now(timezone.utc).date()


def _add(asked: argparse.Namespace) -> Answer:
    path = _file(asked)
    listed = quarantine.load(path, _today())
    if listed.of(asked.test) is not None:
        raise AqeError(f"{asked.test} is on the list already ({path})")
    if asked.test in listed.faulty:
        raise AqeError(
            f"{asked.test} is on the list already ({path}), but {listed.faulty[asked.test]}; "
            "`pytest-aqe quarantine release --force` takes it off"
        )
    known = _known(asked, asked.test)
    found = quarantine.entry(
        {
            "id": asked.test,
            "reason": asked.reason,
            "owner": asked.owner or _git_name() or "",
            "expires": _today() + timedelta(days=asked.days),
            "evidence": list(known.suspect.evidence) if known.suspect is not None else [],
        },
        _today(),
    )
    if isinstance(found, str):
        raise AqeError(f"{asked.test} {found}; nothing was added to {path}")
    doubt = _doubt(asked.test, known)
    if doubt is not None and not asked.force:
        raise AqeError(f"{doubt}; --force quarantines it all the same")
    quarantine.add(path, found)
    notes = [doubt] if doubt is not None else []
    return Answer(
        _entry(found),
        [f"{path}: {found.id} until {found.expires} ({found.owner}); commit it", *notes],
    )


def _doubt(test: NodeId, known: Known) -> str | None:
    """Say why a test is nothing for the list, or None."""
    if not known.history:
        return f"unknown test: {test}; there is no history yet"
    if known.runs is None:
        return f"unknown test: {test} is in no run that is recorded here"
    if known.suspect is None:
        return f"{test} never failed in {counted(known.runs, 'run')}"
    broken = flaky.p_broken(known.suspect.belief, known.suspect.belief.latest)
    if broken < flaky.LIKELY:
        return None
    return f"{test} is broken rather than flaky (P(broken) {broken:.0%}) and will be red"


def _git_name() -> str | None:
    with suppress(OSError):
        done = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or None
    return None


@dataclass(frozen=True, slots=True)
class Known:
    """What the history knows of a test, and believes where it failed; no runs if it is unknown."""

    history: bool = False
    runs: int | None = None
    suspect: Suspect | None = None
    recovery: Recovery | None = None


def _known(asked: argparse.Namespace, test: NodeId) -> Known:
    """Return what the history knows of a test, and of the worst of its parameters and suites."""
    try:
        with believing(asked) as connection:
            rows = browse.tests_of(connection, test)
            runs = max((row.runs for row in rows), default=None)
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
                return Known(True, runs)
            worst = max(found, key=lambda each: flaky.p_broken(each.belief, each.belief.latest))
            return Known(True, runs, worst, attempts.recovery(connection, worst.number))
    except NotFound:
        return Known()


def _states(asked: argparse.Namespace) -> tuple[Quarantine, list[State]]:
    listed = quarantine.load(_file(asked), _today())
    return listed, [_state(asked, entry) for entry in listed.entries.values()]


def _state(asked: argparse.Namespace, entry: Entry) -> State:
    known = _known(asked, entry.id)
    suspect, recovery = known.suspect, known.recovery
    unknown = known.history and known.runs is None
    days = entry.days(_today())
    if suspect is None or recovery is None:
        return State(entry, days, None, None, None, None, known.runs, unknown)
    seen = suspect.belief.executions >= NEW_TEST
    return State(
        entry,
        days,
        flaky.p_flaky(suspect.belief),
        flaky.p_broken(suspect.belief, suspect.belief.latest) if seen else None,
        recovery.clean,
        flaky.clean_runs(recovery.failures / recovery.runs) if recovery.failures else None,
        known.runs,
    )


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "reason": entry.reason,
        "owner": entry.owner,
        "expires": entry.expires.isoformat(),
        "evidence": list(entry.evidence),
    }


def _data(state: State) -> dict[str, Any]:
    return {
        **_entry(state.entry),
        "state": state.word,
        "days": state.days,
        "p_flaky": state.p_flaky,
        "p_broken": state.p_broken,
        "clean_runs": state.clean,
        "clean_runs_needed": state.needed,
    }


def _list(asked: argparse.Namespace) -> Answer:
    listed, states = _states(asked)
    lines = ["no test is quarantined"]
    if states:
        lines = table(
            ("test", "state", "owner", "days", "P(flaky)", "P(broken)", "clean runs", "reason"),
            [
                (
                    each.entry.id,
                    each.word,
                    each.entry.owner,
                    each.days,
                    each.p_flaky,
                    each.p_broken,
                    f"{each.clean} of {each.needed}" if each.needed is not None else "-",
                    each.entry.reason,
                )
                for each in states
            ],
        )
    return Answer(
        {"tests": [_data(each) for each in states], "problems": list(listed.problems)},
        [*lines, *listed.problems],
    )


def _check(asked: argparse.Namespace) -> Answer:
    listed, states = _states(asked)
    problems = list(listed.problems)
    for each in states:
        if each.days < 0:
            problems.append(f"{each.entry.id} expired on {each.entry.expires}")
        if each.unknown:
            problems.append(f"{each.entry.id} is unknown: it is in no run that is recorded here")
        if each.broken:
            problems.append(f"{each.entry.id} is broken, not flaky: P(broken) {each.p_broken:.0%}")
        elif each.fixed:
            problems.append(
                f"{each.entry.id} is fixed: {each.clean} clean runs of {each.needed} needed; "
                "`pytest-aqe quarantine release` takes it off the list"
            )
    lines = problems or [f"{counted(len(states), 'quarantined test')}, all in order"]
    data = {"tests": [_data(each) for each in states], "problems": problems}
    return Answer(data, lines, exit_code=1 if problems else 0)


def _release(asked: argparse.Namespace) -> Answer:
    listed, states = _states(asked)
    if asked.test in listed.faulty:
        if not asked.force:
            raise AqeError(f"{asked.test} {listed.faulty[asked.test]}; --force releases it")
        quarantine.release(_file(asked), [asked.test])
        return Answer({"released": [asked.test]}, [f"{asked.test} is released"])
    wanted = [each for each in states if asked.test in (None, each.entry.id)]
    if asked.test is not None and not wanted:
        raise NotFound(f"{asked.test} is not on the list ({_file(asked)})")
    gone = [each for each in wanted if each.fixed or (asked.force and asked.test is not None)]
    if asked.test is not None and not gone:
        (state,) = wanted
        so_far = f"{state.clean} clean runs of {state.needed} needed"
        raise AqeError(
            f"{asked.test} may not be fixed: "
            + (so_far if state.needed is not None else "the history has not seen it fail")
            + "; --force releases it"
        )
    if gone:
        quarantine.release(_file(asked), [each.entry.id for each in gone])
    lines = [f"{each.entry.id} is released" for each in gone] or ["no test is fixed yet"]
    return Answer({"released": [each.entry.id for each in gone]}, lines)
