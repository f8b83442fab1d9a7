"""What is asked of child processes, and what is heard back: the wire, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_aqe.data import Arc

RESULT = "result.json"  # in the scratch folder
SCRATCH = "aqe-trial-"  # begins the name of every scratch folder
UNFINISHED = "the search for it did not come to its end"
SUITE = 2.0  # seconds of CPU for the tests of the suite that run beside all that are accepted
OUTPUT = "output.txt"  # in the scratch folder: what the process said


@dataclass(frozen=True, slots=True)
class Job:
    """What a child runs. Paths are absolute.

    ``files`` are test modules in ``scratch``, the one folder that can be written. ``target``
    is the file of the code under test and ``module`` its name, ``lines`` and ``arcs`` are what
    the suite misses of it. With ``alone`` each test runs in a process of its own, its gain and
    its traces are measured and up to ``mutants`` mutants are tried; then all run together.
    Those in ``weak`` (``file::name``) must notice more than a result that is gone.
    ``conftests`` are loaded first. ``order`` shuffles, and makes it another machine where
    another thread runs and what is drawn by chance is another; ``folder`` is the working
    directory there. ``clock`` is the time it seems to be (seconds since 1970). With
    ``variables`` those are set that are set elsewhere. With ``enforced`` nothing runs unless
    the system confines it.
    ``beside`` are files of the suite to be run afterwards. With ``plain`` tests that
    are calls and no more are called without pytest, and a failed assertion says no more than
    that: to rewrite a test takes longer than to run it. Not every job of a test may be plain.
    With ``disturbing`` nothing else is done than to find tests after which others fail, for at
    most so many seconds: others of the same job, or where ``beside`` is given those of the suite.
    """

    nonce: str
    scratch: str
    root: str
    target: str
    module: str
    files: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    conftests: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    arcs: tuple[Arc, ...] = ()
    alone: bool = False
    mutants: int = 0
    weak: tuple[str, ...] = ()
    order: int | None = None
    folder: str = ""
    clock: float | None = None
    variables: bool = False
    enforced: bool = False
    beside: tuple[str, ...] = ()
    plain: bool = False
    disturbing: float = 0.0

    def encode(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Job:
        """Read a job; lists of the wire become tuples."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(text).items()
        }
        values["arcs"] = tuple((source, target) for source, target in values["arcs"])
        return cls(**values)


@dataclass(slots=True)
class Ran:
    """One test function, parameters together.

    ``outcome`` "died" ended its process, "slow" had to be ended; ``wrong`` tells a failed
    comparison from any other fault.
    """

    file: str
    name: str
    outcome: str
    error: str = ""
    wrong: bool = False
    denied: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    arcs: list[Arc] = field(default_factory=list)
    mutants: int = 0
    killed: int = 0


@dataclass(slots=True)
class Report:
    """What a child says of a job. ``refused`` is why it ran nothing."""

    nonce: str
    layers: list[str] = field(default_factory=list)
    refused: str = ""
    broken: dict[str, str] = field(default_factory=dict)  # modules that cannot be imported
    alone: list[Ran] = field(default_factory=list)
    together: list[Ran] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)  # outcomes of the suite's own tests
    disturbing: dict[str, str] = field(default_factory=dict)  # file::name, and why

    def encode(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Report:
        """Read a report."""
        values: dict[str, Any] = json.loads(text)
        for name in ("alone", "together"):
            values[name] = [decoded(each) for each in values[name]]
        return cls(**values)


def decoded(values: dict[str, Any]) -> Ran:
    """Read one test's part of a report."""
    ran = Ran(**values)
    ran.arcs = [(source, target) for source, target in ran.arcs]
    return ran


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to run: the job of a module of ours, where, how long in seconds."""

    module: str
    job: str
    scratch: str
    environ: dict[str, str]
    wall: float

    def encode(self) -> bytes:
        """Return it as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: str) -> Order:
        """Read a line."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: exit code as `subprocess` has it, CPU seconds, whether it was slow."""

    code: int
    seconds: float
    slow: bool

    def encode(self) -> bytes:
        """Return it as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Ended:
        """Read a line; raise `ValueError` for none."""
        return cls(**json.loads(line))
