"""Lines that tests written from nothing run, beside Pynguin's for the same modules.

    python benchmarks/beside_pynguin.py SOURCE PACKAGE MODULE [MODULE ...] --pynguin PROGRAM \
        [--theirs FOLDER]

SOURCE and PACKAGE are as for `offline_author.py`, a MODULE is a dotted name, PROGRAM is
``pynguin`` in an environment of its own. The tests of the project are removed. Pynguin gets
``--seconds`` a module; one session (``--aqe-generate=apply``) gets as long for all of them, or
with ``--each`` a session of its own for each, in which only that module is measured.
The tests of both are then run by plain pytest five times, shuffled where pytest-randomly is
there, under other hash seeds and time zones; only tests that always pass count, and only lines
of these modules that importing everything does not run. A module for which Pynguin ends
without a file of tests, by an error of its own or because it is still running after five times
its seconds, is named in ``failed``; it has no line of Pynguin's. ``lines`` are sums over the
modules and ``ratio`` is ours to Pynguin's; the bar is the geometric mean of that over humanize,
semver and boltons. ``where_both`` leaves out the failed ones, which say nothing about what a
search finds, and ``geometric_mean_of_modules`` takes each of these by itself, where nothing
counts as one line.
Pynguin spends 45 seconds at most on mutants, which give assertions and no lines. With
``--theirs`` its tests are kept in a folder, and a module that has some there is not searched by
it again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from offline_author import _coverage, _importing, _run, _unstable

ROUNDS = 5


def main() -> None:
    """Measure some modules of one project and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--pynguin", required=True)
    parser.add_argument("--theirs", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--at-once", type=int, default=1, help="modules that Pynguin searches")
    parser.add_argument("--each", action="store_true", help="a session of ours for each module")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="beside-pynguin-") as folder:
        project = Path(folder, "project")
        shutil.copytree(asked.source, project, ignore=shutil.ignore_patterns(".git", ".aqe"))
        package = project / asked.package
        shutil.rmtree(project / "tests")
        (project / "tests").mkdir()
        nothing = project / "tests" / "test_nothing.py"
        nothing.write_text(_importing(package, test=True), "utf-8")
        base = _lines(project, package, [nothing])
        theirs = project / "pynguin"
        if asked.theirs is not None and asked.theirs.is_dir():
            shutil.copytree(asked.theirs, theirs)
        with ThreadPoolExecutor(asked.at_once) as pool:
            for module in asked.modules:
                if not _written(theirs / module):
                    output = theirs / module
                    pool.submit(
                        _pynguin, asked.pynguin, package.parent, module, output, asked.seconds
                    )
        if asked.theirs is not None:
            shutil.copytree(theirs, asked.theirs, dirs_exist_ok=True)
        failed = [module for module in asked.modules if not _written(theirs / module)]
        compared = [module for module in asked.modules if module not in failed]
        for module in asked.modules if asked.each else [None]:
            if module is not None:
                file = package.parent.joinpath(*module.split(".")).with_suffix(".py")
                (project / ".coveragerc").write_text(f"[run]\ninclude = {file}\n", "utf-8")
            # By the setting: "tests" on the command line would be a part of the suite.
            _run(project, package, ["-m", "pytest", "--aqe", "--aqe-generate=apply", "-q",
                 f"--aqe-generate-time={asked.seconds}s", "-o", "testpaths=tests"])  # fmt: skip
        (project / ".coveragerc").unlink(missing_ok=True)
        sets = {
            "ours": sorted(project.rglob("test_aqe_*.py")),
            "pynguin": [path for module in compared for path in _written(theirs / module)],
        }
        found = {}
        for name, tests in sets.items():
            flaky = _unstable(project, package, tests, ROUNDS)
            ran = _lines(project, package, tests, flaky) - base
            found[name] = {
                module: sum(_module(package, file) == module for file, _ in ran)
                for module in asked.modules
            } | {"unstable": len(flaky)}
    lines = {name: sum(found[name][module] for module in asked.modules) for name in found}
    both = {name: sum(found[name][module] for module in compared) for name in found}
    ratios = [max(found["ours"][m], 1) / max(found["pynguin"][m], 1) for m in compared]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
    print(
        json.dumps(
            {
                **found,
                "failed": failed,
                "lines": lines,
                "ratio": round(lines["ours"] / max(lines["pynguin"], 1), 2),
                "where_both": round(both["ours"] / max(both["pynguin"], 1), 2),
                "geometric_mean_of_modules": mean and round(mean, 2),
            }
        )
    )


def _written(folder: Path) -> list[Path]:
    return sorted(folder.rglob("test_*.py"))


def _pynguin(program: str, path: Path, module: str, output: Path, seconds: int) -> None:
    output.mkdir(parents=True, exist_ok=True)
    searching = subprocess.Popen(
        [program, "--project-path", str(path), "--module-name", module, "--output-path",
         str(output), "--maximum-search-time", str(seconds), "--maximum-mutation-time", "45",
         "--seed", "1"],
        env={**os.environ, "PYNGUIN_DANGER_AWARE": "1", "PYTHONHASHSEED": "0"},
        cwd=output, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        searching.wait(seconds * 5)
    except subprocess.TimeoutExpired:
        os.killpg(searching.pid, signal.SIGKILL)  # its workers, too
        searching.wait()


def _lines(
    project: Path, package: Path, tests: list[Path], flaky: list[str] | None = None
) -> set[tuple[str, int]]:
    if not tests:
        return set()
    left_out = [f"--deselect={each}" for each in flaky or ()]
    return _coverage(project, package, ["-m", "pytest", "-q", *map(str, tests), *left_out])[0]


def _module(package: Path, file: str) -> str:
    """Return the dotted name of a file that is given relative to the project."""
    parts = Path(file).with_suffix("").parts
    return ".".join(parts[parts.index(package.name) :])


if __name__ == "__main__":
    main()
