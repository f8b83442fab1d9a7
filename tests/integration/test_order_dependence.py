"""Real projects whose tests depend on order: each is seen, named for what it is, and explained.

Opt-in (``tox -e integration``): each project is cloned at a commit for which order-dependent
tests are listed (IDoFT), run in its own order and in others, and every test that then failed
is bisected. PYTEST_AQE_CLONES names a folder with clones of them as OWNER/NAME, taken instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    os.environ.get("PYTEST_AQE_INTEGRATION") != "1",
    reason="clones and runs real projects; PYTEST_AQE_INTEGRATION=1 asks for it",
)

REPOSITORY = Path(__file__).resolve().parents[2]
FROM = os.environ.get("PYTEST_AQE_CLONES", "https://github.com")
ORDERS = 12
MOST_LAUNCHES = 10


@dataclass(frozen=True, slots=True)
class Project:
    """A repository at a commit, and its listed order-dependent tests by kind."""

    repository: str
    commit: str
    listed: dict[str, str]
    needs: tuple[str, ...] = ()


MODEL, PROBLEM = "tests/test_model.py::", "tests/test_problem.py::"
TUNNEL = "supertunnel/ssh/continuous_test.py::"
PROJECTS = (
    Project(
        "Alexei-Kornienko/schematics_to_swagger",
        "d9c1c9e43a25c5a4ff60701b3bf22fc039c815c2",
        {
            f"{MODEL}test_compound_type": "victim",
            f"{MODEL}test_read_models_from_module": "victim",
        },
        ("schematics",),
    ),
    Project(
        "cahoy/NestedDictionary",
        "881f0ea8af36a60fcd1b9d7a84b1aec4cd7072b2",
        {"easy_dict/tests/test_01_default.py::test_del": "brittle"},
    ),
    Project(
        "cbornet/python-httpproblem",
        "0b08139277e9cba02339eeb0996c0910d047274a",
        {
            f"{PROBLEM}test_exception_to_http_response": "victim",
            f"{PROBLEM}test_exception_to_http_response_with_global_traceback": "victim",
            f"{PROBLEM}test_exception_to_http_response_with_traceback_param": "victim",
        },
        ("six",),
    ),
    Project(
        "alexrudy/supertunnel",
        "4c64e2fedda3382b809a2c3d01c711ec4961f933",
        {
            f"{TUNNEL}test_backoff": "brittle",
            f"{TUNNEL}test_run": "brittle",
            f"{TUNNEL}test_run_continuous": "brittle",
            f"{TUNNEL}test_run_continuous_hang": "brittle",
        },
        ("click", "pytest-asyncio"),
    ),
    Project(
        "benjaminp/six",  # listed at c0be881, whose own tests fail on Python 3.12
        "c8e394065cd541a16c040515dc0afb85cf22a7c3",
        {"test_six.py::test_lazy": "victim"},
    ),
)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda each: each.repository.partition("/")[2])
def test_dependent_tests_are_found_and_explained(project: Project, tmp_path: Path) -> None:
    """No alarm in the project's own order; then every listed test, its kind, and by whom."""
    folder = tmp_path / "checkout"
    _quietly(["git", "clone", "-q", f"{FROM}/{project.repository}", folder])
    _quietly(["git", "-C", folder, "checkout", "-q", project.commit])
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    _quietly([python, "-m", "pip", "install", "-q", REPOSITORY, *project.needs])

    _run(python, folder, "pytest", "--aqe", "-q")
    assert _answer(python, folder, "flaky", "--all") == []
    _answer(python, folder, "flaky", "hunt", "--orders", str(ORDERS))
    seen = {row["node_id"] for row in _answer(python, folder, "flaky", "--all")}
    assert seen >= project.listed.keys()
    launches = []
    for node_id in sorted(seen):
        found = _answer(python, folder, "flaky", "bisect", node_id)
        assert found["kind"] == project.listed.get(node_id, found["kind"])
        assert found["found"]
        launches.append(found["launches"])
    assert max(launches) <= MOST_LAUNCHES
    print(f"{project.repository}: {len(seen)} dependent tests, launches {sorted(launches)}")


def _answer(python: Path, folder: Path, *arguments: str) -> Any:
    return json.loads(_run(python, folder, "pytest_aqe", *arguments, "--format", "json"))


def _run(python: Path, folder: Path, module: str, *arguments: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    done = subprocess.run(
        [python, "-m", module, *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _quietly(command: list[object]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
