"""A test's name across runs: path from the git root, qualified name, normalized parameters.

pytest's node id depends on the working directory and rootdir, holds memory addresses when
``ids=repr``, ends in ``@group`` under xdist's ``loadgroup`` (pytest < 9.2) and numbers the
parameters it cannot print (``x0``). Each of these made a known test look new (measured,
research on pytest, section 5), so the history uses the identity and keeps the node id
beside it.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import CodeType
from typing import Any

from pytest_aqe.data import Identity, NodeId

_NESTED = frozenset({CodeType, frozenset})
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_GROUP = re.compile(r"(?<=[\]\w])@[^\[\]:@]+$")


def git_root(start: Path) -> Path | None:
    """Return the nearest folder at or above ``start`` that holds ``.git``."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)


def prefix_of(rootdir: Path) -> str:
    """Return the path from the git root to ``rootdir``: ``"services/pay/"``, or empty."""
    root = git_root(rootdir)
    if root is None or root == rootdir:
        return ""
    return rootdir.relative_to(root).as_posix() + "/"


def stable_name(name: str) -> str:
    """Strip memory addresses, which differ in every process, from a test's name."""
    return _ADDRESS.sub("", name) if " at 0x" in name else name


def without_group(node_id: NodeId) -> NodeId:
    """Strip the ``@group`` that xdist's ``loadgroup`` appends; no pytest accepts it back."""
    if "@" not in node_id or ".py::" not in node_id:
        return node_id
    return _GROUP.sub("", node_id)


def from_node_id(node_id: NodeId, prefix: str = "") -> Identity:
    """Return the identity of a test of which only the node id is known (an import)."""
    return prefix + stable_name(without_group(node_id))


def stable_parameters(name: str, params: Mapping[str, Any]) -> str:
    """Replace positional ids by ``argument*``, for the number says nothing about the value.

    pytest names a parameter it cannot print (and, since 9.2, a string of over 100
    characters) by argument and position: ``x0``. Inserting one value shifts all that
    follow, so such tests share their function's history. ``params`` are argument and value.
    """
    start = name.find("[")
    if start < 0 or not any(argument in name[start:] for argument in params):
        return name
    texts = {value for value in params.values() if isinstance(value, str)}
    tokens = name[start + 1 : -1].split("-")
    for number, token in enumerate(tokens):
        argument = token.rstrip("0123456789")
        if argument != token and argument in params and token not in texts:
            tokens[number] = f"{argument}*"
    return f"{name[:start]}[{'-'.join(tokens)}]"


def body(code: CodeType) -> str:
    """Fingerprint what a function does, whatever it is called and wherever it stands.

    Bytecode differs between Python versions, and so does the fingerprint: a rename is
    found only between two runs on one version.
    """
    # Version 2 writes no references, which depend on what else is alive.
    return blake2b(marshal.dumps(_shape(code), 2), digest_size=8).hexdigest()


def _shape(code: CodeType) -> tuple[Any, ...]:
    """Return what counts of a code object, alike in every process: sets in sorted order.

    Until Python 3.10 the qualified name of a nested function is a constant of the outer
    one; it holds the outer name, which does not count. Runs once a test: most functions
    hold nothing nested.
    """
    constants: Sequence[Any] = code.co_consts
    if not _NESTED.isdisjoint(map(type, constants)):
        constants = _told_alike(constants)
    return (code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants)


def _told_alike(constants: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        _shape(each)
        if isinstance(each, CodeType)
        else sorted(map(repr, each))
        if isinstance(each, frozenset)
        else each
        for each in constants
        if not (isinstance(each, str) and "<locals>" in each)
    )


def is_gone(old: Identity, new: Identity, root: Path) -> bool:
    """Tell whether a test no longer stands where its identity says, by looking there.

    Only where the test that would be its new form can be seen: elsewhere everything looks
    gone. A test named by ``aqe_id`` never is; nothing but its name says which one it is.
    """
    file, _, name = old.partition("::")
    if file == "aqe_id" or not (root / new.partition("::")[0]).is_file():
        return False
    try:
        text = (root / file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    function = re.escape(name.partition("[")[0].rpartition("::")[2])
    return re.search(rf"\bdef\s+{function}\b", text) is None
