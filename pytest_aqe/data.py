"""The nouns every floor shares: frozen values that import nothing of ours.

Named tuples wherever no default is a mapping of its own: see "No frozen dataclass" in
``docs/explanation/design.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

NodeId = str
"""A test as pytest names it in one run: ``tests/test_a.py::test_x[1]``."""

Identity = str
"""A test as the history names it across runs: path from the git root, qualified name,
normalized parameters. See ``evidence/identity.py``."""

Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed"]
AttemptMode = Literal["first", "inproc", "isolated"]
Mode = Literal["observe", "order", "select"]
Status = Literal["complete", "stopped", "interrupted", "broken", "killed"]

FAILING: frozenset[str] = frozenset({"failed", "error", "crashed"})


class Run(NamedTuple):
    """One pytest session, as it is known when the session starts.

    ``prefix`` is the path from the git root to pytest's rootdir, with a trailing slash,
    or empty. ``tree`` names the content that was tested, uncommitted edits included.
    ``trust`` is ``"untrusted"`` for a pull request's run, whose rows may only make us
    run more. ``changed_files`` is None when the change could not be determined.
    """

    run_id: str
    started_at: str
    suite: str = ""
    prefix: str = ""
    mode: str = "observe"
    policy: str | None = None
    commit: str | None = None
    tree: str | None = None
    branch: str | None = None
    base: str | None = None
    source: str = "local"
    ci: str | None = None
    trust: str = "trusted"
    environment: str | None = None
    python: str | None = None
    platform: str | None = None
    pytest: str | None = None
    plugins: tuple[str, ...] = ()
    changed_files: tuple[str, ...] | None = None


class RunEnd(NamedTuple):
    """How a run ended. A run file without one belongs to a killed run."""

    ended_at: str
    status: Status
    exit_status: int
    collected: int | None
    deselected: int | None
    recorded: int


Version = str
"""What a file was when it was used: a hash of its content, or ``absent``, ``unstable``."""


class Pieces(NamedTuple):
    """What a Python file consists of: checksums (16 hex digits) by name, and inert functions.

    An inert function's coming or going changes nothing at import. See ``evidence/pieces.py``.
    """

    checksums: Mapping[str, str]
    inert: frozenset[str]


ALWAYS = "always"
"""Among a test's doubts: it is marked to run whatever happens."""

SKIPPED = "skipped"
"""Among a test's doubts: it was, and only what it depends on can have decided that."""

MAIN = "<main>"
"""The piece of a Python file that stands under ``if __name__ == "__main__":``."""

SetKey = str
"""The name of a set of pieces, by its content: see ``evidence/dependencies.py``."""

PARTS = ""
"""Where a set that travels has, for a file, the keys of others that are in it.

Hundreds of tests may each import fifty modules, and no two the same: what a module brings is
written once. Such a set is no test's own, and the history has no row for it.
"""


class Depends(NamedTuple):
    """What a test depends on, as the process that ran it saw: two sets and what it could not see.

    ``own`` is what ran, loaded or opened during the test, ``base`` what its module and its
    conftests need to be imported. ``doubt`` names what cannot be followed; ``globs`` is what
    the mark ``aqe_depends`` narrows it to, or None without that mark.
    """

    own: SetKey
    base: SetKey
    doubt: tuple[str, ...] = ()
    globs: tuple[str, ...] | None = None


class Result(NamedTuple):
    """One attempt at one test in one run. Durations are seconds.

    ``identity`` is None where it is the run's prefix followed by the node id.
    ``body`` fingerprints the test function's code without its name, so that a renamed or
    moved test is found again. ``signature`` is an error type, a file and a hash: no
    message, no locals, no parameter values. ``position`` counts what its worker ran before
    it, ``collected`` what was collected before it, ahead of any reordering of ours.
    """

    node_id: NodeId
    outcome: Outcome
    identity: Identity | None = None
    attempt: int = 0
    attempt_mode: AttemptMode = "first"
    setup: float | None = None
    call: float | None = None
    teardown: float | None = None
    worker: str | None = None
    position: int | None = None
    signature: str | None = None
    body: str | None = None
    collected: int | None = None
    evidence: Mapping[str, Any] | None = None
    depends: Depends | None = None


class Selection(NamedTuple):
    """What selection did in a run (``mode`` "select"), or would have done ("shadow").

    Of the ``known`` tests, those it had an opinion about, it runs ``selected``. Judged by
    outcomes that were seen: ``failures`` of known tests, of which ``caught`` were selected
    and ``escaped`` were left out; ``unstable`` ones had been seen to change by themselves.
    Seconds are measured durations, or None where nothing was measured.
    """

    mode: str
    known: int
    selected: int
    seconds: float | None
    selected_seconds: float | None
    failures: int
    caught: int
    escaped: int
    unstable: int


class Rollup(NamedTuple):
    """What the history has rolled up about one test: all a session start reads.

    ``weight`` and ``failing`` are counts of executions and of failures that decay by
    `DECAY` with every later execution of the test; ``seconds`` is the duration with the
    same decay, or None while unmeasured. ``flaked`` counts executions that failed first and
    passed on a later attempt. A skipped test was not executed; one that always was has 0
    ``runs``. ``q`` is what the policy in force gives the test (see `learning.order`), None where
    none was learnt; ``number`` its number in the history, ``last_run`` that of the run that
    executed it last, None where none did. ``flagged`` tests are known to be flaky.
    """

    identity: Identity
    runs: int
    failures: int
    weight: float
    failing: float
    failed_last: bool
    seconds: float | None
    flaked: int = 0
    q: Sequence[float] | None = None
    number: int | None = None
    last_run: int | None = None
    flagged: bool = False


class Rank(NamedTuple):
    """How urgent one known test is. Lower tiers run first; inside one, higher scores.

    ``score`` is expected failures per second, or what a learnt policy gives (exp(Q) / seconds^b);
    0 means no reason to move the test.
    """

    tier: int
    score: float
    seconds: float | None
    reason: str


class PastRun(NamedTuple):
    """One run of the history as learners see it: a test is its number, its last attempt counts.

    ``tests`` stand in the order they were collected, or else recorded. ``seconds`` is None
    where no duration was measured. ``hours`` is the start, in hours since 1970, or None.
    ``full`` tells that the run says something of every test: a complete one that left
    nothing out.
    """

    run_no: int
    run_id: str
    hours: float | None
    full: bool
    changed_files: tuple[str, ...] | None
    tests: Sequence[int]
    failed: Sequence[bool]
    seconds: Sequence[float | None]


class Policy(Protocol):
    """What ranks tests: see ``pytest_aqe_make_policy``."""

    name: str

    def rank(self, tests: Sequence[Rollup]) -> Sequence[Rank]:
        """Return one `Rank` per test, in the order given."""


class Budget(NamedTuple):
    """How much may run: seconds of wall time, or a share (0 to 1) of the whole."""

    seconds: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the workers are told, decided once per session by the controller.

    A worker moves tests by ``ranks`` unless ``mode`` is ``"observe"``; a test that is absent
    from ``ranks`` is new. ``prefix`` turns a node id into an identity. ``left_out`` are tests
    that do not run, unless marked; where parameters share an identity, of them those in ``only``
    alone. ``carried`` is what tests depend on that run although nothing of it has changed: it is
    recorded again, and not followed. ``because`` names why others do (a test in neither is new).
    ``unvisited`` are files of which every test is left out, with their number: they need not
    even be imported. ``stale`` are tests not run for longest, to which a part of the budget goes.
    ``replay`` are the node ids of a written plan, which is then all that runs. ``brief`` is what
    `beliefs.Brief.pack` made, where failures are followed up.
    With ``tells_rest`` a worker tells what it leaves out, with ``tells_order`` what it runs.
    """

    mode: Mode
    prefix: str
    policy: str | None
    ranks: Mapping[Identity, Rank]
    left_out: frozenset[Identity] = frozenset()
    only: Mapping[Identity, frozenset[NodeId]] = field(default_factory=dict)
    carried: Mapping[Identity, Depends] = field(default_factory=dict)
    unvisited: Mapping[str, int] = field(default_factory=dict)
    because: Mapping[Identity, str] = field(default_factory=dict)
    budget: Budget | None = None
    stale: tuple[Identity, ...] = ()
    workers: int = 1
    replay: tuple[NodeId, ...] | None = None
    tells_rest: bool = False
    tells_order: bool = False
    follows: bool = False
    environ: tuple[str, ...] = ()
    brief: Mapping[str, Any] | None = None


Arc = tuple[int, int]
"""A jump from one line to another, as coverage.py writes it: below zero it leaves the function."""


class Gap(NamedTuple):
    """An uncovered segment: what of one function no test ran, and what makes that matter.

    ``file`` is the path from the git root, ``name`` the qualified name, or empty for what
    stands outside functions; ``line`` to ``end`` is where it stands. ``lines`` are statements
    that no test ran, of ``statements``; ``branches`` jumps that no test took, None where they
    were not measured. ``changed`` are the lines among them that the change touched, None where
    the change is unknown. ``churn`` counts recent commits to the file, ``complexity`` decisions
    (McCabe), ``callers`` the functions of the project that name it. ``failures`` is the decayed
    count of failures of the tests that reach it, ``flaky_only`` tells that only flaky ones do;
    both are None where contexts were not measured. ``tests`` are the nearest ones, at most a few.
    """

    file: str
    name: str
    line: int
    end: int
    lines: tuple[int, ...]
    branches: tuple[Arc, ...] | None
    statements: int
    risk: float = 0.0
    changed: tuple[int, ...] | None = None
    churn: int | None = None
    complexity: int = 1
    callers: int = 0
    failures: float | None = None
    flaky_only: bool | None = None
    tests: tuple[NodeId, ...] = ()

    @property
    def id(self) -> str:
        """What people call it: ``src/pack/file.py::Class.method``."""
        return f"{self.file}::{self.name}"

    @property
    def size(self) -> int:
        """Missing lines and branches together."""
        return len(self.lines) + len(self.branches or ())


class Target(NamedTuple):
    """A file with gaps, and what an author and a trial need to reach its code.

    ``root`` is the git root, ``module`` the name by which tests import the file, ``paths``
    what ``sys.path`` needs for that. ``gaps`` are those of this file that the session wants
    closed. ``covered`` and ``taken`` are what the suite already runs of it, ``place`` is the
    folder where a new test of it belongs. ``tests`` are those of test modules that run it, the
    one that runs most of it first; doctests are not among them. ``seed`` decides every random
    choice, ``seconds`` are what an author may spend on the file.
    """

    root: Path
    rootdir: Path
    file: Path
    module: str
    source: str
    gaps: tuple[Gap, ...]
    covered: frozenset[int]
    taken: frozenset[Arc]
    paths: tuple[str, ...]
    place: Path
    tests: tuple[NodeId, ...] = ()
    seed: int = 0
    seconds: float = 10.0


SEARCHED = "search"
"""The origin of a candidate whose calls were searched for: nobody reads how it failed."""


class Candidate(NamedTuple):
    """A generated test not yet accepted: the text of a whole test module for one gap.

    ``model`` tells that a language model wrote it, or a part of it. ``attempt`` counts the
    repairs before it, ``origin`` says where its values come from. ``prompt`` is the hash of
    what was asked; tokens and ``cost`` (US dollars) are None where nothing was metered.
    ``bug`` says what its author believes to be wrong with the code: such a candidate is meant
    to fail.
    """

    gap: Gap
    text: str
    author: str
    model: bool = False
    attempt: int = 0
    origin: str = ""
    bug: str = ""
    prompt: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None


Stage = Literal[
    "reply", "safety", "oracle", "run", "traces", "gain", "stability", "mutants", "review"
]
"""Where a candidate was refused, cheapest first. See ``generation/trial.py``."""


class Verdict(NamedTuple):
    """What the trial decided, at which stage, and why in one line for people and repairers.

    A ``bug`` is a candidate that fails where the code, not the test, may be wrong: it is
    listed apart and never rewritten to pass.
    """

    outcome: Literal["accepted", "rejected", "bug"]
    stage: Stage | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate, tried. Only what was measured is not None.

    ``text`` is the candidate without the test functions that were refused; ``tests`` are the
    names that remain, ``refused`` says why others do not. ``lines`` and ``branches`` are what
    they add in the target. ``killed`` of ``mutants`` were noticed. ``seconds`` is CPU time,
    ``layer`` the sandbox that was active, ``output`` what a repairer needs to see.
    """

    candidate: Candidate
    verdict: Verdict
    text: str
    tests: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[int, ...] | None = None
    branches: tuple[Arc, ...] | None = None
    mutants: int | None = None
    killed: int | None = None
    seconds: float | None = None
    layer: str | None = None
    output: str = ""

    @property
    def accepted(self) -> bool:
        """Tell whether what is left of the candidate proved itself."""
        return self.verdict.outcome == "accepted"

    def rejected(self, stage: Stage, reason: str) -> Trial:
        """Return it as refused after all."""
        return replace(self, verdict=Verdict("rejected", stage, reason), tests=())


class Announcement(NamedTuple):
    """What is about to leave the machine: said before a language model is first asked.

    ``bytes`` are those of the ``prompts`` at hand, which quote ``files``; repairs may follow,
    within the caps. ``dollars`` is None where no price is known. ``again``: it was said before,
    of other files.
    """

    models: tuple[str, ...]
    hosts: tuple[str, ...]
    files: tuple[str, ...]
    prompts: int
    bytes: int
    tokens: int
    dollars: float | None
    again: bool = False


class Author(Protocol):
    """What writes tests: see ``pytest_aqe_generate_test``."""

    name: str

    def author(self, gap: Gap, target: Target) -> Sequence[Candidate]:
        """Return candidates for a gap, best first; none where it has nothing to offer."""

    def repair(self, trials: Sequence[Trial], target: Target) -> Sequence[Candidate]:
        """Return other tries at refused candidates, ``attempt`` one higher; give up the rest."""
