"""The agents: author, repairer, reviewer and explainer, each a lionagi branch of one session.

The one file that imports lionagi, in a process of its own (`child`). A batch of questions is a
fan: one branch and one root of the graph for each, run by ``Session.flow_stream``, so that
replies come back as they are finished. What does not fit its schema is asked for once more on
the same branch, which remembers what it said.

lionagi's seam is ``Endpoint._call``: behind it stands our own `Wire`, since lionagi ignores
Retry-After, does not retry a reply that is no JSON, has no cap, and refuses the addresses of a
local network (0.36, measured). A prompt goes as ``plain_content``, word for word; lionagi then
leaves the branch's system text out, so the endpoint puts it in front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from lionagi import Branch, Builder, Session, iModel
from lionagi.ln.fuzzy import extract_json
from lionagi.service.connections import Endpoint, EndpointConfig
from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_aqe.errors import CapReached, ModelError
from pytest_aqe.generation import providers
from pytest_aqe.generation.questions import Question, Reply, Role, Setup
from pytest_aqe.generation.wire import Received, Wire

_AGAIN = (
    "That is not the JSON object that was asked for ({problem}). Reply with the JSON object "
    "alone: no other text, no code fence."
)


class Review(BaseModel):
    """What a reviewer answers about a test, one that failed or one that was accepted."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["right_test", "wrong_test", "bug_in_code", "unsure"]
    reason: str


class Explanation(BaseModel):
    """What an explainer answers about a test."""

    model_config = ConfigDict(extra="forbid")

    summary: str


SCHEMAS: dict[Role, type[BaseModel]] = {"reviewer": Review, "explainer": Explanation}


class QuestionEndpoint(Endpoint):
    """One question on its way: lionagi calls it as it would call a provider."""

    def __init__(self, wire: Wire, setup: Setup, question: Question) -> None:
        super().__init__(
            EndpointConfig(
                name="aqe",
                provider="aqe",
                endpoint="chat/completions",
                base_url="internal",
                auth_type="none",
                requires_tokens=False,
                timeout=int(setup.timeout) + 1,
                max_retries=1,
                kwargs={"model": setup.models[question.model].name},
            )
        )
        self.wire, self.setup, self.question = wire, setup, question
        self.received: list[Received] = []
        self.faults: list[ModelError] = []

    def copy_runtime_state_to(self, other: QuestionEndpoint) -> None:
        """Share all with a copy: ``flow`` may clone a branch and, with it, its endpoint."""
        other.wire, other.setup, other.question = self.wire, self.setup, self.question
        other.received, other.faults = self.received, self.faults

    async def _call(self, payload: dict[str, Any], headers: Any, **_: Any) -> dict[str, Any]:
        question = self.question
        model = self.setup.models[question.model]
        schema = SCHEMAS.get(question.role)
        request = providers.body(
            model,
            question.system,
            payload["messages"],
            max_tokens=question.max_tokens,
            temperature=question.temperature,
            seed=question.sample,
            schema=schema.model_json_schema() if schema else None,
        )
        try:
            received = await self.wire.ask(model, request, question.max_tokens)
        except ModelError as error:
            self.faults.append(error)
            raise
        self.received.append(received)
        said = received.said
        return {
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": said.text or " "}}
            ],
            "usage": {
                "prompt_tokens": said.input_tokens,
                "completion_tokens": said.output_tokens,
            },
        }


class Agents:
    """Answer batches of questions."""

    def __init__(self, setup: Setup, wire: Wire) -> None:
        self._setup = setup
        self._wire = wire

    async def answer(self, questions: Sequence[Question], tell: Callable[[Reply], None]) -> None:
        """Answer every question, each told as soon as it is answered or given up."""
        session = Session()
        asked: list[tuple[Branch, QuestionEndpoint, str]] = []
        for question in questions:
            endpoint = QuestionEndpoint(self._wire, self._setup, question)
            branch = Branch(name=question.role, chat_model=iModel(endpoint=endpoint))
            session.include_branches(branch)
            asked.append((branch, endpoint, question.prompt))
        while asked:
            asked = await self._fan(session, asked, tell)

    async def _fan(
        self,
        session: Session,
        asked: Sequence[tuple[Branch, QuestionEndpoint, str]],
        tell: Callable[[Reply], None],
    ) -> list[tuple[Branch, QuestionEndpoint, str]]:
        """Ask each branch its text; return what must be asked once more, and how."""
        builder = Builder("aqe")
        nodes: dict[str, tuple[Branch, QuestionEndpoint]] = {}
        for branch, endpoint, text in asked:
            node = builder.add_operation(
                "communicate",
                branch=branch,
                depends_on=[],
                instruction=endpoint.question.role,
                plain_content=text,
                skip_validation=True,
            )
            nodes[str(node)] = branch, endpoint
        again: list[tuple[Branch, QuestionEndpoint, str]] = []
        graph = builder.get_graph()
        async for event in session.flow_stream(graph, max_concurrent=self._setup.concurrency):
            branch, endpoint = nodes.pop(str(event.operation_id))
            problem = None
            if event.ok:
                reply, problem = self._reply(endpoint)
            else:
                reply = self._failure(endpoint, event.result)
            if problem is not None and len(endpoint.received) == 1:
                again.append((branch, endpoint, _AGAIN.format(problem=problem)))
            else:
                tell(reply)
        for _, endpoint in nodes.values():
            tell(self._failure(endpoint, "the question was never asked"))
        return again

    def _reply(self, endpoint: QuestionEndpoint) -> tuple[Reply, str | None]:
        """Return the reply, and what is wrong with it if its schema wants something else."""
        question, said = endpoint.question, endpoint.received[-1].said
        data, problem = None, None
        schema = SCHEMAS.get(question.role)
        if schema is not None:
            try:
                data = schema.model_validate(extract_json(said.text, fuzzy_parse=True)).model_dump()
            except (ValidationError, ValueError) as error:
                first = error.errors()[0] if isinstance(error, ValidationError) else None
                problem = str(first["msg"] if first else error).splitlines()[0][:200]
        reply = Reply(
            question.id,
            text=said.text if problem is None else None,
            data=data,
            cut=said.cut,
            error=f"no answer that fits its schema ({problem})" if problem else None,
            **self._measured(endpoint),
        )
        return reply, problem

    def _failure(self, endpoint: QuestionEndpoint, result: object) -> Reply:
        fault = endpoint.faults[-1] if endpoint.faults else None
        return Reply(
            endpoint.question.id,
            error=str(fault or result),
            capped=isinstance(fault, CapReached),
            **self._measured(endpoint),
        )

    def _measured(self, endpoint: QuestionEndpoint) -> dict[str, Any]:
        """Return what all requests of a question took, as far as it was counted."""
        received = endpoint.received
        sent = [one.said.input_tokens for one in received]
        got = [one.said.output_tokens for one in received]
        known = bool(received) and None not in sent and None not in got
        sums = (sum(n or 0 for n in sent), sum(n or 0 for n in got))
        price = self._setup.models[endpoint.question.model].price
        return {
            "input_tokens": sums[0] if known else None,
            "output_tokens": sums[1] if known else None,
            "dollars": price.of(*sums) if known and price else None,
            "requests": sum(one.requests for one in received),
            "seconds": sum(one.seconds for one in received),
        }
