"""One request to a model over HTTP: reserved, sent, retried, measured, and always over in time.

The one file that imports httpx, in the child process alone. A redirect is not followed, since
it would carry the prompt and the key to somebody the user did not name; a reply is read up to
`LIMIT` bytes; ``Retry-After`` is honoured as long as the time of the call allows; whatever is no
JSON is asked for again; and a model that keeps failing is left alone.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from pytest_aqe.errors import CapReached, ModelError
from pytest_aqe.generation import providers
from pytest_aqe.generation.ledger import Ledger
from pytest_aqe.generation.providers import Model, Said
from pytest_aqe.generation.questions import OUT_OF_TIME

ATTEMPTS = 3  # a request and two more: what most clients do
LIMIT = 300_000  # bytes; 3k tokens of code are some 12 kB
GIVE_UP = 3  # calls in a row that failed; the model is then left alone
COMPLAINT = 300  # characters of a server's error that are shown
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
HOPELESS = frozenset({401, 403, 404})  # no other request will fare better


@dataclass(frozen=True, slots=True)
class Received:
    """A reply and what it took: requests sent, seconds from the first to the end."""

    said: Said
    requests: int
    seconds: float


class Wire:
    """Ask models, within one ledger."""

    def __init__(
        self,
        ledger: Ledger,
        environ: Mapping[str, str],
        *,
        timeout: float,
        backoff: float,
    ) -> None:
        self.ledger = ledger
        self._environ = environ
        self._timeout = timeout
        self._backoff = backoff
        self._until = math.inf
        self._failed: dict[Model, int] = {}
        self._hopeless: dict[Model, str] = {}
        self._adapted: dict[Model, list[str]] = {}
        self._settled: asyncio.Event | None = None

    def allow(self, seconds: float) -> None:
        """Let the questions that follow take this long altogether."""
        self._until = time.monotonic() + seconds

    async def ask(self, model: Model, request: dict[str, Any], max_tokens: int) -> Received:
        """Return the reply; raise `CapReached` before the cap, `ModelError` when there is none."""
        if model in self._hopeless:
            raise ModelError(f"{model} was given up: {self._hopeless[model]}")
        try:
            received = await self._ask(model, request, max_tokens)
        except CapReached:
            raise
        except ModelError as error:
            self._failed[model] = self._failed.get(model, 0) + 1
            if self._failed[model] >= GIVE_UP:
                self._hopeless.setdefault(model, str(error))
            raise
        self._failed[model] = 0
        return received

    async def _ask(self, model: Model, request: dict[str, Any], max_tokens: int) -> Received:
        start = time.monotonic()
        if start >= self._until:
            raise ModelError(OUT_OF_TIME)
        deadline = min(start + self._timeout, self._until)
        key = providers.read_key(model.key, self._environ)
        for complaint in self._adapted.get(model, ()):
            request = providers.without_what_is_refused(request, complaint) or request
        attempt, sent = 0, 0
        async with httpx.AsyncClient(headers=providers.headers(model, key)) as client:
            while True:
                attempt, sent = attempt + 1, sent + 1
                outcome = await self._attempt(client, model, request, max_tokens, deadline)
                if isinstance(outcome, Said):
                    return Received(outcome, sent, time.monotonic() - start)
                fresh = None
                if outcome.status in (400, 422):
                    fresh = providers.without_what_is_refused(request, outcome.complaint)
                if fresh is not None:
                    self._adapted.setdefault(model, []).append(outcome.complaint)
                    request, attempt = fresh, attempt - 1
                    continue
                if outcome.status in HOPELESS:
                    self._hopeless[model] = outcome.what
                pause = outcome.pause if outcome.pause is not None else self._pause(attempt)
                late = time.monotonic() + pause >= deadline
                if not outcome.again or attempt >= ATTEMPTS or late:
                    raise ModelError(_told(model, outcome, attempt, late and outcome.again, pause))
                await asyncio.sleep(pause)

    def _pause(self, attempt: int) -> float:
        return self._backoff * 2.0 ** (attempt - 1)

    async def _attempt(
        self,
        client: httpx.AsyncClient,
        model: Model,
        request: dict[str, Any],
        max_tokens: int,
        deadline: float,
    ) -> Said | _Refusal:
        content = json.dumps(request, ensure_ascii=False).encode()
        worst = self.ledger.worst_case(model.price, len(content), max_tokens)
        while not self.ledger.fits(worst):
            if not self.ledger.fits(worst, alone=True):
                raise CapReached(
                    f"the next prompt ({len(content):,} bytes) could pass the cap of "
                    f"{cap_text(self.ledger)}"
                )
            await self._any_settled()
        self.ledger.reserve(worst)
        counted: tuple[int | None, int | None] | None = None
        try:
            outcome = await self._send(client, model, content, deadline)
            if isinstance(outcome, Said):
                counted = outcome.input_tokens, outcome.output_tokens
            elif outcome.may_cost:
                counted = None, None
            return outcome
        finally:
            if counted is None:
                self.ledger.release(worst)
            else:
                self.ledger.settle(worst, *counted)
            if self._settled is not None:
                self._settled.set()

    async def _any_settled(self) -> None:
        """Wait until a request on its way has ended and less is reserved."""
        if self._settled is None or self._settled.is_set():
            self._settled = asyncio.Event()
        await self._settled.wait()

    async def _send(
        self, client: httpx.AsyncClient, model: Model, content: bytes, deadline: float
    ) -> Said | _Refusal:
        left = deadline - time.monotonic()
        try:
            status, headers, raw = await asyncio.wait_for(
                _post(client, providers.endpoint(model), content, left), max(left, 0.0)
            )
        except (asyncio.TimeoutError, httpx.TimeoutException):
            what = f"no answer within {self._timeout:g} s"
            late = time.monotonic() >= self._until
            return _Refusal(OUT_OF_TIME if late else what, may_cost=True)
        except _TooLarge:
            return _Refusal(f"a reply of more than {LIMIT:,} bytes", may_cost=True)
        except (httpx.ConnectError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            return _Refusal(f"no connection ({_first_line(error)})", again=True)
        except httpx.HTTPError as error:
            what = f"the connection broke ({_first_line(error)})"
            return _Refusal(what, again=True, may_cost=True)
        if status != 200:
            return _refused(status, headers, raw)
        try:
            found = providers.said(model, json.loads(raw))
        except (ValueError, RecursionError):
            found = None
        if found is None:
            kind = "HTML" if raw.lstrip()[:1] == b"<" else "no complete JSON reply"
            return _Refusal(f"what came was {kind}", again=True, may_cost=True)
        return found


def cap_text(ledger: Ledger) -> str:
    """Return the cap in words."""
    dollars = ledger.caps.dollars
    tokens = f"{ledger.caps.tokens:,} tokens"
    return tokens if dollars is None else f"{tokens} or ${dollars:.2f}"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An attempt without an answer. ``pause`` is what Retry-After asks for, in seconds."""

    what: str
    again: bool = False
    may_cost: bool = False
    status: int | None = None
    pause: float | None = None
    complaint: str = ""


class _TooLarge(Exception):
    """A reply that does not end."""


async def _post(
    client: httpx.AsyncClient, url: str, content: bytes, left: float
) -> tuple[int, httpx.Headers, bytes]:
    async with client.stream("POST", url, content=content, timeout=max(left, 0.001)) as response:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > LIMIT:
                raise _TooLarge
            parts.append(part)
        return response.status_code, response.headers, b"".join(parts)


def _refused(status: int, headers: httpx.Headers, raw: bytes) -> _Refusal:
    complaint = _complaint(raw)
    return _Refusal(
        f"HTTP {status}" + (f": {complaint}" if complaint else ""),
        again=status in AGAIN,
        status=status,
        pause=retry_after(headers.get("retry-after"), datetime.now(timezone.utc)),
        complaint=complaint,
    )


def _complaint(raw: bytes) -> str:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    error = found.get("error", found) if isinstance(found, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    if not isinstance(text, str):
        return ""
    return " ".join(text.split())[:COMPLAINT]


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read ``Retry-After``, seconds or a date (RFC 9110, 10.2.3), as seconds from ``now``."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=timezone.utc)
        seconds = (date - now).total_seconds()
    return max(seconds, 0.0) if seconds == seconds else None


def _told(model: Model, outcome: _Refusal, attempts: int, late: bool, pause: float) -> str:
    text = f"{model} at {model.host}: {outcome.what}"
    if attempts > 1:
        text += f", {attempts} times"
    if late and outcome.pause is not None:
        text += f"; it asks to wait {pause:g} s, longer than --aqe-llm-timeout leaves"
    return text


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
