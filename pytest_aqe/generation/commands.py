"""Programs made with click: each command is run by its test runner, with lines it may be given.

click is looked at only where the project has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from pytest_aqe.generation import files
from pytest_aqe.generation.values import Source

IMPORTS = frozenset({"from click.testing import CliRunner"})
LINE = "args"  # how click calls it
_MOST = 40  # command lines
_FILE = files.SOURCES[0].text
_TEXTS = ("'a'", "'hello world'", "'1'")
_GIVEN = {
    "integer": ("'1'", "'7'", "'-1'"), "integer range": ("'1'", "'7'", "'-1'"),
    "float": ("'1.5'", "'-2'"), "float range": ("'1.5'", "'-2'"), "boolean": ("'yes'", "'no'"),
    "path": (_FILE,), "filename": (_FILE,), "file": (_FILE,),
}  # fmt: skip


def is_command(value: Any) -> bool:
    """Tell a command of click's that runs a function."""
    click = sys.modules.get("click")
    return click is not None and isinstance(value, click.Command) and callable(value.callback)


def spelled(path: str, line: str) -> str:
    """Write how a command is run; what it raises is no output."""
    return f"CliRunner().invoke({path}, {line}, catch_exceptions=False).output"


def lines(command: Any) -> list[Source]:
    """Return command lines, likeliest first: what is needed, and each option beside it."""
    needed: list[str] = []
    more: list[list[str]] = []
    for each in command.params:
        option = [repr(max(each.opts, key=len))] if each.param_type_name == "option" else []
        is_flag = getattr(each, "is_flag", False)
        ways = [option] if is_flag else [[*option, value] for value in _values(each.type)]
        if each.required or not option:
            needed += ways[0]
        more += ways
    inner = [[repr(name)] for name in getattr(command, "commands", ())]
    found = [needed, *([*needed, *way] for way in more), *inner, *more, [], [repr("--help")]]
    texts = dict.fromkeys(f"[{', '.join(each)}]" for each in found)
    return [Source(text) for text in list(texts)[:_MOST]]


def _values(kind: Any) -> Sequence[str]:
    """Return what a parameter of a type of click's may be given, as source text."""
    choices = getattr(kind, "choices", None)
    if choices:
        return [repr(str(each)) for each in choices]
    return _GIVEN.get(getattr(kind, "name", ""), _TEXTS)
