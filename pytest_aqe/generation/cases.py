"""What a call did, as the test of a person: its statements, and what it can share a test by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pytest_aqe.generation import circumstances, commands, files, snapshots
from pytest_aqe.generation.execution import LISTED, Call, Outcome
from pytest_aqe.generation.harvest import spelled
from pytest_aqe.generation.subjects import Subject
from pytest_aqe.generation.values import SECRET, Source, Writer


@dataclass(slots=True)
class Case:
    """One call that is worth a test. ``gap`` is the number of the gap that it adds most to.

    ``arguments`` and ``expected`` are set where it can share a test with others of its
    ``shape``. ``lines`` are the statements of a test of its own, ``strength`` is how much they
    say.
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
    strength: int = snapshots.VALUE


class Describer:
    """Write tests; values are written by ``writer`` and checked in ``namespace``."""

    def __init__(self, writer: Writer, namespace: dict[str, Any], packages: frozenset[str]) -> None:
        self._writer = writer
        self._namespace = namespace
        self._packages = packages

    def describe(self, subject: Subject, call: Call, outcome: Outcome) -> Case | None:
        """Write what a call did as a test; None where nothing can be asserted."""
        receiver = call.receiver
        inline = receiver is not None and not call.before and len(receiver.text) <= 60
        inline = inline and not (subject.name == "__hash__" and not subject.tells_equals)
        name = (_bracketed(receiver.text) if inline else "obj") if receiver is not None else ""
        text = call.written(subject.stated(name, call.arguments))
        imports = set(subject.imports if not subject.bound else ())
        if subject.is_async:
            imports.add("import asyncio")
        for source in [*( [receiver] if receiver else []), *(a.source for a in call.arguments),
                       *(a.source for a in call.around),
                       *(a.source for _, each in call.before for a in each)]:  # fmt: skip
            imports |= source.imports
        if outcome.drained == "list":
            text = f"list({text})"
        elif outcome.drained == "islice":
            text = f"list(itertools.islice({text}, {LISTED}))"
            imports.add("import itertools")
        setup = files.setup(call.text) if outcome.folder is not None else []
        setup += map(circumstances.statement, call.around)
        fixtures = [files.FIXTURE] if outcome.folder is not None else []
        fixtures += [circumstances.FIXTURE] if call.around else []
        making = []
        if receiver is not None:
            making = [f"obj = {receiver.text}"]
            making += [f"obj.{method}({spelled(given)})" for method, given in call.before]
            setup += making if not inline else []
        seen = self._seen(text, outcome)
        if seen is None:
            return None
        if subject.kind == "setter" and outcome.error is None:
            seen = replace(seen, lines=(), strength=snapshots.NONE)  # a statement has no value
        if seen.strength < snapshots.VALUE and outcome.error is None:
            changed = outcome.folder.assertions(call.text) if outcome.folder is not None else []
            if changed:
                seen = replace(seen, lines=(text, *changed), strength=snapshots.VALUE)
            elif outcome.output:
                said = snapshots.printed(text, outcome.output, self._writer)
                if said.strength == snapshots.VALUE:
                    seen, fixtures = said, [*fixtures, "capsys"]
            elif receiver is not None and outcome.receiver is not None:
                after = self._after(subject, call, outcome, seen)
                if after is not None:
                    setup += making if inline else []
                    seen = after
        elif outcome.output and outcome.error is None and type(outcome.value) in (int, bool):
            # The value tells whether it went well.
            said = snapshots.printed(text, outcome.output, self._writer)
            if said.strength == snapshots.VALUE:
                seen = replace(seen, lines=(*seen.lines, *said.lines[1:]), expected=None)
                fixtures = [*fixtures, "capsys"]
        lines = [*setup, *seen.lines]
        if any(circumstances.FIXED in line for line in seen.lines):
            return None  # that is the name of a class of the test
        if subject.kind == "command" and commands.ABORTED in str(outcome.value):
            return None
        whole = "\n".join(lines)
        if not seen.lines or SECRET.search(whole) or self._writer.is_local(whole):
            return None
        imports |= seen.imports
        case = Case(0, subject.path, "", lines, sorted(imports), fixtures, strength=seen.strength)
        if outcome.error is not None:
            case.error = type(outcome.error).__name__
        elif seen.expected is not None and not setup and not fixtures:
            case.expected, case.form = seen.expected.text, seen.form
            given = subject.shortened(call.arguments)
            case.names = [each.name for each in given]
            case.arguments = [each.source.text for each in given]
            holes = [each._replace(source=Source(each.name)) for each in given]
            case.call = text.replace(spelled(given), spelled(holes), 1)
            if case.call == text and given:
                case.expected = None
            case.shape = f"{case.call}|{case.form}|{','.join(case.names)}"
        return case

    def _seen(self, text: str, outcome: Outcome) -> snapshots.Seen | None:
        if outcome.error is not None:
            return snapshots.raised(text, outcome.error, self._packages, self._writer)
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
        text = call.written(subject.stated("obj", call.arguments))
        return replace(after, lines=(text, *lines), expected=None)


def _bracketed(text: str) -> str:
    plain = text[:1].isalpha() or text[:1] in "[({\"'"
    return text if plain and not text.startswith("lambda") else f"({text})"
