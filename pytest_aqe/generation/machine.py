"""Another machine for a process: what holds on this one only fails there.

Replaces the functions by which Python code asks for the name of the machine, its kernel and
its processors, before the project is imported.
"""

from __future__ import annotations

import os
import platform
import socket
from typing import Any

HOST = "another-machine.test"
_KERNEL = "4.4.0"


def install(number: int) -> None:
    """Let the process believe that it runs elsewhere; ``number`` tells machines apart."""
    name = f"{number}.{HOST}"
    real = os.uname()
    uname = os.uname_result((real.sysname, name, _KERNEL, f"#{number}", real.machine))
    processors = (os.cpu_count() or 1) + 1
    replaced: list[tuple[Any, str, Any]] = [
        (socket, "gethostname", lambda: name),
        (socket, "getfqdn", lambda host="": host or name),
        (os, "uname", lambda: uname),
        (os, "cpu_count", lambda: processors),
        (os, "process_cpu_count", lambda: processors),
        (platform, "_uname_cache", None),  # of who asked before
    ]
    for module, function, value in replaced:
        if hasattr(module, function):
            setattr(module, function, value)
