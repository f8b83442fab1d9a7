"""Walks over syntax trees, against those of `ast`."""

from __future__ import annotations

import ast

from pytest_aqe.evidence.syntax import children_of, nodes_of

SAYING_NOTHING = (ast.boolop, ast.cmpop, ast.expr_context, ast.operator, ast.unaryop)

SOURCE = '''
from a import (b as c, d)

@d(1, x=2)
class C(b, metaclass=M):
    """Doc."""
    y: int = -1 if not x else {**z, "k": [i for i in range(3) if i > 1 and i]}

    async def m(self, p, /, q=lambda: (yield), *r, s=f"{t!r:>{u}}", **v) -> "W":
        global g
        async with a as e, b: await f[1:2, ...]
        try: del x.y
        except (E, F) as error: raise G from None
        else: h += 1
        return (n := 3) @ 4

match o:
    case {"k": K(1, l=[_, *rest]), **more} | None if more: pass
'''


def test_every_node_that_says_something_is_found_once() -> None:
    """Whatever the Python: contexts and operators alone are passed over."""
    tree = ast.parse(SOURCE)
    found = nodes_of(tree)
    assert {id(node) for node in found} == {
        id(node) for node in ast.walk(tree) if not isinstance(node, SAYING_NOTHING)
    }
    assert len(found) == len({id(node) for node in found})
    assert nodes_of([*tree.body, None]) == [
        node for statement in reversed(tree.body) for node in nodes_of(statement)
    ]


def test_parents_come_before_their_children() -> None:
    """Who sees a call knows it before what is called."""
    found = nodes_of(ast.parse(SOURCE))
    places = {id(node): place for place, node in enumerate(found)}
    for node in found:
        assert all(places[id(child)] > places[id(node)] for child in children_of(node))


def test_the_children_are_those_right_below() -> None:
    """As `ast` has them, in the same order."""
    for node in nodes_of(ast.parse(SOURCE)):
        assert children_of(node) == [
            child for child in ast.iter_child_nodes(node) if not isinstance(child, SAYING_NOTHING)
        ]
