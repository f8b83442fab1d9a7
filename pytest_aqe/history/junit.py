"""JUnit XML that pytest wrote, read back into results.

The file is data of strangers: it is parsed as a stream, and a document type, in which
entity bombs live, is refused before it is read. pytest's own node ids are not in the file.
They are rebuilt from ``classname`` and ``name``, which are the node id with its separators
flattened to dots (`_NodeIds`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from pytest_aqe.data import NodeId, Outcome, Result
from pytest_aqe.errors import InterchangeError

Signature = Callable[[str | None, str], str | None]
"""Gives the signature of a failure: the file (from the rootdir) and the message of an
exception, or without a file a text as it was printed."""

_CHUNK = 1 << 16  # bytes
_FAULTS = ("failure", "error", "skipped")
# Maven Surefire's names for attempts before the last, of a test that passed in the end or failed.
_EARLIER: Mapping[str, Outcome] = {
    "flakyFailure": "failed",
    "flakyError": "error",
    "rerunFailure": "failed",
    "rerunError": "error",
}
_OUTPUT = ("system-out", "system-err")
_LOCATION = re.compile(r"^(\S.*?):\d+: [\w.]+$")
_TEARDOWN = "failed on teardown"  # pytest's second element for a test that failed before it


@dataclass(slots=True)
class Report:
    """What the file says beside its results: filled in as they are read."""

    started_at: str | None = None
    started_line: int | None = None  # where the file says so
    left_out: int = 0  # collection errors and skipped modules, which are no tests


def read(
    path: Path, report: Report, rootdir: Path, signature: Signature
) -> Iterator[tuple[int, Result]]:
    """Yield the results with their lines; several of one test are its attempts, in their order.

    Raise an `InterchangeError` that names the line.
    """
    reader = _Reader(path, report, rootdir, signature)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield from reader.feed(chunk)
    yield from reader.feed(b"")


class _Reader:
    """Expat's handlers, and what they have gathered of the element they are in."""

    def __init__(self, path: Path, report: Report, rootdir: Path, signature: Signature) -> None:
        self._path = path
        self._report = report
        self._signature = signature
        self._node_ids = _NodeIds(rootdir)
        self._done: list[tuple[int, Result]] = []
        self._case: dict[str, str] | None = None
        self._line = 0  # of the case
        self._children: list[_Child] = []
        self._child: _Child | None = None
        self._output = False
        self._depth = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def feed(self, chunk: bytes) -> list[tuple[int, Result]]:
        """Parse on; return the results that are complete. The last one waits for the next."""
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            raise InterchangeError(
                self._path, error.lineno, None, f"no well-formed XML ({error})"
            ) from error
        keep = 1 if chunk else 0
        done, self._done = self._done[: len(self._done) - keep], self._done[-keep:] if keep else []
        return done

    def _refuse(self, column: str | None, problem: str) -> NoReturn:
        raise InterchangeError(self._path, self._parser.CurrentLineNumber, column, problem)

    def _doctype(self, *_: object) -> None:
        self._refuse(None, "a document type or entities, which no test report needs")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name not in ("testsuites", "testsuite"):
            self._refuse(None, f"<{name}> is no JUnit XML (it starts with <testsuites>)")
        if name == "testsuite" and self._report.started_at is None:
            self._report.started_at = attributes.get("timestamp")
            self._report.started_line = self._parser.CurrentLineNumber
        elif name == "testcase":
            self._case, self._children = attributes, []
            self._line = self._parser.CurrentLineNumber
        elif self._case is not None and self._child is None:
            if name in _FAULTS or name in _EARLIER:
                self._child = _Child(name, attributes)
        else:
            self._output = name in _OUTPUT

    def _text(self, text: str) -> None:
        if self._child is not None and not self._output:
            self._child.text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._output = False
        if self._child is not None and name == self._child.name:
            self._children.append(self._child)
            self._child = None
        elif name == "testcase" and self._case is not None:
            self._take(self._case)
            self._case = None

    def _take(self, case: dict[str, str]) -> None:
        name, classname = case.get("name", ""), case.get("classname", "")
        if not name:
            self._refuse("name", "is empty")
        if not classname or (classname, name) == ("pytest", "internal"):
            self._report.left_out += 1
            return
        node_id = self._node_ids.of(classname, name, case.get("file"))
        faults = [child for child in self._children if child.name in ("failure", "error")]
        earlier = [child for child in self._children if child.name in _EARLIER]
        before = self._done[-1][1] if self._done else None
        if (
            before is not None
            and before.node_id == node_id
            and faults
            and faults[0].attributes.get("message", "").startswith(_TEARDOWN)
        ):
            return  # the attempt has failed already
        for child in earlier:
            attempt = Result(
                node_id=node_id,
                outcome=_EARLIER[child.name],
                signature=self._signature(*_crash(child)),
            )
            self._done.append((self._line, attempt))
        result = Result(
            node_id=node_id,
            outcome=self._outcome(),
            call=self._seconds(case.get("time")),
            signature=self._signature(*_crash(faults[0])) if faults else None,
        )
        self._done.append((self._line, result))

    def _outcome(self) -> Outcome:
        names = {child.name for child in self._children}
        if "failure" in names:
            return "failed"
        if "error" in names:
            return "error"
        if names & {"rerunFailure", "rerunError"}:
            return "failed"  # on the last attempt too, whatever was made of that
        if "skipped" in names:
            kinds = {child.attributes.get("type") for child in self._children}
            return "xfailed" if "pytest.xfail" in kinds else "skipped"
        return "passed"

    def _seconds(self, text: str | None) -> float | None:
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            self._refuse("time", f"{text!r} is no number")
        if not 0 <= seconds < math.inf:
            self._refuse("time", f"{text!r} is no duration")
        return seconds


class _Child:
    """An element that tells of a failure, of an attempt before the last, or of a skip."""

    __slots__ = ("attributes", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.text: list[str] = []


def _crash(fault: _Child) -> tuple[str | None, str]:
    """Return the file and the message that a printed traceback ends with, or a text.

    Not the ``message`` attribute: pytest 9.2 cuts it short.
    """
    path: str | None = None
    message: list[str] = []
    indent = 0
    inside = False
    for line in "".join(fault.text).splitlines():
        if line.startswith("E "):
            if not inside:
                message, indent = [], len(line) - len(line[1:].lstrip())
            message.append(line[indent:])
        elif found := _LOCATION.match(line):
            path = found[1]
        inside = line.startswith("E ")
    if not message:
        last = "".join(fault.text).strip().splitlines()[-1:]
        return None, last[0] if last else fault.attributes.get("message", "")
    if path is None:
        return None, "\n".join(f"E {line}" for line in message)
    return path, "\n".join(message)


class _NodeIds:
    """Node ids from ``classname`` and ``name``.

    ``file`` (``junit_family=xunit1``) is believed where ``classname`` starts with it: for an
    inherited test it names the file of the base class. Else the longest leading part that is
    a file here is the file. Else the trailing parts that start with a capital are classes
    and what stands before them is the file.
    """

    def __init__(self, rootdir: Path) -> None:
        self._rootdir = rootdir
        self._known: dict[tuple[str, str | None], str] = {}

    def of(self, classname: str, name: str, file: str | None) -> NodeId:
        """Return the node id."""
        key = (classname, file)
        if key not in self._known:
            self._known[key] = self._parent(classname, file)
        return f"{self._known[key]}::{name}"

    def _parent(self, classname: str, file: str | None) -> NodeId:
        parts = classname.split(".")
        if file:
            file = file.replace("\\", "/")
            module = file.removesuffix(".py").replace("/", ".")
            if f"{classname}.".startswith(f"{module}."):
                classes = classname[len(module) + 1 :].split(".")
                return "::".join([file, *filter(None, classes)])
        for end in range(len(parts), 0, -1):
            path = "/".join(parts[:end]) + ".py"
            if (self._rootdir / path).is_file():
                return "::".join([path, *parts[end:]])
        end = len(parts)
        while end > 1 and parts[end - 1].lstrip("_")[:1].isupper():
            end -= 1
        return "::".join(["/".join(parts[:end]) + ".py", *parts[end:]])
