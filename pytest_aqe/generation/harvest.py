"""How the project's own tests and doctests call its code: arguments, as source text.

Runs in the author's sandboxed child, not in the user's session: recording there would cost
every test. Arguments are written down when a call starts, before its body can change them.
An object of the project is written as the call that made it; what became of it since is not
known, so a recipe is a construction, not a state.
"""

from __future__ import annotations

import ast
import doctest
import keyword
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, NamedTuple

from pytest_aqe.generation.values import Source, Writer

DISTINCT = 12  # samples kept of one function
CALLS = 400  # looked at of one function; a constructor's ten times that
KEPT_ALIVE = 20_000  # objects whose making is known
_SKIPPED = frozenset({"__del__", "__repr__", "__hash__", "__eq__", "<lambda>", "<module>",
                      "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"})  # fmt: skip
_VARARGS, _VARKEYWORDS, _GENERATOR = 0x04, 0x08, 0x2A0

Place = tuple[str, int]
"""A function: its file and first line."""


class Argument(NamedTuple):
    """One argument: its parameter, how it is passed (``/``, ``=``, ``*``, ``**``), its source."""

    name: str
    kind: str
    source: Source


@dataclass(frozen=True, slots=True)
class Sample:
    """One call that was seen; ``receiver`` is the source of ``self``, or None without one."""

    arguments: tuple[Argument, ...]
    receiver: Source | None = None


@dataclass(slots=True)
class Harvest:
    """All that was seen, by function; and how classes were made, by their ``__init__``."""

    samples: dict[Place, list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def wire(self) -> list[Any]:
        """Return it as plain lists, to cross a pipe."""
        return [
            [list(place), [[_plain(sample.receiver), [[a.name, a.kind, *_plain(a.source)]
                                                      for a in sample.arguments]]
                           for sample in samples]]
            for place, samples in self.samples.items()
        ]  # fmt: skip

    @classmethod
    def read(cls, wire: Sequence[Any]) -> Harvest:
        """Read what `wire` wrote."""
        harvest = cls()
        for (file, line), samples in wire:
            for receiver, arguments in samples:
                harvest.samples[file, line].append(
                    Sample(
                        tuple(Argument(n, k, Source(t, frozenset(i))) for n, k, t, i in arguments),
                        Source(receiver[0], frozenset(receiver[1])) if receiver else None,
                    )
                )
        return harvest


def _plain(source: Source | None) -> list[Any]:
    return [] if source is None else [source.text, sorted(source.imports)]


class Recorder:
    """Hear every call of the package while it is on."""

    def __init__(self, folder: str, packages: frozenset[str], local: tuple[str, ...]) -> None:
        """``folder`` is that of the package; `here` gives the texts that are ``local``."""
        self._folder = folder
        self._writer = Writer(packages, self._recipe, local)
        self._recipes: dict[int, tuple[Source, object]] = {}
        self._seen: dict[CodeType, int] = {}
        self._known: dict[Place, set[Sample]] = defaultdict(set)
        self._busy = False
        self.harvest = Harvest()

    def start(self) -> None:
        """Hear calls of this thread."""
        sys.setprofile(self._hear)

    def stop(self) -> None:
        """Hear no more."""
        sys.setprofile(None)

    def _recipe(self, value: object) -> Source | None:
        found = self._recipes.get(id(value))
        return found[0] if found is not None else None

    def _hear(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or self._busy:
            return
        code = frame.f_code
        count = self._seen.get(code, 0)
        if count < 0:
            return
        if not count and not self._is_ours(code):
            self._seen[code] = -1
            return
        self._seen[code] = count + 1 if count < self._most(code) else -1
        if code.co_flags & _GENERATOR and frame.f_lineno != code.co_firstlineno:
            return
        self._busy = True
        try:
            self._note(frame, code)
        finally:
            self._busy = False

    def _is_ours(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._folder) and code.co_name not in _SKIPPED

    def _most(self, code: CodeType) -> int:
        return CALLS * 10 if code.co_name == "__init__" else CALLS

    def _note(self, frame: FrameType, code: CodeType) -> None:
        values = frame.f_locals
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        bound = bool(names) and names[0] in ("self", "cls")
        receiver: Source | None = None
        arguments = self._arguments(code, values, names[1:] if bound else names, bound)
        if bound and names[0] == "self":
            if code.co_name == "__init__":
                self._note_making(values["self"], code, arguments)
            else:
                receiver = self._recipe(values["self"])
                if receiver is None:
                    receiver = self._writer.write(values["self"])
                if receiver is None:
                    return
        if arguments is None:
            return
        place = (code.co_filename, code.co_firstlineno)
        sample = Sample(arguments, receiver)
        if len(self._known[place]) < DISTINCT and sample not in self._known[place]:
            self._known[place].add(sample)
            self.harvest.samples[place].append(sample)

    def _arguments(
        self, code: CodeType, values: dict[str, Any], names: Sequence[str], bound: bool
    ) -> tuple[Argument, ...] | None:
        """Return the arguments of a call, or None where one cannot be written down."""
        found: list[Argument] = []
        positional = code.co_argcount - bound
        for number, name in enumerate(names):
            source = self._writer.write(values.get(name))
            if name not in values or source is None:
                return None
            only = number < code.co_posonlyargcount - bound
            found.append(Argument(name, "/" if only or number < positional else "=", source))
        place = code.co_argcount + code.co_kwonlyargcount
        for flag, kind in ((_VARARGS, "*"), (_VARKEYWORDS, "**")):
            if code.co_flags & flag:
                name = code.co_varnames[place]
                place += 1
                given = values.get(name)
                if given:
                    source = self._writer.write(given)
                    if source is None:
                        return None
                    found.append(Argument(name, kind, source))
        return tuple(found)

    def _note_making(
        self, made: object, code: CodeType, arguments: tuple[Argument, ...] | None
    ) -> None:
        """Remember how an object was made, unless that was a base class's part only."""
        kind = type(made)
        own = getattr(getattr(kind, "__init__", None), "__code__", None)
        if arguments is None or own is not code or len(self._recipes) >= KEPT_ALIVE:
            return
        name = self._writer.write(kind)
        if name is None:
            return
        imports = name.imports.union(*(each.source.imports for each in arguments))
        text = f"{name.text}({spelled(arguments)})"
        if len(text) <= 300:
            self._recipes[id(made)] = (Source(text, imports), made)


def spelled(arguments: Sequence[Argument]) -> str:
    """Write arguments as they stand in a call."""
    parts = []
    for each in arguments:
        if each.kind == "/":
            parts.append(each.source.text)
        elif each.kind == "=":
            parts.append(f"{each.name}={each.source.text}")
        else:
            parts.append(_unpacked(each.source.text) or f"{each.kind}{each.source.text}")
    return ", ".join(parts)


def _unpacked(text: str) -> str:
    """Write a tuple or a dictionary as the arguments it stands for; empty where it cannot be."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    if isinstance(tree, ast.Tuple):
        return ", ".join(filter(None, (ast.get_source_segment(text, each) for each in tree.elts)))
    if not isinstance(tree, ast.Dict):
        return ""
    keys = [
        ast.literal_eval(each) if isinstance(each, ast.Constant) else None for each in tree.keys
    ]
    if not all(isinstance(each, str) and _is_name(each) for each in keys):
        return ""
    values = [ast.get_source_segment(text, each) for each in tree.values]
    return ", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))


def _is_name(text: str) -> bool:
    """Tell what can be the name of an argument."""
    return text.isidentifier() and not keyword.iskeyword(text)


def run_tests(recorder: Recorder, scratch: str, files: Sequence[str]) -> None:
    """Run test files of the suite under the recorder, whatever their outcome."""
    import pytest

    class Recording:
        """Record test bodies and fixtures, not collection."""

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self) -> Any:
            recorder.start()
            try:
                return (yield)
            finally:
                recorder.stop()

    pytest.main(
        ["-p", "no:cacheprovider", "-p", "no:terminal", "--import-mode=importlib",
         f"--rootdir={scratch}", f"-c{scratch}/pytest.ini", f"--basetemp={scratch}/tmp", *files],
        plugins=[Recording()],
    )  # fmt: skip


def run_doctests(recorder: Recorder, module: Any) -> None:
    """Run the examples in docstrings under the recorder; what they print is of no interest."""
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        recorder.start()
        try:
            runner.run(test, out=lambda _: None, clear_globs=False)
        finally:
            recorder.stop()


def package_folder(file: str) -> str:
    """Return the folder of the outermost package of a file, or the file itself."""
    top = file
    folder = os.path.dirname(file)  # noqa: PTH120
    while os.path.isfile(os.path.join(folder, "__init__.py")):  # noqa: PTH113, PTH118
        top = folder + os.sep
        folder = os.path.dirname(folder)  # noqa: PTH120
    return top
