"""Accepted tests as files: one a target, beside the history until somebody applies them.

A file of the user's is never changed: what is there already keeps its name, and the new file
gets a number. Beside each proposal lies what is known of it, as JSON.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_aqe.data import NodeId
from pytest_aqe.errors import AqeError, NotFound
from pytest_aqe.generation.rules import without

__all__ = ["Proposal", "without"]

_MARKS = frozenset({"pytest.mark.parametrize", "given", "settings"})
FOLDER = "proposals"  # in .aqe
_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist", "venv"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """A test module that proved itself.

    ``file`` is the code it is about, from the git root; ``place`` the folder where it belongs
    once it is applied, from what pytest calls rootdir. ``source`` names the version of the code.
    """

    name: str
    file: str
    place: str
    gaps: tuple[str, ...]
    authors: tuple[str, ...]
    tests: tuple[str, ...]
    lines: int
    branches: int
    mutants: int
    killed: int
    layer: str
    run: str
    source: str

    @property
    def summary(self) -> str:
        """One line for people."""
        tests = _counted(len(self.tests), "test", "tests")
        return f"{tests} of {self.file} by {', '.join(self.authors)}: {self.gain} more"

    @property
    def gain(self) -> str:
        """What it adds to coverage."""
        branches = _counted(self.branches, "branch", "branches")
        return f"{_counted(self.lines, 'line', 'lines')} and {branches}"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def fingerprint(source: str) -> str:
    """Return what names a version of the code that a proposal is about."""
    return hashlib.blake2b(source.encode(), digest_size=8).hexdigest()


def is_current(proposal: Proposal, root: Path) -> bool:
    """Tell whether the code that a proposal is about, below the git root, is what it was."""
    try:
        source = (root / proposal.file).read_text("utf-8")
    except (OSError, ValueError):
        return False
    return fingerprint(source) == proposal.source


def bundled(texts: Sequence[str]) -> list[list[int]]:
    """Return the numbers of test modules in groups that fit into one file each.

    Two do not fit together when they define different helpers of one name, or import
    different things by it.
    """
    groups: list[tuple[dict[str, str], list[int]]] = []
    for number, text in enumerate(texts):
        helpers = _helpers(text)
        for known, group in groups:
            if all(known.get(name, meant) == meant for name, meant in helpers.items()):
                known.update(helpers)
                group.append(number)
                break
        else:
            groups.append((helpers, [number]))
    return [group for _, group in groups]


def is_simple(text: str) -> bool:
    """Tell a test module that does nothing but to import and to define tests.

    Nothing else in it reaches the tests of another module with which it is merged.
    """
    names: list[str] = []
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
            tests = any((each.asname or each.name).startswith("test") for each in node.names)
            if future or tests:
                return False
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.append(node.name)
            marks = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
            if not node.name.startswith("test") or marks - _MARKS:
                return False
        else:
            return False
    return len(names) == len(set(names))


def _helpers(text: str) -> dict[str, str]:
    """Return what the names of a module mean that are not its tests."""
    found = {}
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            origin = f"{'.' * node.level}{node.module} " if isinstance(node, ast.ImportFrom) else ""
            for each in node.names:
                whole = each.name if each.asname or origin else each.name.partition(".")[0]
                found[each.asname or whole] = f"{origin}{whole}"
        for name in _names(node):
            if not name.startswith("test"):
                found[name] = ast.unparse(node)
    for part in ast.walk(tree):  # a project may have a ``list`` of its own
        if isinstance(part, ast.Name) and hasattr(builtins, part.id):
            found.setdefault(part.id, "a built-in")
    return found


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [each.id for each in targets if isinstance(each, ast.Name)]
    return []


def merged(texts: Iterable[str]) -> tuple[str, list[dict[str, str]]]:
    """Return one module with the tests of several, and for each what its tests are called there."""
    imports: list[ast.Import | ast.ImportFrom] = []
    bodies: list[str] = []
    tests: list[dict[str, str]] = []
    used: set[str] = set()
    for text in texts:
        own: dict[str, str] = {}
        tests.append(own)
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports.append(node)
                continue
            if isinstance(node, ast.Expr):
                continue  # a docstring: the file has one of its own
            marks = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(mark.lineno for mark in marks)])
            part = "\n".join(lines[first - 1 : node.end_lineno])
            for name in _names(node):
                before = name
                if name in used and not name.lower().startswith("test"):
                    part = ""  # the same helper, once is enough
                elif name in used:
                    fresh = _unused(name, used)
                    part = re.sub(rf"^((?:async )?def |class ){name}\b", rf"\g<1>{fresh}", part,
                                  flags=re.M)  # fmt: skip
                    name = fresh
                used.add(name)
                own.update(zip(_tests(node, before), _tests(node, name), strict=True))
            if part:
                bodies.append(part)
    return "\n".join([*_import_lines(imports), "", "", "\n\n\n".join(bodies), ""]), tests


def _unused(name: str, used: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in used:
        number += 1
    return f"{name}_{number}"


def _tests(node: ast.stmt, name: str) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [name] if name.startswith("test") else []
    if isinstance(node, ast.ClassDef) and name.startswith("Test"):
        return [
            f"{name}.{each.name}"
            for each in node.body
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
            and each.name.startswith("test")
        ]
    return []


def _import_lines(imports: Iterable[ast.Import | ast.ImportFrom]) -> list[str]:
    """Return imports once each: the future, plain ones, pytest, then names by module."""
    plain: set[str] = set()
    named: dict[str, set[str]] = {}
    for node in imports:
        for each in node.names:
            alias = f"{each.name} as {each.asname}" if each.asname else each.name
            if isinstance(node, ast.Import):
                plain.add(f"import {alias}")
            else:
                named.setdefault(node.module or "", set()).add(alias)
    future = named.pop("__future__", set())
    lines = [f"from __future__ import {', '.join(sorted(future))}", ""] if future else []
    first = sorted(plain - {"import pytest"})
    lines += first
    if "import pytest" in plain:
        lines += [*([""] if first else []), "import pytest"]
    given = sorted(named.pop("hypothesis", set()))
    for names in (
        [each for each in given if " as " not in each],
        [e for e in given if " as " in e],
    ):
        lines += _from("hypothesis", names) if names else []
    if named and lines:
        lines.append("")
    return lines + [
        line for module in sorted(named) for line in _from(module, sorted(named[module]))
    ]


def _from(module: str, names: Sequence[str]) -> list[str]:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 88:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def header(proposal: Proposal) -> str:
    """Return what stands at the top of a generated file: where it comes from, what it claims."""
    faults = "no fault could be put there to see whether a test notices"
    if proposal.mutants:
        faults = f"{proposal.killed} of {proposal.mutants} faults put there noticed"
    return (
        f'"""Generated tests of {proposal.file}: they say what the code does, not what it should.\n'
        "\n"
        "Each passes alone, in any order and at other dates, and runs what no other test ran.\n"
        "Written by pytest-aqe; yours to keep, change or delete.\n"
        '"""\n'
        "\n"
        f"# aqe: by {', '.join(proposal.authors)}, run {proposal.run or 'unknown'}\n"
        f"# aqe: {proposal.gain} that nothing else ran\n"
        f"# aqe: {faults}\n"
        "\n"
    )


def file_name(module: str, number: int = 1) -> str:
    """Return the name of a target's test module: ``test_aqe_cli_look.py``."""
    parts = module.split(".")
    stem = "_".join(parts[1:] or parts)
    return f"test_aqe_{stem}{f'_{number}' if number > 1 else ''}.py"


def place_of(rootdir: Path, file: Path, tests: Sequence[NodeId], testpaths: Sequence[str]) -> Path:
    """Return the folder where a test of this file belongs: beside the nearest of its tests.

    Where it has none, in the first of the ``testpaths`` that does not hold the code itself, if
    there is one.
    """
    if tests:
        return (rootdir / tests[0].partition("::")[0]).parent
    for names in (testpaths, ("tests", "test")):
        if found := [rootdir / name for name in names if (rootdir / name).is_dir()]:
            return next((each for each in found if not file.is_relative_to(each)), found[0])
    return rootdir


def python_files(root: Path) -> Iterator[Path]:
    """Yield the project's Python files, those near its root first."""
    folders = [root]
    while folders:
        folder = folders.pop(0)
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        for path in entries:
            if path.is_symlink() or path.name.startswith(".") or path.name in _SKIPPED:
                continue
            if path.is_dir():
                if not (path / "pyvenv.cfg").exists():
                    folders.append(path)
            elif path.suffix == ".py":
                yield path


def write(folder: Path, proposal: Proposal, text: str) -> Path:
    """Write a proposal and what is known of it; return its path."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    path = place / proposal.name
    path.write_text(header(proposal) + text, "utf-8")
    path.with_suffix(".json").write_text(json.dumps(asdict(proposal), indent=1) + "\n", "utf-8")
    return path


def free_name(folder: Path, module: str) -> str:
    """Return a name that no file in a folder has."""
    number = 1
    while (folder / file_name(module, number)).exists():
        number += 1
    return file_name(module, number)


def proposals(folder: Path) -> list[Proposal]:
    """Return what is proposed, by name. A proposal without its description is not ours."""
    found = []
    for path in sorted((folder / FOLDER).glob("test_aqe_*.json")):
        try:
            values = json.loads(path.read_text("utf-8"))
            lists = {name: tuple(values[name]) for name in ("gaps", "authors", "tests")}
            proposal = Proposal(**{**values, **lists})
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if (folder / FOLDER / proposal.name).is_file():
            found.append(proposal)
    return found


def named(folder: Path, name: str) -> Proposal:
    """Return a proposal by its name, or what it is about; raise `NotFound`."""
    wanted = {name, f"{name}.py", f"test_aqe_{name}.py"}
    found = [each for each in proposals(folder) if {each.name, each.file} & wanted]
    if not found:
        raise NotFound(f"there is no proposal {name!r}; `pytest-aqe proposals list` shows them")
    return found[0]


def text_of(folder: Path, proposal: Proposal) -> str:
    """Return the whole file of a proposal."""
    return (folder / FOLDER / proposal.name).read_text("utf-8")


def apply(folder: Path, rootdir: Path, proposal: Proposal) -> Path:
    """Move a proposal into the test tree; return where it lies. No file is overwritten.

    Nor has it the name of a file in another folder: pytest takes two for one module, unless their
    folders are packages, and then collects neither.
    """
    place = (rootdir / proposal.place).resolve()
    if not place.is_relative_to(rootdir.resolve()):
        raise AqeError(f"{proposal.name}: {proposal.place} is outside of {rootdir}")
    place.mkdir(parents=True, exist_ok=True)
    stem = proposal.name.removesuffix(".py")
    path = place / proposal.name
    taken = {each.name for each in python_files(rootdir)}
    number = 2
    while path.exists() or path.name in taken:
        path = place / f"{stem}_{number}.py"
        number += 1
    try:
        path.write_text(text_of(folder, proposal), "utf-8")
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # half of it may be there
        raise AqeError(f"{path} cannot be written ({error.strerror}); nothing was moved") from error
    drop(folder, proposal)
    return path


def drop(folder: Path, proposal: Proposal) -> None:
    """Remove a proposal."""
    path = folder / FOLDER / proposal.name
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
