"""The session's side of the agents' process: starts it, asks it, and survives its end.

The process gets the model's key and what HTTPS needs from the environment, an empty folder to
stand in, and no module of the user's. It is started with the first question that no earlier
reply answers; before that, what is about to be sent is announced, once.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_aqe.data import Announcement
from pytest_aqe.errors import ModelError
from pytest_aqe.generation.child import MISSING
from pytest_aqe.generation.questions import OUT_OF_TIME, Question, Reply, Setup, Spent

START = 60.0  # seconds to import lionagi: 1.5 s on an idle machine (measured), 20x under load
GRACE = 10.0  # seconds beyond all timeouts before a process that is silent is ended

_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SYSTEMROOT",
)
_START_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from pytest_aqe.generation import child; "
    "del sys.path[0]; child.main()"
)


Find = Callable[[Sequence[str]], Mapping[str, Reply]]
"""Returns what models said before, by `Question.key`: the reply cache."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and what became of it: a row of the history, and of the reply cache."""

    key: str
    model: str
    question: Question
    reply: Reply
    cached: bool

    def row(self) -> dict[str, Any]:
        """Return this as a row for the run file."""
        question, reply = self.question, self.reply
        return {
            "key": self.key,
            "model": self.model,
            "role": question.role,
            "sample": question.sample,
            "bytes": len((question.system + question.prompt).encode("utf-8", "replace")),
            "cached": self.cached,
            "requests": reply.requests,
            "tokens_in": reply.input_tokens,
            "tokens_out": reply.output_tokens,
            "cost": reply.dollars,
            "seconds": reply.seconds,
            "cut": reply.cut,
            "error": reply.error,
            "text": None if self.cached else reply.text,
            "data": None if self.cached or reply.data is None else json.dumps(reply.data),
        }


class Correspondence:
    """Ask agents; every question is answered, if only by why there is no answer."""

    def __init__(
        self,
        setup: Setup,
        announce: Callable[[Announcement], None],
        *,
        find: Find = lambda _: {},
        record: Callable[[Asked], None] = lambda _: None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._setup = setup
        self._announce = announce
        self._find = find
        self._record = record
        self._environ = os.environ if environ is None else environ
        self._process: _Process | None = None
        self._known: dict[str, Reply] = {}
        self._told: set[str] | None = None
        self._patience = setup.patience
        self.over: str | None = None
        """Why nothing more is asked."""
        self.asked = 0
        self.cached = 0
        self.errors: dict[str, int] = {}
        """Why questions stayed without an answer, each with how often."""
        self.spent = Spent()

    @property
    def setup(self) -> Setup:
        """Whom it asks, and within which caps."""
        return self._setup

    @property
    def waited(self) -> float:
        """How long answers have been waited for, in seconds."""
        return self._setup.patience - self._patience

    def ask(self, questions: Sequence[Question], files: Sequence[str] = ()) -> dict[str, Reply]:
        """Return a reply for every question, by its id. ``files`` are those quoted in them."""
        keys = {q.id: q.key(self._setup.models[q.model]) for q in questions}
        unknown = [key for key in keys.values() if key not in self._known]
        self._known |= self._find(unknown) if unknown else {}
        found = {
            question.id: self._repeated(question, self._known[keys[question.id]])
            for question in questions
            if keys[question.id] in self._known
        }
        fresh = [question for question in questions if question.id not in found]
        for question in questions:
            if question.id in found:
                self._note(
                    Asked(
                        keys[question.id], self._model(question), question, found[question.id], True
                    )
                )
        by_id = {question.id: question for question in fresh}
        for reply in self._ask(fresh, files) if fresh else ():
            question = by_id.pop(reply.id)
            found[reply.id] = reply
            if reply.error is None:
                self._known[keys[reply.id]] = reply
            self._note(Asked(keys[reply.id], self._model(question), question, reply, False))
        return found

    def _model(self, question: Question) -> str:
        return str(self._setup.models[question.model])

    def _repeated(self, question: Question, before: Reply) -> Reply:
        """Return an earlier reply, which now costs nothing."""
        priced = self._setup.models[question.model].price is not None
        return replace(
            before,
            id=question.id,
            input_tokens=0,
            output_tokens=0,
            dollars=0.0 if priced else None,
            requests=0,
            seconds=0.0,
        )

    def _note(self, asked: Asked) -> None:
        self.asked += 1
        self.cached += asked.cached
        if asked.reply.error is not None:
            self.errors[asked.reply.error] = self.errors.get(asked.reply.error, 0) + 1
        self._record(asked)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def _ask(self, questions: Sequence[Question], files: Sequence[str]) -> Iterator[Reply]:
        """Yield a reply for every question as it comes, each kept before the next is awaited."""
        waiting = {question.id: question for question in questions}
        start = time.monotonic()
        if self.over is None and self._patience <= 0:
            self.over = OUT_OF_TIME
        if self.over is None:
            try:
                if self._process is None:
                    self._process = _Process(self._setup, self._environ)
                self._say_what_leaves(questions, files)
                for reply, spent in self._process.ask(questions, self._setup, self._patience):
                    del waiting[reply.id]
                    self.spent = spent
                    yield reply
            except ModelError as error:
                self.over = str(error)
                self.close()
            finally:
                self._patience -= time.monotonic() - start
        for question in waiting.values():
            yield Reply(question.id, error=self.over or "no answer")

    def _say_what_leaves(self, questions: Sequence[Question], files: Sequence[str]) -> None:
        """Announce the first questions, and later ones that quote other files."""
        again = self._told is not None
        told = self._told or set()
        new = [file for file in dict.fromkeys(files) if file not in told]
        self._told = told | set(new)
        if again and not new:
            return
        models = self._setup.models
        self._announce(
            Announcement(
                models=tuple(str(model) for model in models),
                hosts=tuple(dict.fromkeys(model.host for model in models)),
                files=tuple(new),
                prompts=len(questions),
                bytes=sum(len((q.system + q.prompt).encode("utf-8", "replace")) for q in questions),
                tokens=self._setup.caps.tokens,
                dollars=self._setup.caps.dollars,
                again=again,
            )
        )


class _Process:
    """The agents' process and its pipes."""

    def __init__(self, setup: Setup, environ: Mapping[str, str]) -> None:
        if find_spec("lionagi") is None:
            raise ModelError(MISSING.format(problem="No module named 'lionagi'"))
        self._folder = tempfile.TemporaryDirectory(prefix="aqe-agents-")
        place = Path(self._folder.name)
        self._errors = place / "stderr.txt"
        names = {model.key.removeprefix("env:") for model in setup.models if model.key}
        with self._errors.open("wb") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, "-E", "-c", _START_CODE, str(Path(__file__).parents[2])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=place,
                env=_environment(environ, names, place),
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is the session's: it ends the process itself
            )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="aqe-agents", daemon=True).start()
        try:
            first = self._next(time.monotonic() + START)
            if "failed" in first:
                raise ModelError(first["failed"])
            self._write(setup.wire())
        except BaseException:
            self.end()
            raise

    def ask(
        self, questions: Sequence[Question], setup: Setup, seconds: float
    ) -> Iterator[tuple[Reply, Spent]]:
        """Yield a reply and the ledger for each question as they come."""
        self._write({"ask": [asdict(question) for question in questions], "seconds": seconds})
        waves = -(-len(questions) // setup.concurrency)
        longest = min(2 * waves * setup.timeout, seconds)  # each is asked twice at most
        deadline = time.monotonic() + longest + GRACE
        while True:
            message = self._next(deadline)
            if "done" in message:
                return
            yield Reply(**message["reply"]), Spent(**message["spent"])

    def end(self) -> None:
        """Close the pipe, wait a moment, then insist."""
        if self._popen.stdin is not None:
            with suppress(OSError):
                self._popen.stdin.close()
        try:
            self._popen.wait(2.0)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._folder.cleanup()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _next(self, deadline: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            raise ModelError("the agents' process does not answer; it was ended") from None
        if line is None:
            raise ModelError(f"the agents' process ended by itself ({self._last_words()})")
        message: dict[str, Any] = json.loads(line)
        return message

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps(message) + "\n")
            self._popen.stdin.flush()
        except OSError:
            raise ModelError(
                f"the agents' process ended by itself ({self._last_words()})"
            ) from None

    def _last_words(self) -> str:
        try:
            lines = self._errors.read_text("utf-8", "replace").split("\n")
        except OSError:
            lines = []
        words = [line.strip() for line in lines if line.strip()]
        return words[-1][:200] if words else "it said nothing"


def _environment(environ: Mapping[str, str], keys: set[str], place: Path) -> dict[str, str]:
    """Return the process's environment: the keys, what HTTPS needs, and a home of its own."""
    wanted = {*_PASSED_ON, *(name.lower() for name in _PASSED_ON if "PROXY" in name), *keys}
    return {name: value for name, value in environ.items() if name in wanted} | {
        "HOME": str(place),
        "USERPROFILE": str(place),
        "TMPDIR": str(place),
        "LOG_AUTO_SAVE_ON_EXIT": "false",  # lionagi would keep prompts in data/logs
        "LOG_CAPACITY": "1000000",
    }
