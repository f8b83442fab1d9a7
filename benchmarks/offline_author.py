"""What the offline author regains of a real project's coverage: lines, branches, seconds.

    python benchmarks/offline_author.py SOURCE PACKAGE [--without FILE ...] [--empty]

SOURCE is an unpacked source distribution, PACKAGE the folder of its package in it. Without
``--empty`` a part of the test files is removed (``--without``, else 30 % by a seed of 42), and
what is counted is the lost gap: what the full suite runs and the reduced one does not. With
``--empty`` all tests go, and what is counted is what importing every module does not run.

One session writes tests (``--aqe-generate=apply``). They are then run by plain pytest
``--rounds`` times in shuffled order under other hash seeds and time zones; only tests that
always pass count. Beside the numbers stands what a person's suite covers. ``weak`` counts tests
whose assertions all say little. With ``--mutants N``, N faults (seed 7) are put one by one on
lines that the tests run and import alone does not; the score is the share at which a test
fails. CPU seconds are those of the session, of all its processes.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

Covered = tuple[set[tuple[str, int]], set[tuple[str, int, int]]]
SLOW = 60  # seconds for one mutant; one that takes longer is noticed
ZONES = ("UTC", "Asia/Tokyo", "America/New_York", "Europe/Berlin", "Pacific/Apia")


def main() -> None:
    """Measure one project and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("--without", nargs="*", default=None)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--time", default="60s")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--mutants", type=int, default=0)
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="offline-author-"))
    project = folder / "project"
    shutil.copytree(asked.source, project, ignore=shutil.ignore_patterns(".git", ".aqe"))
    package = project / asked.package
    tests = project / "tests"
    everything = sorted(path.name for path in tests.glob("test_*.py"))
    importing = project / "import_everything.py"
    importing.write_text(_importing(package), "utf-8")
    imported = _coverage(project, package, [str(importing)])
    full = _coverage(project, package, ["-m", "pytest", "-q", "tests"])
    removed = asked.without
    if asked.empty:
        for name in everything:
            (tests / name).unlink()
        (tests / "test_nothing.py").write_text(_importing(package, test=True), "utf-8")
        reduced = imported
    else:
        if removed is None:
            removed = random.Random(42).sample(everything, round(0.3 * len(everything)))
        for name in removed:
            (tests / name).unlink()
        reduced = _coverage(project, package, ["-m", "pytest", "-q", "tests"])
    before = _cpu()
    session = _run(project, package, ["-m", "pytest", "--aqe", "--aqe-generate=apply",
                   f"--aqe-generate-time={asked.time}", "-q", "-o", "testpaths=tests"])  # fmt: skip
    spent = _cpu() - before
    print(session.stdout[-1500:])
    written = sorted(project.rglob("test_aqe_*.py"))
    flaky = _unstable(project, package, written, asked.rounds)
    stable = [f"--deselect={each}" for each in flaky]
    gained = _coverage(project, package, ["-m", "pytest", "-q",
                       *map(str, written), *stable]) if written else (set(), set())  # fmt: skip
    base = imported if asked.empty else reduced
    lost = tuple(f - b for f, b in zip(full, base, strict=True))
    regained = tuple(len(g & x) for g, x in zip(gained, lost, strict=True))
    new = tuple(len(g - b) for g, b in zip(gained, base, strict=True))
    assertions = _tests(package, written)
    print(json.dumps({
        "project": asked.source.name,
        "mode": "empty" if asked.empty else "reduced",
        "removed": removed,
        "human_over_base": [len(each) for each in lost],
        "generated_over_base": list(new),
        "possible_over_import": [_possible(project, package) - len(imported[0])],
        "regained": list(regained),
        "share": [round(r / len(x), 3) if x else None for r, x in zip(regained, lost, strict=True)],
        "tests": sum(map(len, assertions)),
        "weak": len(assertions[1]),
        "unstable": flaky,
        "mutants": _mutants(project, package, written, gained, imported, asked.mutants),
        "cpu_seconds": round(spent, 1),
    }))  # fmt: skip
    if asked.keep:
        print(folder)
    else:
        shutil.rmtree(folder)


def _importing(package: Path, *, test: bool = False) -> str:
    names = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if "__main__" not in parts:
            names.append(".".join(part for part in parts if part != "__init__"))
    lines = ["import contextlib, importlib"] + [
        f"with contextlib.suppress(Exception): importlib.import_module({name!r})" for name in names
    ]
    return "\n".join([*lines, "def test_nothing(): pass" if test else "", ""])


def _environ(package: Path, **more: str) -> dict[str, str]:
    paths = [str(package.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTEST_ADDOPTS": "-o addopts= -p no:randomly -p no:cacheprovider",
            "PYTHONDONTWRITEBYTECODE": "1", **more}  # fmt: skip


def _run(
    project: Path, package: Path, arguments: list[str], **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=project, env=_environ(package, **more),
                          capture_output=True, text=True, check=False,
                          timeout=SLOW if "AQE_FAULT" in more else None)  # fmt: skip


def _report(project: Path, package: Path, arguments: list[str]) -> dict[str, dict[str, list]]:
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/data"
        _run(project, package, ["-m", "coverage", "run", "--branch", f"--data-file={data}",
             f"--source={package}", *arguments])  # fmt: skip
        _run(project, package, ["-m", "coverage", "json", f"--data-file={data}",
             "-o", f"{folder}/out.json", "-q"])  # fmt: skip
        return json.loads(Path(folder, "out.json").read_text("utf-8"))["files"]


def _coverage(project: Path, package: Path, arguments: list[str]) -> Covered:
    files = _report(project, package, arguments)
    lines = {(name, line) for name, each in files.items() for line in each["executed_lines"]}
    arcs = {(name, a, b) for name, each in files.items() for a, b in each["executed_branches"]}
    return lines, arcs


def _possible(project: Path, package: Path) -> int:
    nothing = project / "nothing.py"
    nothing.touch()
    files = _report(project, package, [str(nothing)])
    return sum(each["summary"]["num_statements"] for each in files.values())


def _tests(package: Path, written: list[Path]) -> tuple[list[str], list[str]]:
    """Return the tests that assert something, and those that assert little."""
    from pytest_aqe.generation.rules import check

    strong: list[str] = []
    weak: list[str] = []
    for path in written:
        body = ast.parse(path.read_text("utf-8")).body
        imports = [each for each in body if isinstance(each, (ast.Import, ast.ImportFrom))]
        for each in body:
            if isinstance(each, ast.FunctionDef):
                alone = ast.unparse(ast.Module([*imports, each], []))
                static = check(alone, frozenset({package.name}))
                (strong if static.tests and not static.weak else weak).append(each.name)
    return strong, weak


def _mutants(
    project: Path, package: Path, written: list[Path], gained: Covered, imported: Covered, most: int
) -> list[int] | None:
    """Return how many faults were tried, and how many a test noticed."""
    if not most or not written:
        return None
    from pytest_aqe.generation.mutants import mutants

    lines = gained[0] - imported[0]
    found = []
    for name in sorted({name for name, _ in lines}):
        own = frozenset(line for file, line in lines if file == name)
        source = (project / name).read_text("utf-8")
        found += [(name, n) for n, _ in enumerate(mutants(source, str(project / name), own))]
    chosen = random.Random(7).sample(found, min(most, len(found)))
    plugin = project / "put_a_fault.py"
    plugin.write_text(_FAULT, "utf-8")
    noticed = 0
    for name, number in chosen:
        own = sorted(line for file, line in lines if file == name)
        fault = json.dumps([str(project / name), number, own])
        try:
            done = _run(project, package, ["-m", "pytest", "-x", "-q", "-p", "put_a_fault",
                        *map(str, written)], AQE_FAULT=fault)  # fmt: skip
            noticed += done.returncode == 1
        except subprocess.TimeoutExpired:
            noticed += 1
    return [len(chosen), noticed]


_FAULT = """
import itertools, json, os
from pathlib import Path
from pytest_aqe.generation.mutants import exchange, living, mutants

def pytest_collection_finish():
    file, number, lines = json.loads(os.environ["AQE_FAULT"])
    faults = mutants(Path(file).read_text("utf-8"), file, frozenset(lines))
    fault = next(itertools.islice(faults, number, None))
    exchange(fault.code, living(file), fault.line)
"""


def _unstable(project: Path, package: Path, written: list[Path], rounds: int) -> list[str]:
    """Return the tests that do not pass every time."""
    found: set[str] = set()
    for number in range(rounds if written else 0):
        done = _run(
            project, package,
            ["-m", "pytest", "-q", "-rfE", *map(str, written)],
            PYTHONHASHSEED=str(number + 10), TZ=ZONES[number % len(ZONES)],
            PYTEST_ADDOPTS=f"-o addopts= --randomly-seed={number}"
            if _has_randomly() else "-o addopts=",
        )  # fmt: skip
        found |= {line.split(" ")[1] for line in done.stdout.splitlines()
                  if line.startswith(("FAILED ", "ERROR "))}  # fmt: skip
    return sorted(found)


def _has_randomly() -> bool:
    from importlib.util import find_spec

    return find_spec("pytest_randomly") is not None


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
