"""What the session and the agents' process say to each other: one JSON object a line.

The session writes a `Setup`, then batches of `Question`; the process answers each question with
one `Reply` as soon as it has it, and a batch with ``{"done": true}``. Everything is text and
numbers: no code, no object and no key crosses over.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pytest_aqe.generation.ledger import Caps
from pytest_aqe.generation.providers import Model, Price

OUT_OF_TIME = "the session's time for models is over (--aqe-llm-time-cap)"

Role = Literal["author", "repairer", "reviewer", "explainer"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the agents' process must know before the first question.

    ``timeout`` is seconds for one question, all attempts included, ``patience`` the seconds a
    session waits for answers altogether, ``backoff`` those before the second attempt, doubled
    before the third.
    """

    models: tuple[Model, ...]
    caps: Caps
    timeout: float
    patience: float = 300.0
    concurrency: int = 4
    backoff: float = 1.0

    def wire(self) -> dict[str, Any]:
        """Return this as JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, wire: dict[str, Any]) -> Setup:
        """Return what `wire` wrote."""
        models = tuple(
            Model(**{**model, "price": Price(**model["price"]) if model["price"] else None})
            for model in wire["models"]
        )
        return cls(**{**wire, "models": models, "caps": Caps(**wire["caps"])})


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt to one model. ``sample`` counts the answers wanted to the same prompt."""

    id: str
    model: int
    role: Role
    system: str
    prompt: str
    max_tokens: int
    sample: int = 0

    @property
    def temperature(self) -> float:
        """0 for the first answer; variety for those that are to differ from it."""
        return 0.0 if self.sample == 0 else 0.8

    def key(self, model: Model) -> str:
        """Return the name of this question in the reply cache.

        Whoever asks the same model the same thing again is told what it said before. The
        address is not part of it: the same model may move.
        """
        told = [model.provider, model.name, self.role, self.system, self.prompt]
        text = json.dumps([*told, self.max_tokens, self.sample], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one question.

    ``data`` is the structured answer of reviewer and explainer, None from the others. Tokens
    are None where the server told none, ``dollars`` also where no price is known. ``error``
    says why there is no text; ``capped`` that the cap was the reason, and nothing was sent.
    """

    id: str
    text: str | None = None
    data: dict[str, Any] | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    dollars: float | None = None
    requests: int = 0
    seconds: float = 0.0
    cut: bool = False
    error: str | None = None
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """The ledger as it stands. ``dollars`` is None where no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    assumed_tokens: int = 0
    dollars: float | None = None
