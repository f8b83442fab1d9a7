"""Running pytest for a command: a list of tests in its order, and what became of each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pytest_aqe.data import FAILING, NodeId
from pytest_aqe.errors import AqeError
from pytest_aqe.history import runfile

PLAIN = ("-p", "no:randomly", "-p", "no:random_order", "-p", "no:cacheprovider")
_STDERR = 2
GRACE = 10.0  # seconds in which an interrupted pytest may write its end
ONE_PROCESS = ("-n0",) if find_spec("xdist") else ()  # whatever addopts say


@dataclass(frozen=True, slots=True)
class Launcher:
    """Runs pytest in the project that a history belongs to.

    ``output`` is the descriptor that gets what it prints; None is the usual one.
    """

    rootdir: Path
    history: Path
    output: int | None = None

    def command(self, *arguments: str) -> list[str]:
        """Return a pytest that no other plugin reorders, and that goes on after a failure."""
        return [sys.executable, "-m", "pytest", *PLAIN, "--maxfail=0", *arguments]

    def replay(
        self, tests: Sequence[NodeId], *arguments: str, limit: float | None = None
    ) -> int | None:
        """Run tests in their order, seen by the user and recorded; return pytest's exit code.

        None where it was interrupted after ``limit`` seconds; what ran until then is recorded.
        What it says of the interrupt is not shown: nobody pressed Ctrl-C.
        """
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
            plan = _plan(folder, tests)
            command = self.command(
                *ONE_PROCESS,
                f"--aqe-replay={plan}",
                "--aqe",
                f"--aqe-history={self.history}",
                *arguments,
            )
            with subprocess.Popen(
                command,
                cwd=self.rootdir,
                env=_plain_environment(),
                stdout=self.output,
                stderr=errors if limit is not None else None,
                preexec_fn=_heed_interrupts if os.name == "posix" else None,
            ) as process:
                try:
                    code = process.wait(limit)
                    errors.seek(0)
                    os.write(_STDERR, errors.read())
                    return code
                except subprocess.TimeoutExpired:
                    _interrupt(process)
                    return None
                except BaseException:  # Ctrl-C reaches the process too; let it write its end
                    _end(process)
                    raise

    def outcome(self, tests: Sequence[NodeId], of: NodeId) -> bool | None:
        """Run tests in their order, unseen and unrecorded; tell whether one of them failed.

        None where it did not run.
        """
        with tempfile.TemporaryDirectory() as folder:
            plan = _plan(folder, tests)
            command = self.command(
                *ONE_PROCESS,
                f"--aqe-replay={plan}",
                "--aqe",
                "--aqe-flaky=off",
                "--aqe-dependencies=off",
                f"--aqe-history={folder}/aqe/history.duckdb",
                "-q",
                *sorted({each.partition("::")[0] for each in tests}),
            )
            subprocess.run(
                command,
                cwd=self.rootdir,
                env=_plain_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            return _failed(Path(folder, "aqe"), of)


def _heed_interrupts() -> None:
    """Undo what a shell does to a job in the background, which then ignores interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a pytest as Ctrl-C does, so that it says where it was; or else by force."""
    if os.name == "posix":
        process.send_signal(signal.SIGINT)
    else:
        process.terminate()
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


def _plan(folder: str, tests: Sequence[NodeId]) -> Path:
    plan = Path(folder, "plan.txt")
    plan.write_text("".join(f"{each}\n" for each in tests), "utf-8")
    return plan


def _plain_environment() -> dict[str, str]:
    """Return the environment without settings of ours that would come between."""
    return {name: value for name, value in os.environ.items() if name[:11] != "PYTEST_AQE_"}


def _failed(folder: Path, of: NodeId) -> bool | None:
    failed: bool | None = None
    for path in [*runfile.waiting(folder), *(folder / runfile.INGESTED).glob("*.gz")]:
        for line in runfile.salvage(path):
            result = json.loads(line)
            if result.get("type") == "result" and result.get("node_id") == of:
                failed = result.get("outcome") in FAILING
    return failed


def sure(outcome: bool | None, of: NodeId) -> bool:
    """Return an outcome; raise `AqeError` where the test did not even run."""
    if outcome is None:
        raise AqeError(
            f"{of} did not run in its project; run the command there, or with --history there"
        )
    return outcome
