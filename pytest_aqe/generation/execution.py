"""Runs calls of the code under test, one by one: what each does, and what it runs.

A call that hangs, ends its process or reaches for the system has no outcome.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import io
import signal
import tempfile
import types
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_aqe.data import Arc
from pytest_aqe.generation import circumstances, files
from pytest_aqe.generation.comparisons import Compared, Comparisons
from pytest_aqe.generation.guard import Denied, Guard
from pytest_aqe.generation.harvest import Argument, spelled
from pytest_aqe.generation.mutants import living
from pytest_aqe.generation.parsers import Parsers, Read
from pytest_aqe.generation.statements import statements
from pytest_aqe.generation.subjects import Subject
from pytest_aqe.generation.tracing import tracer
from pytest_aqe.generation.values import Source

CALL = 0.4  # seconds a call may take
LISTED = 30  # items of an iterator that are looked at


class Call(NamedTuple):
    """A call to try: how ``self`` is made, what happens to it first, and the arguments.

    With ``then`` what it returns is called in turn, with these. ``around`` is what it finds: the
    values of circumstances.
    """

    receiver: Source | None
    arguments: tuple[Argument, ...]
    before: tuple[tuple[str, tuple[Argument, ...]], ...] = ()
    then: tuple[Source, ...] | None = None
    around: tuple[Argument, ...] = ()

    def written(self, text: str) -> str:
        """Write it; ``text`` is the call itself."""
        if self.then is None:
            return text
        return f"{text}({', '.join(each.text for each in self.then)})"

    @property
    def sources(self) -> list[Source]:
        """All expressions in it."""
        sources = [self.receiver] if self.receiver is not None else []
        sources += [each.source for _, given in self.before for each in given]
        sources += [each.source for each in (*self.arguments, *self.around)]
        return sources

    @property
    def text(self) -> str:
        """The texts of all of them."""
        return ", ".join(each.text for each in self.sources)


@dataclass(slots=True)
class Outcome:
    """What a call did. ``drained`` tells an iterator whose items were taken as the value.

    ``folder`` is what is in the folder of a call that takes a file.
    """

    value: Any = None
    error: BaseException | None = None
    receiver: Any = None
    output: str = ""
    drained: str = ""
    folder: files.Folder | None = None


class Timeout(BaseException):
    """The call took too long."""


class Executor:
    """Run calls of one file's functions, traced and guarded; names stay from call to call."""

    def __init__(self, target: str, raises: Raises, comparisons: Comparisons, folder: str) -> None:
        """In a part of ``folder`` a call may write: in its ``tmp_path``, and in temporary files."""
        self._target = target
        self._raises = raises
        self._tracer = tracer(target)
        self._tracer.prepare(living(target))
        self._comparisons = comparisons
        self._folder = Path(folder, "calls", "files")
        self._temporary = Path(folder, "calls", "temporary")
        self._guard = Guard(str(self._folder.parent))
        self._variables = circumstances.Variables()
        self._parsers = Parsers()
        self.namespace: dict[str, Any] = {files.FIXTURE: self._folder}
        self.asked: frozenset[str] = frozenset()
        """The variables of the environment that the last call asked for."""
        self.hung = False
        """Whether time ended the last call."""

    def install(self) -> None:
        """Guard this process from now on, and let time end a call."""
        self._temporary.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(self._temporary)
        self._guard.install()
        self._variables.install()
        self._parsers.install()
        signal.signal(signal.SIGALRM, _time_is_up)

    def ran(self) -> tuple[set[int], set[Arc]]:
        """Return the lines and jumps since the last time."""
        return self._tracer.found()

    def compared(self) -> list[Compared]:
        """Return what the file's functions compared since the last time."""
        return self._comparisons.seen()

    @property
    def read(self) -> Read | None:
        """The command line that the last call read, with a parser of argparse."""
        return self._parsers.read

    def execute(self, subject: Subject, call: Call) -> Outcome | None:
        """Run a call; None where it cannot be made, hangs, or reaches for the system."""
        outcome = Outcome()
        namespace = self.namespace
        output = io.StringIO()
        with_files = files.FIXTURE in call.text
        if with_files:
            files.fill(self._folder, call.text)
        patch = namespace[circumstances.FIXTURE] = pytest.MonkeyPatch()
        self.hung = False
        signal.setitimer(signal.ITIMER_REAL, CALL)
        try:
            with contextlib.redirect_stdout(output), self._guard.armed():
                self._import(subject.imports)  # as a test does: before anything is exchanged
                for source in call.sources:
                    self._import(source.imports)
                text = call.written(subject.spelled("self_", call.arguments))
                for each in call.around:
                    if not circumstances.fits(each, namespace):
                        return None
                    eval(circumstances.statement(each), namespace)
                self._variables.asked.clear()
                self._parsers.read = None
                if call.receiver is not None:
                    outcome.receiver = namespace["self_"] = call.receiver.value(namespace)
                    for name, arguments in call.before:
                        eval(f"self_.{name}({spelled(arguments)})", namespace)
                self._tracer.start()
                try:
                    self._comparisons.seen()
                    outcome.value = eval(text, namespace)
                    self._drain(outcome)
                except (Timeout, Denied):
                    raise
                except (Exception, SystemExit) as error:
                    self._tracer.stop()
                    outcome.error = error
                finally:
                    self._tracer.stop()
        except Timeout:
            self.hung = True
            return None
        except (Denied, Exception, SystemExit, KeyboardInterrupt, GeneratorExit):
            return None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.asked = frozenset(self._variables.asked)
            patch.undo()
            if self._guard.opened:
                files.empty(self._temporary)
        if isinstance(outcome.error, (RecursionError, MemoryError)):
            return None
        if isinstance(outcome.value, types.CoroutineType):
            outcome.value.close()
            return None
        outcome.output = output.getvalue()
        outcome.folder = files.look(self._folder) if with_files else None
        return outcome

    def _import(self, statements: Iterable[str]) -> None:
        for statement in statements:
            if statement not in self.namespace:
                exec(statement, self.namespace)
                self.namespace[statement] = True

    def _drain(self, outcome: Outcome) -> None:
        """Take the items of an iterator: until then a generator has done nothing."""
        value = outcome.value
        if isinstance(value, types.GeneratorType) or (
            hasattr(value, "__next__") and hasattr(value, "__iter__") and not hasattr(value, "read")
        ):
            items = []
            outcome.drained = "list"
            for item in value:
                items.append(item)
                if len(items) > LISTED:
                    outcome.drained = "islice"
                    items.pop()
                    break
            outcome.value = items

    def is_ours(self, error: BaseException, arcs: Collection[Arc]) -> bool:
        """Tell an exception that the project raises itself, or again, from a crash.

        To end the program is meant, whoever does it, as a parser of arguments.
        """
        if isinstance(error, SystemExit):
            return True
        if not self._raises.fits(error):
            return False
        own = self._raises.of(self._target)
        left = {source for source, leads in arcs if leads < 0}
        if any(
            # out of the function, or back to the head of a ``with`` and from there out of it
            source in own and (leads < 0 or (leads < source and leads in left))
            for source, leads in arcs
        ):
            return True
        trace = error.__traceback__
        if trace is not None and trace.tb_next is not None and trace.tb_next.tb_next is None:
            # between our frames and the code under test stands nothing: its operator gave up
            return isinstance(error, TypeError) and "supported" in str(error)
        last = None
        while trace is not None:
            last = trace
            trace = trace.tb_next
        if last is None:
            return False
        file = last.tb_frame.f_code.co_filename
        return last.tb_lineno in self._raises.of(file)

    def can_be_made(self, source: Source) -> bool:
        """Tell whether an expression has a value."""
        signal.setitimer(signal.ITIMER_REAL, CALL)
        try:
            with self._guard.armed():
                source.value(self.namespace)
        except (Exception, Timeout, Denied, SystemExit):
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return True


class Raises:
    """The lines of all ``raise`` and ``assert`` statements of a package, read when asked for."""

    def __init__(self, folder: str) -> None:
        """``folder`` ends with a slash, or is the one file."""
        self._folder = folder
        self._known: dict[str, frozenset[int]] = {}

    def of(self, file: str) -> frozenset[int]:
        """Return the lines of a file, none where it is not of the package."""
        if file not in self._known:
            ours = file.startswith(self._folder)
            self._known[file] = _raise_lines(file) if ours else frozenset()
        return self._known[file]

    def fits(self, error: BaseException) -> bool:
        """Tell whether an error on such a line is what is raised there: to make that may crash."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is None or trace.tb_lineno not in self.of(trace.tb_frame.f_code.co_filename):
            return True
        return trace.tb_frame.f_code.co_code[trace.tb_lasti] in _RAISING


_RAISING = {dis.opmap[name] for name in ("RAISE_VARARGS", "RERAISE")}


def _raise_lines(file: str) -> frozenset[int]:
    try:
        tree = ast.parse(Path(file).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(
        line
        for node, _ in statements(tree)
        if isinstance(node, (ast.Raise, ast.Assert))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    )


def _time_is_up(signum: int, frame: Any) -> None:
    raise Timeout
