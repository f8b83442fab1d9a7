"""What a model is shown of the project: the gap, and what somebody who writes its test needs.

Everything is read as text and parsed, nothing is imported. All of it is data by people who may
not mean well (a comment that gives orders, a test with a strange name), and is marked as such in
the prompt; but what protects the project is that the trial, and no model, decides. What looks
like a secret does not leave the machine.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from pytest_aqe.data import Gap, NodeId, Target
from pytest_aqe.generation.proposals import python_files
from pytest_aqe.generation.similar import Index
from pytest_aqe.generation.values import SECRET

EXAMPLES = 3  # sibling tests that are shown
CALLERS = 3  # places that call the code
FILES = 400  # files of the project that are looked through for tests and callers
FILE_BYTES = 200_000  # a larger file is data or generated
NEAR = 3  # lines shown on each side of a call
LONG = 250  # lines; of a longer function only what is near a gap is shown
AROUND = 20  # lines shown on each side of a missing line of a long function

_SECRET_NAME = re.compile(
    r"""(?ix) ( \b \w* (?:secret|token|passw(?:or)?d|api_?key|private_?key|credential) \w*
        ["']? \s* (?: : \s* [\w\[\]. |]+ = | [:=] ) \s* ) [rbuf]{0,2} (["']) (?!\2) .+? \2"""
)
REDACTED = "<redacted>"


@dataclass(frozen=True, slots=True)
class Example:
    """A test of the project that is near to a gap. ``covers``: it reaches the function."""

    node_id: NodeId
    text: str
    covers: bool


@dataclass(frozen=True, slots=True)
class Context:
    """All that is shown for one gap. ``files`` are those that something was quoted from."""

    gap: Gap
    module: str
    docstring: str
    segment: str
    surroundings: str
    callers: tuple[str, ...]
    examples: tuple[Example, ...]
    fixtures: tuple[str, ...]
    conventions: tuple[str, ...]
    files: tuple[str, ...]


def build(
    gap: Gap, target: Target, preferred: Sequence[NodeId] = (), tree: Tree | None = None
) -> Context:
    """Return the context of a gap; ``preferred`` are tests that helped before, best first."""
    tree = tree or Tree(target.root)
    module = ast.parse(target.source)
    lines = target.source.splitlines()
    node = _enclosing(module, gap)
    examples = _examples(gap, target, tree, preferred)
    callers = list(_callers(gap, target, tree))
    file = target.file.relative_to(target.root).as_posix()
    quoted = [
        file,
        *(name for name, _ in callers),
        *(e.node_id.partition("::")[0] for e in examples),
    ]
    return Context(
        gap=gap,
        module=target.module,
        docstring=redact(_docstring(node)),
        segment=redact(_segment(lines, gap, node)),
        surroundings=redact(_surroundings(module, lines, node)),
        callers=tuple(redact(text) for _, text in callers),
        examples=examples,
        fixtures=tuple(_fixtures(target, tree)),
        conventions=tuple(_conventions(examples)),
        files=tuple(dict.fromkeys(quoted)),
    )


def redact(text: str) -> str:
    """Return a text without what looks like a secret."""
    return SECRET.sub(REDACTED, _SECRET_NAME.sub(rf"\1\2{REDACTED}\2", text))


class Tree:
    """The Python files of a project, read once a session: tests, and everything else."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tests: dict[str, str] | None = None
        self._others: dict[str, str] = {}

    @property
    def tests(self) -> Mapping[str, str]:
        """The text of each test file and conftest, by path from the root."""
        self._read()
        return self._tests or {}

    @property
    def others(self) -> Mapping[str, str]:
        """The text of the other Python files."""
        self._read()
        return self._others

    @cached_property
    def functions(self) -> Mapping[NodeId, str]:
        """The text of each test function, by node id from the root, without parameters."""
        return {
            f"{file}::{name}": body
            for file, text in self.tests.items()
            for name, body in _test_functions(text)
        }

    @cached_property
    def index(self) -> Index[NodeId]:
        """The test functions, to be searched."""
        return Index(self.functions)

    def _read(self) -> None:
        if self._tests is not None:
            return
        self._tests = {}
        files = (path for path in python_files(self._root) if path.stat().st_size <= FILE_BYTES)
        for path in islice(files, FILES):
            try:
                text = path.read_text("utf-8")
            except (OSError, ValueError):
                continue
            name = path.relative_to(self._root).as_posix()
            stem = path.stem
            is_test = stem.startswith("test_") or stem.endswith("_test") or stem == "conftest"
            (self._tests if is_test else self._others)[name] = text


_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


def _enclosing(module: ast.Module, gap: Gap) -> ast.AST:
    """Return the function or class that a gap is in, else the module."""
    found: ast.AST = module
    for node in ast.walk(module):
        if isinstance(node, (*_Function, ast.ClassDef)) and node.lineno <= gap.line + 1:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            inside = first <= gap.line and (node.end_lineno or 0) >= gap.end
            if inside and gap.name.rpartition(".")[2] == node.name:
                found = node
    return found


def _docstring(node: ast.AST) -> str:
    if isinstance(node, (*_Function, ast.ClassDef, ast.Module)):
        return ast.get_docstring(node) or ""
    return ""


def _segment(lines: Sequence[str], gap: Gap, node: ast.AST) -> str:
    """Return the function with numbered lines; those that no test runs are marked ``>``."""
    missing = set(gap.lines)
    shown = set(range(gap.line, gap.end + 1))
    if isinstance(node, ast.Module) or len(shown) > LONG:
        ends = missing | {abs(line) for arc in gap.branches or () for line in arc}
        around = NEAR if isinstance(node, ast.Module) else AROUND
        near = {n for line in ends for n in range(line - around, line + around + 1)}
        head = range(gap.line, gap.line + around)
        shown = near if isinstance(node, ast.Module) else shown & {*near, *head}
    found: list[str] = []
    last = 0
    for n in sorted(n for n in shown if 1 <= n <= len(lines)):
        if last and n > last + 1:
            found.append("       ...")
        found.append(f"{'>' if n in missing else ' '}{n:5} {lines[n - 1]}")
        last = n
    return "\n".join(found)


def _surroundings(module: ast.Module, lines: Sequence[str], node: ast.AST) -> str:
    """Return imports, what the segment names of the module, and its class's outline."""
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    used |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    parts: list[str] = []
    for each in module.body:
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            parts.append(ast.unparse(each))
        elif isinstance(each, (ast.Assign, ast.AnnAssign)):
            if used & {n.id for n in ast.walk(each) if isinstance(n, ast.Name)}:
                parts.append(_short(ast.unparse(each)))
        elif isinstance(each, ast.ClassDef) and (each.name in used or _contains(each, node)):
            parts.append(_outline(each, node))
        elif isinstance(each, _Function) and each.name in used and each is not node:
            parts.append(_signature(each))
    return "\n".join(parts)


def _contains(outer: ast.AST, inner: ast.AST) -> bool:
    return any(each is inner for each in ast.walk(outer))


def _outline(node: ast.ClassDef, inner: ast.AST) -> str:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    parts = [f"class {node.name}({bases}):" if bases else f"class {node.name}:"]
    for each in node.body:
        if isinstance(each, _Function) and each is not inner:
            if each.name == "__init__":
                parts += [f"    {line}" for line in _short(ast.unparse(each), 1500).split("\n")]
            else:
                parts.append(f"    {_signature(each)}")
        elif isinstance(each, (ast.Assign, ast.AnnAssign)):
            parts.append(f"    {_short(ast.unparse(each))}")
    return "\n".join(parts)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    head = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    line = f"{head} {node.name}({ast.unparse(node.args)}){returns}: ..."
    doc = (ast.get_docstring(node) or "").partition("\n")[0]
    return f"{line}  # {doc}" if doc else line


def _short(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]} ..."


def _callers(gap: Gap, target: Target, tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield places of the project that call the function, each with its file."""
    name = gap.name.rpartition(".")[2]
    if not name or name.startswith("__"):
        return
    call = re.compile(rf"(?<!def )\b{re.escape(name)}\(")
    found = 0
    for file, text in tree.others.items():
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            inside = target.file == target.root / file and gap.line <= number <= gap.end
            if inside or not call.search(line) or line.lstrip().startswith("#"):
                continue
            near = lines[max(number - 1 - NEAR, 0) : number + NEAR]
            yield file, f"# {file}, line {number}\n" + "\n".join(near)
            found += 1
            break
        if found >= CALLERS:
            return


def _examples(
    gap: Gap, target: Target, tree: Tree, preferred: Sequence[NodeId]
) -> tuple[Example, ...]:
    """Return the nearest tests: those that reach the function count as a ranking of their own."""
    texts = tree.functions
    try:
        prefix = target.rootdir.relative_to(target.root).as_posix()
    except ValueError:
        prefix = "."
    covering = [_function_of(test, "" if prefix == "." else f"{prefix}/") for test in gap.tests]
    covering = [test for test in dict.fromkeys(covering) if test in texts]
    query = f"{target.module} {gap.name} {gap.name}\n" + "\n".join(
        target.source.splitlines()[gap.line - 1 : gap.end]
    )
    helped = [test for test in preferred if test in texts]
    found = tree.index.nearest(query, [covering, helped])[:EXAMPLES]
    return tuple(Example(test, redact(texts[test]), test in covering) for test in found)


def _function_of(node_id: NodeId, prefix: str) -> NodeId:
    """Return the test function's node id from the git root, without its parameters."""
    return prefix + node_id.partition("[")[0]


def _test_functions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and text of every test function of a file."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for name, node in _tests_in(module.body, ""):
        body = ast.get_source_segment(text, node) or ""
        marks = [f"@{ast.unparse(mark)}" for mark in node.decorator_list]
        yield name, "\n".join([*marks, body])


def _tests_in(
    body: Sequence[ast.stmt], prefix: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in body:
        if isinstance(node, _Function) and node.name.startswith("test"):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _tests_in(node.body, f"{prefix}{node.name}::")


def _fixtures(target: Target, tree: Tree) -> Iterator[str]:
    """Yield the fixtures that a test of this target would see, and how each begins its words."""
    for file, text in tree.tests.items():
        if not file.endswith("conftest.py") or not target.place.is_relative_to(
            (target.root / file).parent
        ):
            continue
        try:
            module = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in module.body:
            if isinstance(node, _Function) and any(
                "fixture" in ast.unparse(mark) for mark in node.decorator_list
            ):
                doc = (ast.get_docstring(node) or "").partition("\n")[0]
                yield redact(f"{node.name} ({file})" + (f": {doc}" if doc else ""))


def _conventions(examples: Sequence[Example]) -> Iterator[str]:
    """Yield what the nearest tests have in common."""
    if not examples:
        return
    in_classes = sum("::" in each.node_id.partition("::")[2] for each in examples)
    yield (
        "tests are methods of classes"
        if in_classes * 2 > len(examples)
        else ("tests are plain functions")
    )
    if any("parametrize" in each.text for each in examples):
        yield "pytest.mark.parametrize is used for several cases of one behaviour"
    if any("-> None" in each.text for each in examples):
        yield "test functions are annotated"
    double = sum(each.text.count('"') for each in examples)
    single = sum(each.text.count("'") for each in examples)
    yield "strings are in double quotes" if double >= single else "strings are in single quotes"
