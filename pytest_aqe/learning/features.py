"""What was known of every test before a run, and the features made of it.

`Past` holds one number an attribute a test, as arrays, and folds finished runs in. A
`Situation` is one run about to start: some tests, a change, and, when asked for, the feature
matrix phi: a row a test, a column a name in `FEATURES`. Rates are shrunk toward the suite's
base rate g: log((F + k g) / (N + k)) - log g, so that 0 means "as likely as any test".

Several decays, because one horizon fits no two suites (measured: without them the negative
log-likelihood rises from 2.045 to 2.089); see docs/explanation/learning.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pytest_aqe.data import Identity
from pytest_aqe.learning.changes import TOUCHES, Cofailures, Touch, touched
from pytest_aqe.learning.qlearning import Backoff
from pytest_aqe.learning.selection import MIN_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

ALPHAS = np.array([0.5, 0.8, 0.9, 0.97, 0.99])  # decays, of counts per execution
SHRINK = 0.7  # executions at the base rate that a rate starts from
PRIOR_FAILURES, PRIOR_RUNS = 1.0, 100.0  # of the base rate, before anything is known
SECONDS_DECAY = 0.9
TOKEN_DECAY = 0.99  # per run
STRENGTH = 8.0  # of the back-off: executions at the context above

FEATURES = (
    "decay .5",
    "decay .8",
    "decay .9",
    "decay .97",
    "decay .99",
    "lifetime rate",
    "log failures",
    "recency",
    "log runs since failure",
    "ever failed",
    "last",
    "last but one",
    "last but two",
    "failing streak",
    "passing streak",
    "transitions",
    "transition recency",
    "age",
    "new",
    "young",
    "gap",
    "rest",
    "file decay .5",
    "file decay .8",
    "file decay .9",
    "file decay .97",
    "file decay .99",
    "folder decay .9",
    "log duration",
    "heat x last",
    "own file changed",
    "same stem changed",
    "same folder changed",
    "path tokens in common",
    "co-failure",
    "own x never failed",
    "stem x never failed",
    "folder x never failed",
    "tokens x never failed",
    "table, context",
    "table, change",
    "token mean",
    "token max",
    "token x never failed",
)
_AT = {name: column for column, name in enumerate(FEATURES)}
RECENCIES = np.array([1.5, 2.5, 4.5, 8.5, 16.5, 40.5])  # runs since the last failure
COUNTS = np.array([0.5, 1.5, 4.5])  # failures so far
_TOKEN = re.compile(r"[a-z]+|[A-Z][a-z]*")
CHANGES = slice(_AT["own file changed"], _AT["co-failure"] + 1)
UNFAILED = slice(_AT["own x never failed"], _AT["tokens x never failed"] + 1)


class _Columns:
    """Arrays that grow together, one row a test (or a file)."""

    def __init__(self, **widths: int) -> None:
        self.size = 0
        self._widths = widths
        self._arrays: dict[str, Floats] = {
            name: np.zeros((0, width) if width else 0) for name, width in widths.items()
        }

    def __getitem__(self, name: str) -> Floats:
        return self._arrays[name]

    def rows(self, size: int) -> dict[str, Floats]:
        """Return the first rows of every array."""
        return {name: array[:size] for name, array in self._arrays.items()}

    def grow(self, size: int) -> None:
        """Make room for rows up to ``size``, zeros."""
        self.size = max(size, self.size)
        for name, array in self._arrays.items():
            if len(array) < size:
                more = np.zeros((max(size, 2 * len(array), 64), *array.shape[1:]))
                more[: len(array)] = array
                self._arrays[name] = more


class Past:
    """What the runs so far say of every test of a suite. Tests are indices in order of arrival."""

    def __init__(self) -> None:
        self.tests = _Columns(
            runs=0, failures=0, weight=5, failing=5, last=3, fail_streak=0, pass_streak=0,
            flips=0, flip_weight=0, flipped_at=0, first_at=0, last_at=0, failed_at=0, hours=0,
            seconds=0, seconds_weight=0, file=0,
        )  # fmt: skip
        self.files = _Columns(weight=5, failing=5, folder=0)
        self.folders = _Columns(weight=0, failing=0)
        self.tokens = _Columns(weight=0, failing=0)
        self.table = Backoff(5, strength=STRENGTH)
        self.cofailures = Cofailures()
        self.identities: list[Identity] = []
        self.paths: list[str] = []
        self.clock = 0
        self.failures = 0.0
        self.executions = 0.0
        self.heat = 0.0
        self.hours: float | None = None
        self.numbers: list[int] = []
        self._index: dict[int, int] = {}
        self._file_index: dict[str, int] = {}
        self._folder_index: dict[str, int] = {}
        self._token_index: dict[str, int] = {}
        self._token_starts: list[int] = []
        self._token_ids: list[int] = []
        self._flat: tuple[Ints, Ints] | None = None

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def base_rate(self) -> float:
        """The share of executions that failed so far, never 0."""
        return (self.failures + PRIOR_FAILURES) / (self.executions + PRIOR_RUNS)

    def index(self, number: int, identity: Identity, file: str) -> int:
        """Return the index of the test with that number in the history, a new one if need be."""
        found = self._index.get(number)
        if found is None:
            found = self._index[number] = len(self.identities)
            self.numbers.append(number)
            self.identities.append(identity)
            self.tests.grow(found + 1)
            self.tests["file"][found] = self._file(file)
            self._token_starts.append(len(self._token_ids))
            self._token_ids += self._tokens(identity)
            self._flat = None
        return found

    def place(self, number: int) -> int | None:
        """Return the index of the test with that number in the history, if it is known."""
        return self._index.get(number)

    def _file(self, path: str) -> int:
        found = self._file_index.get(path)
        if found is None:
            found = self._file_index[path] = len(self.paths)
            self.paths.append(path)
            folder = path.rpartition("/")[0]
            number = self._folder_index.setdefault(folder, len(self._folder_index))
            self.files.grow(found + 1)
            self.folders.grow(number + 1)
            self.files["folder"][found] = number
        return found

    def _tokens(self, identity: Identity) -> list[int]:
        """Return the tokens of a test's name; one without any has the empty one."""
        name = identity.partition("::")[2] or identity
        words = {word.lower() for word in _TOKEN.findall(name)} - {"test"}
        numbers = [
            self._token_index.setdefault(word, len(self._token_index))
            for word in sorted(words) or [""]
        ]
        self.tokens.grow(len(self._token_index))
        return numbers

    @property
    def words(self) -> list[str]:
        """The words of test names, in order of arrival."""
        return list(self._token_index)

    def groups(self) -> dict[str, dict[str, Floats]]:
        """Return every array by what its rows are and its name."""
        return {
            "tests": self.tests.rows(len(self.identities)),
            "files": self.files.rows(len(self.paths)),
            "folders": self.folders.rows(len(self._folder_index)),
            "tokens": self.tokens.rows(len(self._token_index)),
        }

    def resume(
        self,
        tests: Sequence[tuple[int, Identity, str]],
        paths: Sequence[str],
        words: Sequence[str],
        groups: Mapping[str, Mapping[str, Floats]],
    ) -> None:
        """Go on where another `Past` was, whose ``groups`` these are.

        Tests are numbers, identities and files of now: a renamed one keeps what is known of it.
        """
        for path in paths:
            self._file(path)
        for word in words:
            self._token_index.setdefault(word, len(self._token_index))
        self.tokens.grow(len(words))
        for test in tests:
            self.index(*test)
        here = self.tests["file"][: len(tests)].copy()
        for columns, kind in (
            (self.tests, "tests"),
            (self.files, "files"),
            (self.folders, "folders"),
            (self.tokens, "tokens"),
        ):
            for name, array in groups[kind].items():
                columns[name][: len(array)] = array
        self.tests["file"][: len(tests)] = here

    def token_rows(self) -> tuple[Ints, Ints]:
        """Return where each test's tokens start, and the tokens of all tests in a row."""
        if self._flat is None:
            self._flat = (
                np.array(self._token_starts, np.int64),
                np.array(self._token_ids, np.int64),
            )
        return self._flat

    def learn(self, run: Situation, failed: Mask, seconds: Floats) -> None:
        """Fold one finished run in. ``seconds`` is NaN where not measured."""
        at, t = run.tests, self.tests
        if not at.size:
            self.clock += 1
            return
        hit = failed.astype(np.float64)
        self.table.initial = self.base_rate
        self.table.learn(run.table_keys, hit)
        self._learn_touches(run, failed)
        self._learn_groups(at, hit)
        self._learn_executions(at, hit)
        known = ~np.isnan(seconds)
        measured = at[known]
        t["seconds"][measured] = SECONDS_DECAY * t["seconds"][measured] + seconds[known]
        t["seconds_weight"][measured] = SECONDS_DECAY * t["seconds_weight"][measured] + 1
        self.failures += hit.sum()
        self.executions += at.size
        self.heat = float(hit.mean())
        if run.hours is not None:
            self.hours = run.hours
            t["hours"][at] = run.hours
        self.clock += 1

    def _learn_executions(self, at: Ints, hit: Floats) -> None:
        t = self.tests
        before = t["runs"][at]
        flipped = (before > 0) & (t["last"][at, 0] != hit)
        t["first_at"][at] = np.where(before > 0, t["first_at"][at], self.clock)
        t["weight"][at] = ALPHAS * t["weight"][at] + 1
        t["failing"][at] = ALPHAS * t["failing"][at] + hit[:, None]
        t["flips"][at] = 0.9 * t["flips"][at] + flipped
        t["flip_weight"][at] = 0.9 * t["flip_weight"][at] + 1
        t["flipped_at"][at] = np.where(flipped, self.clock, t["flipped_at"][at])
        t["fail_streak"][at] = (t["fail_streak"][at] + 1) * hit
        t["pass_streak"][at] = (t["pass_streak"][at] + 1) * (1 - hit)
        t["last"][at, 1:] = t["last"][at, :2]
        t["last"][at, 0] = hit
        t["failed_at"][at] = np.where(hit > 0, self.clock, t["failed_at"][at])
        t["last_at"][at] = self.clock
        t["runs"][at] = before + 1
        t["failures"][at] += hit

    def _learn_groups(self, at: Ints, hit: Floats) -> None:
        file = self.tests["file"][at].astype(np.int64)
        many = np.bincount(file, minlength=len(self.paths))
        fails = np.bincount(file, hit, minlength=len(self.paths))
        seen = np.flatnonzero(many)
        f = self.files
        f["weight"][seen] = ALPHAS * f["weight"][seen] + many[seen, None]
        f["failing"][seen] = ALPHAS * f["failing"][seen] + fails[seen, None]
        folder = f["folder"][seen].astype(np.int64)
        many_there = np.bincount(folder, many[seen])
        fails_there = np.bincount(folder, fails[seen])
        there = np.flatnonzero(many_there)
        d = self.folders
        d["weight"][there] = 0.9 * d["weight"][there] + many_there[there]
        d["failing"][there] = 0.9 * d["failing"][there] + fails_there[there]
        starts, ids = self.token_rows()
        mine = np.zeros(len(self.identities))
        mine[at] = 1
        lost = np.zeros(len(self.identities))
        lost[at] = hit
        lengths = np.diff(np.append(starts, ids.size))
        size = self.tokens.size
        k = self.tokens
        executed = np.bincount(ids, np.repeat(mine, lengths), minlength=size)
        decay = np.where(executed > 0, TOKEN_DECAY, 1.0)
        k["weight"][:size] = decay * k["weight"][:size] + executed
        k["failing"][:size] = decay * k["failing"][:size] + np.bincount(
            ids, np.repeat(lost, lengths), minlength=size
        )

    def _learn_touches(self, run: Situation, failed: Mask) -> None:
        if run.changed:
            numbers = [self.numbers[test] for test in run.tests[failed].tolist()]
            self.cofailures.learn(run.changed, numbers)


class Situation:
    """One run about to start: its tests, its change, and what is known of them."""

    def __init__(
        self,
        past: Past,
        tests: Ints,
        changed: Sequence[str] | None = None,
        hours: float | None = None,
        affected: Mask | None = None,
    ) -> None:
        self.past = past
        self.tests = tests
        self.changed = changed
        self.hours = hours
        self.affected = affected

    def column(self, name: str) -> Floats:
        """Return one attribute of the run's tests."""
        found: Floats = self.past.tests[name][self.tests]
        return found

    @cached_property
    def files(self) -> Ints:
        """The file of every test."""
        return self.column("file").astype(np.int64)

    @cached_property
    def seconds(self) -> Floats:
        """The duration expected of every test; the median one where it is unknown, else 1."""
        weight = self.column("seconds_weight")
        known = weight > 0
        found = self.column("seconds") / np.where(known, weight, 1.0)
        typical = float(np.median(found[known])) if known.any() else 1.0
        return np.where(known, found, typical)

    @cached_property
    def touches(self) -> Floats:
        """The features of the change: a row a test, a column of `TOUCHES`."""
        found = np.zeros((self.tests.size, len(TOUCHES)))
        if self.changed:
            by_file = touched(self.past.paths, self.changed)
            rows = np.zeros((len(self.past.paths), len(Touch._fields)))
            for number, touch in by_file.items():
                rows[number] = touch
            found[:, :-1] = rows[self.files]
            found[:, -1] = self._cofailing()
        if self.affected is not None:
            found[:, 0] = np.maximum(found[:, 0], self.affected)
        return found

    def _cofailing(self) -> Floats:
        """Return the log ratio of the best co-failure rate to the base rate, at least 0."""
        found = np.zeros(len(self.past))
        base = self.past.base_rate
        assert self.changed is not None
        for number, rate in self.past.cofailures.rates(self.changed, base, SHRINK).items():
            test = self.past.place(number)
            if test is not None:
                found[test] = max(0.0, float(np.log(rate / base)))
        return found[self.tests]

    @cached_property
    def table_keys(self) -> Ints:
        """The contexts of every test, the widest first.

        Suite; recency x age; + failure count x last outcomes; + the file's heat; + change.
        """
        runs, failures, last = self.column("runs"), self.column("failures"), self.column("last")
        since = np.where(failures > 0, self.past.clock - self.column("failed_at"), 0.0)
        recency = np.where(failures > 0, 1 + np.searchsorted(RECENCIES, since), 0)
        age = np.searchsorted([0.5, 4.5, 30.5], runs)
        count = np.searchsorted(COUNTS, failures)
        outcomes = (last @ np.array([4.0, 2.0, 1.0])).astype(np.int64)
        heat = np.searchsorted([1.0, 3.0], self._file_logs()[:, 2])
        touches = self.touches
        change = np.where(
            touches[:, 0] > 0, 3, np.where(touches[:, 1] > 0, 2, touches[:, 2] > 0)
        ).astype(np.int64)
        first = recency * 4 + age
        second = (first * (COUNTS.size + 1) + count) * 8 + outcomes
        third = second * 3 + heat
        return np.column_stack([np.zeros_like(first), first, second, third, third * 4 + change])

    def _file_logs(self) -> Floats:
        f = self.past.files
        size = len(self.past.paths)
        logs = _log_rate(f["failing"][:size], f["weight"][:size], self.past.base_rate)
        return logs[self.files]

    @cached_property
    def features(self) -> Floats:
        """Phi: a row a test, a column a feature."""
        past = self.past
        g = past.base_rate
        x = np.zeros((self.tests.size, len(FEATURES)))
        runs, failures, last = self.column("runs"), self.column("failures"), self.column("last")
        ever = failures > 0
        since = past.clock - self.column("failed_at")
        x[:, 0:5] = _log_rate(self.column("failing"), self.column("weight"), g)
        x[:, _AT["lifetime rate"]] = _log_rate(failures, runs, g)
        x[:, _AT["log failures"]] = np.log1p(failures)
        x[:, _AT["recency"]] = np.where(ever, 1 / np.maximum(since, 1), 0)
        x[:, _AT["log runs since failure"]] = np.where(ever, np.log1p(since), 0)
        x[:, _AT["ever failed"]] = ever
        x[:, _AT["last"] : _AT["last"] + 3] = last
        x[:, _AT["failing streak"]] = np.log1p(self.column("fail_streak"))
        x[:, _AT["passing streak"]] = np.log1p(self.column("pass_streak"))
        flips, flip_weight = self.column("flips"), self.column("flip_weight")
        x[:, _AT["transitions"]] = flips / np.maximum(flip_weight, 1)
        x[:, _AT["transition recency"]] = np.where(
            flips > 0, 1 / np.maximum(past.clock - self.column("flipped_at"), 1), 0
        )
        known = runs > 0
        x[:, _AT["age"]] = np.where(known, np.log1p(past.clock - self.column("first_at")), 0)
        x[:, _AT["new"]] = (~known) & (past.clock > 0)
        x[:, _AT["young"]] = known & (runs < 5)
        gap = np.where(known, np.maximum(past.clock - self.column("last_at") - 1, 0), 0)
        x[:, _AT["gap"]] = np.log1p(gap)
        if self.hours is not None:
            days = np.where(known, (self.hours - self.column("hours")) / 24, 0)
            x[:, _AT["rest"]] = np.log1p(np.maximum(days, 0))
        start = _AT["file decay .5"]
        x[:, start : start + 5] = self._file_logs()
        d = past.folders
        there = past.files["folder"][self.files].astype(np.int64)
        x[:, _AT["folder decay .9"]] = _log_rate(d["failing"], d["weight"], g)[there]
        logs = np.log(np.maximum(self.seconds, MIN_SECONDS))
        spread = logs.std()
        if spread > 0:
            x[:, _AT["log duration"]] = (logs - logs.mean()) / spread
        x[:, _AT["heat x last"]] = last[:, 0] * np.log((past.heat + g) / g)
        x[:, CHANGES] = self.touches
        x[:, UNFAILED] = self.touches[:, :-1] * ~ever[:, None]
        past.table.initial = g
        table = np.log(past.table.values(self.table_keys)[:, [2, 4]] / g)
        x[:, _AT["table, context"] : _AT["table, context"] + 2] = table
        x[:, _AT["token mean"] : _AT["token mean"] + 2] = self._token_rates(g)
        x[:, _AT["token x never failed"]] = x[:, _AT["token max"]] * ~ever
        return x

    def _token_rates(self, g: float) -> Floats:
        past = self.past
        starts, ids = past.token_rows()
        size = past.tokens.size
        logs = _log_rate(past.tokens["failing"][:size], past.tokens["weight"][:size], g)[ids]
        if not starts.size:
            return np.zeros((self.tests.size, 2))
        lengths = np.diff(np.append(starts, ids.size))
        means = np.add.reduceat(logs, starts) / lengths
        return np.column_stack([means, np.maximum.reduceat(logs, starts)])[self.tests]


def _log_rate(failing: Floats, weight: Floats, g: float) -> Floats:
    """Return log((F + k g) / (N + k)) - log g."""
    found: Floats = np.log((failing + SHRINK * g) / ((weight + SHRINK) * g))
    return found
