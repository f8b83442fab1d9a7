"""A server on loopback that speaks like a model provider and says what a script tells it to.

It answers OpenAI's ``/chat/completions`` and Anthropic's ``/messages``, keeps every request, and
can do all that servers do wrong.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What the server does with one request."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it is, instead of a proper reply."""
    wait: float = 0.0
    finish: str = "stop"
    usage: dict[str, int] | None = field(
        default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 10}
    )
    cut: bool = False
    """Close the connection in the middle of the body."""


@dataclass
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float

    @property
    def prompt(self) -> str:
        """The last message."""
        content: str = self.body["messages"][-1]["content"]
        return content

    @property
    def system(self) -> str:
        """The instructions, wherever the dialect has them."""
        found: str = self.body.get("system") or self.body["messages"][0]["content"]
        return found


Script = Callable[[Request], Answer]


class Server:
    """A running server: ``script`` may be replaced between requests."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server._handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False

    @property
    def url(self) -> str:
        """The base address, as --aqe-llm-url wants it."""
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers["content-length"])
        request = Request(
            handler.path,
            {name.lower(): value for name, value in handler.headers.items()},
            json.loads(handler.rfile.read(size)),
            time.monotonic(),
        )
        with self._lock:
            self.requests.append(request)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            self._answer(handler, request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client had enough
        finally:
            with self._lock:
                self._now -= 1

    def _answer(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        answer = self.script(request)
        if answer.wait and self.over.wait(answer.wait):
            return
        body = answer.body if answer.body is not None else _proper(request, answer)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if answer.cut else body)


def _proper(request: Request, answer: Answer) -> bytes:
    if answer.status != 200:
        return json.dumps({"error": {"message": answer.text}}).encode()
    usage = answer.usage
    if request.path.endswith("/messages"):
        stop = "max_tokens" if answer.finish == "length" else "end_turn"
        reply: dict[str, Any] = {
            "content": [{"type": "text", "text": answer.text}],
            "stop_reason": stop,
        }
        if usage is not None:
            reply["usage"] = {
                "input_tokens": usage["prompt_tokens"],
                "output_tokens": usage["completion_tokens"],
            }
        return json.dumps(reply).encode()
    message = {"role": "assistant", "content": answer.text}
    reply = {"choices": [{"index": 0, "message": message, "finish_reason": answer.finish}]}
    if usage is not None:
        reply["usage"] = usage
    return json.dumps(reply).encode()


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """Run a server for a test."""
    server = Server(script)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join()
