"""Which calls are tried: what tests do, that with one argument replaced, mutations of it."""

from __future__ import annotations

import ast
import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pytest_aqe.generation import pools, subjects
from pytest_aqe.generation.execution import Call
from pytest_aqe.generation.harvest import Argument, Harvest, Sample, spelled
from pytest_aqe.generation.subjects import Subject
from pytest_aqe.generation.values import Source

RECEIVERS = 20
_SAME_NAME = 40  # values kept of parameters of one name
_SAME_TYPE = 60


class Material:
    """What a module and its tests offer for arguments."""

    def __init__(
        self,
        module: Any,
        harvest: Harvest,
        packages: frozenset[str],
        write: Callable[[object], Source | None],
        can_be_made: Callable[[Source], bool],
    ) -> None:
        self.module = module
        self.samples = harvest.samples
        self.packages = packages
        self.write = write
        self.can_be_made = can_be_made
        self.by_name: dict[str, list[Source]] = {}
        self.by_type: dict[str, list[Source]] = {}
        self.words = pools.words_of(module)
        for samples in harvest.samples.values():
            for sample in samples:
                for each in sample.arguments:
                    if each.kind in "/=":
                        self._keep(each)

    def _keep(self, argument: Argument) -> None:
        source = argument.source
        named = self.by_name.setdefault(argument.name, [])
        if source not in named and len(named) < _SAME_NAME:
            named.append(source)
            typed = self.by_type.setdefault(_literal_type(source.text), [])
            if source not in typed and len(typed) < _SAME_TYPE:
                typed.append(source)


class Calls:
    """Calls of one function, likeliest first; ``corpus`` are those that were worth something."""

    def __init__(self, material: Material, subject: Subject, chance: random.Random) -> None:
        self._material = material
        self._subject = subject
        self._chance = chance
        self.corpus: list[Call] = []
        self._samples = material.samples.get(subject.place, [])
        code = subject.function.__code__
        self._constants = pools.constants(code)
        words = self._constants["str"] = [*self._constants["str"], *material.words]
        self._constants["list"] = [Source(f"[{each.text}]") for each in words[:15]]
        self._tokens = pools.tokens_of(code)
        self._pools = {
            each.name: list(
                dict.fromkeys(
                    pools.walk_pool(
                        each,
                        self._constants,
                        material.by_name.get(each.name, []),
                        material.by_type,
                        self._named_by_type(each),
                    )
                )
            )
            for each in subject.parameters
        }
        self._receivers = self._find_receivers(subject.owner) if subject.bound else []

    def _named_by_type(self, parameter: inspect.Parameter) -> list[Source]:
        """Return what an annotation names: members, literals, objects of the project."""
        annotation = parameter.annotation
        found = pools.members(annotation, self._material.write)
        module = getattr(annotation, "__module__", "") or ""
        ours = module.partition(".")[0] in self._material.packages
        if not found and ours and isinstance(annotation, type):
            found = self._find_receivers(annotation)[:8]
        return found

    @property
    def recorded(self) -> bool:
        """Tell whether tests call the function."""
        return bool(self._samples)

    def __iter__(self) -> Iterator[Call]:
        """Yield what tests do, then that with one argument replaced, then mutations."""
        chance = self._chance
        recorded = [
            Call(sample.receiver or self._receiver(), sample.arguments)
            for sample in self._samples
            if sample.receiver or self._receivers or not self._needs_receiver()
        ]
        yield from recorded
        if self._needs_receiver() and not self._receivers:
            return
        if self._subject.kind == "property":
            for receiver in self._receivers:
                yield Call(receiver, ())
        for place in range(4 if recorded else 25):
            yield self._made(only_required=True, place=place)
        for receiver in self._receivers[:8]:
            for call in recorded[:2] or [self._made(only_required=True)]:
                yield replace(call, receiver=receiver)
        for call in recorded[:4] or self.corpus[:2]:
            for number, argument in enumerate(call.arguments):
                for value in self._pools.get(argument.name, [])[:40]:
                    yield _with(call, number, replace(argument, source=value))
        for parameter in self._subject.parameters:
            for value in self._pools.get(parameter.name, [])[:40]:
                call = self._made(only_required=True)
                yield self._adding(call, parameter, value)
        while True:
            if not self.corpus or chance.random() < 0.25:
                yield self._made(only_required=chance.random() < 0.5)
            else:
                # what was found last is nearest to what is missing
                recent = self.corpus[-8:] if chance.random() < 0.6 else self.corpus
                call = chance.choice(recent)
                for _ in range(1 if chance.random() < 2 / 3 else 2):
                    call = self._mutated(call)
                yield call

    def _needs_receiver(self) -> bool:
        return self._subject.bound

    def _receiver(self) -> Source | None:
        return self._chance.choice(self._receivers) if self._receivers else None

    def _made(self, *, only_required: bool, place: int | None = None) -> Call:
        """Put a call together; with ``place`` from the fronts of the pools, else by chance."""
        arguments = []
        for each in self._subject.parameters:
            optional = each not in self._subject.required
            if optional and (only_required or self._chance.random() > 0.6):
                continue
            argument = self._drawn(each, place)
            if argument is not None:
                arguments.append(argument)
        return Call(self._receiver(), tuple(_in_order(arguments)))

    def _drawn(self, parameter: inspect.Parameter, front: int | None = None) -> Argument | None:
        chance = self._chance
        if parameter.kind is parameter.VAR_POSITIONAL:
            text = chance.choice(["(1,)", "('a', 'b')", "(1, 2)", "([1, 2],)"])
            return Argument(parameter.name, "*", Source(text))
        if parameter.kind is parameter.VAR_KEYWORD:
            return Argument(parameter.name, "**", Source("{'a': 1}"))
        pool = self._pools.get(parameter.name)
        if not pool:
            return None
        # the front of a pool is the likeliest
        place = int(chance.expovariate(3 / len(pool))) if front is None else front
        return Argument(parameter.name, _passed(parameter), pool[min(place, len(pool) - 1)])

    def _adding(self, call: Call, parameter: inspect.Parameter, value: Source) -> Call:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return call
        given = [each for each in call.arguments if each.name != parameter.name]
        order = [each.name for each in self._subject.parameters]
        given.append(Argument(parameter.name, _passed(parameter), value))
        given.sort(key=lambda each: order.index(each.name))
        return replace(call, arguments=tuple(_in_order(_named_after_a_hole(given, self._subject))))

    def _mutated(self, call: Call) -> Call:
        chance = self._chance
        if self._needs_receiver() and chance.random() < 0.3:
            if call.receiver is not None and chance.random() < 0.4:
                changed = pools.mutated(call.receiver, self._tokens, chance)
                return replace(call, receiver=changed) if changed else call
            if chance.random() < 0.5 or len(call.before) >= 2:
                return replace(call, receiver=self._receiver())
            step = self._step()
            return replace(call, before=(*call.before, step)) if step else call
        if not call.arguments or chance.random() < 0.15:
            missing = [each for each in self._subject.parameters
                       if each.name not in {a.name for a in call.arguments}]  # fmt: skip
            if missing:
                parameter = chance.choice(missing)
                argument = self._drawn(parameter)
                if argument is not None:
                    return self._adding(call, parameter, argument.source)
            return call
        number = chance.randrange(len(call.arguments))
        argument = call.arguments[number]
        source = None
        if chance.random() < 0.6:
            source = pools.mutated(argument.source, self._tokens, chance)
        if source is None:
            pool = self._pools.get(argument.name)
            if not pool or argument.kind in ("*", "**"):
                return call
            source = chance.choice(pool)
        return _with(call, number, replace(argument, source=source))

    def _step(self) -> tuple[str, tuple[Argument, ...]] | None:
        """Return a call of another method, as it was seen: it puts the receiver into a state."""
        owner = self._subject.owner
        if owner is None:
            return None
        found = []
        for name, raw in vars(owner).items():
            code = getattr(inspect.unwrap(raw) if callable(raw) else raw, "__code__", None)
            if code is None or (name.startswith("_") and name not in ("__setitem__",)):
                continue
            place = (code.co_filename, code.co_firstlineno)
            for sample in self._material.samples.get(place, [])[:4]:
                if sample.receiver is not None:
                    found.append((name, sample.arguments))
        return self._chance.choice(found) if found else None

    def _find_receivers(self, owner: type | None) -> list[Source]:
        """Return objects of a class: seen ones, seen makings, made-up ones."""
        assert owner is not None
        found: dict[Source, None] = {}
        for sample in self._samples if owner is self._subject.owner else ():
            if sample.receiver is not None:
                found[sample.receiver] = None
        kinds = [owner, *_subclasses(owner, self._material.module)]
        for kind in kinds:
            source = subjects.class_source(kind)
            code = getattr(getattr(kind, "__init__", None), "__code__", None)
            if source is None:
                continue
            if code is not None:
                place = (code.co_filename, code.co_firstlineno)
                for sample in self._material.samples.get(place, [])[:10]:
                    found[_made_from(source, sample)] = None
            for other, samples in self._material.samples.items():
                if len(found) > RECEIVERS:
                    break
                if other[0] == self._subject.place[0]:
                    for sample in samples:
                        if sample.receiver is not None and sample.receiver.text.startswith(
                            f"{source.text}("
                        ):
                            found[sample.receiver] = None
            if len(found) < 4:
                found.update(dict.fromkeys(self._made_up(kind, source)))
        return list(found)[:RECEIVERS]

    def _made_up(self, kind: type, source: Source) -> Iterator[Source]:
        parameters = subjects.making(kind)
        if parameters is None:
            return
        seen: set[str] = set()
        for attempt in range(24):
            arguments = []
            for each in parameters:
                variable = each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
                required = each.default is each.empty and not variable
                if not required and (variable or self._chance.random() > 0.3 * (attempt > 8)):
                    continue
                pool = list(
                    pools.walk_pool(
                        each,
                        {},
                        self._material.by_name.get(each.name, []),
                        self._material.by_type,
                        pools.members(each.annotation, self._material.write),
                    )
                )
                place = min(int(self._chance.expovariate(4 / max(len(pool), 1))), len(pool) - 1)
                kind_ = "=" if not required or each.kind is each.KEYWORD_ONLY else "/"
                arguments.append(Argument(each.name, kind_, pool[place]))
            made = _made_from(source, Sample(tuple(arguments)))
            if made.text in seen:
                continue
            seen.add(made.text)
            if self._material.can_be_made(made):
                yield made
            if len(seen) > 14:
                return


def _made_from(source: Source, sample: Sample) -> Source:
    imports = source.imports.union(*(each.source.imports for each in sample.arguments))
    return Source(f"{source.text}({spelled(sample.arguments)})", imports)


def _subclasses(owner: type, module: Any) -> list[type]:
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type) and each is not owner and issubclass(each, owner)
    ][:3]


def _passed(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.KEYWORD_ONLY:
        return "="
    return "/" if parameter.default is parameter.empty else "="


def _in_order(arguments: Sequence[Argument]) -> list[Argument]:
    """Put arguments as Python wants them: by place, then by name."""
    order = {"/": 0, "*": 1, "=": 2, "**": 3}
    return sorted(arguments, key=lambda each: order[each.kind])


def _named_after_a_hole(arguments: Sequence[Argument], subject: Subject) -> list[Argument]:
    """Pass by name what follows a parameter that is left to its default."""
    given = {each.name for each in arguments}
    hole = False
    result = []
    kinds = {each.name: each for each in subject.parameters}
    for parameter in subject.parameters:
        hole = hole or parameter.name not in given
        for each in arguments:
            if each.name == parameter.name:
                only = kinds[each.name].kind is inspect.Parameter.POSITIONAL_ONLY
                result.append(
                    replace(each, kind="=") if hole and each.kind == "/" and not only else each
                )
    return result


def _with(call: Call, number: int, argument: Argument) -> Call:
    arguments = [*call.arguments]
    arguments[number] = argument
    return replace(call, arguments=tuple(arguments))


def _literal_type(text: str) -> str:
    try:
        return type(ast.literal_eval(text)).__name__
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return text.partition("(")[0]
