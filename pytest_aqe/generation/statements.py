"""The statements of a module: to walk expressions too takes ten times as long."""

from __future__ import annotations

import ast
from collections.abc import Iterator

BODIES = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where statements stand in another."""


def statements(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield every statement, handler and case, each with what it stands in."""
    waiting = [tree]
    while waiting:
        owner = waiting.pop()
        inside = [each for body in BODIES for each in getattr(owner, body, ())]
        waiting += inside
        for each in inside:
            yield each, owner
