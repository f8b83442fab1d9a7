"""Programs made with click: each command is run by its test runner, with lines it may be given.

click is looked at only where the project has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from pytest_aqe.generation import files
from pytest_aqe.generation.values import Source, is_a

IMPORTS = frozenset({"from click.testing import CliRunner"})
LINE = "args"  # how click calls it
ABORTED = "Aborted!"  # where input has ended: what it then says differs from click to click
_ANSWERS = "a\n" * 4
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
    return click is not None and is_a(value, click.Command) and callable(value.callback)


def spelled(path: str, line: str, *, asks: bool) -> str:
    """Write how a command is run; what it raises is no output. One that asks gets an answer."""
    answers = f", input={_ANSWERS!r}" if asks else ""
    return f"CliRunner().invoke({path}, {line}{answers}, catch_exceptions=False).output"


def asks(command: Any) -> bool:
    """Tell whether a command, or one inside it, asks for what it was not given."""
    inner = getattr(command, "commands", {})
    return any(getattr(each, "prompt", None) for each in command.params) or any(
        map(asks, inner.values())
    )


def lines(command: Any) -> list[Source]:
    """Return command lines, likeliest first: what is needed, and each option beside it."""
    needed: list[str] = []
    more: list[list[str]] = []
    for each in command.params:
        names = sorted([*each.opts, *each.secondary_opts], key=len)
        option = [repr(names[-1])] if each.param_type_name == "option" and names else []
        if getattr(each, "is_flag", False):
            ways = [[repr(name)] for name in names if name.startswith("--")] or [option]
        else:
            times = max(each.nargs, 1)
            ways = [[*option, *[value] * times] for value in _values(each.type)]
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
    if isinstance(choices, (list, tuple)) and choices:
        return [repr(str(each)) for each in choices]
    return _GIVEN.get(getattr(kind, "name", ""), _TEXTS)
