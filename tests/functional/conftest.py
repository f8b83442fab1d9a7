"""Projects that pytest runs, and the history it leaves behind, read by plain SQL."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import coverage  # noqa: F401
import duckdb
import numpy  # noqa: F401
import pytest

# A run in this process forgets the modules it was the first to import: keep ours and theirs.
import pytest_aqe.controller
import pytest_aqe.defaults
import pytest_aqe.explainer
import pytest_aqe.generating
import pytest_aqe.learning.backtest
import pytest_aqe.learning.keeping
import pytest_aqe.learning.order
import pytest_aqe.learning.publish
import pytest_aqe.measuring
import pytest_aqe.recorder
import pytest_aqe.tracking
import pytest_aqe.training
import pytest_aqe.uncovered
import pytest_aqe.worker  # noqa: F401
from pytest_aqe import cli
from tests.forks import Runs

TESTS = str(Path(__file__).parents[1])
IN_PROCESS: tuple[str, ...] = ()
TWO_WORKERS = ("-n2",)


@pytest.fixture(params=[IN_PROCESS, TWO_WORKERS], ids=["n0", "n2"])
def workers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Arguments for a run in this process, then for one with two xdist workers."""
    arguments: tuple[str, ...] = request.param
    if arguments:
        pytest.importorskip("xdist")
    return arguments


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for projects with a past that several tests begin with."""
    return tmp_path_factory.mktemp("grown")


@pytest.fixture
def project(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runs: Runs | None,
    grown: Path,
) -> Project:
    """A folder that pytest and git take for a project of its own."""
    # Shuffling is asked for by name where it is the subject; hypothesis takes 0.1 s a process,
    # and pytest looks five times for garbage in all that is loaded here before it ends.
    monkeypatch.setenv(
        "PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest -p no:unraisableexception"
    )
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and str(vars(module).get("__file__")).startswith(TESTS):
            monkeypatch.delitem(sys.modules, name)  # a session in this process would follow it
    (pytester.path / ".git").mkdir()  # the root of identities; no repository
    if runs is not None and hasattr(os, "pidfd_open") and importlib.util.find_spec("execnet"):
        # Workers of sessions in this process have imported everything already.
        monkeypatch.setattr(
            "execnet.gateway_io.create_io", lambda spec, execmodel: runs.work(execmodel)
        )
    return Project(pytester, capsys, runs, grown)


class Project:
    """Files, runs of pytest over them, and what the history says of those runs."""

    def __init__(
        self,
        pytester: pytest.Pytester,
        capsys: pytest.CaptureFixture[str],
        runs: Runs | None,
        grown: Path,
    ) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.folder = self.path / ".aqe"
        self.history = self.folder / "history.duckdb"
        self._capsys = capsys
        self._runs = runs
        self._grown = grown
        self._apart = 0

    def begin(self, past: str, live: Callable[[], object]) -> None:
        """Let this project, which is new, live through its past; once for all tests that ask."""
        kept = self._grown / past
        if not kept.exists():
            live()
            shutil.copytree(self.path, kept)
        else:
            shutil.copytree(kept, self.path, dirs_exist_ok=True)

    def write(self, **files: str) -> None:
        """Write Python files by the names of their stems; ``__`` stands for a slash."""
        for stem, text in files.items():
            path = self.path / f"{stem.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_dedent(text), encoding="utf-8")

    def write_ini(self, *lines: str) -> None:
        """Write a ``pytest.ini`` with these lines."""
        text = "\n".join(["[pytest]", *lines, ""])
        (self.path / "pytest.ini").write_text(text, encoding="utf-8")

    def pytest(self, *arguments: str | Path) -> pytest.RunResult:
        """Run pytest in this process, without ``--aqe``."""
        with warnings.catch_warnings():  # our own suite's filters are not the project's
            warnings.resetwarnings()
            return self.pytester.runpytest_inprocess(*arguments)

    def run(self, *arguments: str | Path) -> pytest.RunResult:
        """Run ``pytest --aqe`` in this process."""
        return self.pytest("--aqe", *arguments)

    def run_apart(self, *arguments: str | Path) -> pytest.RunResult:
        """Run ``pytest --aqe`` in a process of its own, forked from one that is warm."""
        if self._runs is None:
            return self.run_fresh(*arguments)
        self._apart += 1
        names = [f"apart-{self._apart}.{name}" for name in ("out", "err")]
        printed, errors = (self.path.parent / f"{self.path.name}-{name}" for name in names)
        paths = [str(self.path), *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        before = time.monotonic()
        code = self._runs.run(self.path, ["--aqe", *map(str, arguments)], environ, printed, errors)
        took = time.monotonic() - before
        lines = [path.read_text(encoding="utf-8").splitlines() for path in (printed, errors)]
        print(*lines[0], sep="\n")
        print(*lines[1], sep="\n", file=sys.stderr)
        return pytest.RunResult(code, *lines, took)

    def run_fresh(self, *arguments: str | Path) -> pytest.RunResult:
        """Run ``pytest --aqe`` in a process that imports what it needs, and no more."""
        return self.pytester.runpytest_subprocess("--aqe", *arguments)

    def git(self, *arguments: str) -> str:
        """Run git here; the first call makes a repository."""
        if not (self.path / ".git" / "HEAD").exists():
            subprocess.run(["git", "init", "-q", "-b", "main"], cwd=self.path, check=True)
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=self.path, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit_all(self) -> str:
        """Commit everything here; return the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    def sql(self, query: str, history: Path | None = None) -> list[tuple[Any, ...]]:
        """Ask the history, by DuckDB alone."""
        with _in_memory().cursor() as connection:  # to connect to a file takes 20 ms
            connection.execute(f"attach '{history or self.history}' as asked (read_only)")
            try:
                return connection.execute("use asked").execute(query).fetchall()
            finally:
                connection.execute("use memory").execute("detach asked")

    def ran(self) -> list[str]:
        """Return the node ids of the last run, which had one process, as they ran."""
        return [
            node_id
            for (node_id,) in self.sql(
                "select node_id from results join nodes using (node_no) "
                "where run_no = (select max(run_no) from results) order by position"
            )
        ]

    def results(self, columns: str = "identity, outcome") -> list[tuple[Any, ...]]:
        """Return columns of every result, sorted."""
        return sorted(
            self.sql(
                f"select {columns} from results join runs using (run_no) "
                "join tests using (test_no) join nodes using (node_no)"
            ),
            key=repr,
        )

    def outcomes(self) -> dict[str, str]:
        """Return the last outcome of every test by the end of its identity."""
        return {
            identity.partition("::")[2] or identity: outcome
            for identity, outcome in self.sql(
                "select identity, arg_max(outcome, (run_no, attempt)) "
                "from results join tests using (test_no) group by identity"
            )
        }

    def statuses(self) -> list[str]:
        """Return the status of every run, first to last."""
        return [s for (s,) in self.sql("select status from runs order by started_at")]

    def command(self, *arguments: str | Path) -> tuple[int, str]:
        """Run ``pytest-aqe`` in this process; return its exit code and what it printed."""
        self._capsys.readouterr()
        code = cli.main([*map(str, arguments), "--history", str(self.history)])
        captured = self._capsys.readouterr()
        return code, captured.out + captured.err

    def answer(self, *arguments: str | Path) -> Any:
        """Return what a command answers with ``--format json``."""
        _, printed = self.command(*arguments, "--format", "json")
        return json.loads(printed)

    def python(self, program: str, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a Python program in the project folder."""
        return subprocess.Popen(
            [sys.executable, "-c", _dedent(program), *map(str, arguments)],
            cwd=self.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@cache
def _in_memory() -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(config={"threads": 1, "async_threads": 0})
    except duckdb.Error:  # before duckdb 2
        return duckdb.connect(config={"threads": 1})


def _dedent(text: str) -> str:
    from textwrap import dedent

    return dedent(text).lstrip("\n")
