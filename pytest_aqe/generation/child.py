"""The agents' process: reads questions, writes replies, and never sees a line of project code.

It is started by `correspondence` with an environment of its own (the model's key, nothing else
of the user's), in an empty folder, so that neither lionagi's logs nor a project's ``.env`` have
a place. What anything prints goes to stderr; replies go to the descriptor that was stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from dataclasses import asdict
from typing import Any, TextIO

from pytest_aqe.generation.ledger import Ledger
from pytest_aqe.generation.questions import Question, Setup, Spent

MISSING = (
    "--aqe-llm needs lionagi, which is not installed: pip install 'pytest-aqe[agents]' ({problem})"
)


def main() -> None:
    """Serve until the session closes the pipe."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        from pytest_aqe.generation import agent
    except ImportError as error:
        _tell(told, {"failed": MISSING.format(problem=error)})
        return
    _tell(told, {"ready": True})
    asyncio.run(_serve(agent, told))


async def _serve(agent: Any, told: TextIO) -> None:
    from pytest_aqe.generation.wire import Wire

    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read, args=(loop, lines), daemon=True).start()
    setup = Setup.read(json.loads(await lines.get()))
    ledger = Ledger(setup.caps)
    wire = Wire(ledger, os.environ, timeout=setup.timeout, backoff=setup.backoff)
    agents = agent.Agents(setup, wire)
    while True:
        asked = json.loads(await lines.get())
        questions = [Question(**question) for question in asked["ask"]]
        wire.allow(asked["seconds"])
        await agents.answer(
            questions,
            lambda reply: _tell(told, {"reply": asdict(reply), "spent": asdict(_spent(ledger))}),
        )
        _tell(told, {"done": True, "spent": asdict(_spent(ledger))})


def _read(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str]) -> None:
    """Pass lines on. When the session is gone, so is this process: nobody hears the answers."""
    for line in sys.stdin:
        loop.call_soon_threadsafe(lines.put_nowait, line)
    os._exit(0)


def _spent(ledger: Ledger) -> Spent:
    priced = ledger.caps.dollars is not None
    return Spent(
        ledger.input_tokens,
        ledger.output_tokens,
        ledger.assumed_tokens,
        ledger.dollars if priced else None,
    )


def _tell(told: TextIO, message: dict[str, Any]) -> None:
    told.write(json.dumps(message) + "\n")
    told.flush()
