"""The offline author's search, in a sandboxed child: calls that reach what no test reached.

For every function with a gap: first the calls that the project's own tests and doctests make,
then those with one argument replaced, then mutations of what worked, guided by coverage. A
call is kept when it runs a missing line or takes a missing branch, does the same twice, and
what it did can be asserted. A crash that the project did not raise itself is never kept: it
may be a bug, and a test must not pin it.

Each function is searched in a fork, so that neither state nor a hang reaches the next one.
Started as ``python -m pytest_aqe.generation.search`` with a `SearchJob` on standard input.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import json
import os
import random
import signal
import sys
import time
import types
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pytest_aqe.data import Arc
from pytest_aqe.generation import confine, laws, pools, snapshots, subjects
from pytest_aqe.generation.guard import Denied, Guard
from pytest_aqe.generation.harvest import (
    Argument,
    Harvest,
    Recorder,
    Sample,
    package_folder,
    run_doctests,
    run_tests,
    spelled,
)
from pytest_aqe.generation.leaf import leaf
from pytest_aqe.generation.subjects import Subject
from pytest_aqe.generation.tracing import Tracer
from pytest_aqe.generation.values import Source, Writer

RESULT = "found.json"
SECONDS = 1.8  # of CPU for one function; a large gap gets twice that
PATIENCE = 0.25  # seconds without anything new, and half of what was spent so far
CALL = 0.4  # seconds a call may take
HARVEST = 20  # seconds of CPU for tests and doctests
LISTED = 30  # items of an iterator that are looked at
RECEIVERS = 20
LARGE = 25  # lines and branches
LAWS = 10  # seconds of CPU for properties
MORE = 2  # further cases of a function that has a test anyway: they notice more mutants


@dataclass(frozen=True, slots=True)
class Wanted:
    """A gap, as the search needs it."""

    name: str
    line: int
    lines: tuple[int, ...]
    arcs: tuple[Arc, ...]


@dataclass(frozen=True, slots=True)
class SearchJob:
    """What to search. ``seconds`` of CPU are for everything; ``tests`` are files of the suite."""

    scratch: str
    root: str
    target: str
    module: str
    readable: tuple[str, ...]
    gaps: tuple[Wanted, ...]
    tests: tuple[str, ...]
    seconds: float
    seed: int

    def encode(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> SearchJob:
        """Read a job."""
        values = json.loads(text)
        gaps = tuple(
            Wanted(g["name"], g["line"], tuple(g["lines"]), tuple((a, b) for a, b in g["arcs"]))
            for g in values.pop("gaps")
        )
        lists = {name: tuple(values[name]) for name in ("readable", "tests")}
        return cls(**{**values, **lists, "gaps": gaps})


@dataclass(slots=True)
class Case:
    """One call that is worth a test. ``gap`` is the number of the gap that it adds most to.

    ``arguments`` and ``expected`` are set where it can share a test with others of its
    ``shape``. ``lines`` are the statements of a test of its own.
    """

    gap: int
    function: str
    shape: str
    lines: list[str]
    imports: list[str]
    fixtures: list[str]
    names: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    expected: str | None = None
    call: str = ""
    form: str = ""
    error: str = ""
    gains: list[Any] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Call:
    """A call to try: how ``self`` is made, what happens to it first, and the arguments."""

    receiver: Source | None
    arguments: tuple[Argument, ...]
    before: tuple[tuple[str, tuple[Argument, ...]], ...] = ()


@dataclass(slots=True)
class Outcome:
    """What a call did. ``drained`` tells an iterator whose items were taken as the value."""

    value: Any = None
    error: BaseException | None = None
    receiver: Any = None
    output: str = ""
    drained: str = ""


class Timeout(BaseException):
    """The call took too long."""


def main() -> None:
    """Confine this process, search, leave what was found in the scratch folder."""
    job = SearchJob.decode(sys.stdin.read())
    confine.limit(int(job.seconds * 2) + 60)
    confine.confine(job.readable, [job.scratch], job.root)
    folder = package_folder(job.target)
    packages = frozenset({job.module.partition(".")[0]})
    told: dict[str, list[Any]] = {"cases": [], "searched": []}
    module = importlib.import_module(job.module)
    started = time.process_time()
    harvest = _harvest(job, module, folder, packages)
    search = Search(job, module, harvest, packages)
    done: set[str] = set()
    for gap in job.gaps:
        outer = gap.name.split(".<locals>")[0]
        used = time.process_time() - started + _children()
        if not gap.name or outer in done or used > job.seconds:
            continue
        done.add(outer)
        group = {n: g for n, g in enumerate(job.gaps) if g.name.split(".<locals>")[0] == outer}
        told["searched"] += group.keys()
        for subject in subjects.reaching(module, outer, job.target, group.values()):
            said = leaf(lambda s=subject, g=group: search.cases(s, g), 6)  # type: ignore[misc]
            if isinstance(said, list):
                told["cases"] += said
                group = _without_found(group, said)
        _tell(job, told)
    if time.process_time() - started + _children() < job.seconds:
        said = leaf(lambda: _laws(job, module), LAWS)
        told["cases"] += said if isinstance(said, list) else []
        _tell(job, told)
    os._exit(0)


def _tell(job: SearchJob, told: dict[str, list[Any]]) -> None:
    """Leave what was found so far: whatever ends this process later, it is not lost."""
    fresh = Path(job.scratch, f"{RESULT}.new")
    fresh.write_text(json.dumps(told), "utf-8")
    fresh.replace(Path(job.scratch, RESULT))


def _laws(job: SearchJob, module: Any) -> list[dict[str, Any]]:
    """Return property tests for functions with a gap."""
    numbers = {gap.name: number for number, gap in enumerate(job.gaps)}
    cases = []
    for law in laws.laws(module, frozenset(numbers)):
        names = dict.fromkeys([law.first, law.second])
        needed = [each for each in laws.IMPORTS if "string" in law.strategy or "string" not in each]
        imports = [*needed, *(f"from {job.module} import {name}" for name in names)]
        for name in names:
            if name in numbers:
                case = Case(numbers[name], law.title, "", [law.claim], imports, [], marks=law.marks)
                cases.append(asdict(replace(case, fixtures=["value"])))
                break
    return cases


def _without_found(group: dict[int, Wanted], said: Sequence[dict[str, Any]]) -> dict[int, Wanted]:
    """Return what is still missing after a subject was searched."""
    lines = {line for case in said for kind, line in case["gains"] if kind == "l"}
    arcs = {tuple(arc) for case in said for kind, arc in case["gains"] if kind == "a"}
    return {
        number: replace(
            gap,
            lines=tuple(line for line in gap.lines if line not in lines),
            arcs=tuple(arc for arc in gap.arcs if arc not in arcs),
        )
        for number, gap in group.items()
    }


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _harvest(job: SearchJob, module: Any, folder: str, packages: frozenset[str]) -> Harvest:
    """See how tests and doctests call the package; each file in a fork of its own."""
    whole = Harvest()

    def seen(files: Sequence[str]) -> list[Any]:
        recorder = Recorder(folder, packages)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if files:
                run_tests(recorder, job.scratch, files)
            else:
                run_doctests(recorder, module)
        return recorder.harvest.wire()

    for files in [*([file] for file in job.tests), []]:
        said = leaf(lambda f=files: seen(f), HARVEST)  # type: ignore[misc]
        if isinstance(said, list):
            for place, samples in Harvest.read(said).samples.items():
                known = whole.samples[place]
                known += [each for each in samples if each not in known]
    return whole


class Search:
    """Search functions of one module, one at a time."""

    def __init__(
        self, job: SearchJob, module: Any, harvest: Harvest, packages: frozenset[str]
    ) -> None:
        self._job = job
        self._module = module
        self._harvest = harvest
        self._packages = packages
        self._writer = Writer(packages, folder=job.scratch)
        self._namespace: dict[str, Any] = {}
        self._by_name: dict[str, list[Source]] = {}
        self._by_type: dict[str, list[Source]] = {}
        self._tracer = Tracer(job.target)
        self._guard = Guard("/nowhere")
        self.words = pools.words_of(module)
        self._raises = _raise_lines(package_folder(job.target))
        self._pool_arguments()

    def _pool_arguments(self) -> None:
        """Sort what was recorded by parameter and by type."""
        for samples in self._harvest.samples.values():
            for sample in samples:
                for each in sample.arguments:
                    if each.kind in "/=":
                        named = self._by_name.setdefault(each.name, [])
                        if each.source not in named and len(named) < 40:
                            named.append(each.source)
                        kind = _literal_type(each.source.text)
                        typed = self._by_type.setdefault(kind, [])
                        if each.source not in typed and len(typed) < 60:
                            typed.append(each.source)

    def cases(self, subject: Subject, gaps: dict[int, Wanted]) -> list[dict[str, Any]]:
        """Return the cases found for a function."""
        self._guard.install()
        signal.signal(signal.SIGALRM, _time_is_up)
        seed = f"{self._job.seed}{subject.path}{inspect.getsource(subject.function)}"
        chance = random.Random(
            int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")
        )
        hunt = _Hunt(self, subject, gaps, chance)
        hunt.run()
        return [asdict(case) for case in hunt.kept()]

    # -------------------------------------------------------------- executing

    def execute(self, subject: Subject, call: Call) -> Outcome | None:
        """Run a call; None where it cannot be made, hangs, or reaches for the system."""
        outcome = Outcome()
        namespace = self._namespace
        output = io.StringIO()
        signal.setitimer(signal.ITIMER_REAL, CALL)
        try:
            with contextlib.redirect_stdout(output), self._guard.armed():
                text = self._expression(subject, call, "self_")
                if call.receiver is not None:
                    outcome.receiver = namespace["self_"] = call.receiver.value(namespace)
                    for name, arguments in call.before:
                        self._prepare(arguments)
                        eval(f"self_.{name}({spelled(arguments)})", namespace)
                self._prepare(call.arguments)
                self._tracer.start()
                try:
                    outcome.value = eval(text, namespace)
                    self._drain(outcome)
                except (Timeout, Denied):
                    raise
                except Exception as error:
                    self._tracer.stop()
                    outcome.error = error
                finally:
                    self._tracer.stop()
        except (Timeout, Denied, SystemExit, KeyboardInterrupt, GeneratorExit):
            return None
        except RecursionError:
            return None
        except Exception:
            return None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if isinstance(outcome.error, (RecursionError, MemoryError)):
            return None
        if isinstance(outcome.value, types.CoroutineType):
            outcome.value.close()
            return None
        outcome.output = output.getvalue()
        return outcome

    def _prepare(self, arguments: Sequence[Argument]) -> None:
        for each in arguments:
            for statement in each.source.imports:
                if statement not in self._namespace:
                    exec(statement, self._namespace)
                    self._namespace[statement] = True

    def _expression(self, subject: Subject, call: Call, receiver: str) -> str:
        for statement in subject.imports:
            if statement not in self._namespace:
                exec(statement, self._namespace)
                self._namespace[statement] = True
        return subject.spelled(receiver, call.arguments)

    def _drain(self, outcome: Outcome) -> None:
        """Take the items of an iterator: until then a generator has done nothing."""
        value = outcome.value
        if isinstance(value, types.GeneratorType) or (
            hasattr(value, "__next__") and hasattr(value, "__iter__") and not hasattr(value, "read")
        ):
            items = []
            outcome.drained = "list"
            for item in value:
                items.append(item)
                if len(items) > LISTED:
                    outcome.drained = "islice"
                    items.pop()
                    break
            outcome.value = items

    def is_ours(self, error: BaseException, arcs: Collection[Arc]) -> bool:
        """Tell an exception that the project raises itself, or again, from a crash."""
        own = self._raises.get(self._job.target, frozenset())
        if any(source in own and leads < 0 for source, leads in arcs):
            return True
        trace = error.__traceback__
        last = None
        while trace is not None:
            last = trace
            trace = trace.tb_next
        if last is None:
            return False
        file = last.tb_frame.f_code.co_filename
        return last.tb_lineno in self._raises.get(file, ())

    # -------------------------------------------------------------- describing

    def describe(self, subject: Subject, call: Call, outcome: Outcome) -> Case | None:
        """Write what a call did as a test; None where nothing can be asserted."""
        receiver = call.receiver
        inline = receiver is not None and not call.before and len(receiver.text) <= 60
        name = (_bracketed(receiver.text) if inline else "obj") if receiver is not None else ""
        text = subject.stated(name, call.arguments)
        imports = set(subject.imports if not subject.bound else ())
        if subject.is_async:
            imports.add("import asyncio")
        for source in [*( [receiver] if receiver else []), *(a.source for a in call.arguments),
                       *(a.source for _, each in call.before for a in each)]:  # fmt: skip
            imports |= source.imports
        if outcome.drained == "list":
            text = f"list({text})"
        elif outcome.drained == "islice":
            text = f"list(itertools.islice({text}, {LISTED}))"
            imports.add("import itertools")
        setup = []
        if receiver is not None and not inline:
            setup.append(f"obj = {receiver.text}")
            setup += [f"obj.{method}({spelled(given)})" for method, given in call.before]
        fixtures: list[str] = []
        seen = self._seen(text, outcome)
        if seen is None:
            return None
        if subject.kind == "setter" and outcome.error is None:
            seen = replace(seen, lines=(), strength=snapshots.NONE)  # a statement has no value
        if seen.strength < snapshots.VALUE and outcome.error is None:
            if outcome.output:
                said = snapshots.printed(text, outcome.output)
                if said.strength == snapshots.VALUE:
                    seen, fixtures = said, ["capsys"]
            elif receiver is not None and outcome.receiver is not None:
                after = self._after(subject, call, outcome, seen)
                if after is not None:
                    setup = [f"obj = {receiver.text}"]
                    setup += [f"obj.{method}({spelled(given)})" for method, given in call.before]
                    seen = after
        if not seen.lines:
            return None
        imports |= seen.imports
        case = Case(0, subject.path, "", [*setup, *seen.lines], sorted(imports), fixtures)
        if outcome.error is not None:
            case.error = type(outcome.error).__name__
        elif seen.expected is not None and not setup and not fixtures:
            case.expected, case.form = seen.expected.text, seen.form
            case.names = [each.name for each in call.arguments]
            case.arguments = [each.source.text for each in call.arguments]
            holes = [replace(each, source=Source(each.name)) for each in call.arguments]
            case.call = text.replace(spelled(call.arguments), spelled(holes), 1)
            if case.call == text and call.arguments:
                case.expected = None
            case.shape = f"{case.call}|{case.form}|{','.join(case.names)}"
        return case

    def _seen(self, text: str, outcome: Outcome) -> snapshots.Seen | None:
        if outcome.error is not None:
            return snapshots.raised(text, outcome.error, self._packages)
        return snapshots.assertions(text, outcome.value, self._writer, self._namespace)

    def _after(
        self, subject: Subject, call: Call, outcome: Outcome, weak: snapshots.Seen
    ) -> snapshots.Seen | None:
        """Look at what the call did to its receiver."""
        after = snapshots.assertions("obj", outcome.receiver, self._writer, self._namespace)
        if after.strength < snapshots.VALUE or "recipe" in after.form:
            return None
        lines = tuple(
            line.replace("result.", "obj.") for line in after.lines if line != "result = obj"
        )
        text = subject.stated("obj", call.arguments)
        return replace(after, lines=(text, *lines), expected=None)


class _Hunt:
    """One function's search: its corpus, what is still missing, what was found."""

    def __init__(
        self, search: Search, subject: Subject, gaps: dict[int, Wanted], chance: random.Random
    ) -> None:
        self._search = search
        self._subject = subject
        self._gaps = gaps
        self._chance = chance
        self._missing = {("l", line) for gap in gaps.values() for line in gap.lines} | {
            ("a", arc) for gap in gaps.values() for arc in gap.arcs
        }
        self._found: list[tuple[Case, set[Any]]] = []
        self._more: list[Case] = []
        self._corpus: list[Call] = []
        self._tried: set[Call] = set()
        self._samples = search._harvest.samples.get(subject.place, [])
        code = subject.function.__code__
        self._constants = pools.constants(code)
        words = self._constants["str"] = [*self._constants["str"], *search.words]
        self._constants["list"] = [Source(f"[{each.text}]") for each in words[:15]]
        self._tokens = pools.tokens_of(code)
        self._pools = {
            each.name: list(
                dict.fromkeys(
                    pools.walk_pool(
                        each,
                        self._constants,
                        search._by_name.get(each.name, []),
                        search._by_type,
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
        found = pools.members(annotation, self._search._writer.write)
        module = getattr(annotation, "__module__", "") or ""
        ours = module.partition(".")[0] in self._search._packages
        if not found and ours and isinstance(annotation, type):
            found = self._find_receivers(annotation)[:8]
        return found

    def run(self) -> None:
        """Try calls until nothing is missing, nothing new comes, or the time is over."""
        started = gained = time.process_time()
        stop = started + SECONDS * (2 if len(self._missing) > LARGE else 1)
        for call in self._calls():
            now = time.process_time()
            if not self._missing or now > stop:
                break
            if now - gained > PATIENCE + (gained - started) / 2:
                break
            if call not in self._tried:
                self._tried.add(call)
                if self._try(call):
                    gained = time.process_time()

    def _try(self, call: Call) -> bool:
        search, subject = self._search, self._subject
        outcome = search.execute(subject, call)
        lines, arcs = search._tracer.found()
        if outcome is None:
            return False
        new = {("l", line) for line in lines} | {("a", arc) for arc in arcs}
        new &= self._missing
        if outcome.error is None and len(self._corpus) < 6 and not new:
            self._corpus.append(call)
        if not new:
            if outcome.error is None and len(self._more) < MORE * 3 and self._samples:
                self._keep_more(call, outcome)
            return False
        if outcome.error is not None and not search.is_ours(outcome.error, arcs):
            return False
        case = search.describe(subject, call, outcome)
        if case is None or (_says_nothing(case, outcome) and all(kind == "a" for kind, _ in new)):
            return False
        again = search.execute(subject, call)
        search._tracer.found()
        if again is None:
            return False
        twin = search.describe(subject, call, again)
        if twin is None or twin.lines != case.lines:
            return False
        case.gap = max(
            self._gaps,
            key=lambda number: len(
                new
                & (
                    {("l", line) for line in self._gaps[number].lines}
                    | {("a", arc) for arc in self._gaps[number].arcs}
                )
            ),
        )
        case.gains = sorted(new, key=repr)
        self._missing -= new
        self._corpus.append(call)
        self._found.append((case, new))
        return True

    def _keep_more(self, call: Call, outcome: Outcome) -> None:
        """Keep a call that gains nothing but a value: it can share another's test."""
        case = self._search.describe(self._subject, call, outcome)
        if case is not None and case.expected is not None:
            self._more.append(case)

    def kept(self) -> list[Case]:
        """Return the cases without which something would be missing, and a few that join them."""
        kept = list(self._found)
        for each in sorted(self._found, key=lambda found: len(found[1])):
            rest = set().union(*(new for other, new in kept if other is not each[0]), set())
            if each[1] <= rest:
                kept.remove(each)
        cases = [case for case, _ in kept]
        known = {(case.shape, tuple(case.arguments)) for case in cases}
        expected = {(case.shape, case.expected) for case in cases}
        more = 0
        for case in self._more:
            mates = [each for each in cases if each.shape == case.shape and each.expected]
            key = (case.shape, tuple(case.arguments))
            if mates and key not in known and (case.shape, case.expected) not in expected:
                case.gap = mates[0].gap
                known.add(key)
                expected.add((case.shape, case.expected))
                cases.append(case)
                more += 1
                if more == MORE:
                    break
        return cases

    # -------------------------------------------------------------- calls

    def _calls(self) -> Iterator[Call]:
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
        for call in recorded[:4] or self._corpus[:2]:
            for number, argument in enumerate(call.arguments):
                for value in self._pools.get(argument.name, [])[:40]:
                    yield _with(call, number, replace(argument, source=value))
        for parameter in self._subject.parameters:
            for value in self._pools.get(parameter.name, [])[:40]:
                call = self._made(only_required=True)
                yield self._adding(call, parameter, value)
        while True:
            if not self._corpus or chance.random() < 0.25:
                yield self._made(only_required=chance.random() < 0.5)
            else:
                # what was found last is nearest to what is missing
                recent = self._corpus[-8:] if chance.random() < 0.6 else self._corpus
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
            for sample in self._search._harvest.samples.get(place, [])[:4]:
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
        kinds = [owner, *_subclasses(owner, self._search._module)]
        for kind in kinds:
            source = subjects.class_source(kind)
            code = getattr(getattr(kind, "__init__", None), "__code__", None)
            if source is None:
                continue
            if code is not None:
                place = (code.co_filename, code.co_firstlineno)
                for sample in self._search._harvest.samples.get(place, [])[:10]:
                    found[_made_from(source, sample)] = None
            for other, samples in self._search._harvest.samples.items():
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
                        self._search._by_name.get(each.name, []),
                        self._search._by_type,
                        pools.members(each.annotation, self._search._writer.write),
                    )
                )
                place = min(int(self._chance.expovariate(4 / max(len(pool), 1))), len(pool) - 1)
                kind_ = "=" if not required or each.kind is each.KEYWORD_ONLY else "/"
                arguments.append(Argument(each.name, kind_, pool[place]))
            made = _made_from(source, Sample(tuple(arguments)))
            if made.text in seen:
                continue
            seen.add(made.text)
            if self._can_be_made(made):
                yield made
            if len(seen) > 14:
                return

    def _can_be_made(self, source: Source) -> bool:
        signal.setitimer(signal.ITIMER_REAL, CALL)
        try:
            with self._search._guard.armed():
                source.value(self._search._namespace)
        except (Exception, Timeout, Denied, SystemExit):
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return True


def _says_nothing(case: Case, outcome: Outcome) -> bool:
    """Tell a test that something returns None and no more."""
    returned = outcome.value is None and outcome.error is None
    return returned and not case.fixtures and len(case.lines) == 1


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


def _bracketed(text: str) -> str:
    plain = text[:1].isalpha() or text[:1] in "[({\"'"
    return text if plain and not text.startswith("lambda") else f"({text})"


def _literal_type(text: str) -> str:
    try:
        return type(ast.literal_eval(text)).__name__
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return text.partition("(")[0]


def _raise_lines(folder: str) -> dict[str, frozenset[int]]:
    """Return the lines of all ``raise`` statements of a package, by file."""
    paths = [Path(folder)] if folder.endswith(".py") else sorted(Path(folder).rglob("*.py"))
    found: dict[str, frozenset[int]] = {}
    for path in paths:
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue
        found[str(path)] = frozenset(
            line
            for node in ast.walk(tree)
            if isinstance(node, (ast.Raise, ast.Assert))
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        )
    return found


def _time_is_up(signum: int, frame: Any) -> None:
    raise Timeout


if __name__ == "__main__":
    main()
