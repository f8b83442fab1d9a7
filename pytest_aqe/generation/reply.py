"""From what a model said to the text of a test module: nothing is guessed, nothing is executed.

The module is in a fenced block; of several, in the one with most test functions. A reply that
is a JSON object with such text under one key, or bare Python, is taken too: small models do so.
"""

from __future__ import annotations

import ast
import json
import re

_FENCE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)^(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_OPEN = re.compile(r"^(?:`{3,}|~{3,})", re.MULTILINE)
_OTHER_FILE = re.compile(r"^(?:FILE:|\+\+\+ |--- a/|diff --git |@@ -\d)", re.MULTILINE)
_TEST = re.compile(r"^\s*(?:async\s+)?def\s+test", re.MULTILINE)


def module(reply: str, *, cut: bool = False) -> tuple[str | None, str]:
    """Return the test module in a reply, or None and why there is none.

    ``cut`` tells that the model was stopped by the limit on tokens.
    """
    text = reply.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    if _OTHER_FILE.search(text):
        return None, "the reply edits files instead of writing a test module"
    blocks = [match["code"] for match in _FENCE.finditer(text)]
    if blocks:
        best = max(blocks, key=lambda code: len(_TEST.findall(code)))
        return _normal(best), ""
    if _OPEN.search(text) or (cut and _TEST.search(text)):
        return None, "the reply was cut off before its end"
    found = _in_json(text)
    if found is None and _is_python(text):
        found = text
    if found is None:
        return None, "there is no code in the reply" if text.strip() else "the reply is empty"
    return _normal(found), ""


def _normal(code: str) -> str:
    return code.lstrip("\ufeff\n").rstrip() + "\n"


def _in_json(text: str) -> str | None:
    """Return the one string of a JSON object that holds a test function."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    values = found.values() if isinstance(found, dict) else ()
    codes = [value for value in values if isinstance(value, str) and _TEST.search(value)]
    return codes[0] if len(codes) == 1 else None


def _is_python(text: str) -> bool:
    if not _TEST.search(text):
        return False
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
