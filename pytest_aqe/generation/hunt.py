"""The search for one function: calls are tried, and kept where they run what is missing."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pytest_aqe.data import Arc
from pytest_aqe.generation import circumstances, snapshots
from pytest_aqe.generation.calls import Calls
from pytest_aqe.generation.cases import Case, Describer
from pytest_aqe.generation.circumstances import Circumstance
from pytest_aqe.generation.execution import Call, Executor, Outcome
from pytest_aqe.generation.harvest import Argument
from pytest_aqe.generation.simpler import plain, simpler
from pytest_aqe.generation.subjects import Subject
from pytest_aqe.generation.values import Source

PATIENCE = 0.3  # of a function's share of the time: ends a search that finds nothing new
LEAST_PATIENCE, MOST_PATIENCE = 0.06, 1.5  # seconds of CPU
LONGEST = 8.0  # seconds for one function
STALE = 300  # calls in a row that were tried before: there is nothing else to try
SIMPLER = 30  # calls that are tried to say the same in a plainer way
_THEN = tuple(
    tuple(map(Source, given))
    for given in ((), ("'abc'",), ("3",), ("[3, 1, 2]",), ("2", "3"), ("len",))
)
# Whoever makes a list of it fills all memory, in one step that no signal ends.
_ENDLESS = re.compile(r"range\([^()]*\d{7}")
MOST_TURNS = 3  # values of the clock, chance and the like that are tried together
MORE = 2  # further cases of a function that has a test anyway: they notice more mutants


@dataclass(frozen=True, slots=True)
class Wanted:
    """A gap, as the search needs it."""

    name: str
    line: int
    lines: tuple[int, ...]
    arcs: tuple[Arc, ...]


class Hunt:
    """One function's search: what is still missing, what was found."""

    def __init__(
        self,
        executor: Executor,
        describer: Describer,
        calls: Calls,
        subject: Subject,
        gaps: dict[int, Wanted],
        tell: Callable[[Case], None],
    ) -> None:
        """``tell`` hears of every case when it is found."""
        self._tell = tell
        self._executor = executor
        self._describer = describer
        self._calls = calls
        self._subject = subject
        self._gaps = gaps
        self._missing = {("l", line) for gap in gaps.values() for line in gap.lines} | {
            ("a", arc) for gap in gaps.values() for arc in gap.arcs
        }
        self._found: list[tuple[Case, set[Any]]] = []
        self._more: list[Case] = []
        self._tried: set[Call] = set()

    def run(self, share: float, most: float) -> None:
        """Try calls until nothing is missing, nothing new comes, or the time is over.

        ``share`` are the seconds that every function would get, were all alike; this one may
        take ``most``.
        """
        stop = time.monotonic() + min(most, LONGEST)
        # of its own time: on a busy machine patience would be over before anything was tried
        started = gained = time.process_time()
        patience = min(max(PATIENCE * share, LEAST_PATIENCE), MOST_PATIENCE)
        known = 0
        for call in self._calls:
            if not self._missing or time.monotonic() > stop or known > STALE:
                break
            now = time.process_time()
            if now - gained > patience + (gained - started) / 2:
                break
            if call in self._tried:
                known += 1
                continue
            known = 0
            self._tried.add(call)
            if _ENDLESS.search(call.text):
                continue
            if self._try(call):
                gained = time.process_time()
            before = {what[0] for _, what in self._missing if isinstance(what, tuple)}
            self._calls.learn(call, self._executor.compared(), before)

    def _try(self, call: Call) -> bool:
        executor, subject = self._executor, self._subject
        outcome = executor.execute(subject, call)
        lines, arcs = executor.ran()
        read = executor.read
        if read is not None:
            with suppress(Exception):  # a parser is the project's: what it is asked may raise
                self._calls.parse(call, read)
        if outcome is None:
            if executor.hung:
                self._calls.hung(call)
            return False
        asked = executor.asked
        self._calls.asked_for(asked)
        if outcome.error is not None:
            self._calls.correct(call, outcome.error)
        if read is not None and read.is_program and not _has_command(call):
            return False  # it would read the command line of whoever runs the test
        new = {("l", line) for line in lines} | {("a", arc) for arc in arcs}
        new &= self._missing
        if outcome.error is None and len(self._calls.corpus) < 6 and not new:
            self._calls.corpus.append(call)
        if not new:
            if outcome.error is None and len(self._more) < MORE * 3 and self._calls.more_is_known:
                self._keep_more(call, outcome)
            return False
        if outcome.error is not None and not executor.is_ours(outcome.error, arcs):
            return False
        call, outcome = self._simplified(call, outcome, new)
        case = self._describer.describe(subject, call, outcome)
        if case is not None and case.strength == snapshots.NONE and callable(outcome.value):
            call, case = self._called_again(call, new) or (call, case)
        if case is not None:
            call, case = self._plain(call, case, outcome, new)
            call, case = self._steadied(call, case, new)
        if case is not None and (call.around or asked):
            call, case = self._unaffected(call, case, new)
        if case is None or (_says_nothing(case, outcome) and all(kind == "a" for kind, _ in new)):
            return False
        again = executor.execute(subject, call)
        executor.ran()
        if again is None:
            return False
        twin = self._describer.describe(subject, call, again)
        if twin is None or twin.lines != case.lines:
            return False
        case.gap = max(
            self._gaps,
            key=lambda number: len(
                new
                & (
                    {("l", line) for line in self._gaps[number].lines}
                    | {("a", arc) for arc in self._gaps[number].arcs}
                )
            ),
        )
        case.gains = sorted(new, key=repr)
        self._missing -= new
        self._calls.corpus.append(call)
        self._found.append((case, new))
        self._tell(case)
        return True

    def _plain(self, call: Call, case: Case, outcome: Outcome, new: set[Any]) -> tuple[Call, Case]:
        """Give a plain value instead of a function where that says as much of the same."""
        for other in plain(call):
            made = self._executor.execute(self._subject, other)
            lines, arcs = self._executor.ran()
            ran = {("l", line) for line in lines} | {("a", arc) for arc in arcs}
            if made is None or not new <= ran or type(made.error) is not type(outcome.error):
                continue
            twin = self._describer.describe(self._subject, other, made)
            if twin is not None and twin.strength >= case.strength:
                return other, twin
        return call, case

    def _steadied(self, call: Call, case: Case, new: set[Any]) -> tuple[Call, Case | None]:
        """Exchange the clock, chance and the like where they were not, and make a difference.

        Where a call waits for a clock that stands still, nobody can tell.
        """
        left_open = self._calls.left_open(call)
        for seam in left_open:
            for value in seam.pool[:2]:
                each = Argument(seam.name, "=", value)
                found = self._describe(call._replace(around=(*call.around, each)), new)
                stated = circumstances.statement(each)
                if found is None and self._executor.hung:
                    continue
                if found is None or [one for one in found.lines if one != stated] != case.lines:
                    changed = self._exchanged(call, left_open, new)
                    if changed is None and not circumstances.is_date(seam.name):
                        return call, None
                    return changed or (call, case)  # a date of the test is of another class
        return call, case

    def _exchanged(
        self, call: Call, seams: Sequence[Circumstance], new: set[Any]
    ) -> tuple[Call, Case] | None:
        for turn in range(MOST_TURNS):
            values = [Argument(each.name, "=", each.pool[min(turn, len(each.pool) - 1)])
                      for each in seams]  # fmt: skip
            changed = call._replace(around=(*call.around, *values))
            found = self._describe(changed, new)
            if found is not None:
                return changed, found
        return None

    def _unaffected(self, call: Call, case: Case, new: set[Any]) -> tuple[Call, Case]:
        """Set the variables that a call asks for, and leave alone what makes no difference."""
        self._describe(call, new)
        asked = self._executor.asked
        around = [each for each in call.around
                  if not circumstances.is_variable(each.name) or each.name in asked]  # fmt: skip
        left_open = asked - {each.name for each in around} - os.environ.keys()
        around += map(circumstances.unset, sorted(left_open))
        changed = call._replace(around=tuple(around))
        if changed != call:
            found = self._describe(changed, new)
            if found is None:
                return call, case
            call, case = changed, found
        for each in around:
            said = [line for line in case.lines if line != circumstances.statement(each)]
            found = None
            for other in reversed(self._calls.others(each)):  # last of all it is left alone
                rest = (one if one is not each else other for one in call.around)
                changed = call._replace(around=tuple(one for one in rest if one is not None))
                found = self._describe(changed, new)
                stated = circumstances.statement(other) if other is not None else ""
                if found is None or [line for line in found.lines if line != stated] != said:
                    break
            else:
                if found is not None:
                    call, case = changed, found
        return call, case

    def _describe(self, call: Call, new: set[Any]) -> Case | None:
        """Return the case of a call that runs the same of what is missing."""
        outcome = self._executor.execute(self._subject, call)
        lines, arcs = self._executor.ran()
        if outcome is None or not new <= {*(("l", line) for line in lines),
                                          *(("a", arc) for arc in arcs)}:  # fmt: skip
            return None
        return self._describer.describe(self._subject, call, outcome)

    def _called_again(self, call: Call, new: set[Any]) -> tuple[Call, Case] | None:
        """Call what a call returns, a wrapper say: that has a value which can be asserted."""
        if self._subject.kind in ("property", "setter") or self._subject.is_async:
            return None
        for given in _THEN:
            again = call._replace(then=given)
            made = self._executor.execute(self._subject, again)
            lines, arcs = self._executor.ran()
            ran = {("l", line) for line in lines} | {("a", arc) for arc in arcs}
            if made is not None and made.error is None and new <= ran:
                case = self._describer.describe(self._subject, again, made)
                if case is not None and case.strength == snapshots.VALUE:
                    new |= ran & self._missing
                    return again, case
        return None

    def _simplified(self, call: Call, outcome: Outcome, new: set[Any]) -> tuple[Call, Outcome]:
        """Return the simplest call that was found to run the same of what is missing."""
        tries = SIMPLER
        simplified = True
        while simplified and tries:
            simplified = False
            for each in simpler(call):
                tries -= 1
                made = self._executor.execute(self._subject, each)
                lines, arcs = self._executor.ran()
                ran = {("l", line) for line in lines} | {("a", arc) for arc in arcs}
                if made is not None and new <= ran and type(made.error) is type(outcome.error):
                    call, outcome, simplified = each, made, True
                    break
                if not tries:
                    break
        return call, outcome

    def _keep_more(self, call: Call, outcome: Outcome) -> None:
        """Keep a call that gains nothing but a value: it can share another's test."""
        case = self._describer.describe(self._subject, call, outcome)
        if case is not None and case.expected is not None:
            self._more.append(case)

    def kept(self) -> list[Case]:
        """Return the cases without which something would be missing, and a few that join them."""
        kept = list(self._found)
        for each in sorted(self._found, key=lambda found: len(found[1])):
            rest = set().union(*(new for other, new in kept if other is not each[0]), set())
            if each[1] <= rest:
                kept.remove(each)
        cases = [case for case, _ in kept]
        known = {(case.shape, tuple(case.arguments)) for case in cases}
        expected = {(case.shape, case.expected) for case in cases}
        more = 0
        for case in self._more:
            mates = [each for each in cases if each.shape == case.shape and each.expected]
            key = (case.shape, tuple(case.arguments))
            if mates and key not in known and (case.shape, case.expected) not in expected:
                case.gap = mates[0].gap
                known.add(key)
                expected.add((case.shape, case.expected))
                cases.append(case)
                more += 1
                if more == MORE:
                    break
        return cases


def _has_command(call: Call) -> bool:
    """Tell a call that has a command line of its own."""
    return any(each.name == circumstances.COMMAND for each in call.around)


def _says_nothing(case: Case, outcome: Outcome) -> bool:
    """Tell a test that something returns None and no more."""
    returned = outcome.value is None and outcome.error is None
    return returned and not case.fixtures and len(case.lines) == 1
