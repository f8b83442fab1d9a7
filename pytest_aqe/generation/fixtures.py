"""The conftests that a candidate needs: those of the folder where it would stand.

They are loaded only where a candidate asks for one of their fixtures. A conftest may start
what a sandbox has not, and then costs the candidates that need it, no others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_aqe.data import Target


def conftests(target: Target, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the conftests that these test modules need, outermost first."""
    found = list(_above(target.place, target.rootdir))
    given = [_fixtures(path) for path in found]
    names = set().union(*given)
    near = [text for text in texts if any(name in text for name in names)]  # most have none
    asked = {name for text in near for name in _parameters(text)}
    last = max((n for n, fixtures in enumerate(given) if fixtures & asked), default=-1)
    return tuple(str(path) for path in found[: last + 1])


def _above(folder: Path, rootdir: Path) -> Iterator[Path]:
    """Yield the conftests from the rootdir down to a folder."""
    inside = [each for each in (folder, *folder.parents) if each.is_relative_to(rootdir)]
    for each in reversed(inside):
        path = each / "conftest.py"
        if path.is_file():
            yield path


def _fixtures(path: Path) -> set[str]:
    """Return the names of the functions that a conftest marks as fixtures."""
    try:
        module = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    return {
        node.name
        for node in module.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any("fixture" in ast.unparse(mark) for mark in node.decorator_list)
    }


def _parameters(text: str) -> Iterator[str]:
    """Yield what test functions and fixtures of a module ask for by name."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from (each.arg for each in (*node.args.args, *node.args.kwonlyargs))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("usefixtures"):
            yield from (
                each.value
                for each in node.args
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )
