"""What can be refused without running it: safety, and whether a test can fail at all.

Reads the candidate's syntax tree, about a millisecond for a file. The rules match names as
they are written: an alias passes, and meets the guard and the sandbox. Kinds of bad replies
and how often they pass other tools: research by replaying them (docs, how a trial works).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_aqe.data import Stage
from pytest_aqe.generation.oracle import dotted, mentions, strength
from pytest_aqe.generation.values import is_local

LONGEST = 20_000  # characters; a good candidate has a tenth
MOST_TESTS = 40  # in one file for one gap


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MODULES = _words(
    """
    subprocess ctypes multiprocessing pty webbrowser ftplib smtplib telnetlib code codeop pdb
    bdb _posixsubprocess posix nt _ctypes signal faulthandler coverage sys.monitoring
    _xxsubinterpreters concurrent.futures.process unittest nose nose2 gc inspect
    """
)
_CALLS = _words(
    """
    os.system os.popen os._exit os.abort os.kill os.killpg os.fork os.forkpty os.remove
    os.unlink os.rmdir os.removedirs os.rename os.renames os.replace os.chmod os.chown os.putenv
    os.unsetenv os.setuid os.setgid os.symlink os.link os.truncate os.chroot os.nice os.dup2
    os.close shutil.rmtree shutil.move shutil.copytree shutil.copy shutil.copyfile shutil.chown
    sys.exit sys.settrace sys.setprofile sys.addaudithook sys.setrecursionlimit sys._getframe
    threading.settrace threading.setprofile exec eval compile __import__ input breakpoint exit
    quit globals vars pytest.main pytest.exit importlib.reload importlib.import_module
    time.sleep asyncio.sleep builtins.exec builtins.eval builtins.__import__ setattr delattr
    locals
    """
)
_CALL_PREFIXES = ("os.exec", "os.spawn", "os.posix_spawn", "sys.monitoring.", "gc.", "ctypes.")
_STATE = frozenset({"os.environ", "sys.modules", "sys.path", "sys.meta_path", "sys.stdout",
                    "sys.stderr", "builtins", "sys.argv"})  # fmt: skip
_MARKS = frozenset({"skip", "skipif", "xfail"})
_METHODS = _words(
    """
    unlink rmdir rename replace_with chmod touch mkdir write_text write_bytes symlink_to
    hardlink_to
    """
)
_PATHS = frozenset({"tmp_path", "tmpdir", "tmp_path_factory", "tmpdir_factory"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a candidate, or one of its functions, cannot be taken."""

    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Static:
    """What the tree says: tests that may be tried, those that may not, or why none may."""

    tests: tuple[str, ...]
    refused: Mapping[str, Refusal]
    weak: frozenset[str]
    refusal: Refusal | None = None


def check(
    text: str,
    packages: frozenset[str],
    own_names: frozenset[str] = frozenset(),
    local: Sequence[str] = (),
) -> Static:
    """Check a candidate. ``packages`` are names by which the code under test can be imported.

    ``own_names`` are the names that the target defines: a test that defines one itself tests a
    copy. ``local`` are texts that are others on another machine.
    """
    refusal = _reply(text)
    if refusal is not None:
        return _none(refusal)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        return _none(Refusal("reply", f"it does not parse: {error.args[0]}{where}"))
    tests = dict(_tests(tree))
    if not tests:
        return _none(Refusal("reply", "it holds no test function"))
    if len(tests) > MOST_TESTS:
        return _none(Refusal("reply", f"it holds {len(tests)} tests; at most {MOST_TESTS}"))
    sources = _sources(tree, packages)
    reason = _unsafe_module(tree, own_names, sources)
    if reason is not None:
        return _none(Refusal(*reason))
    if not sources:
        return _none(Refusal("safety", "it does not import the code under test"))
    lines = {name: _lines(node) for name, node in tests.items()}
    own = {number for numbers in lines.values() for number in numbers}
    if is_local(_of(text, lambda number: number not in own), local):
        return _none(_LOCAL)
    refused: dict[str, Refusal] = {}
    weak: set[str] = set()
    helpers = {
        name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (name := node.name)
    }
    for name, node in tests.items():
        found = strength(node, sources, helpers)
        if is_local(_of(text, lines[name].__contains__), local):
            refused[name] = _LOCAL
        elif isinstance(found, str):
            refused[name] = Refusal("oracle", found)
        elif not found:
            weak.add(name)
    kept = tuple(name for name in tests if name not in refused)
    return Static(kept, refused, frozenset(weak))


_LOCAL = Refusal("stability", "it names a folder of this machine, which is another one elsewhere")


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> range:
    """Return the numbers of a test's lines, those of its marks too."""
    first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
    return range(first, (node.end_lineno or first) + 1)


def _of(text: str, wanted: Callable[[int], bool]) -> str:
    return "\n".join(line for number, line in enumerate(text.splitlines(), 1) if wanted(number))


def _none(refusal: Refusal) -> Static:
    return Static((), {}, frozenset(), refusal)


def _reply(text: str) -> Refusal | None:
    """Refuse what is no test module at all."""
    if not text.strip():
        return Refusal("reply", "it is empty")
    if len(text) > LONGEST:
        return Refusal("reply", f"it has {len(text):,} characters; at most {LONGEST:,}")
    if "\0" in text or "\ufffd" in text:
        return Refusal("reply", "it is no text")
    for line in text.splitlines():
        if line.startswith(("FILE:", "+++ ", "--- a/", "*** Begin Patch")):
            return Refusal("reply", "it edits files; only a new test module is taken")
        if line.startswith("```"):
            return Refusal("reply", "it holds a fence of Markdown; only the code is taken")
    return None


def _tests(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name.startswith("test"):
                yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            for each in node.body:
                if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
                    each.name.startswith("test")
                ):
                    yield f"{node.name}.{each.name}", each


def _sources(tree: ast.Module, packages: frozenset[str]) -> frozenset[str]:
    """Return the names by which the module knows the code under test."""
    roots = {name.partition(".")[0] for name in packages}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                if each.name.partition(".")[0] in roots:
                    names.add(each.asname or each.name.partition(".")[0])
        elif (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and ((node.module or "").partition(".")[0] in roots)
        ):
            names.update(each.asname or each.name for each in node.names)
    return frozenset(names)


def _unsafe_module(
    tree: ast.Module,
    own_names: frozenset[str],
    sources: frozenset[str],
) -> tuple[Stage, str] | None:
    for node in tree.body:
        if not _is_quiet(node, sources):
            return "safety", f"line {node.lineno} runs when the module is imported"
    redefined = {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    } & own_names
    if redefined:
        return "safety", f"it defines {min(redefined)} itself: that tests a copy"
    for each in ast.walk(tree):
        reason = _unsafe(each, sources)
        if reason is not None:
            return "safety", f"line {getattr(each, 'lineno', 0)}: {reason}"
    return None


def _is_quiet(node: ast.stmt, sources: frozenset[str]) -> bool:
    """Tell a statement that does nothing at import but define names."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return not (isinstance(node, ast.ImportFrom) and (node.level or _is_star(node)))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return all(_is_mark(each) for each in node.decorator_list)
    if isinstance(node, ast.ClassDef):
        return all(_is_mark(each) for each in node.decorator_list) and all(
            _is_quiet(each, sources) for each in node.body
        )
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        calls = any(
            isinstance(each, ast.Call) and not dotted(each.func).startswith("pytest.mark.")
            for each in ast.walk(node.value or ast.Constant(None))
        )
        return not calls and all(isinstance(each, ast.Name) for each in targets)
    return isinstance(node, ast.Pass)


def _is_star(node: ast.ImportFrom) -> bool:
    return any(each.name == "*" for each in node.names)


_DECORATORS = ("pytest.mark.", "pytest.fixture", "given", "settings", "example", "patch", "mock.",
               "hypothesis.", "staticmethod", "classmethod", "property", "dataclass",
               "dataclasses.dataclass", "contextmanager", "contextlib.", "functools.", "wraps",
               "unittest.mock.", "assume", "seed")  # fmt: skip


def _is_mark(node: ast.expr) -> bool:
    return dotted(node.func if isinstance(node, ast.Call) else node).startswith(_DECORATORS)


def _unsafe(node: ast.AST, sources: frozenset[str]) -> str | None:
    """Return why a node must not run anywhere near a project."""
    if isinstance(node, ast.Import):
        names = [each.name for each in node.names]
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = [module, *(f"{module}.{each.name}" for each in node.names)]
    else:
        names = []
    for name in names:
        if name == "unittest.mock" or name.startswith("unittest.mock."):
            continue
        if name in _MODULES and not (name == "unittest" and "unittest.mock" in names):
            return f"imports {name}"
        if name in _CALLS or name.startswith(_CALL_PREFIXES):
            return f"imports {name}"
    if isinstance(node, ast.Call):
        return _unsafe_call(node)
    if isinstance(node, ast.Attribute) and dotted(node) in {"pytest.skip", "pytest.xfail"}:
        return f"uses {dotted(node)}"
    if isinstance(node, ast.Attribute) and dotted(node).startswith("pytest.mark."):
        mark = dotted(node).split(".")[2]
        if mark in _MARKS:
            return f"is marked {mark}"
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
        return _unsafe_target(node, sources)
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return "keeps state between tests (global)" if isinstance(node, ast.Global) else None
    if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
        return "loops for ever"
    if isinstance(node, ast.Name) and node.id in {"__builtins__", "__loader__", "__file__"}:
        return f"uses {node.id}"
    if isinstance(node, ast.Attribute) and node.attr in _INNARDS:
        return f"uses {node.attr}"
    return None


_INNARDS = _words(
    """
    __globals__ __code__ __subclasses__ __builtins__ __closure__ f_globals f_locals gi_frame
    __defaults__ __kwdefaults__ __loader__ tb_frame __bases__ __mro__
    """
)


def _unsafe_call(node: ast.Call) -> str | None:
    name = dotted(node.func)
    if name in _CALLS or name.startswith(_CALL_PREFIXES):
        return f"calls {name}"
    if name == "getattr" and (len(node.args) < 2 or not isinstance(node.args[1], ast.Constant)):
        return "calls getattr with a name that is put together"
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        base = dotted(node.func.value).partition(".")[0]
        if base and not mentions(node.func.value, _PATHS) and base[:1].isupper():
            return f"calls {name}"
    if name in {"pytest.raises", "raises"} and node.args and dotted(node.args[0]) == "SystemExit":
        return None
    return None


def _unsafe_target(
    node: ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete, sources: frozenset[str]
) -> str | None:
    if isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets: list[ast.expr] = [node.target]
    else:
        targets = list(node.targets)
    for target in targets:
        holder = target.value if isinstance(target, (ast.Subscript, ast.Attribute)) else None
        if holder is None:
            continue
        name = dotted(target if isinstance(target, ast.Attribute) else holder)
        if name in _STATE or dotted(holder) in _STATE:
            return f"changes {name}"
        if name.partition(".")[0] in sources and isinstance(target, ast.Attribute):
            return f"rebinds {name} of the code under test"
        if isinstance(target, ast.Subscript) and dotted(holder).partition(".")[0] in sources:
            return f"changes {dotted(holder)} of the code under test"
    return None


def without(text: str, refused: frozenset[str]) -> str:
    """Return the module without some of its tests, and without imports that only they used."""
    tree = ast.parse(text)
    lines = text.splitlines()
    dropped: set[int] = set()
    for node in tree.body:
        inner = [node] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else []
        prefix = ""
        if isinstance(node, ast.ClassDef):
            prefix = f"{node.name}."
            inner = [
                each
                for each in node.body
                if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            gone = [each for each in inner if f"{prefix}{each.name}" in refused]
            if gone and len(gone) == len(node.body):
                dropped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        for each in inner:
            if f"{prefix}{each.name}" in refused:
                dropped.update(_lines(each))
    kept = "\n".join(line for number, line in enumerate(lines, 1) if number not in dropped)
    return _tidy(kept)


def _tidy(text: str) -> str:
    """Drop imports that nothing uses, and blank lines that nothing needs."""
    tree = ast.parse(text)
    used = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}
    lines = text.splitlines()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)) and node.lineno == node.end_lineno:
            kept = [each for each in node.names
                    if (each.asname or each.name.partition(".")[0]) in used
                    or getattr(node, "module", "") == "__future__"]  # fmt: skip
            if len(kept) < len(node.names):
                node.names = kept
                lines[node.lineno - 1] = ast.unparse(node) if kept else "\0"
    result: list[str] = []
    blank = 0
    for line in lines:
        if line == "\0":
            continue
        blank = blank + 1 if not line.strip() else 0
        if blank <= 2 and (result or line.strip()):
            result.append(line)
    return "\n".join(result).rstrip() + "\n"
