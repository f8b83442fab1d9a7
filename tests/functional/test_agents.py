"""Questions to a scripted server, through the agents' process and lionagi: each ends well.

Nothing here is replaced: a process is started, lionagi runs, requests go over loopback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_aqe.data import Announcement
from pytest_aqe.generation.correspondence import Asked, Correspondence
from pytest_aqe.generation.ledger import Caps
from pytest_aqe.generation.providers import Price, model
from pytest_aqe.generation.questions import Question, Reply, Setup

from .scripted import Answer, Request, Script, Server, serving

pytest.importorskip("lionagi")

PRICE = Price(1.0, 10.0)
Ask = Callable[..., dict[str, Reply]]


class Desk:
    """A correspondence with a scripted server, and what was said on the way."""

    def __init__(self, script: Script) -> None:
        self._serving = serving(script)
        self.server: Server = self._serving.__enter__()
        self.announced: list[Announcement] = []
        self.asked: list[Asked] = []
        self.correspondence = self.open()

    def open(
        self,
        *,
        tokens: int = 1_000_000,
        dollars: float | None = None,
        timeout: float = 20.0,
        patience: float = 300.0,
        spec: str = "mine/small",
        key: str | None = None,
        environ: dict[str, str] | None = None,
        concurrency: int = 4,
        find: Callable[..., dict[str, Reply]] = lambda _: {},
    ) -> Correspondence:
        """Start over with other settings."""
        if hasattr(self, "correspondence"):
            self.correspondence.close()
        chosen = model(spec, url=self.server.url, key=key, price=PRICE)
        self.correspondence = Correspondence(
            Setup((chosen,), Caps(tokens, dollars), timeout, patience, concurrency, 0.05),
            self.announced.append,
            find=find,
            record=self.asked.append,
            environ={**os.environ, **(environ or {})},
        )
        return self.correspondence

    def ask(self, *prompts: str, role: str = "author", max_tokens: int = 50) -> list[Reply]:
        """Ask each prompt; return the replies in that order."""
        questions = [
            Question(str(n), 0, role, "Be brief.", text, max_tokens)  # type: ignore[arg-type]
            for n, text in enumerate(prompts)
        ]
        replies = self.correspondence.ask(questions, ["a.py"])
        assert replies.keys() == {question.id for question in questions}
        return [replies[question.id] for question in questions]

    def close(self) -> None:
        self.correspondence.close()
        self._serving.__exit__(None, None, None)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A correspondence whose server repeats the prompt."""
    found = Desk(lambda request: Answer(f"said: {request.prompt}"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def shared_desk() -> Iterator[Desk]:
    """A correspondence whose process stays: starting one takes more than a second."""
    found = Desk(lambda _: Answer("fine"))
    yield found
    found.close()


@pytest.fixture
def shared(shared_desk: Desk, request: pytest.FixtureRequest) -> Desk:
    """The shared desk, with a server that has just answered well."""
    shared_desk.server.script = lambda _: Answer("fine")
    shared_desk.ask(f"before {request.node.name}")
    shared_desk.server.requests.clear()
    return shared_desk


def first_then(first: Answer, *then: Answer) -> Script:
    """Return a script of answers in order; the last one stays."""
    answers = [first, *then]
    return lambda _: answers.pop(0) if len(answers) > 1 else answers[0]


def test_questions_are_answered_in_parallel_and_word_for_word(desk: Desk) -> None:
    """Four of six are on their way at once; each is sent as it is, after the instructions."""
    desk.server.script = lambda request: Answer(f"said: {request.prompt}", wait=0.3)
    prompts = [f"<{n}> {{x}} \u00e9\u4e2d\nline" for n in range(6)]
    assert [reply.text for reply in desk.ask(*prompts)] == [f"said: {p}" for p in prompts]
    assert desk.server.most_at_once == 4
    sent = desk.server.requests[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.system == "Be brief."
    assert sent.body["model"] == "small"
    assert len(sent.body["messages"]) == 2


def test_what_leaves_the_machine_is_said_before_the_first_request_and_once(desk: Desk) -> None:
    """To whom, how much of which files, and at most at what cost; other files when they come."""
    seen: list[int] = []
    desk.correspondence._announce = lambda told: (  # type: ignore[assignment]
        seen.append(len(desk.server.requests)),
        desk.announced.append(told),
    )
    desk.ask("one", "two")
    desk.ask("three")
    desk.correspondence.ask([Question("x", 0, "author", "s", "four", 9)], ["a.py", "b.py"])
    told, more = desk.announced
    assert seen == [0, 3]
    assert (more.files, more.again) == (("b.py",), True)
    assert told.models == ("mine/small",)
    assert told.hosts == (desk.server.url.split("/")[2],)
    assert told.files == ("a.py",)
    assert (told.prompts, told.bytes, told.tokens) == (2, 2 * len("Be brief.") + 6, 1_000_000)


def test_tokens_and_cost_are_what_the_server_counted(desk: Desk) -> None:
    """100 tokens at 1 $ and 10 at 10 $ per million."""
    (reply,) = desk.ask("one")
    assert (reply.input_tokens, reply.output_tokens) == (100, 10)
    assert reply.dollars == pytest.approx(0.0002)
    assert desk.correspondence.spent.input_tokens == 100


def test_unmeasured_tokens_are_null_and_their_worst_case_counts(desk: Desk) -> None:
    """A server that tells no usage is no reason to spend without an end."""
    desk.server.script = lambda _: Answer("x", usage=None)
    (reply,) = desk.ask("one")
    assert (reply.input_tokens, reply.output_tokens, reply.dollars) == (None, None, None)
    assert desk.correspondence.spent.assumed_tokens > 50


def test_the_same_question_is_not_sent_twice(desk: Desk) -> None:
    """The second answer is the first one's, and costs nothing."""
    assert [reply.text for reply in desk.ask("one")] == ["said: one"]
    desk.server.script = lambda _: Answer("something else")
    (again,) = desk.ask("one")
    assert again.text == "said: one"
    assert (again.input_tokens, again.dollars, again.requests) == (0, 0.0, 0)
    assert len(desk.server.requests) == 1
    assert [asked.cached for asked in desk.asked] == [False, True]


def test_an_answer_of_an_earlier_session_needs_no_process(desk: Desk) -> None:
    """A run whose replies are all known sends nothing, and announces nothing."""
    desk.open(find=lambda keys: {key: Reply("", text="known") for key in keys})
    assert [reply.text for reply in desk.ask("one", "two")] == ["known", "known"]
    assert not desk.server.requests
    assert not desk.announced


def test_other_samples_of_a_question_are_other_questions(desk: Desk) -> None:
    """They are asked with some temperature, and another seed."""
    questions = [Question(str(n), 0, "author", "s", "p", 50, n) for n in range(3)]
    desk.correspondence.ask(questions)
    sent = sorted((r.body["seed"], r.body["temperature"]) for r in desk.server.requests)
    assert sent == [(0, 0.0), (1, 0.8), (2, 0.8)]


def test_the_key_is_sent_to_the_server_and_is_in_no_other_place(desk: Desk, tmp_path: Path) -> None:
    """It comes from the environment or a file, and the process gets no other variable."""
    desk.open(key="env:MY_KEY", environ={"MY_KEY": "k-1", "OTHER_SECRET": "x"})
    desk.ask("one")
    assert desk.server.requests[-1].headers["authorization"] == "Bearer k-1"
    (tmp_path / "key").write_text("k-2\n")
    desk.open(key=f"file:{tmp_path / 'key'}")
    desk.ask("two")
    assert desk.server.requests[-1].headers["authorization"] == "Bearer k-2"
    assert "k-1" not in json.dumps([asked.row() for asked in desk.asked])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_has_nothing_else_of_the_users_environment(desk: Desk) -> None:
    """Neither the home, nor other keys, nor what makes Python import the project."""
    environ = {"MY_KEY": "k-1", "OTHER_API_KEY": "x", "PYTHONPATH": "/tmp", "PYTEST_ADDOPTS": "-q"}
    desk.open(key="env:MY_KEY", environ=environ)
    desk.ask("one")
    process = desk.correspondence._process
    assert process is not None
    raw = Path(f"/proc/{process._popen.pid}/environ").read_bytes()
    names = {line.split(b"=")[0].decode() for line in raw.split(b"\0") if line}
    assert "MY_KEY" in names
    assert not names & {"OTHER_API_KEY", "PYTHONPATH", "PYTEST_ADDOPTS"}
    assert Path(f"/proc/{process._popen.pid}/cwd").readlink() != Path.cwd()


def test_a_missing_key_is_said_and_nothing_is_sent(desk: Desk) -> None:
    """By the name of the variable that should hold it."""
    desk.open(key="env:NO_SUCH_KEY")
    (reply,) = desk.ask("one")
    assert reply.error is not None
    assert "NO_SUCH_KEY" in reply.error
    assert not desk.server.requests


def test_anthropic_is_spoken_to_in_its_own_way(desk: Desk) -> None:
    """Another path, another header, other names for the same."""
    desk.open(spec="anthropic/claude", key="env:K", environ={"K": "k"})
    (reply,) = desk.ask("one")
    (sent,) = desk.server.requests
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("said: one", 100, 10)
    assert (sent.path, sent.headers["x-api-key"]) == ("/v1/messages", "k")
    assert sent.system == "Be brief."
    assert "seed" not in sent.body


def test_a_structured_answer_fits_its_schema(desk: Desk) -> None:
    """Also where the model fences it, and asks for it once more where it does not fit."""
    good = '```json\n{"verdict": "bug_in_code", "reason": "it says so"}\n```'
    desk.server.script = first_then(Answer("I think it is a bug."), Answer(good))
    (reply,) = desk.ask("one", role="reviewer")
    assert reply.data == {"verdict": "bug_in_code", "reason": "it says so"}
    assert (reply.requests, reply.input_tokens) == (2, 200)
    first, second = desk.server.requests
    assert first.body["response_format"]["type"] == "json_schema"
    assert [message["role"] for message in second.body["messages"]] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["prose", "", "[]", '{"verdict": "maybe", "reason": ""}', '{"verdict": 1}', "{" * 9000]
)
def test_an_answer_without_its_schema_is_an_error_after_two_requests(
    shared: Desk, text: str
) -> None:
    """Never half a structure."""
    shared.server.script = lambda _: Answer(text)
    (reply,) = shared.ask(f"schema {text}", role="reviewer")
    assert (reply.data, reply.text) == (None, None)
    assert reply.error is not None
    assert "schema" in reply.error
    assert len(shared.server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "said", "requests"),
    [
        (Answer("oops", status=500), "HTTP 500: oops, 3 times", 3),
        (Answer("slow down", status=429), "HTTP 429: slow down, 3 times", 3),
        (Answer("context length exceeded", status=400), "HTTP 400: context length exceeded", 1),
        (Answer(body=b"<html>hello</html>"), "what came was HTML, 3 times", 3),
        (Answer(body=b'{"choices": [{"mess'), "no complete JSON reply, 3 times", 3),
        (Answer(body=b"[" * 200_000), "no complete JSON reply, 3 times", 3),
        (Answer(body=b"\xff\xfe\x00"), "no complete JSON reply, 3 times", 3),
        (Answer(body=b'{"choices": []}'), "no complete JSON reply, 3 times", 3),
        (Answer(body=b"x" * 10_000_000), "a reply of more than 300,000 bytes", 1),
        (Answer("x" * 1000, cut=True), "the connection broke", 3),
        (Answer(status=307, headers={"location": "http://example.org/"}), "HTTP 307", 1),
    ],
    ids=["500", "429", "400", "html", "half-json", "deep", "bytes", "empty",
         "10MB", "cut", "redirect"],
)  # fmt: skip
def test_a_server_that_fails_is_named_with_what_it_did(
    shared: Desk, answer: Answer, said: str, requests: int
) -> None:
    """The question stays without an answer, and the next one can be asked."""
    shared.server.script = lambda _: answer
    (reply,) = shared.ask(f"fails {said} {len(answer.body or b'')}")
    assert reply.text is None
    assert reply.error is not None
    assert said in reply.error
    assert len(shared.server.requests) == requests
    assert shared.correspondence.over is None


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_an_unknown_model_is_asked_once(desk: Desk, status: int) -> None:
    """No other question would fare better; the reason is repeated."""
    desk.server.script = lambda _: Answer("no such thing", status=status)
    first, *others = [desk.ask(f"p{n}")[0].error or "" for n in range(3)]
    assert f"HTTP {status}: no such thing" in first
    assert all("given up" in other and str(status) in other for other in others)
    assert len(desk.server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_server_that_recovers_is_asked_again(shared: Desk, status: int) -> None:
    """What a retry can mend is mended."""
    shared.server.script = first_then(Answer(status=status), Answer("better"))
    (reply,) = shared.ask(f"recovers {status}")
    assert reply.text == "better"


def test_retry_after_is_waited_for(shared: Desk) -> None:
    """Not less than it asks for."""
    later = Answer(status=429, headers={"retry-after": "1"})
    shared.server.script = first_then(later, Answer("better"))
    assert [reply.text for reply in shared.ask("a second later")] == ["better"]
    first, second = shared.server.requests
    assert second.at - first.at >= 1


def test_a_wait_that_the_timeout_does_not_allow_is_not_begun(shared: Desk) -> None:
    """It says how long the server wanted."""
    shared.server.script = lambda _: Answer(status=429, headers={"retry-after": "3600"})
    (reply,) = shared.ask("an hour later")
    assert reply.error is not None
    assert "it asks to wait 3600 s" in reply.error
    assert len(shared.server.requests) == 1


def test_silence_ends_at_the_timeout_and_its_worst_case_counts(desk: Desk) -> None:
    """The server may have worked, and may charge for it."""
    desk.open(timeout=1.0)
    desk.server.script = lambda _: Answer(wait=600)
    (reply,) = desk.ask("one")
    assert reply.error is not None
    assert "no answer within 1 s" in reply.error
    assert desk.correspondence.spent.assumed_tokens > 0


def test_a_sessions_time_for_models_has_an_end(desk: Desk) -> None:
    """However many questions there are, and however each of them ends in time."""
    desk.open(timeout=20.0, patience=4.0, concurrency=1)
    desk.server.script = lambda _: Answer("late", wait=1.5)
    replies = [*desk.ask(*(f"p{n}" for n in range(9))), *desk.ask("q")]
    assert len(desk.server.requests) < 4
    assert any("--aqe-llm-time-cap" in (reply.error or "") for reply in replies)
    assert replies[-1].text is None


def test_a_model_that_keeps_failing_is_left_alone(desk: Desk) -> None:
    """After three questions without an answer no further request is sent."""
    desk.open(concurrency=1)
    desk.server.script = lambda _: Answer("broken", status=501)
    replies = desk.ask(*(f"p{n}" for n in range(8)))
    assert len(desk.server.requests) == 3
    assert sum("was given up" in (reply.error or "") for reply in replies) == 5


def test_the_cap_on_tokens_holds(desk: Desk) -> None:
    """What could pass it is not sent; what was spent is below it."""
    desk.open(tokens=1500)
    replies = desk.ask(*(f"p{n}" for n in range(40)))
    spent = desk.correspondence.spent
    assert spent.input_tokens + spent.output_tokens + spent.assumed_tokens <= 1500
    capped = [reply for reply in replies if reply.capped]
    assert len(capped) + len(desk.server.requests) == 40
    assert 5 < len(desk.server.requests) < 14
    assert "could pass the cap of 1,500 tokens" in (capped[0].error or "")


def test_the_cap_on_dollars_holds_over_several_batches(desk: Desk) -> None:
    """Also when questions come one by one."""
    desk.open(dollars=0.003)
    for n in range(20):
        desk.ask(f"p{n}")
    assert desk.correspondence.spent.dollars is not None
    assert desk.correspondence.spent.dollars <= 0.003
    assert 5 < len(desk.server.requests) < 16


@pytest.mark.parametrize("name", ["temperature", "seed"])
def test_a_parameter_that_a_server_refuses_is_left_out(desk: Desk, name: str) -> None:
    """Once is enough: the next question goes without it."""

    def script(request: Request) -> Answer:
        if name in request.body:
            return Answer(f"Unsupported value: '{name}'", status=400)
        return Answer("fine")

    desk.server.script = script
    assert [reply.text for reply in desk.ask("one")] == ["fine"]
    assert [reply.text for reply in desk.ask("two")] == ["fine"]
    assert len(desk.server.requests) == 3


def test_reasoning_models_get_their_own_name_for_the_limit(desk: Desk) -> None:
    """They refuse max_tokens and say what they want."""

    def script(request: Request) -> Answer:
        if "max_tokens" in request.body:
            return Answer("Use 'max_completion_tokens' instead of 'max_tokens'.", status=400)
        return Answer(str(request.body["max_completion_tokens"]))

    desk.server.script = script
    assert [reply.text for reply in desk.ask("one", max_tokens=77)] == ["77"]


def test_a_refused_connection_is_an_error_of_its_own(desk: Desk) -> None:
    """Nobody listens at that address."""
    chosen = model("mine/small", url="http://127.0.0.1:9/v1")
    desk.correspondence = Correspondence(
        Setup((chosen,), Caps(1000, None), 5.0, backoff=0.05), desk.announced.append
    )
    (reply,) = desk.ask("one")
    assert reply.error is not None
    assert "no connection" in reply.error


def test_a_process_that_dies_is_said_and_ends_the_asking(desk: Desk) -> None:
    """Whoever killed it: every question has its answer, and nothing hangs."""
    desk.ask("one")
    process = desk.correspondence._process
    assert process is not None
    process._popen.kill()
    process._popen.wait()
    (reply,) = desk.ask("two")
    assert reply.error is not None
    assert "ended by itself" in reply.error
    assert desk.correspondence.over == reply.error
    assert [again.error for again in desk.ask("three")] == [reply.error]


def test_a_killed_session_takes_the_process_with_it(desk: Desk) -> None:
    """It sends nothing that nobody would hear the answer to."""
    program = f"""if True:
        from pytest_aqe.generation.correspondence import Correspondence
        from pytest_aqe.generation.ledger import Caps
        from pytest_aqe.generation.providers import model
        from pytest_aqe.generation.questions import Question, Setup
        setup = Setup((model("m/x", url="{desk.server.url}"),), Caps(10**6, None), 600.0, 600.0, 1)
        Correspondence(setup, print).ask(
            [Question(str(n), 0, "author", "s", f"p{{n}}", 9) for n in range(9)]
        )
    """
    desk.server.script = lambda _: Answer(wait=600)
    session = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    while not desk.server.requests:
        assert session.poll() is None
        time.sleep(0.05)
    (agents,) = _children(session.pid)
    session.kill()
    session.wait()
    while _runs(agents):
        time.sleep(0.05)
    assert len(desk.server.requests) == 1


def _runs(pid: str) -> bool:
    """Tell whether a process is more than an entry that nobody has read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[str]:
    """Return the processes that a process started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("reads /proc")
    return path.read_text().split()


def test_nothing_is_left_in_the_working_directory(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No data/logs, and a project's .env is not read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-the-project\n")
    desk.ask("one")
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
    assert "authorization" not in desk.server.requests[0].headers
