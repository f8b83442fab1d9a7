"""Six well-known projects of different kinds: outcomes with us are those without us.

Opt-in (``tox -e integration``): each project's source release is downloaded and its suite run
eight times. A project may have flaky tests of its own, so a test may end as in any of the
plain runs; every test that ran plainly must run with us, and no other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.skipif(
    os.environ.get("PYTEST_AQE_INTEGRATION") != "1",
    reason="downloads and runs real projects; PYTEST_AQE_INTEGRATION=1 asks for it",
)

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Project:
    """A source release, what its tests need, and how pytest runs them."""

    release: str
    kind: str
    at_least: int  # tests; a smaller number means that something was not collected
    needs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


PROJECTS = (
    Project("click==8.5.1", "plain functions", 2000),
    Project("more-itertools==11.2.1", "unittest, sub-tests", 700),
    Project(
        "packaging==26.3",
        "heavy parametrization",
        9000,
        ("pretend", "tomli_w", "hypothesis"),
        ("tests/test_specifiers.py", "tests/test_requirements.py", "tests/test_markers.py"),
    ),
    Project("asgiref==3.13.0", "asyncio", 120, ("pytest-asyncio",)),
    Project(
        "django-filter==26.2",
        "a Django app",
        400,
        ("pytest-django", "django", "djangorestframework", "pytz", "tzdata"),
        ("--ds", "tests.settings"),
    ),
    Project(
        "boltons==26.2.0",
        "doctests",
        400,
        arguments=("--doctest-modules", "boltons", "tests"),
    ),
)


@dataclass(frozen=True, slots=True)
class Session:
    """What one pytest session said: how each test ended, its exit code, its text."""

    outcomes: Counter[tuple[str, str]]
    exit_code: int
    text: str

    @property
    def tests(self) -> Counter[str]:
        """How often each test was reported."""
        tests: Counter[str] = Counter()
        for (name, _), count in self.outcomes.items():
            tests[name] += count
        return tests


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.kind.replace(" ", "-"))
def test_outcomes_are_those_of_plain_pytest(project: Project, tmp_path: Path) -> None:
    """Two runs in order mode, and two under ``-n2``, end like plain runs, without a fault."""
    python = _environment(tmp_path, project)
    folder = _checkout(tmp_path, project)

    def session(*arguments: str) -> Session:
        return _session(python, folder, project, *arguments)

    alone = [session("-p", "no:aqe"), session("-p", "no:aqe")]
    spread = [session("-p", "no:aqe", "-n2"), session("-p", "no:aqe", "-n2")]
    recorded = [session("--aqe"), session("--aqe")]
    recorded_spread = [session("--aqe", "-n2"), session("--aqe", "-n2")]

    assert len(alone[0].tests) >= project.at_least
    for ours, plain in ((recorded, alone), (recorded_spread, spread)):
        for each in ours:
            assert each.tests == plain[0].tests
            assert not each.outcomes.keys() - plain[0].outcomes.keys() - plain[1].outcomes.keys()
            assert each.exit_code in {plain[0].exit_code, plain[1].exit_code}
            assert "recorded" in each.text
            assert "internal fault" not in each.text
    assert not list((folder / ".aqe").glob("faults/*"))
    assert not list((folder / ".aqe").glob("runs/*.jsonl"))
    _report(project, alone[0], recorded[0])
    shutil.rmtree(tmp_path / "venv")  # 300 MB that pytest would keep for three sessions


def _environment(tmp_path: Path, project: Project) -> Path:
    """Make a virtual environment with us, xdist and what the project's tests need."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    _quietly([python, "-m", "pip", "install", "-q", REPOSITORY, "pytest-xdist", *project.needs])
    return python


def _checkout(tmp_path: Path, project: Project) -> Path:
    """Download and unpack the release, install it, and commit it to git."""
    sources = tmp_path / "sources"
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    download = [python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    _quietly([*download, "-d", sources, project.release])
    (archive,) = sources.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(sources, filter="data")
    archive.unlink()
    (unpacked,) = sources.iterdir()
    folder = tmp_path / "checkout"
    shutil.move(unpacked, folder)
    _quietly([python, "-m", "pip", "install", "-q", "-e", folder])
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.invalid"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "release"]):
        _quietly(["git", "-C", folder, *command])
    return folder


def _session(python: Path, folder: Path, project: Project, *arguments: str) -> Session:
    """Run the project's suite; read the outcome of every test from its JUnit file."""
    report = folder.parent / "junit.xml"
    done = subprocess.run(
        [
            *(python, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}"),
            *project.arguments,
            *arguments,
        ],
        cwd=folder,
        env={**_outer_environment(), **project.variables, "PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert report.exists(), done.stdout[-4000:]
    outcomes: Counter[tuple[str, str]] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        ended = sorted(child.tag for child in case if child.tag in {"failure", "error", "skipped"})
        name = f"{case.get('classname')}::{case.get('name')}"
        outcomes[name, "+".join(ended) or "passed"] += 1
    report.unlink()
    return Session(outcomes, done.returncode, done.stdout)


def _outer_environment() -> dict[str, str]:
    """Return this environment without what the outer pytest and CI say in it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "GITHUB_", "GITLAB_", "CI", "TOX_"))
    }


def _quietly(command: list[object]) -> None:
    """Run a command of the preparation; show what it said when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def _report(project: Project, plain: Session, ours: Session) -> None:
    """Say what was seen; ``-rP`` or ``-s`` shows it."""
    counts = Counter[str]()
    for (_, outcome), count in plain.outcomes.items():
        counts[outcome] += count
    print(f"{project.release}: {sum(counts.values())} tests, {dict(counts)}")
    print(f"plain exit {plain.exit_code}, ours {ours.exit_code}; {sys.version.split()[0]}")
    print("\n".join(ours.text.splitlines()[-4:]))
