"""Who answers: providers, models, prices, and the two ways of speaking to them.

`openai`: POST ``/chat/completions``, which OpenAI, Gemini's compatible endpoint, Ollama, vLLM,
llama.cpp and most gateways understand. `anthropic`: POST ``/messages``.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pytest_aqe.errors import ModelError

Dialect = Literal["openai", "anthropic"]

ANTHROPIC_VERSION = "2023-06-01"
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens sent and received."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """Return what these tokens cost, in dollars."""
        return (input_tokens * self.input + output_tokens * self.output) / MILLION


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one address. ``key`` is ``env:NAME``, ``file:PATH`` or None.

    ``price`` is None where it is not known: then only tokens are capped, and cost is null.
    """

    provider: str
    name: str
    url: str
    dialect: Dialect
    key: str | None
    price: Price | None

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"

    @property
    def host(self) -> str:
        """The host and port that prompts are sent to."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class _Provider:
    url: str
    key: str | None
    dialect: Dialect = "openai"


PROVIDERS: dict[str, _Provider] = {
    "openai": _Provider("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": _Provider("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "anthropic"),
    "gemini": _Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"
    ),
    "ollama": _Provider("http://localhost:11434/v1", None),
}

# List prices of early 2026. Whoever pays another price says so with --aqe-llm-price. A model that
# is not here has no known price.
PRICES: dict[str, Price] = {
    "openai/gpt-4.1": Price(2.0, 8.0),
    "openai/gpt-4.1-mini": Price(0.4, 1.6),
    "openai/gpt-4.1-nano": Price(0.1, 0.4),
    "openai/gpt-4o": Price(2.5, 10.0),
    "openai/gpt-4o-mini": Price(0.15, 0.6),
    "openai/gpt-5": Price(1.25, 10.0),
    "openai/gpt-5-mini": Price(0.25, 2.0),
    "openai/gpt-5-nano": Price(0.05, 0.4),
    "anthropic/claude-haiku-4-5": Price(1.0, 5.0),
    "anthropic/claude-sonnet-4-5": Price(3.0, 15.0),
    "gemini/gemini-2.5-flash": Price(0.3, 2.5),
    "gemini/gemini-2.5-flash-lite": Price(0.1, 0.4),
}


def model(
    spec: str, *, url: str | None = None, key: str | None = None, price: Price | None = None
) -> Model:
    """Return the model that ``PROVIDER/MODEL`` names.

    Any provider may be named where a ``url`` is given: it then speaks `openai`, and has no key
    but the one given. Raise `ModelError` for a spec that names nobody.
    """
    provider, slash, name = spec.partition("/")
    if not (provider and slash and name):
        raise ModelError(f"--aqe-llm={spec}: expected PROVIDER/MODEL, such as ollama/qwen3-coder")
    known = PROVIDERS.get(provider)
    if known is None and url is None:
        raise ModelError(
            f"--aqe-llm={spec}: no provider is called {provider}; "
            f"choose one of {', '.join(PROVIDERS)}, or give --aqe-llm-url"
        )
    place = (url or (known.url if known else "")).rstrip("/")
    parts = urlsplit(place)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ModelError(f"--aqe-llm-url={url}: expected an address such as http://localhost/v1")
    if key is None and known is not None and known.key is not None:
        ours = url is None or os.environ.get(known.key)  # an own server may want no key
        key = f"env:{known.key}" if ours else None
    return Model(
        provider=provider,
        name=name,
        url=place,
        dialect=known.dialect if known else "openai",
        key=key,
        price=price or _price(provider, name, place),
    )


def _price(provider: str, name: str, url: str) -> Price | None:
    if url != getattr(PROVIDERS.get(provider), "url", None):
        return None  # somebody else's server: what it charges is not known
    if provider == "ollama" and _is_local(url):
        return Price(0.0, 0.0)
    return PRICES.get(f"{provider}/{name}")


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_price(spec: str) -> Price:
    """Read ``IN/OUT``, dollars per million tokens; raise `ModelError` for anything else."""
    sent, slash, received = spec.partition("/")
    try:
        found = Price(float(sent), float(received))
    except ValueError:
        found = Price(-1.0, -1.0)
    if not (slash and 0 <= found.input < MILLION and 0 <= found.output < MILLION):
        raise ModelError(
            f"--aqe-llm-price={spec}: expected dollars per million tokens sent and received, "
            "such as 0.15/0.60"
        )
    return found


def read_key(key: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the key that ``env:NAME`` or ``file:PATH`` points to; raise `ModelError` if none."""
    if key is None:
        return None
    kind, _, place = key.partition(":")
    if kind == "file":
        try:
            return Path(place).read_text("utf-8").strip()
        except OSError as error:
            raise ModelError(
                f"the model's key cannot be read: {place} ({error.strerror})"
            ) from error
    found = environ.get(place, "").strip()
    if not found:
        raise ModelError(f"the model's key is missing: set {place}, or --aqe-llm-key=file:PATH")
    return found


def endpoint(model: Model) -> str:
    """Return the address that a request is posted to."""
    return f"{model.url}/{'messages' if model.dialect == 'anthropic' else 'chat/completions'}"


def headers(model: Model, key: str | None) -> dict[str, str]:
    """Return the headers of a request; the key is in them and nowhere else."""
    found = {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",  # what is small on the way is small when read
    }
    if model.dialect == "anthropic":
        found["anthropic-version"] = ANTHROPIC_VERSION
        return found | ({"x-api-key": key} if key else {})
    return found | ({"authorization": f"Bearer {key}"} if key else {})


def body(
    model: Model,
    system: str,
    messages: list[dict[str, Any]],
    *,
    max_tokens: int,
    temperature: float,
    seed: int | None,
    schema: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return a request's body. ``schema`` is the JSON schema of a structured reply."""
    found: dict[str, Any] = {
        "model": model.name,
        "max_tokens": max_tokens,
        "temperature": temperature,
    }
    if model.dialect == "anthropic":  # it knows no seed; a schema is in the prompt already
        return found | {"system": system, "messages": messages}
    found["messages"] = [{"role": "system", "content": system}, *messages]
    if seed is not None:
        found["seed"] = seed
    if schema is not None:
        found["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    return found


OPTIONAL = ("temperature", "seed", "response_format")
"""What a request can do without, where a server refuses it."""


def without_what_is_refused(request: dict[str, Any], complaint: str) -> dict[str, Any] | None:
    """Return a request that answers a server's complaint about one of its parameters.

    None where it complains about something else. (Reasoning models refuse ``temperature`` and
    want ``max_completion_tokens``; small servers refuse ``response_format`` or ``seed``.)
    """
    if "max_tokens" in request and "max_completion_tokens" in complaint:
        fresh = {name: value for name, value in request.items() if name != "max_tokens"}
        return fresh | {"max_completion_tokens": request["max_tokens"]}
    for name in OPTIONAL:
        if name in request and name in complaint:
            return {other: value for other, value in request.items() if other != name}
    return None


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said. Token counts are the server's own, None where it told none."""

    text: str
    input_tokens: int | None
    output_tokens: int | None
    cut: bool = False


def said(model: Model, reply: Any) -> Said | None:
    """Read a reply's body; None where it holds no answer."""
    if not isinstance(reply, dict):
        return None
    usage = reply.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    if model.dialect == "anthropic":
        blocks = reply.get("content")
        if not isinstance(blocks, list):
            return None
        texts = [b.get("text") for b in blocks if isinstance(b, dict) and b.get("type") == "text"]
        text = "".join(part for part in texts if isinstance(part, str))
        cut = reply.get("stop_reason") == "max_tokens"
        counts = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
        return Said(text, *counts, cut)
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        return None
    content = message.get("content")
    counts = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    text = content if isinstance(content, str) else ""
    return Said(text, *counts, first.get("finish_reason") == "length")


def _count(value: Any) -> int | None:
    """Return a token count, or None for what is no such thing."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None
