"""Processes that tests start and leave running: whoever comes later may talk to them."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any
from weakref import ref

from pytest_aqe.evidence.contexts import Context, Kind

EVENTS = ("subprocess.Popen", "os.fork")
_STARTING = ("_execute_child", "_launch")  # methods of subprocess' and multiprocessing's objects


class Children:
    """The processes of a session. Nothing here keeps an object alive, or ends its waiting."""

    def __init__(self) -> None:
        self._started: list[ref[Any]] = []  # in what is going on
        self._known: set[int] = set()  # of multiprocessing's
        self._counted = _counted()
        self._left: set[int] = set()  # by tests, as far as they are not known to have ended

    def started(self, frame: FrameType | None) -> None:
        """Hear of one that is about to start: whose method does so will know its number."""
        if frame is not None and frame.f_code.co_name in _STARTING:
            self._started.append(ref(frame.f_locals["self"]))

    def begin(self, context: Context) -> None:
        """Put a test in doubt while what another one left is running."""
        self._left = {pid for pid in self._left if _is_running(pid)}
        if self._left:
            context.doubts.add("process")

    def look(self, context: Context) -> None:
        """See at the end of a test what it leaves. A fixture's are its users' doubt already."""
        started, self._started = self._started, []
        pids = {getattr(each(), "pid", None) for each in started}
        module = sys.modules.get("multiprocessing.process")
        children = {child.pid for child in set(getattr(module, "_children", ()))} - self._known
        if children:
            self._known |= children
            context.doubts.add("fork")
        counted = _counted()
        if counted != self._counted:
            self._counted = counted
            context.doubts.add("subprocess")
        if context.kind is Kind.TEST:
            self._left.update(pid for pid in pids | children if pid and _is_running(pid))


def _counted() -> str:
    """Return what counts multiprocessing's processes: those that it spawns raise no event."""
    module = sys.modules.get("multiprocessing.process")
    return str(getattr(module, "_process_counter", "count(1)"))


def _is_running(pid: int) -> bool:
    """Tell without letting go of a process that has ended: its parent may want to know how."""
    if not hasattr(os, "waitid"):
        return True
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False
