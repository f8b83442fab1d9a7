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
from collections import Counter, defaultdict, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.pathlib import fnmatch_ex

from pytest_aqe.data import Author, Candidate, Gap, NodeId, Target, Trial
from pytest_aqe.errors import AqeError, HistoryError, ModelError, NotFound
from pytest_aqe.evidence.command_line import handed_on
from pytest_aqe.evidence.coverage import FileCoverage
from pytest_aqe.faults import Faults
from pytest_aqe.generation import laws, proposals
from pytest_aqe.generation.cores import Cores
from pytest_aqe.generation.importing import Imports, Start
from pytest_aqe.generation.interpreters import interpreters
from pytest_aqe.generation.job import SUITE
from pytest_aqe.generation.offline import Offline
from pytest_aqe.generation.pipeline import Pipeline
from pytest_aqe.generation.proposals import Proposal
from pytest_aqe.generation.sandbox import Settings
from pytest_aqe.generation.together import Module, disturbing
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
BUSY = 0.9  # of the time of all cores; some wait at the beginning and at the end
TRYING_FIRST = 1.5  # times as long as a search may take its trial, until that is measured
LEAST_TAKEN = 0.3  # seconds of a core, for one that was promised
LEAST_SEARCH = 1.0  # seconds for a file
AHEAD = 2  # files more than there are cores that are searched or wait for it
MOST_OF_SUITE = 40  # modules of the suite that accepted tests must get on with
TOGETHER = 0.003  # seconds for each accepted test, to run all together (855: 1.4 to 4.4 s)
BESIDE = 2.0  # times what the suite takes: it runs thrice, not measured and in one process
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
        self._cores = Cores()
        self._offline = Offline(self._settings, self._processes, self._cores)
        self._imports = Imports(_start(config))
        self._unreachable: dict[str, str] = {}  # modules, and why no new test file imports them
        self._agents: Agents | None = None
        self._by_name: dict[str, Author] = {}
        self._trials: list[Trial] = []
        self._kept: list[_Kept] = []
        self._settled = False  # all that was accepted gets on with all of it
        self._written: list[tuple[Proposal, Path]] = []
        self._notes: list[str] = []
        self._stop = 0.0
        self._suite_took = 0.0
        self._trying = ThreadPoolExecutor(self._cores.number, "aqe-trial")
        self._elsewhere = threading.Lock()
        self._begun: deque[_Begun] = deque()
        self._interrupted = False
        self._searched, self._tried = 0.0, 0.0  # seconds promised to files, and of their trials

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Write tests when the gaps are known."""
        result = yield
        if not self._config.pluginmanager.is_registered(self):
            return result  # in a child that a test forked
        with (
            self._faults.guard("generating tests"),
            suppress(KeyboardInterrupt),  # the tests of the suite had all run
            ExitStack() as at_the_end,
        ):
            at_the_end.callback(self._close)
            at_the_end.callback(self._hand_over, session)
            try:
                self._generate(session)
                self._take_back()
            except KeyboardInterrupt:
                self._keep_accepted()
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See what the suite takes in one process."""
        self._suite_took += report.duration

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
        """What did not run with all others, after Ctrl-C say, is for people to look at."""
        return self._options.generate == "apply" and self._settled

    def _close(self) -> None:
        with _uninterrupted():
            self._cores.close()
            self._offline.close()
            self._trying.shutdown(wait=False, cancel_futures=True)
            self._processes.close()
            self._imports.close()
            self._notes += report.unreachable_lines(self._unreachable)
            if self._agents is not None:
                self._notes += self._agents.lines()
                self._uncovered.read_tables.update(self._agents.read_tables)
                self._agents.close()

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
            closed, over = self._files(order, authors[turn])
            if over:
                self._notes.append("--aqe-generate-time is over; the next session goes on")
                return
            waiting = [gap for gap in waiting if gap.id not in closed]

    def _files(
        self, order: Sequence[tuple[str, list[Gap]]], author: Author
    ) -> tuple[set[str], bool]:
        """Let an author write for files; return the ids of closed gaps, and if time was over.

        Without a model, files are searched and tried on all cores; they are reported in their
        order.
        """
        offline = author is self._offline
        most_ahead = 1 if self._cores.number == 1 else self._cores.number + AHEAD
        most_tried = self._cores.number if offline else 1
        targets = self._targets(order)
        ahead: deque[Target] = deque()
        closed: set[str] = set()
        over = False
        while True:
            for target in islice(targets, most_ahead - len(ahead)):
                ahead.append(target)
                if offline:
                    self._offline.prepare(target)
            over = bool(ahead) and self._left() <= LEAST_TIME
            if ahead and not over:
                self._begun.append(self._begin(ahead.popleft(), author))
            elif not self._begun:
                return closed, over
            if over or not ahead or len(self._begun) >= most_tried:
                closed |= self._finish(self._begun[0])

    def _keep_accepted(self) -> None:
        """Keep what was accepted before Ctrl-C; the tests had all run, so the session is whole."""
        self._interrupted = True
        self._notes.append(
            "generating tests was interrupted; what was accepted is kept, the next session goes on"
        )
        for begun in [each for each in self._begun if each.tried.done()]:
            self._finish(begun)

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
        tried = self._trying.submit(_timed, self._cores, trials, candidates, target)
        return _Begun(target, author, pipeline, trials, tried)

    def _finish(self, begun: _Begun) -> set[str]:
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
            self._keep(target, done, begun.trials)
            self._trials += done
            self._tell(target.gaps, done, author)
            self._say(report.target_line(target, target.gaps, done, author.name))
        return {trial.candidate.gap.id for trial in done if trial.accepted}

    def _tell(self, gaps: Sequence[Gap], done: Sequence[Trial], author: Author) -> None:
        """Keep a row for every trial, and for every gap for which an author had no idea.

        A model that gave no answer has not tried, nor has a search that had no time to look: the
        next session asks again. What was accepted has its row once it is handed over.
        """
        answered = {trial.candidate.gap.id for trial in done}
        if self._agents is not None:
            answered |= self._agents.unanswered
        refused = [trial for trial in done if not trial.accepted]
        self._recorder.tell("generations", map(rows.generation_row, refused))
        self._recorder.tell(
            "generations",
            (
                rows.nothing_row(gap, author.name, None)
                for gap in gaps
                if gap.id not in answered
                and (author is not self._offline or gap in self._offline.searched)
            ),
        )

    def _keep(self, target: Target, done: Sequence[Trial], trials: Trials) -> None:
        """Propose what was accepted, after it ran once more as one file."""
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
            owners = {
                name: trial
                for trial, names in zip(group, called, strict=True)
                for name in names.values()
                if name in tests
            }
            if owners:
                folder = self._options.folder / proposals.FOLDER
                name = proposals.free_name(folder, target.module)
                self._kept.append(self._proposed(target, name, text, owners))

    def _proposed(self, target: Target, name: str, text: str, owners: Mapping[str, Trial]) -> _Kept:
        """Write a module as a proposal."""
        group = list({id(trial): trial for trial in owners.values()}.values())
        gaps = [trial.candidate.gap for trial in group]
        proposal = Proposal(
            name=name,
            file=target.gaps[0].file,
            place=os.path.relpath(target.place, target.rootdir),
            gaps=tuple(dict.fromkeys(f"{gap.id}:{gap.line}" for gap in gaps)),
            authors=tuple(dict.fromkeys(trial.candidate.author for trial in group)),
            tests=tuple(owners),
            lines=len({line for trial in group for line in trial.lines or ()}),
            branches=len({arc for trial in group for arc in trial.branches or ()}),
            mutants=sum(trial.mutants or 0 for trial in group),
            killed=sum(trial.killed or 0 for trial in group),
            layer=group[0].layer or "",
            run=self._uncovered.run_id,
            source=proposals.fingerprint(target.source),
        )
        proposals.write(self._options.folder, proposal, text)
        return _Kept(target, proposal, text, owners)

    def _take_back(self) -> None:
        """Run all accepted tests together; what does not get on with the others is refused."""
        modules = [
            Module(
                kept.target,
                kept.proposal.name,
                kept.text,
                any(trial.candidate.model for trial in kept.owners.values()),
            )
            for kept in self._kept
        ]
        found, untold, apart = disturbing(self._settings, modules, self._suite(), self._processes)
        with _uninterrupted():
            taken: dict[str, str] = {}
            for kept in list(self._kept):
                taken |= self._refuse(kept, found)
            self._notes += report.taken_back_lines(taken)
            if untold:
                self._notes.append(
                    f"it is not known of all accepted tests whether they get on ({untold})"
                )
            if apart:
                self._notes.append(
                    f"whether tests of the suite fail after accepted ones is not known ({apart})"
                )
        self._settled = not untold

    def _suite(self) -> list[Path]:
        """Return modules of the suite, those first that run most of what was accepted for."""
        about = {kept.proposal.file for kept in self._kept}
        measured = self._uncovered.measured
        ran: Counter[tuple[bool, str]] = Counter()
        for name, each in measured.files.items() if measured is not None else ():
            for node_id, lines in (each.tests or {}).items():
                if self._is_module(node_id):
                    ran[name in about, node_id.partition("::")[0]] += len(lines)
        files = dict.fromkeys(
            file
            for (_, file), _ in sorted(
                ran.items(), key=lambda item: (not item[0][0], -item[1], item[0])
            )
        )
        return [self._config.rootpath / file for file in islice(files, MOST_OF_SUITE)]

    def _refuse(self, kept: _Kept, found: Mapping[str, str]) -> dict[str, str]:
        """Take tests out of a proposal, those of a trial together: so its gain was measured.

        Return the tests (``file::name``) that were taken, and why.
        """
        file = kept.proposal.name
        reasons: dict[int, str] = {}  # by the id of the trial
        for name, trial in kept.owners.items():
            if reason := found.get(f"{file}::{name}") or found.get(file):
                reasons.setdefault(id(trial), reason)
        gone = {
            name: found.get(f"{file}::{name}", reasons[id(trial)])
            for name, trial in kept.owners.items()
            if id(trial) in reasons
        }
        if not gone:
            return {}
        for place, trial in enumerate(self._trials):
            if reason := reasons.get(id(trial)):
                self._trials[place] = trial.rejected("stability", reason)
                self._recorder.tell("generations", [rows.generation_row(self._trials[place])])
        owners = {name: trial for name, trial in kept.owners.items() if name not in gone}
        place = self._kept.index(kept)
        if owners:
            text = proposals.without(kept.text, frozenset(gone))
            self._kept[place] = self._proposed(kept.target, file, text, owners)
        else:
            del self._kept[place]
            proposals.drop(self._options.folder, kept.proposal)
        return {f"{file}::{name}": reason for name, reason in gone.items()}

    def _hand_over(self, session: pytest.Session) -> None:
        """Keep the rows of what was accepted, apply what is to be applied, report its tests."""
        with _uninterrupted():
            accepted = [trial for trial in self._trials if trial.accepted]
            self._recorder.tell("generations", map(rows.generation_row, accepted))
            self._leave_dots()
            for kept in self._kept:
                proposal, path = self._moved(kept)
                self._written.append((proposal, path))
                self._report(session, path, proposal.tests)

    def _moved(self, kept: _Kept) -> tuple[Proposal, Path]:
        """Apply a proposal where it is to be applied; return it and where it lies."""
        folder = self._options.folder
        if self._applies:
            try:
                path = proposals.apply(folder, kept.target.rootdir, kept.proposal)
            except (AqeError, OSError) as error:
                self._notes.append(str(error))
            else:
                return replace(kept.proposal, name=path.name), path
        return kept.proposal, folder / proposals.FOLDER / kept.proposal.name

    def _report(self, session: pytest.Session, path: Path, tests: Sequence[str]) -> None:
        """Report tests that just ran in the sandbox, as pytest reports any other."""
        hook = self._config.pluginmanager.hook
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
        failure = self._imports.failure(target.place, target.module, target.file)
        if failure:
            self._unreachable[target.module] = report.unreachable(
                failure, self._shown(target.place), self._shown(Path(target.paths[0]))
            )
        return not failure

    def _is_module(self, node_id: NodeId) -> bool:
        """Tell a test of a module of tests from a doctest in the code or in a text."""
        file, _, name = node_id.partition("::")
        if "." in name.partition("[")[0]:
            return False
        path = self._config.rootpath / file
        return any(fnmatch_ex(pattern, path) for pattern in self._config.getini("python_files"))

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
        name, folder = module
        most = sorted((covered.tests or {}).items(), key=lambda item: (-len(item[1]), item[0]))
        tests = tuple(node_id for node_id, _ in most if self._is_module(node_id))
        testpaths = [str(each) for each in self._config.getini("testpaths")]
        rootdir = self._config.rootpath
        searching = self._searching() * self._left() - self._offline.pending
        return Target(
            root=root,
            rootdir=rootdir,
            file=file,
            module=name,
            source=source,
            gaps=tuple(gaps),
            covered=covered.ran,
            taken=covered.taken_arcs or frozenset(),
            paths=tuple(dict.fromkeys([folder, *_own_paths()])),
            place=proposals.place_of(rootdir, file, tests, testpaths),
            tests=tests,
            seed=self._seed(),
            seconds=min(PER_GAP * len(gaps), max(share * searching, LEAST_SEARCH)),
        )

    def _searching(self) -> float:
        """Return how many seconds can be promised to searches in one second of all cores.

        What is found has to be tried in it too, and not every search takes all of its time.
        """
        trying = self._tried / self._searched if self._searched else TRYING_FIRST
        return BUSY * self._cores.number / max(self._offline.thrift + trying, LEAST_TAKEN)

    def _left(self) -> float:
        """Return the seconds that are left, not counted those that models took to answer.

        Nor those in which all that was accepted will run together, and beside the suite.
        """
        waited = self._agents.waited if self._agents is not None else 0.0
        tests = sum(len(kept.owners) for kept in self._kept)
        together = tests * TOGETHER + min(self._suite_took, SUITE) * BESIDE if tests else 0.0
        return self._stop + waited - together - time.monotonic()

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


@dataclass(frozen=True, slots=True)
class _Kept:
    """A module of accepted tests: its proposal, and by which trial each test was accepted."""

    target: Target
    proposal: Proposal
    text: str
    owners: Mapping[str, Trial]


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
    cores: Cores, trials: Trials, candidates: Sequence[Candidate], target: Target
) -> tuple[list[Trial], float]:
    with cores.one(trial=True):
        begun = time.monotonic()
        return trials.judge(candidates, target), time.monotonic() - begun


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
