"""Which calls are tried: what tests do, that with one argument replaced, mutations of it."""

from __future__ import annotations

import ast
import functools
import inspect
import random
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from types import CodeType
from typing import Any

from pytest_aqe.generation import circumstances, commands, files, parsers, pools, subjects
from pytest_aqe.generation.circumstances import Circumstance
from pytest_aqe.generation.comparisons import Compared, exchanged, wished
from pytest_aqe.generation.corrections import corrections, looked_up
from pytest_aqe.generation.execution import Call
from pytest_aqe.generation.harvest import Argument, Harvest, Sample, spelled
from pytest_aqe.generation.parsers import Read
from pytest_aqe.generation.subjects import Subject
from pytest_aqe.generation.uses import Uses
from pytest_aqe.generation.values import Source, is_a

RECEIVERS = 24
MOST_AROUND = 8  # circumstances of a function
MOST_HUNG = 2  # calls that hang where the clock stands still, say: then it does not
OPTIONS = 5  # optional arguments of a constructor that are tried by themselves
_SAME_NAME = 40  # values kept of parameters of one name
_SAME_TYPE = 60
STEPS = 3  # calls of other methods before the one under test
HINTS = 24  # calls that follow from one comparison
WAITING = 400  # hints that wait to be tried
_KINDS, _EACH = 4, 4  # types that one is compared to, and values of each
_FRONT = 3  # objects that are made of the fronts of their pools
_LIKELIEST = 12  # values that a method is given which is called first
NEAR = 0.3  # share of mutations that begin with what came nearest to a branch
_WORD = re.compile(r"\w+")


class Material:
    """What a module and its tests offer for arguments."""

    def __init__(
        self,
        module: Any,
        harvest: Harvest,
        packages: frozenset[str],
        write: Callable[[object], Source | None],
        can_be_made: Callable[[Source], bool],
        written: Callable[[CodeType], CodeType],
    ) -> None:
        self.module = module
        self.samples = harvest.samples
        self.packages = packages
        self.write = write
        self.can_be_made = can_be_made
        self.written = written
        self.by_name: dict[str, list[Source]] = {}
        self.by_type: dict[str, list[Source]] = {}
        self.starred: dict[str, list[Source]] = {"*": [], "**": []}
        self.words = pools.words_of(module)
        self._uses = Uses(ast.parse(inspect.getsource(module)))
        for samples in harvest.samples.values():
            for sample in samples:
                for each in sample.arguments:
                    if each.kind in self.starred:
                        self.starred[each.kind].append(each.source)
                    else:
                        self._keep(each)

    def used(self, function: Any, parameter: str) -> Iterable[str]:
        """Return the types that a function's code suggests for a parameter."""
        code = getattr(function, "__code__", None)
        if not isinstance(code, CodeType):
            return ()
        return self._uses.of(code.co_name, code.co_firstlineno).get(parameter, ())

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
        self._hints: deque[Call] = deque()
        self._hinted: set[tuple[int, str, str, str]] = set()
        self._near: dict[tuple[int, str], tuple[float, Call]] = {}
        self._needed: dict[str, dict[str, list[Source]]] = {}  # of methods that are called first
        self._samples = material.samples.get(subject.place, [])
        code = material.written(subject.function.__code__)
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
                        material.used(subject.function, each.name),
                    )
                )
            )
            for each in subject.parameters
        }
        self._around = circumstances.of(subject.function, subject.owner, material.module)
        circumstances.mislead(self._around)
        self._hung = {False: 0, True: 0}  # calls, by whether they exchange the clock and the like
        self._receivers = self._find_receivers(subject.owner) if subject.bound else []

    def _named_by_type(self, parameter: inspect.Parameter) -> list[Source]:
        """Return what an annotation names: members, literals, objects of the project."""
        if self._subject.kind == "command":
            return commands.lines(vars(self._material.module)[self._subject.name])
        annotation = parameter.annotation
        known = vars(self._material.module)
        words = _WORD.findall(annotation) if isinstance(annotation, str) else ()
        named = [kind for word in words if is_a(kind := known.get(word), type)]
        found: list[Source] = []
        for each in named or [annotation]:  # what is imported for type checkers only stays a text
            found += pools.members(each, self._material.write)
            if len(words) > 1 and found:
                found += pools.several(self._material.write(each), found)
            ours = (getattr(each, "__module__", "") or "").partition(".")[0]
            if not found and ours in self._material.packages and isinstance(each, type):
                found = self._find_receivers(each)[:8]
        return found + pools.looks_like(parameter, self._subject.function, self._material.by_name)

    @property
    def more_is_known(self) -> bool:
        """Tell whether tests call the function, which asks for nothing but what it is given."""
        return bool(self._samples) and not self._around

    def left_open(self, call: Call) -> list[Circumstance]:
        """Return the clock, chance and the like, as far as a call has them as they are."""
        set_ = {each.name for each in call.around}
        return [each for each in self._around if each.is_seam and each.name not in set_]

    def others(self, around: Argument) -> list[Argument | None]:
        """Return what must not make a difference where a test leaves a circumstance alone."""
        known = [each for each in self._around if each.name == around.name]
        return known[0].others(around) if known else []

    def learn(self, call: Call, compared: Sequence[Compared], before: Collection[int]) -> None:
        """Take in what a call compared; ``before`` are the lines before missing branches."""
        for each in compared:
            distance = each.distance if each.line in before else None
            if distance is not None:
                place = (each.line, each.how)
                if place not in self._near or distance < self._near[place][0]:
                    self._near[place] = (distance, call)
            if len(self._hints) < WAITING or each.line in before:
                self._follow(call, each, first=each.line in before)

    def correct(self, call: Call, error: BaseException) -> None:
        """Take in how a call failed: line up the calls that the error suggests."""
        self._find_key(call, error)
        for each in corrections(error):
            key = (0, type(error).__name__, str(error)[:80], each.kind)
            if key in self._hinted or len(self._hints) > WAITING:
                continue
            self._hinted.add(key)
            for number, argument in enumerate(call.arguments):
                if _literal_type(argument.source.text) == each.kind and argument.kind in "/=":
                    for value in each.values:
                        self._hints.append(_with(call, number, argument._replace(source=value)))
            if each.kind == "NoneType":  # by default
                given = {argument.name for argument in call.arguments}
                for parameter in self._subject.parameters:
                    if parameter.default is None and parameter.name not in given:
                        for value in each.values:
                            self._hints.append(self._adding(call, parameter, value))

    def _find_key(self, call: Call, error: BaseException) -> None:
        """Line up the calls that look for what is there."""
        write = self._material.write
        for key, other in looked_up(error):
            place = (0, "key", _shown(key), _shown(other))
            if place in self._hinted or len(self._hints) >= WAITING:
                continue
            self._hinted.add(place)
            source: Source | None = write(other)
            if source is not None:
                self._hints.extend(_exchanged(call, key, write(key), other, source))

    def parse(self, call: Call, read: Read) -> None:
        """Take in that a call read a command line: line up those that its parser takes."""
        begun = [_begun(each.source, read.line) for each in call.arguments]
        place = "program" if read.is_program else str(begun)
        key = (0, "parser", place, ",".join(str(each.dest) for each in read.parser._actions))
        if key in self._hinted:
            return
        self._hinted.add(key)
        known = {each.name for each in self._around}
        if read.is_program and circumstances.COMMAND not in known:
            self._around.append(circumstances.any_command())
            circumstances.mislead(self._around)
        hints: list[Call] = []
        for words in parsers.lines(read.parser, self._words_for):
            if read.is_program:
                hints += self._with_command(call, words)
            else:
                hints += _with_line(call, begun, words)
        self._hints.extendleft(reversed(hints))

    def _with_command(self, call: Call, words: parsers.Line) -> Iterator[Call]:
        """Yield a call with another command line of the program, given to it where it takes one."""
        rest = tuple(each for each in call.around if each.name != circumstances.COMMAND)
        given = {each.name for each in call.arguments}
        for each in self._subject.parameters:
            if each.default is None and each.name not in given:
                yield self._adding(call._replace(around=rest), each, _line(words))
                break
        yield call._replace(around=(*rest, circumstances.command(words)))

    def _words_for(self, name: str) -> list[str]:
        """Return what a word of a command line that has a name may be, as source text."""
        recorded = self._material.by_name.get(name, ())
        found = [each.text for each in recorded if _literal_type(each.text) == "str"]
        if _OF_FILES.search(name.lower()):
            found += [each.text for each in files.SOURCES[:3]]
        return [*found, *(each.text for each in (*pools.formats_of(name), *_WORDS))]

    def _follow(self, call: Call, compared: Compared, *, first: bool) -> None:
        """Line up the calls that a comparison suggests."""
        write = self._material.write
        key = (compared.line, compared.how, _shown(compared.left), _shown(compared.right))
        if key in self._hinted:
            return
        self._hinted.add(key)
        for hint in self._of_another_type(call, compared):
            (self._hints.appendleft if first else self._hints.append)(hint)
        left = HINTS
        for old, source, new in self._wished(compared):
            for each in _exchanged(call, old, write(old), new, source):
                (self._hints.appendleft if first else self._hints.append)(each)
                left -= 1
                if not left:
                    return

    def _wished(self, compared: Compared) -> Iterator[tuple[Any, Source, Any]]:
        """Yield an operand, the source of what it should have been, and that itself."""
        if compared.how == "isinstance":
            kinds = compared.right if isinstance(compared.right, tuple) else (compared.right,)
            for kind in kinds:
                for made in self._of_kind(kind)[:3] if isinstance(kind, type) else ():
                    yield compared.left, made, None
            return
        for old, new in wished(compared):
            source: Source | None = self._material.write(new)
            if source is not None:
                if type(new) in (int, float, str) and new not in self._tokens:
                    self._tokens.append(new)
                yield old, source, new

    def _of_another_type(self, call: Call, compared: Compared) -> Iterator[Call]:
        """Yield calls with arguments of the type that one's own was compared to."""
        for one, other in ((compared.left, compared.right), (compared.right, compared.left)):
            if isinstance(one, type):
                kinds = [each for each in _each_of(other) if isinstance(each, type)]
                values = [each for kind in kinds[:_KINDS] for each in self._of_kind(kind)[:_EACH]]
                for number, argument in enumerate(call.arguments):
                    if _literal_type(argument.source.text) == one.__name__:
                        for value in values:
                            yield _with(call, number, argument._replace(source=value))

    def _of_kind(self, kind: type) -> list[Source]:
        """Return objects of a type: the project's own, or of a kind that tests often use."""
        if kind.__module__.partition(".")[0] in self._material.packages:
            return self._find_receivers(kind)
        return [*([self._all_named()] if issubclass(kind, dict) else []), *pools.of_type(kind)]

    def _all_named(self) -> Source:
        """Return what making an object takes, as a dictionary."""
        given = {each.name: self._value_of(each.name) for each in self._making() if _needed(each)}
        items = ", ".join(f"{name!r}: {value.text}" for name, value in given.items())
        imports: frozenset[str] = frozenset()
        return Source(f"{{{items}}}", imports.union(*(each.imports for each in given.values())))

    def _making(self) -> tuple[inspect.Parameter, ...]:
        owner = self._subject.owner
        return (subjects.making(owner) or ()) if owner is not None else ()

    def _value_of(self, name: str) -> Source:
        values: list[Source] = [*self._material.by_name.get(name, ()), *pools.BOUNDARIES["int"][:3],
                  *pools.BOUNDARIES["str"][:3], *_ODD]  # fmt: skip
        return self._chance.choice(values)

    def __iter__(self) -> Iterator[Call]:
        """Yield calls without end; every other one is what comparisons suggest, if they do."""
        for number, call in enumerate(self._likeliest_first()):
            if self._hints:
                yield self._hints.popleft()
            yield call if call.around else call._replace(around=self._surrounding(number))

    def _surrounding(self, number: int) -> tuple[Argument, ...]:
        """Return values for circumstances: one after the other, then by chance.

        Every second call has the clock and the like as they are, unless these keep it waiting:
        what exchanges them may do so, too.
        """
        exchanges = bool(number % 2 or self._hung[False]) and self._hung[True] < MOST_HUNG
        turn = number // 2
        return tuple(
            Argument(
                each.name,
                "=",
                each.pool[turn] if turn < len(each.pool) else self._chance.choice(each.pool),
            )
            for each in self._around
            if exchanges or not each.is_seam
        )

    def hung(self, call: Call) -> None:
        """Hear that time ended a call."""
        if any(each.is_seam for each in self._around):
            self._hung[any(circumstances.is_seam(each.name) for each in call.around)] += 1

    def asked_for(self, names: Collection[str]) -> None:
        """Hear which variables of the environment a call asked for."""
        known = {each.name for each in self._around}
        if len(known) < MOST_AROUND:
            self._around += [circumstances.variable(name) for name in sorted({*names} - known)]

    def _likeliest_first(self) -> Iterator[Call]:
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
                yield call._replace(receiver=receiver)
        for call in recorded[:4] or self.corpus[:2]:
            for number, argument in enumerate(call.arguments):
                for value in self._pools.get(argument.name, [])[:40]:
                    yield _with(call, number, argument._replace(source=value))
        for parameter in self._subject.parameters:
            for value in self._pools.get(parameter.name, [])[:40]:
                call = self._made(only_required=True)
                yield self._adding(call, parameter, value)
        while True:
            if not self.corpus or chance.random() < 0.25:
                call = self._made(only_required=chance.random() < 0.5)
                while self._needs_receiver() and len(call.before) < STEPS and chance.random() < 0.5:
                    step = self._step()
                    if step is None:
                        break
                    call = call._replace(before=(*call.before, step))
                yield call
            else:
                # what was found last is nearest to what is missing
                recent = self.corpus[-8:] if chance.random() < 0.6 else self.corpus
                call = chance.choice(recent)
                if self._near and chance.random() < NEAR:
                    call = chance.choice([near for _, near in self._near.values()])
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
            made = pools.BOUNDARIES["tuple"]
            return Argument(
                parameter.name, "*", chance.choice([*made, *self._material.starred["*"]])
            )
        if parameter.kind is parameter.VAR_KEYWORD:
            return Argument(parameter.name, "**", self._named_values(parameter.name))
        pool = self._pools.get(parameter.name)
        if not pool:
            return None
        # the front of a pool is the likeliest
        place = int(chance.expovariate(3 / len(pool))) if front is None else front
        return Argument(parameter.name, _passed(parameter), pool[min(place, len(pool) - 1)])

    def _named_values(self, parameter: str) -> Source:
        """Return arguments by name: seen ones, or those that the module's functions know."""
        chance = self._chance
        seen = self._material.starred["**"]
        names = pools.keys_asked(self._subject.function, parameter)
        if not names or chance.random() < 0.2:
            making = self._making()
            names = [each.name for each in making if each.kind is not each.VAR_KEYWORD]
        names = names or list(self._material.by_name)
        if not names or chance.random() < 0.2:
            return Source("{'a': 1}")
        if seen and chance.random() < 0.5:
            return chance.choice(seen)
        name = chance.choice(names)
        value = self._value_of(name)
        return Source(f"{{{name!r}: {value.text}}}", value.imports)

    def _adding(self, call: Call, parameter: inspect.Parameter, value: Source) -> Call:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return call
        given = [each for each in call.arguments if each.name != parameter.name]
        order = [each.name for each in self._subject.parameters]
        given.append(Argument(parameter.name, _passed(parameter), value))
        given.sort(key=lambda each: order.index(each.name))
        return call._replace(arguments=tuple(_in_order(_named_after_a_hole(given, self._subject))))

    def _mutated(self, call: Call) -> Call:
        chance = self._chance
        if call.around and chance.random() < 0.5:
            number = chance.randrange(len(call.around))
            each = call.around[number]
            (likely,) = [known.pool for known in self._around if known.name == each.name]
            source = None
            if not circumstances.is_seam(each.name) and chance.random() < 0.8:
                source = pools.mutated(each.source, self._tokens, chance)
            source = source or chance.choice(likely)
            around = [*call.around]
            around[number] = each._replace(source=source)
            return call._replace(around=tuple(around))
        if self._needs_receiver() and chance.random() < 0.3:
            if call.receiver is not None and chance.random() < 0.4:
                changed = pools.mutated(call.receiver, self._tokens, chance)
                return call._replace(receiver=changed) if changed else call
            if chance.random() < 0.5 or len(call.before) >= STEPS:
                return call._replace(receiver=self._receiver())
            step = self._step()
            return call._replace(before=(*call.before, step)) if step else call
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
        elif self._needs_receiver() and chance.random() < 0.4:
            known = _literals(call)  # what the receiver holds is what its methods look for
            source = chance.choice(known) if known else None
        if source is None:
            pool = self._pools.get(argument.name)
            if not pool or argument.kind in ("*", "**"):
                return call
            source = chance.choice(pool)
        return _with(call, number, argument._replace(source=source))

    def _step(self) -> tuple[str, tuple[Argument, ...]] | None:
        """Return a call of another method, as it was seen: it puts the receiver into a state."""
        if not self._steps:
            return None
        name, function, seen = self._chance.choice(self._steps)
        if seen is not None:
            return name, seen.arguments
        if name not in self._needed:
            self._needed[name] = self._needs(function)
        needs = self._needed[name]
        return name, tuple(
            Argument(each, "/", self._chance.choice(pool)) for each, pool in needs.items()
        )

    @functools.cached_property
    def _steps(self) -> list[tuple[str, Any, Sample | None]]:
        """The methods that may be called first, and how they were seen, if they were."""
        owner = self._subject.owner
        found: list[tuple[str, Any, Sample | None]] = []
        for name in dir(owner) if owner is not None else ():
            raw = inspect.getattr_static(owner, name)
            function = inspect.unwrap(raw) if callable(raw) else raw
            code = getattr(function, "__code__", None)
            if code is None or (name.startswith("_") and name not in _CHANGING):
                continue
            place = (code.co_filename, code.co_firstlineno)
            seen = [each for each in self._material.samples.get(place, [])[:4] if each.receiver]
            kept: list[Sample | None] = [*seen] or [None]
            found += [(name, function, sample) for sample in kept]
        return found

    def _needs(self, function: Any) -> dict[str, list[Source]]:
        """Return what a method has to be given, each with values for it."""
        material = self._material
        return {
            each.name: list(
                islice(
                    pools.walk_pool(
                        each,
                        {},
                        material.by_name.get(each.name, []),
                        material.by_type,
                        [],
                        material.used(function, each.name),
                    ),
                    _LIKELIEST,
                )
            )
            for each in (subjects.making(function) or ())[1:]
            if _needed(each) and each.kind is not each.KEYWORD_ONLY
        }

    def _find_receivers(self, owner: type | None) -> list[Source]:
        """Return objects of a class: seen ones, seen makings, made-up ones."""
        assert owner is not None
        found: dict[Source, None] = {}
        for sample in self._samples if owner is self._subject.owner else ():
            if sample.receiver is not None:
                found[sample.receiver] = None
        kinds = [owner, *_subclasses(owner, self._material.module)]
        for kind in kinds:
            base: tuple[Argument, ...] | None = None
            source = subjects.class_source(kind)
            code = getattr(getattr(kind, "__init__", None), "__code__", None)
            if source is None:
                continue
            if code is not None:
                place = (code.co_filename, code.co_firstlineno)
                for sample in self._material.samples.get(place, [])[:10]:
                    found[_made_from(source, sample.arguments)] = None
                    base = sample.arguments if base is None else base
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
                for arguments in self._made_up(kind, source):
                    found[_made_from(source, arguments)] = None
                    base = arguments if base is None and arguments else base
            found.update(dict.fromkeys(self._with_options(kind, source, base or ())))
        return list(found)[:RECEIVERS]

    def _with_options(
        self, kind: type, source: Source, base: Sequence[Argument]
    ) -> Iterator[Source]:
        """Yield objects with one optional argument more: what is left out switches nothing on."""
        optional = {each.name: each for each in subjects.making(kind) or () if not _needed(each)
                    and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}  # fmt: skip
        kept = [each for each in base if each.name not in optional]
        for each in list(optional.values())[:OPTIONS]:
            pool = [one for one in self._held(each, kind) if one.text != repr(each.default)]
            for value in pool[:2]:
                made = _made_from(source, (*kept, Argument(each.name, "=", value)))
                if self._material.can_be_made(made):
                    yield made

    def _held(self, parameter: inspect.Parameter, kind: type) -> list[Source]:
        """Return what may be given to a constructor."""
        by_name = self._material.by_name
        making = vars(kind).get("__init__")
        return [
            *pools.looks_like(parameter, making, by_name, kind),
            *pools.walk_pool(
                parameter,
                {},
                by_name.get(parameter.name, []),
                self._material.by_type,
                pools.members(parameter.annotation, self._material.write),
                self._material.used(making, parameter.name),
            ),
        ]

    def _made_up(self, kind: type, source: Source) -> Iterator[tuple[Argument, ...]]:
        parameters = subjects.making(kind) or ()
        for held in (None, *pools.holding(kind)) if not any(map(_needed, parameters)) else ():
            given = () if held is None else (Argument("", "/", held),)
            if self._material.can_be_made(_made_from(source, given)):
                yield given
        if not parameters:
            return
        seen: set[str] = set()
        known: dict[str, list[Source]] = {}
        for attempt in range(24):
            arguments = []
            for each in parameters:
                variable = each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
                required = each.default is each.empty and not variable
                if not required and (variable or self._chance.random() > 0.3 * (attempt > 8)):
                    continue
                if each.name not in known:
                    known[each.name] = self._held(each, kind)
                pool = known[each.name]
                place = attempt  # the front of a pool is the likeliest
                if attempt >= _FRONT:
                    place = int(self._chance.expovariate(4 / max(len(pool), 1)))
                place = min(place, len(pool) - 1)
                kind_ = "=" if not required or each.kind is each.KEYWORD_ONLY else "/"
                arguments.append(Argument(each.name, kind_, pool[place]))
            made = _made_from(source, arguments)
            if made.text in seen:
                continue
            seen.add(made.text)
            if self._material.can_be_made(made):
                yield tuple(arguments)
            if len(seen) > 14:
                return


_ODD = (Source("None"), Source("[]"))
_WORDS = (Source("'a'"), Source("'1'"), Source("'hello world'"))
_OF_FILES = re.compile(r"file|path|dir|folder|out|in$|input|src|source|dest|config|log$|script")
_CHANGING = ("__setitem__", "__delitem__", "__enter__", "__next__", "__iadd__", "__call__")


def _begun(source: Source, line: Sequence[object]) -> tuple[str, ...] | None:
    """Return what stands in front of a command line in an argument; None where that is none."""
    try:
        value = ast.literal_eval(source.text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
    if not isinstance(value, (list, tuple, str) if line else (list, tuple)):
        return None
    if list(value) == line:
        return ()
    return (repr(value[0]),) if value and list(value[1:]) == line else None


def _with_line(
    call: Call, begun: Sequence[tuple[str, ...] | None], words: parsers.Line
) -> Iterator[Call]:
    """Yield a call with another command line in each argument that holds one: see `_begun`."""
    for number, (each, first) in enumerate(zip(call.arguments, begun, strict=True)):
        if first is not None:
            yield _with(call, number, each._replace(source=_line((*first, *words))))


def _line(words: Iterable[str]) -> Source:
    return Source(f"[{', '.join(words)}]")


def _each_of(value: object) -> Sequence[object]:
    return value if isinstance(value, (tuple, list)) else (value,)


def _needed(parameter: inspect.Parameter) -> bool:
    variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variable


def _shown(value: object) -> str:
    try:
        return repr(value)[:80]
    except Exception:
        return "?"


def _exchanged(
    call: Call, old: object, written: Source | None, new: object, source: Source
) -> Iterator[Call]:
    """Yield a call with one place that holds ``old`` exchanged."""
    for number, argument in enumerate(call.arguments):
        if written is not None and argument.source.text == written.text:
            yield _with(call, number, argument._replace(source=source))
            continue
        for text in exchanged(argument.source.text, old, new, source):
            changed = Source(text, argument.source.imports | source.imports)
            yield _with(call, number, argument._replace(source=changed))
    for number, each in enumerate(call.around):
        if circumstances.is_seam(each.name):
            continue
        for text in exchanged(each.source.text, old, new, source):
            around = [*call.around]
            around[number] = each._replace(source=Source(text, each.source.imports))
            yield call._replace(around=tuple(around))
    if call.receiver is not None:
        for text in exchanged(call.receiver.text, old, new, source):
            yield call._replace(receiver=Source(text, call.receiver.imports | source.imports))


def _literals(call: Call) -> list[Source]:
    """Return the literals of a receiver and of what was done to it."""
    given = [argument.source for _, arguments in call.before for argument in arguments]
    found: dict[str, None] = {}
    for source in [*given, *([call.receiver] if call.receiver else [])]:
        try:
            tree = ast.parse(source.text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found.update((ast.unparse(each), None) for each in ast.walk(tree)
                     if isinstance(each, ast.Constant))  # fmt: skip
    return [Source(text) for text in found]


def _made_from(source: Source, arguments: Sequence[Argument]) -> Source:
    imports = source.imports.union(*(each.source.imports for each in arguments))
    return Source(f"{source.text}({spelled(arguments)})", imports)


def _subclasses(owner: type, module: Any) -> list[type]:
    return [
        each
        for each in vars(module).values()
        if is_a(each, type) and each is not owner and issubclass(each, owner)
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
                    each._replace(kind="=") if hole and each.kind == "/" and not only else each
                )
    return result


def _with(call: Call, number: int, argument: Argument) -> Call:
    arguments = [*call.arguments]
    arguments[number] = argument
    return call._replace(arguments=tuple(arguments))


@functools.lru_cache(4096)
def _literal_type(text: str) -> str:
    try:
        return type(ast.literal_eval(text)).__name__
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return text.partition("(")[0]
