"""How far a changed name reaches: through modules that bind it on, to the pieces that use it.

When a statement that only binds names (an assignment, a class, an import) changes, a test can
notice by a piece that names what it bound, or by a method of a class it bound. Statements
that use such a name at import hand it on to the names they bind. What uses it in another way at
import (a call, a dotted path in a setting, a class that its base may register) may do anything
with it, so there everything that needs that module counts as reached.

Names are compared as bare words, whatever they belong to: that reaches too far, never too
short. Two things get around words. Who holds a module as a value can find its names without
saying them (`Project.holders`), and so can what no source shows: a framework that was told of
the module in a setting, or that reads by name what nobody else does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_aqe.evidence.bases import Bases, module_of
from pytest_aqe.evidence.mentions import mentions
from pytest_aqe.evidence.pieces import MODULE
from pytest_aqe.evidence.readings import reading
from pytest_aqe.evidence.toplevel import TopLevel

Source = Callable[[str], bytes | None]

# Who says one of these finds classes and functions by texts that no source holds.
_FINDERS = frozenset(
    {
        "__subclasses__",
        "cloudpickle",
        "copyreg",
        "dill",
        "entry_points",
        "find_class",
        "import_string",
        "iter_modules",
        "joblib",
        "jsonpickle",
        "pickle",
        "shelve",
        "walk_packages",
    }
)

# What gives a module as a value without naming it.
_LOADERS = frozenset(
    {
        "__import__",
        "entry_points",
        "exec_module",
        "getmodule",
        "import_module",
        "import_string",
        "iter_modules",
        "load_module",
        "resolve_name",
        "run_module",
        "run_path",
        "spec_from_file_location",
        "walk_packages",
    }
)
_IMPORT = "import_module"
_BY_COMPUTED_KEY = re.compile(
    rb"\bmodules\s*(?:\[|\.get\()\s*(?!__name__\b|[\"'])|\bmodules\.(?:copy|items|values)\b"
)  # of sys.modules
_SETTINGS = ("pytest.ini", ".pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini", ".env")
_OF_NO_SESSION = re.compile(r"(?:^|/)(?:docs?/(?:\w+/)?conf|noxfile|setup)\.py$")
_WORD = re.compile(rb"\w+")


@dataclass(slots=True)
class Reach:
    """The pieces that may notice, ``names`` under which they do, and names nobody uses.

    A piece is ``<module>`` where all of a module is reached, and the whole file where who runs
    its text, as a doctest does, is.
    """

    pieces: set[tuple[str, str]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)


class Project:
    """The Python files of a project as they are now."""

    def __init__(self, files: Sequence[str], source: Source) -> None:
        self._files = files
        self._source = source
        self._words: dict[str, frozenset[bytes]] = {}
        self._read: dict[str, TopLevel | None] = {}
        self._by_others: dict[str, bool] = {}
        self.bases = Bases(files, source)

    def reach(
        self,
        module: str,
        names: Iterable[str],
        gone: Collection[str] = (),
        *,
        taken: Collection[str] = (),
        told: bool = False,
    ) -> Reach:
        """Follow names that ``module`` changed through all others to the pieces that may notice.

        ``gone`` are those that are not bound any more: using one at import fails. A file that
        imports such a name from the standard library for itself means that. ``taken`` are those
        that the module imports itself: others have them from it only if they say its name.
        ``told`` says that the names only tell something, such as a version: what a statement
        makes of them is all it does with them, and who finds modules does not act by them.
        """
        changed = set(names)
        reach = Reach(names=set(changed))
        noticed: set[str] = set()
        fresh = changed
        importing = self._importing(module) if taken else set()
        while fresh:
            further: set[str] = set()
            for file in self.with_words(fresh):
                found = self._file(file)
                if found is None:
                    reach.pieces.add((file, MODULE))
                    noticed |= fresh
                    continue
                here = fresh if file == module else fresh - found.own
                here = here if file in importing else here.difference(taken)
                for statement in found.statements:
                    by_name, by_text = here & statement.used, here & statement.texts
                    if not (by_name or by_text):
                        continue
                    noticed |= by_name | by_text
                    if statement.bound == {"__all__"} and by_text.isdisjoint(gone):
                        continue
                    further |= statement.bound
                    acts = statement.acts and not (told and statement.bound)
                    if acts or by_text or not by_name.isdisjoint(gone):
                        reach.pieces.add((file, MODULE))
            fresh = further - reach.names
            reach.names |= fresh
        finders = frozenset[str]() if told else _FINDERS
        for file in self.with_words(reach.names | finders):
            found = self._file(file)
            own = found.own if found is not None and file != module else frozenset[str]()
            here = reach.names - own
            here = (here if file in importing else here.difference(taken)) | finders
            for piece, words in mentions(self._source(file) or b"", here).items():
                if piece != MODULE:
                    noticed |= words
                    reach.pieces.add((file, piece))
                reach.pieces.add((file, ""))
        reach.pieces |= {(file, MODULE) for file in self.with_words(finders) if self._finds(file)}
        reach.pieces |= set(self._methods(reach.names))
        reach.unused = changed - noticed
        return reach

    def _importing(self, module: str) -> set[str]:
        """Return the files that may have from a module what it imports, itself among them."""
        stem = module_of(module)[-1:]
        files = set(self.with_words(set(stem))) if stem else set(self._files)
        for file in files - {module}:
            found = self._file(file)
            if found is None or any("*" in statement.bound for statement in found.statements):
                return set(self._files)  # it gives them on
        return files | {module}

    def holders(self, module: str) -> tuple[set[str], set[str]]:
        """Return the files that can look names up in a module, and what it is called there.

        These are itself, and who may hold it whole: they use it by a name it was given
        anywhere, or name a function that imports by a text.
        """
        names = fresh = {module_of(module)[-1]} if module_of(module) else set()
        while fresh:
            further = {
                new
                for file in self.with_words(fresh)
                if (found := self._file(file)) is not None
                for old, new in found.aliases
                if old in fresh
            }
            fresh = further - names
            names = names | fresh
        naming = {module, *self.with_words(names)}  # one of these has it to give
        loading = {
            *self.with_words(_LOADERS - {_IMPORT}),
            *self._by_computed_key,
            *(file for file in self.with_words({_IMPORT}) if self.importing(file, naming)),
        }
        loaders = {
            piece.rpartition(".")[2]
            for file in loading
            for piece in mentions(self._source(file) or b"", self._loaders(file))
            if piece != MODULE
        }
        return {module, *loading, *self.with_words(names | loaders)}, names

    @cached_property
    def _by_computed_key(self) -> frozenset[str]:
        """The files that take from ``sys.modules`` what they do not name."""
        return frozenset(
            file
            for file in self.with_words({"modules"})
            if b"sys" in self._words_of(file) and _BY_COMPUTED_KEY.search(self._source(file) or b"")
        )

    def _loaders(self, file: str) -> frozenset[str]:
        return _LOADERS | {"modules"} if file in self._by_computed_key else _LOADERS

    def importing(self, file: str, modules: Collection[str]) -> set[str]:
        """Return the pieces of a file that may import one of these modules by a text."""
        words = reading(self._source(file) or b"").words
        if words is None:
            return {MODULE}
        return {
            piece
            for piece, starts in words.importing.items()
            if any(self._leads_to(start, modules) for start in starts)
        }

    def _leads_to(self, start: str, modules: Collection[str]) -> bool:
        """Tell whether a module whose path may begin so is one of these, or has modules to give."""
        return any(_may_be(module, start) for module in modules) or any(
            self._has_modules(file) for file in self._files if _may_be(file, start)
        )

    def _has_modules(self, file: str) -> bool:
        """Tell a module with others among its names: one leads to the next."""
        found = self._file(file)
        return (
            found is None
            or self.loads(file)
            or any(
                "*" in each.bound or not self._parts.isdisjoint(each.bound | each.used)
                for each in found.statements
                if each.imports
            )
        )

    @cached_property
    def _parts(self) -> frozenset[str]:
        return frozenset(part for file in self._files for part in module_of(file))

    def loads(self, file: str) -> bool:
        """Tell a file with a piece that gets modules as values."""
        return bool(mentions(self._source(file) or b"", _LOADERS | {"modules"}))

    def is_read_by_others(self, module: str) -> bool:
        """Tell a module that no source imports, or that a setting names: a framework reads it."""
        known = self._by_others.get(module)
        if known is None:
            known = self._by_others[module] = self._is_read_by_others(module)
        return known

    def _is_read_by_others(self, module: str) -> bool:
        path = module_of(module)
        name = path[-1] if path else ""
        if not name:
            return True
        quoted = re.compile(rb"""["']((?:\w+\.)*%s)["']""" % re.escape(name).encode())
        imported = _is_collected(module)
        for file in self.with_words({name}):
            texts = [] if _OF_NO_SESSION.search(file) else quoted.findall(self._source(file) or b"")
            if any(self._names(found, path) for found in texts):
                return True
            read = self._file(file)
            imported = imported or read is None or name in read.imported
        return not imported or any(self._names(found, path) for found in self._set_up)

    def _names(self, found: bytes, path: tuple[str, ...]) -> bool:
        """Tell whether a dotted path in a text names the module; one word only at the top."""
        parts = tuple(found.decode(errors="replace").split("."))
        inside = path[1:] if path[0] in ("src", "lib") else path
        return parts == inside or (len(parts) > 1 and inside[-len(parts) :] == parts)

    @cached_property
    def _set_up(self) -> list[bytes]:
        """The dotted paths in settings, and single words where a module is asked for."""
        text = b"\n".join(self._source(name) or b"" for name in _SETTINGS)
        single = rb"(?i:settings\w*|module\w*|--ds|-p)[\s=:\"']+(\w+)\b(?![.:])"
        return [*re.findall(rb"\w+(?:\.\w+)+(?!\w*[:])", text), *re.findall(single, text)]

    def with_words(self, names: Collection[str]) -> list[str]:
        """Return the files that have one of these words anywhere."""
        ascii_words = {name.encode() for name in names if name.isascii()}
        every = len(ascii_words) < len(names)
        return [
            file
            for file in self._files
            if self._source(file) is not None
            and (every or not ascii_words.isdisjoint(self._words_of(file)))
        ]

    def _words_of(self, file: str) -> frozenset[bytes]:
        known = self._words.get(file)
        if known is None:
            known = self._words[file] = frozenset(_WORD.findall(self._source(file) or b""))
        return known

    def _file(self, file: str) -> TopLevel | None:
        """Return what a file's top level does, with what its classes inherit known."""
        if file not in self._read:
            found = reading(self._source(file) or b"").top
            self._read[file] = found and found.with_acting(
                {
                    name
                    for name, bases in found.plain_classes.items()
                    if not self.bases.make_plain(file, bases)
                }
            )
        return self._read[file]

    def _finds(self, file: str) -> bool:
        found = self._file(file)
        return found is None or any(
            not statement.imports and not statement.used.isdisjoint(_FINDERS)
            for statement in found.statements
        )

    def _methods(self, names: set[str]) -> Iterator[tuple[str, str]]:
        """Yield the pieces that belong to classes of these names, and the classes themselves.

        Tests that such a class inherits use it without naming it: pytest makes the instance.
        """
        tested = {
            name
            for file in self.with_words(names)
            if (found := self._file(file)) is not None
            for name in found.classes
            if name in names and "test" in f"{file}/{name}".lower()
        }
        whole = names | self._above(tested)
        inherited = self._above(names)
        for file in self.with_words(whole | inherited):
            found = self._file(file)
            if found is None or (whole | inherited).isdisjoint(found.classes):
                continue
            yield from ((file, name) for name in whole & found.classes.keys())
            for piece in reading(self._source(file) or b"").pieces.checksums:
                *path, last = piece.split(".")
                if not piece.startswith(MODULE) and (
                    not whole.isdisjoint(path)
                    or (last.startswith("test") and not inherited.isdisjoint(path))
                ):
                    yield file, piece

    def _above(self, names: set[str]) -> set[str]:
        """Return the names of the bases of classes of these names, and of theirs."""
        above: set[str] = set()
        fresh = names
        while fresh:
            bases = {
                base
                for file in self.with_words(fresh)
                if (found := self._file(file)) is not None
                for name in fresh & found.classes.keys()
                for base in found.classes[name]
            }
            fresh = bases - above
            above |= fresh
        return above


def _may_be(module: str, start: str) -> bool:
    """Tell whether a part of a module's dotted path may begin so.

    All of the path nobody knows: packages are mapped to folders of other names, and from one
    that was imported another is at hand.
    """
    path = module_of(module)
    return not path or any(part.startswith(start) for part in path)


def _is_collected(file: str) -> bool:
    """Tell what pytest imports by its name."""
    name = file.rpartition("/")[2]
    return name == "conftest.py" or name.startswith("test_") or name.endswith("_test.py")
