"""Whether a test can fail when the code under test is wrong: its assertions, read, not run.

What comes from the code under test is followed through assignments. An assertion counts when
it mentions something that does and nothing around it swallows its failure. Not None, a type
or any exception at all say too little. A truth value is weak: it counts when it notices more
than that nothing is returned any more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from pytest_aqe.generation.statements import BODIES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CHANCE = _words(
    """
    hash id uuid.uuid1 uuid.uuid4 os.listdir os.getpid os.urandom os.getcwd time.time
    time.time_ns time.monotonic time.perf_counter uuid1 uuid4 getpid urandom monotonic
    perf_counter datetime.now datetime.utcnow datetime.today date.today datetime.datetime.now
    datetime.datetime.utcnow datetime.datetime.today datetime.date.today
    """
)
_CHANCE_PREFIXES = ("random.", "secrets.")
_SWALLOWING = frozenset({"AssertionError", "Exception", "BaseException"})
_BROAD = frozenset({"Exception", "BaseException"})


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for that expression, and what can be said of any other."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def mentions(node: ast.AST, names: frozenset[str] | set[str]) -> bool:
    return any(isinstance(each, ast.Name) and each.id in names for each in ast.walk(node))


def strength(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    sources: frozenset[str],
    helpers: Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef],
) -> str | bool:
    """Return True for a strong assertion about the code under test, False for a weak one.

    Else why what there is cannot fail for a reason. ``sources`` are the names by which the
    module knows the code, ``helpers`` its functions.
    """
    reason = _nondeterministic(node)
    if reason is not None:
        return reason
    tainted = _tainted(node, sources)
    strengths = [_strength(each, tainted) for each in _assertions(node)]
    for name in _called(node) & helpers.keys():
        if not name.startswith("test"):
            helper = helpers[name]
            inner = _tainted(helper, sources | _parameters(helper))
            strengths += [_strength(each, inner) for each in _assertions(helper)]
    if not strengths:
        return "it asserts nothing"
    if not _called(node) & helpers.keys() and not _asserted_anyway(node.body):
        return "it asserts nothing where a condition does not hold"
    best = max(strengths)
    if best == _SWALLOWED:
        return "its assertion is swallowed by an except"
    if best == _TAUTOLOGY:
        return "its assertion holds whatever the code does"
    if best == _UNRELATED:
        return "its assertion does not depend on the code under test"
    if best == _HOLLOW:
        return "its assertion says too little (not None, a type, any exception)"
    return best == _STRONG


_SWALLOWED, _UNRELATED, _TAUTOLOGY, _HOLLOW, _WEAK, _STRONG = range(6)
_HOLLOW_CALLS = frozenset({"isinstance", "issubclass", "hasattr", "callable", "bool", "type"})
_Assertion = tuple[ast.stmt | ast.withitem, bool]  # and whether an except swallows it


def _asserted_anyway(body: Sequence[ast.AST]) -> bool:
    """Tell whether something is asserted whatever the conditions in a test come to."""
    for each in body:
        if isinstance(each, ast.If):
            found = _asserted_anyway(each.body) and _asserted_anyway(each.orelse)
        elif any(isinstance(part, ast.If) for part in ast.walk(each)):
            items = each.items if isinstance(each, (ast.With, ast.AsyncWith)) else ()
            found = any(_raises(item.context_expr) is not None for item in items) or any(
                _asserted_anyway(getattr(each, name, ())) for name in BODIES
            )
        else:
            found = any(True for _ in _assertions(ast.Module([each], [])))  # type: ignore[list-item]
        if found:
            return True
    return False


def _called(node: ast.AST) -> set[str]:
    return {dotted(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    return frozenset(each.arg for each in [*node.args.args, *node.args.kwonlyargs])


def _nondeterministic(node: ast.AST) -> str | None:
    called = _called(node)
    if "random.seed" in called or "Random" in {name.rpartition(".")[2] for name in called}:
        called = {name for name in called if not name.startswith("random.")}
    for name in sorted(called):
        if name in _CHANCE or name.startswith(_CHANCE_PREFIXES):
            return f"it calls {name}, which is different every time"
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and _orders_a_set(each):
            return "it depends on the order of a set"
    return None


def _orders_a_set(node: ast.Call) -> bool:
    name = dotted(node.func)
    ordered = name in {"list", "tuple", "next", "str", "repr", "enumerate"} or (
        isinstance(node.func, ast.Attribute) and node.func.attr == "join"
    )
    return ordered and any(
        isinstance(each, (ast.Set, ast.SetComp))
        or (isinstance(each, ast.Call) and dotted(each.func) in {"set", "frozenset"})
        for argument in node.args[:1]
        for each in [argument, *(argument.args if isinstance(argument, ast.Call) else [])]
        if not (isinstance(argument, ast.Call) and dotted(argument.func) == "sorted")
    )


def _tainted(node: ast.AST, sources: frozenset[str]) -> frozenset[str]:
    """Return the names that hold something that came from the code under test."""
    tainted = set(sources)
    before = -1
    while before != len(tainted):
        before = len(tainted)
        for each in ast.walk(node):
            if isinstance(each, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
                value = each.value
                targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            elif isinstance(each, (ast.For, ast.AsyncFor, ast.comprehension)):
                value, targets = each.iter, [each.target]
            elif isinstance(each, ast.withitem) and each.optional_vars is not None:
                value, targets = each.context_expr, [each.optional_vars]
                if dotted(getattr(value, "func", value)).endswith("raises"):
                    tainted.update(_names(each.optional_vars))
            elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each is not node:
                if mentions(each, tainted):
                    tainted.add(each.name)
                continue
            elif isinstance(each, ast.Call) and mentions(each, tainted):
                # what the code under test was given, it may have changed
                tainted.update(*(_names(argument) for argument in each.args))
                if isinstance(each.func, ast.Attribute):
                    tainted.update(_names(each.func.value))
                continue
            else:
                continue
            if value is not None and mentions(value, tainted):
                tainted.update(*(_names(target) for target in targets))
    captured = {"capsys", "capfd", "caplog", "capfdbinary", "capsysbinary"}
    return frozenset(tainted | captured | {
        name
        for each in ast.walk(node)
        if isinstance(each, ast.Assign) and mentions(each.value, captured)
        for target in each.targets
        for name in _names(target)
    })  # fmt: skip


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _assertions(node: ast.AST, swallowed: bool = False) -> Iterator[_Assertion]:
    """Yield what can fail, and whether an except around it hides that."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Assert):
            yield child, swallowed
        elif isinstance(child, (ast.With, ast.AsyncWith)):
            for item in child.items:
                if _raises(item.context_expr) is not None:
                    yield item, swallowed
            yield from _assertions(child, swallowed)
        elif isinstance(child, ast.Try):
            hidden = swallowed or any(_swallows(handler) for handler in child.handlers)
            yield from _assertions(ast.Module(child.body, []), hidden)
            yield from _assertions(ast.Module([*child.orelse, *child.finalbody], []), swallowed)
            for handler in child.handlers:
                yield from _assertions(handler, swallowed)
        elif isinstance(child, ast.Expr) and isinstance(child.value, ast.Call):
            method = child.value.func
            asserts = isinstance(method, ast.Attribute) and method.attr.startswith("assert_")
            if asserts or _raises(child.value) is not None:
                yield child, swallowed
        else:
            yield from _assertions(child, swallowed)


def _swallows(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(kind is None or dotted(kind) in _SWALLOWING for kind in kinds)
    return broad and not any(isinstance(each, ast.Raise) for each in ast.walk(handler))


def _raises(node: ast.expr) -> ast.Call | None:
    if isinstance(node, ast.Call) and dotted(node.func) in {"pytest.raises", "raises",
                                                             "pytest.warns", "warns"}:  # fmt: skip
        return node
    return None


def _strength(found: _Assertion, tainted: frozenset[str]) -> int:
    node, swallowed = found
    if swallowed:
        return _SWALLOWED
    if isinstance(node, ast.withitem):
        return _strength_of_raises(node.context_expr)
    if isinstance(node, ast.Expr):
        call = _raises(node.value)
        return _strength_of_raises(call) if call else _WEAK
    assert isinstance(node, ast.Assert)
    return _strength_of_test(node.test, tainted)


def _strength_of_raises(node: ast.expr) -> int:
    kinds = node.args[0] if isinstance(node, ast.Call) and node.args else None
    each = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
    return _HOLLOW if any(kind is None or dotted(kind) in _BROAD for kind in each) else _STRONG


def _strength_of_test(test: ast.expr, tainted: frozenset[str]) -> int:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _strength_of_test(test.operand, tainted)
    if isinstance(test, ast.BoolOp):
        each = [_strength_of_test(value, tainted) for value in test.values]
        if isinstance(test.op, ast.And):
            return max(each)
        return _TAUTOLOGY if _TAUTOLOGY in each else min(_HOLLOW, *each)
    if isinstance(test, ast.Constant):
        return _TAUTOLOGY
    if not mentions(test, tainted):
        return _UNRELATED
    if isinstance(test, ast.Compare):
        sides = [ast.dump(side) for side in (test.left, *test.comparators)]
        if len(set(sides)) < len(sides):
            return _TAUTOLOGY
        if any(_always_holds(test, side) for side in (test.left, *test.comparators)):
            return _TAUTOLOGY
        nothing = any(
            isinstance(side, ast.Constant) and side.value is None for side in test.comparators
        )
        if nothing and isinstance(test.ops[0], (ast.IsNot, ast.NotEq)):
            return _HOLLOW
        return _HOLLOW if _is_type_question(test) else _STRONG
    if isinstance(test, ast.Call) and dotted(test.func) in _HOLLOW_CALLS:
        return _HOLLOW
    return _WEAK


def _always_holds(test: ast.Compare, side: ast.expr) -> bool:
    """Tell ``len(x) >= 0`` and its like."""
    return (
        isinstance(side, ast.Call)
        and dotted(side.func) == "len"
        and side is test.left
        and isinstance(test.ops[0], ast.GtE)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == 0
    )


def _is_type_question(test: ast.Compare) -> bool:
    left = test.left
    if isinstance(left, ast.Call) and dotted(left.func) == "type":
        return True
    return isinstance(left, ast.Attribute) and left.attr in {"__class__", "__name__"} and (
        "type" in {dotted(each.func) for each in ast.walk(left) if isinstance(each, ast.Call)}
        or left.attr == "__class__"
    )  # fmt: skip
