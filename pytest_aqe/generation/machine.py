"""Another machine for a process: what holds on this one only fails there.

Replaces the functions by which Python code asks for the name of the machine, its kernel and
its processors, before the project is imported. Afterwards variables are set that are not set
here, and are on somebody's machine: those of a terminal, of CI, and those the project asks for.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

HOST = "another-machine.test"
_KERNEL = "4.4.0"
_FOLDER = "/opt/another/bin"
_VARIABLES = {
    "CI": "true", "GITHUB_ACTIONS": "true", "NO_COLOR": "1", "TERM": "vt100", "COLUMNS": "31",
    "LINES": "11", "USER": "another-user", "LOGNAME": "another-user", "EDITOR": "another-editor",
}  # fmt: skip
_ASKED = re.compile(
    r"""(?:environ(?:\.get|\.pop|\.setdefault)?|getenv)\s*[\[(]\s*["'](\w+)["']"""
    r"""|["'](\w+)["']\s+(?:not\s+)?in\s+(?:os\.)?environ"""
    r"""|["']([A-Z][A-Z0-9]*_[A-Z0-9_]+)["']"""
)
_PYTHONS = ("PYTHON", "PYTEST", "LC_")


def install(number: int) -> None:
    """Let the process believe that it runs elsewhere; ``number`` tells machines apart."""
    name = f"{number}.{HOST}"
    real = os.uname()
    machine = "x86_64" if real.machine == "aarch64" else "aarch64"
    uname = os.uname_result((real.sysname, name, _KERNEL, f"#{number}", machine))
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


def set_variables(root: str) -> None:
    """Set what people have set, and what the loaded modules of a project ask for."""
    names = {
        name
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and file.startswith(root + os.sep)
        for name in variables(Path(file))
    }
    for name, value in [*_VARIABLES.items(), *((name, "1") for name in sorted(names))]:
        os.environ.setdefault(name, value)
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), _FOLDER])


def variables(file: Path) -> Iterator[str]:
    """Yield the names of environment variables that a file of code seems to ask for."""
    text = ""
    with suppress(OSError, ValueError):
        text = file.read_text("utf-8")
    if any(word in text for word in ("environ", "getenv", "envvar")):
        for found in _ASKED.finditer(text):
            name = next(filter(None, found.groups()))
            if not name.startswith(_PYTHONS):
                yield name
