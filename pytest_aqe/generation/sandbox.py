"""What holds around the processes that run generated code.

Layer 0 holds everywhere: a process of its own with its own process group, an empty folder to
work in that is also its home, an environment of nine names, no standard input, limits on CPU
time, memory, files and processes, and an end by the wall clock. Layer 1 is the guard inside
(``guard.py``), layer 2 the system (``confine.py``), layer 3 a command of the user's around it
all (``--aqe-sandbox-cmd``), such as ``bwrap`` or ``docker run --network none``.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_aqe.data import Target
from pytest_aqe.generation.fixtures import conftests
from pytest_aqe.generation.interpreters import Interpreters
from pytest_aqe.generation.job import OUTPUT, RESULT, SCRATCH, Job, Order, Report

WALL = 120  # seconds for one child; its CPU time is limited inside
_SAID = 1 << 20  # bytes of its output that are looked at
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc", "/dev", "/proc", "/sys/devices",
           "/nix/store", "/opt")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """How far generated code is trusted.

    ``command`` is the user's wrapper, ``unsafe`` lets code of a model run below the layer that
    the system enforces.
    """

    command: tuple[str, ...] = ()
    unsafe: bool = False

    @classmethod
    def of(cls, command: str, unsafe: bool) -> Settings:
        """Read the wrapper command as a shell would split it."""
        return cls(tuple(shlex.split(command)), unsafe)


@dataclass(slots=True)
class Spent:
    """CPU seconds that children took."""

    seconds: float = 0.0


class Sandbox:
    """A scratch folder, and children that can write nowhere else."""

    def __init__(self, settings: Settings, target: Target, processes: Interpreters) -> None:
        self._settings = settings
        self._target = target
        self._processes = processes
        self.spent = Spent()
        self.layer: str | None = None
        """What was active in the last child that answered."""

    @contextmanager
    def scratch(self, texts: Mapping[str, str], prefix: str = SCRATCH) -> Iterator[Path]:
        """Make a folder with these files; it is gone afterwards, whatever lies in it."""
        folder = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
        try:
            (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
            for name, text in texts.items():
                (folder / name).write_text(text, "utf-8")
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def job(self, scratch: Path, files: Sequence[str], *, model: bool) -> Job:
        """Return the job for test modules in ``scratch``, ready for more settings."""
        target = self._target
        texts = [(scratch / name).read_text("utf-8") for name in files]
        return Job(
            nonce=secrets.token_hex(16),
            scratch=str(scratch),
            root=str(target.root),
            target=str(target.file.resolve()),
            module=target.module,
            files=tuple(str(scratch / name) for name in files),
            readable=tuple(readable(target)),
            conftests=conftests(target, texts),
            enforced=model and not self._settings.unsafe and not self._settings.command,
        )

    def run(
        self,
        job: Job,
        module: str = "inside",
        environ: Mapping[str, str] | None = None,
        wall: float = WALL,
    ) -> Report | str:
        """Run a job in a child; return its report, or how it ended without one."""
        said = self.start(job.encode(), Path(job.scratch), module, environ, wall)
        try:
            report = Report.decode((Path(job.scratch) / RESULT).read_text("utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return said or "it ended its process"
        if not secrets.compare_digest(report.nonce, job.nonce):
            return "it forged a report"
        self.layer = self._layer(report.layers)
        return report

    def start(
        self,
        job: str,
        scratch: Path,
        module: str,
        environ: Mapping[str, str] | None = None,
        wall: float = WALL,
    ) -> str:
        """Run a module of ours with a job on its input; return how it ended, empty if well."""
        ended = self._processes.run(
            Order(module, job, str(scratch), self._environment(scratch) | dict(environ or {}), wall)
        )
        self.spent.seconds += ended.seconds
        if ended.slow:
            return f"it was still running after {wall:.0f} s"
        if ended.code:
            last = _tail(scratch / OUTPUT)
            return f"its process ended with {ended.code}" + (f" ({last})" if last else "")
        return ""

    def _layer(self, layers: Sequence[str]) -> str:
        parts = [*layers, *([self._settings.command[0]] if self._settings.command else [])]
        return " + ".join(parts) or "limits only"

    def _environment(self, scratch: Path) -> dict[str, str]:
        """Return all that a child knows of ours: no key, no token, no home."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return kept | {
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "TZ": "UTC",
            "PYTHONPATH": os.pathsep.join(self._target.paths),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(scratch / "tmp"),
        }


def changed(job: Job, **values: Any) -> Job:
    """Return a job with other settings and a nonce of its own."""
    return replace(job, nonce=secrets.token_hex(16), **values)


def _tail(output: Path) -> str:
    try:
        with output.open("rb") as said:
            lines = said.read(_SAID).decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:200] if lines else ""


def readable(target: Target) -> Iterator[str]:
    """Yield what a child may read: Python, the system's libraries, the project. No home."""
    yield from _SYSTEM
    yield from {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    yield from (path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    yield str(target.root)
    for path in target.paths:
        if path != str(Path.home()) and Path(path) not in Path.home().parents:
            yield path
