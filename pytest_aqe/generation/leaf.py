"""A fork of a process for one thing that may end, block or spoil its process."""

from __future__ import annotations

import json
import math
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from pytest_aqe.generation import confine

_OUTPUT = 1 << 21  # bytes that a leaf may say
WAITING = 3.0  # times its CPU time: the machine may be busy with the user's own work
LEAST_WAIT = 1.0  # seconds of CPU that are waited for, however few it may take
_SLOW = (signal.SIGXCPU, signal.SIGPROF)


def leaf(run: Callable[[], Any], seconds: float) -> Any:
    """Run something in a fork of this process; return what it returns, through JSON.

    It may take ``seconds`` of CPU, and wait for longer where the machine is busy.

    Return "slow" where it had to be ended, and another string where it ended by itself.
    """
    returned, told = telling_leaf(lambda say: run(), seconds)
    return "its process said what it was not asked" if told else returned


def telling_leaf(
    run: Callable[[Callable[[Any], None]], Any], seconds: float
) -> tuple[Any, list[Any]]:
    """Run something as `leaf` does; return that, and all that was said before, however it ended."""
    confine.prepare_leaf()
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _be_leaf(run, writing, seconds)
    os.close(writing)
    said = bytearray()
    deadline = time.monotonic() + max(seconds, LEAST_WAIT) * WAITING
    slow = False
    while len(said) < _OUTPUT:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            slow = True
            break
        part = os.read(reading, 1 << 16)
        if not part:
            break
        said += part
    os.close(reading)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    returned, told = _read(bytes(said))
    if slow or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in _SLOW):
        return "slow", told
    if returned is None:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an exit"
        return f"its process ended by {how}", told
    return returned["returned"], told


def _read(said: bytes) -> tuple[dict[str, Any] | None, list[Any]]:
    """Return the last thing said, where that is what was returned, and what was told before.

    Nothing counts from where it cannot be read on: the process may have written there itself.
    """
    told: list[Any] = []
    for line in said.split(b"\n")[:-1]:  # the last is nothing, or was cut off
        try:
            [(kind, value)] = json.loads(line).items()
        except (ValueError, TypeError, AttributeError):
            break
        if kind == "returned":
            return ({kind: value} if said.endswith(line + b"\n") else None), told
        told.append(value)
    return None, told


def _be_leaf(run: Callable[[Callable[[Any], None]], Any], writing: int, seconds: float) -> None:
    """Never return. What is tried can do nothing to its parent but say something."""

    def say(kind: str, value: Any) -> None:
        line = json.dumps({kind: value}).encode() + b"\n"
        while line:
            line = line[os.write(writing, line) :]

    code = 1
    try:
        with suppress(OSError):
            os.setsid()
        signal.setitimer(signal.ITIMER_PROF, seconds)
        most = math.ceil(seconds)  # holds whatever becomes of the timer
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
        confine.confine_leaf()
        say("returned", run(partial(say, "told")))
        code = 0
    finally:
        os._exit(code)
