"""Tests are written in the session that found the gaps, tried, and reported with the others.

After the last test of the suite the gap learner orders the gaps, authors write, the trial
decides, and what it accepted is written as a proposal or into the test tree, run once more in
the sandbox, and reported as tests of this session that are counted apart. Whatever goes wrong
here costs generated tests, never the session.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.data import Author, Candidate, Gap, Target, Trial
from pytest_aqe.errors import HistoryError, ModelError, NotFound
from pytest_aqe.evidence.command_line import handed_on
from pytest_aqe.evidence.coverage import FileCoverage
from pytest_aqe.faults import Faults
from pytest_aqe.generation import laws, proposals
from pytest_aqe.generation.importing import Imports, Start
from pytest_aqe.generation.interpreters import interpreters
from pytest_aqe.generation.offline import Offline
from pytest_aqe.generation.pipeline import Pipeline
from pytest_aqe.generation.proposals import Proposal
from pytest_aqe.generation.sandbox import Settings
from pytest_aqe.generation.trial import Trials
from pytest_aqe.history import gaps as rows
from pytest_aqe.history.store import open_history
from pytest_aqe.learning.gaps import GapLearner, Tried, cost
from pytest_aqe.options import Options
from pytest_aqe.recorder import GENERATED, Recorder
from pytest_aqe.report import generated as report
from pytest_aqe.uncovered import Uncovered

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_aqe.agents import Agents

LEAST_TIME = 3.0  # seconds that must be left to begin with another file
SEARCHING = 0.4  # of the time; to try what was found takes longer than to find it
SEARCHING_BESIDE = 0.8  # of the time, where one file is searched while others are tried
TRYING_BESIDE = 0.9  # of the time of everything that tries
TRYING_FIRST = 2.5  # times as long as a search takes its trial, until that is measured
LEAST_SEARCH = 1.0  # seconds for a file
AHEAD = 3  # files that are searched or wait for it while others are tried
TRIED_AT_ONCE = 2  # files; each has a core of its own while its tests run one by one
PER_GAP = 2.0  # seconds that an author may spend on a gap; the bar of its research
_CATEGORY = "generated passed"
_OURS = ("PYTEST_CURRENT_TEST",)  # of this process alone


class Generating:
    """Write tests for the gaps of this session."""

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        faults: Faults,
        uncovered: Uncovered,
        recorder: Recorder,
    ) -> None:
        self._config = config
        self._options = options
        self._faults = faults
        self._uncovered = uncovered
        self._recorder = recorder
        self._settings = Settings.of(options.sandbox_cmd, options.unsafe)
        self._processes = interpreters(self._settings.command)
        self._offline = Offline(self._settings, self._processes)
        self._imports = Imports(_start(config))
        self._unreachable: dict[str, str] = {}  # modules, and why no new test file imports them
        self._agents: Agents | None = None
        self._by_name: dict[str, Author] = {}
        self._trials: list[Trial] = []
        self._written: list[tuple[Proposal, Path]] = []
        self._notes: list[str] = []
        self._stop = 0.0
        self._trying = ThreadPoolExecutor(TRIED_AT_ONCE, "aqe-trial")
        self._elsewhere = threading.Lock()
        self._begun: deque[_Begun] = deque()
        self._interrupted = False
        self._searched, self._tried = 0.0, 0.0  # seconds of files that were tried

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Write tests when the gaps are known."""
        result = yield
        if not self._config.pluginmanager.is_registered(self):
            return result  # in a child that a test forked
        with self._faults.guard("generating tests"):
            try:
                self._generate(session)
            except KeyboardInterrupt:
                self._keep_accepted(session)
            finally:
                self._offline.close()
                self._trying.shutdown(wait=False, cancel_futures=True)
                self._processes.close()
                self._imports.close()
                self._notes += report.unreachable_lines(self._unreachable)
                if self._agents is not None:
                    self._notes += self._agents.lines()
                    self._uncovered.read_tables.update(self._agents.read_tables)
                    self._agents.close()
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_aqe_generate_test(
        self, gap: Gap, target: Target, author: str
    ) -> Sequence[Candidate] | None:
        """Let one of our own authors write."""
        known = self._by_name.get(author)
        return known.author(gap, target) if known is not None else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Count generated tests apart."""
        if not getattr(report, GENERATED, False):
            return None
        if report.when != "call":
            return "", "", ""
        return _CATEGORY, "g", ("GENERATED", {"green": True})

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say what was written, and what is believed to be a bug."""
        with self._faults.guard("showing generated tests"):
            if self._config.get_verbosity() <= -2:
                return
            lines = report.session_lines(
                self._trials,
                [(proposal, self._shown(path)) for proposal, path in self._written],
                self._notes,
                applied=all(path.parent.name != proposals.FOLDER for _, path in self._written),
            )
            if lines:
                terminalreporter.write_sep("-", "generated tests")
            for line in lines:
                terminalreporter.write_line(line)

    def _shown(self, path: Path) -> str:
        root = self._config.rootpath
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    @property
    def _applies(self) -> bool:
        """What Ctrl-C left without a repair and a model's review is for people to look at."""
        return self._options.generate == "apply" and not self._interrupted

    # -------------------------------------------------------------- the session

    def _generate(self, session: pytest.Session) -> None:
        if session.shouldstop or session.shouldfail:
            return
        if not hasattr(os, "fork"):
            self._notes.append("no tests were generated: the trial needs a system with fork")
            return
        if not self._uncovered.whole:
            self._notes.append("no tests were generated: only a part of the suite ran")
            return
        measured = self._uncovered.measured
        if measured is None or not self._uncovered.gaps:
            return
        if not laws.are_tried():
            self._notes.append(
                "no property tests are written: hypothesis is not installed "
                "(pip install 'pytest-aqe[properties]')"
            )
        self._stop = time.monotonic() + self._options.generate_time
        authors = self._authors()
        self._by_name = {each.name: each for each in authors}
        learner, history = self._learned(authors)
        import numpy as np

        chance = np.random.default_rng(self._seed())
        root = self._uncovered.root
        pending = {gap for each in proposals.proposals(self._options.folder) for gap in each.gaps
                   if proposals.is_current(each, root)}  # fmt: skip
        waiting = [
            gap
            for gap in self._uncovered.gaps
            if gap.name and f"{gap.id}:{gap.line}" not in pending
        ]
        if pending:
            self._notes.append(
                f"{len(pending)} gaps have a proposal already (pytest-aqe proposals list)"
            )
        tried = _tried_in_vain(history)
        for turn in range(len(authors)):
            chosen: dict[str, list[Gap]] = defaultdict(list)
            for gap in waiting:
                before = max(tried.get((gap.id, gap.size), 0), turn)
                if learner.choose(gap, before, range(len(authors)), chance) == turn:
                    chosen[gap.file].append(gap)
            order = sorted(
                chosen.items(),
                key=lambda item: -sum(_urgency(gap, learner, turn) for gap in item[1]),
            )
            closed, over = self._files(session, order, authors[turn])
            if over:
                self._notes.append("--aqe-generate-time is over; the next session goes on")
                return
            waiting = [gap for gap in waiting if gap.id not in closed]

    def _files(
        self, session: pytest.Session, order: Sequence[tuple[str, list[Gap]]], author: Author
    ) -> tuple[set[str], bool]:
        """Let an author write for files; return the ids of closed gaps, and if time was over.

        Without a model, files are searched ahead of those that are tried, and several are
        tried at a time; they are reported in their order.
        """
        offline = author is self._offline
        targets = self._targets(order)
        ahead: deque[Target] = deque()
        closed: set[str] = set()
        over = False
        while True:
            for target in islice(targets, 1 + (AHEAD if _beside() else 0) - len(ahead)):
                ahead.append(target)
                if offline:
                    self._offline.prepare(target)
            over = bool(ahead) and self._left() <= LEAST_TIME
            if ahead and not over:
                self._begun.append(self._begin(ahead.popleft(), author))
            elif not self._begun:
                return closed, over
            most = TRIED_AT_ONCE if offline and _beside() else 1
            if over or not ahead or len(self._begun) >= most:
                closed |= self._finish(session, self._begun[0])

    def _keep_accepted(self, session: pytest.Session) -> None:
        """Keep what was accepted before Ctrl-C; the tests had all run, so the session is whole."""
        self._interrupted = True
        for begun in [each for each in self._begun if each.tried.done()]:
            self._finish(session, begun)
        self._notes.append(
            "generating tests was interrupted; what was accepted is kept, the next session goes on"
        )

    def _authors(self) -> list[Author]:
        authors: list[Author] = [self._offline]
        if self._options.llm is not None:
            from pytest_aqe.agents import Agents

            try:
                self._agents = Agents(
                    self._options.llm, self._options.history, self._recorder.tell, self._announce
                )
                authors += self._agents.authors[:2]
            except ModelError as error:
                self._notes.append(str(error))
        return authors

    def _learned(self, authors: Sequence[Author]) -> tuple[GapLearner, list[Tried]]:
        """Return the learner, with all trials of the past replayed."""
        learner = GapLearner()
        history: list[Tried] = []
        names = {each.name: number for number, each in enumerate(authors)}
        with (
            suppress(NotFound, HistoryError),
            open_history(self._options.history, write=False) as connection,
        ):
            history = tried_before(rows.generations(connection), names)
            self._uncovered.read_tables.update(connection.read_tables)
        learner.replay(history)
        return learner, history

    def _begin(self, target: Target, author: Author) -> _Begun:
        """Let an author write for the gaps of one file, and begin to try it."""
        trials = Trials(self._settings, target, time.time(), self._processes, self._elsewhere)
        hook = self._config.pluginmanager.hook

        def write(gap: Gap, target: Target, author: Author) -> Sequence[Candidate]:
            found: Sequence[Candidate] | None = hook.pytest_aqe_generate_test(
                config=self._config, gap=gap, target=target, author=author.name
            )
            return found or ()

        def review(trial: Trial) -> list[str]:
            found: list[str] = hook.pytest_aqe_review_test(config=self._config, trial=trial)
            if not found and self._agents is not None and not self._interrupted:
                found = self._agents.review(trial, target)
            return found

        pipeline = Pipeline(write, trials.judge, review)
        candidates = pipeline.written(target.gaps, target, author)
        tried = self._trying.submit(_timed, trials, candidates, target)
        return _Begun(target, author, pipeline, trials, tried)

    def _finish(self, session: pytest.Session, begun: _Begun) -> set[str]:
        """Wait for a file's trial, keep what was accepted; return the ids of closed gaps."""
        target, author = begun.target, begun.author
        tried, seconds = begun.tried.result()
        if author is self._offline:
            self._searched += target.seconds
            self._tried += seconds
        if self._interrupted:
            done = begun.pipeline.reviewed(tried)
        else:
            done = begun.pipeline.finished(tried, target, author)
        with _uninterrupted():
            self._begun.remove(begun)
            if self._agents is not None:
                self._agents.learn(done, target)
            self._keep(session, target, done, begun.trials)
            self._trials += done
            self._tell(target.gaps, done, author)
            self._say(report.target_line(target, target.gaps, done, author.name))
        return {trial.candidate.gap.id for trial in done if trial.accepted}

    def _tell(self, gaps: Sequence[Gap], done: Sequence[Trial], author: Author) -> None:
        """Keep a row for every trial, and for every gap for which an author had no idea.

        A model that gave no answer has not tried: the next session asks again.
        """
        answered = {trial.candidate.gap.id for trial in done}
        if self._agents is not None:
            answered |= self._agents.unanswered
        self._recorder.tell("generations", map(rows.generation_row, done))
        self._recorder.tell(
            "generations",
            (rows.nothing_row(gap, author.name, None) for gap in gaps if gap.id not in answered),
        )

    def _keep(
        self, session: pytest.Session, target: Target, done: Sequence[Trial], trials: Trials
    ) -> None:
        """Write what was accepted, run it in this session, report it."""
        accepted = [trial for trial in done if trial.accepted]
        for numbers in proposals.bundled([trial.text for trial in accepted]):
            group = [accepted[number] for number in numbers]
            text, called = proposals.merged(trial.text for trial in group)
            tests = [name for names in called for name in names.values()]
            ran = trials.again(text, tests, model=any(t.candidate.model for t in group))
            bad = {name: reason for name, reason in ran.items() if reason}
            if bad:  # together in one file they are not what they were
                self._notes.append(
                    f"{target.module}: {len(bad)} accepted tests did not pass in one file "
                    f"({next(iter(bad.values()))}); they are left out"
                )
                text = proposals.without(text, frozenset(bad))
                tests = [name for name in tests if name not in bad]
            if tests:
                self._report(session, self._write(target, group, text, tests), tests)

    def _write(
        self, target: Target, group: Sequence[Trial], text: str, tests: Sequence[str]
    ) -> Path:
        folder = self._options.folder
        gaps = [trial.candidate.gap for trial in group]
        run = self._uncovered.run_id
        proposal = Proposal(
            name=proposals.free_name(folder / proposals.FOLDER, target.module),
            file=gaps[0].file,
            place=os.path.relpath(self._place(target), target.rootdir),
            gaps=tuple(dict.fromkeys(f"{gap.id}:{gap.line}" for gap in gaps)),
            authors=tuple(dict.fromkeys(trial.candidate.author for trial in group)),
            tests=tuple(tests),
            lines=len({line for trial in group for line in trial.lines or ()}),
            branches=len({arc for trial in group for arc in trial.branches or ()}),
            mutants=sum(trial.mutants or 0 for trial in group),
            killed=sum(trial.killed or 0 for trial in group),
            layer=group[0].layer or "",
            run=run,
            source=proposals.fingerprint(target.source),
        )
        path = proposals.write(folder, proposal, text)
        if self._applies:
            path = proposals.apply(folder, target.rootdir, proposal)
            proposal = replace(proposal, name=path.name)
        self._written.append((proposal, path))
        return path

    def _report(self, session: pytest.Session, path: Path, tests: Sequence[str]) -> None:
        """Report tests that just ran in the sandbox, as pytest reports any other."""
        hook = self._config.pluginmanager.hook
        self._leave_dots()
        session.testscollected += len(tests)
        for name in tests:
            node_id = f"{self._shown(path)}::{name.replace('.', '::')}"
            location = (self._shown(path), 0, name)
            hook.pytest_runtest_logstart(nodeid=node_id, location=location)
            for when in ("setup", "call", "teardown"):
                made = pytest.TestReport(
                    node_id,
                    location,
                    {},
                    "passed",
                    None,
                    when,
                    duration=0.0,
                )
                setattr(made, GENERATED, True)
                hook.pytest_runtest_logreport(report=made)
            hook.pytest_runtest_logfinish(nodeid=node_id, location=location)

    # -------------------------------------------------------------- the target

    def _targets(self, order: Sequence[tuple[str, list[Gap]]]) -> Iterator[Target]:
        """Yield files as an author sees them, each with its share of the time left by then."""
        assert self._uncovered.measured is not None
        sizes = [sum(gap.size for gap in gaps) for _, gaps in order]
        for place, (file, gaps) in enumerate(order):
            share = sizes[place] / sum(sizes[place:])
            target = self._target(self._uncovered.measured.files[file], gaps, share)
            if target is not None and self._is_reachable(target):
                yield target

    def _is_reachable(self, target: Target) -> bool:
        """Tell whether a new test file could import the target; note why it could not."""
        if target.module in self._unreachable:
            return False
        place = self._place(target)
        failure = self._imports.failure(place, target.module, target.file)
        if failure:
            self._unreachable[target.module] = report.unreachable(
                failure, self._shown(place), self._shown(Path(target.paths[0]))
            )
        return not failure

    def _place(self, target: Target) -> Path:
        testpaths = [str(each) for each in self._config.getini("testpaths")]
        return proposals.place_of(target, testpaths)

    def _target(self, covered: FileCoverage, gaps: Sequence[Gap], share: float) -> Target | None:
        """Return a file as an author sees it; ``share`` is its part of the time that is left."""
        root = self._uncovered.root
        file = root / covered.file
        try:
            source = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        module = module_name(file)
        if module is None:
            return None
        name, place = module
        most = sorted((covered.tests or {}).items(), key=lambda item: (-len(item[1]), item[0]))
        left = max(self._left() - self._offline.pending, 1.0)
        return Target(
            root=root,
            rootdir=self._config.rootpath,
            file=file,
            module=name,
            source=source,
            gaps=tuple(gaps),
            covered=covered.ran,
            taken=covered.taken_arcs or frozenset(),
            paths=tuple(dict.fromkeys([place, *_own_paths()])),
            tests=tuple(node_id for node_id, _ in most),
            seed=self._seed(),
            seconds=min(PER_GAP * len(gaps), max(self._searching() * share * left, LEAST_SEARCH)),
        )

    def _searching(self) -> float:
        """Return the part of the time for searching: what is found has to be tried in it too."""
        if not _beside():
            return SEARCHING
        longer = self._tried / self._searched if self._searched else TRYING_FIRST
        return min(SEARCHING_BESIDE, TRYING_BESIDE * TRIED_AT_ONCE / max(longer, 0.1))

    def _left(self) -> float:
        """Return the seconds that are left, not counted those that models took to answer."""
        waited = self._agents.waited if self._agents is not None else 0.0
        return self._stop + waited - time.monotonic()

    def _seed(self) -> int:
        """Return a number for the session's seed; without one, the same every time."""
        text = self._options.seed or "0"
        return int(text) if text.isdecimal() else int.from_bytes(text.encode()[:6], "big")

    def _announce(self, line: str) -> None:
        """Write what is about to leave the machine, however quiet the session is."""
        self._write_line(f"aqe: {line}")

    def _say(self, line: str) -> None:
        """Write a line while the session goes on."""
        if self._config.get_verbosity() >= 0:
            self._write_line(line)

    def _write_line(self, line: str) -> None:
        self._end_line()
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(line)

    def _leave_dots(self) -> None:
        """Keep pytest from adding to the last line of dots, which has its percentage already."""
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and (reporter.showfspath or reporter.showlongtestinfo):
            reporter.currentfspath = None  # so it begins a line by itself
        else:
            self._end_line()

    def _end_line(self) -> None:
        """End the line of dots that pytest has begun."""
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return
        reporter.ensure_newline()
        if reporter._tw.width_of_current_line:  # dots of xdist, or of -q, belong to no file
            reporter.write_line("")


@dataclass(frozen=True, slots=True)
class _Begun:
    """A file whose tests are being tried: the trials, and how many seconds they took."""

    target: Target
    author: Author
    pipeline: Pipeline
    trials: Trials
    tried: Future[tuple[list[Trial], float]]


def _start(config: pytest.Config) -> Start:
    """Return how another pytest is started as this session's was."""
    arguments = [
        f"--rootdir={config.rootpath}",
        *(("-c", str(config.inipath)) if config.inipath else ()),
        *handed_on(config),
        "--no-aqe",
        *(("--no-cov",) if config.pluginmanager.has_plugin("pytest_cov") else ()),
    ]
    environ = {name: value for name, value in os.environ.items() if name not in _OURS}
    by_module = Path(sys.argv[0]).name == "__main__.py"
    return Start(config.invocation_params.dir, tuple(arguments), environ, by_module)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until something is done that is of use only as a whole.

    Who presses it again does not wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
    if pressed:
        signal.raise_signal(signal.SIGINT)


def _timed(
    trials: Trials, candidates: Sequence[Candidate], target: Target
) -> tuple[list[Trial], float]:
    begun = time.monotonic()
    return trials.judge(candidates, target), time.monotonic() - begun


def _beside() -> bool:
    """Tell whether files can be searched while the tests of others are tried."""
    return (os.cpu_count() or 1) > 1


def _urgency(gap: Gap, learner: GapLearner, author: int) -> float:
    """Order files: the change first, then what is worth most by what was learned."""
    return (1e6 if gap.changed else 0.0) + learner.value(gap, author, [author])


def tried_before(history: Sequence[rows.Generation], authors: dict[str, int]) -> list[Tried]:
    """Return the history's trials as the learner takes them; unknown models count as small."""
    return [
        Tried(
            run=each.run,
            gap=f"{each.file}::{each.name}",
            missing=each.missing,
            complexity=each.complexity,
            reached=each.reached,
            author=authors.get(each.author, 1 if each.model else 0),
            gain=float((each.lines or 0) + (each.branches or 0) + (each.killed or 0))
            if each.outcome == "accepted"
            else 0.0,
            cost=cost(each.seconds, each.tokens, each.cost),
        )
        for each in history
    ]


def _tried_in_vain(history: Sequence[Tried]) -> dict[tuple[str, int], int]:
    """Return how many authors a gap of the same size has seen fail: they would fail again."""
    found: dict[tuple[str, int], int] = {}
    for each in history:
        key = (each.gap, each.missing)
        if not each.gain:
            found[key] = max(found.get(key, 0), each.author + 1)
    return found


def module_name(file: Path) -> tuple[str, str] | None:
    """Return by which name tests import a file, and the folder that must be on ``sys.path``."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == str(file) and name != "__main__":
            depth = name.count(".") + (file.name != "__init__.py")
            return name, str(file.parents[max(depth - 1, 0)] if depth else file.parent)
    folder = file.parent
    parts = [] if file.name == "__init__.py" else [file.stem]
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if not parts or not all(part.isidentifier() for part in parts):
        return None
    return ".".join(parts), str(folder)


def _own_paths() -> Iterator[str]:
    """Yield what is on ``sys.path`` beyond what the interpreter finds by itself, and ourselves."""
    standard = (sys.prefix, sys.base_prefix)
    for each in sys.path:
        path = each or str(Path.cwd())
        if Path(path).is_dir() and not path.startswith(standard):
            yield path
    yield str(Path(__file__).resolve().parent.parent)
