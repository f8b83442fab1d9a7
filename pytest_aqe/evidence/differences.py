"""From files that differ to the pieces that differ, and to what may notice.

Given what some run saw (a version of each file) and what is there now, name the pieces whose
tests can tell the difference. Only files whose version differs are read, and those that no run
saw as they are now are parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pytest_aqe.data import MAIN, Pieces, Version
from pytest_aqe.evidence import mentions
from pytest_aqe.evidence.bases import module_of
from pytest_aqe.evidence.configuration import CONFIGURATION
from pytest_aqe.evidence.ground import Differing, Effect
from pytest_aqe.evidence.packages import Packages
from pytest_aqe.evidence.pieces import (
    MODULE,
    READ_ANNOTATIONS,
    Difference,
    compare,
    pieces,
)
from pytest_aqe.evidence.plain import (
    BINDING,
    DOCS,
    POSTPONED,
    TYPE_CHECKING,
    bases_of,
    is_annotations,
    is_class,
    is_doc,
    modules_of,
    names_of,
    order_of,
    paths_of,
    signed,
)
from pytest_aqe.evidence.reach import Project, Reach
from pytest_aqe.evidence.readings import pieces_of, reading
from pytest_aqe.evidence.syntax import parse
from pytest_aqe.evidence.tree import INSTALLED
from pytest_aqe.evidence.versions import ABSENT, FIXTURE, UNSTABLE, digest

OldPieces = Callable[[str, Version], Pieces | None]


class _Python(NamedTuple):
    """What differs in a Python file: pieces (None: all of them), and among those the new ones.

    ``inert`` are names of functions that came or went without a trace, ``keys`` those of
    statements that only bind names, ``gone`` the names that nothing binds any more; ``moved``
    tells that names are bound in another order, and something in the project may see that.
    """

    changed: frozenset[str | None] = frozenset({None})
    added: frozenset[str] = frozenset()
    inert: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    moved: bool = False


class _Noticed(NamedTuple):
    """Who notices what a module binds: all that depends on it, or pieces if they do."""

    by_all: bool
    by: tuple[frozenset[tuple[str, str]], ...]


# Who looks at the arguments of a function and does not run it.
_SIGNATURE_READERS = frozenset(
    {
        "__code__",
        "__defaults__",
        "__kwdefaults__",
        "autospec",
        "create_autospec",
        "from_callable",
        "get_type_hints",
        "getcallargs",
        "getfullargspec",
        "signature",
        "spec",
        "spec_set",
    }
)
# Libraries that do so with what they are given: containers, command lines, made-up values.
_LIBRARIES = frozenset(
    {
        "argh",
        "builds",
        "clize",
        "defopt",
        "dependency_injector",
        "dishka",
        "fire",
        "from_type",
        "jsonargparse",
        "kink",
        "lagom",
        "plac",
        "plum",
        "punq",
        "svcs",
        "tyro",
        "wireup",
    }
)
# Who says one of these may expect that a call is refused, and the function never starts.
_CATCHERS = frozenset(
    {
        "BaseException",
        "Exception",
        "TypeError",
        "assertRaises",
        "assertRaisesRegex",
        "expectedFailure",
        "raises",
        "suppress",
        "xfail",
    }
)
_MANY = 8  # signatures of a module that are followed one by one; more of them together
_ANNOTATION_READERS = _LIBRARIES | {word.decode() for word in READ_ANNOTATIONS}
# Who reads the docstring of what it is given; `self` has one of a class, and a decorator that of
# a function that stands with it.
_READS_DOCS = re.compile(
    rb"(?<!\bself)(?<!\bcls)\.__doc__\b(?!\s*=[^=}!:])|[\"']__doc__[\"']|\bgetdoc\b|\bpydoc\b"
)
_READS_ANY_DOCS = re.compile(
    rb"\b__doc__\b(?!\s*=[^=}!:])|\bgetdoc\b|\bpydoc\b"
)  # those of classes
_DECORATOR = re.compile(rb"^[ \t]*@(?:\w+\.)*(\w+)", re.MULTILINE)
# What lists names, or classes, as they were bound; `dir` and `getmembers` sort them.
_LISTING = frozenset({"__dict__", "__subclasses__", "f_globals", "globals", "locals", "vars"})
_SPECS = frozenset({"spec", "spec_set"})  # of what stands beside: they only ask for names
_READERS_OF_DOCS = frozenset({"__doc__", "getdoc", "pydoc"})
_SETS_TYPE_CHECKING = re.compile(
    rb"""\.TYPE_CHECKING\s*=\s*(?!=|False\b)|TYPE_CHECKING\s*=\s*(?:1|True)\b"""
    rb"""|["'](?:[\w.]+\.)?TYPE_CHECKING["']\s*,\s*(?!False\b)\w"""
)
_REMAKES = re.compile(
    rb"\b(?:CodeType|FunctionType)\s*\(|__code__(?:\s*=(?!=)|\.replace\b)|\bmarshal\.loads?\b"
)  # functions, of the code of others
_FOR_CHECKERS = f"{BINDING}TYPE_CHECKING<typing>"
_WORD = re.compile(rb"\w+")
_MOST_BYTES = 4 << 20  # of a file that is read
# What a module says of itself; nothing acts by it.
_SELF = """
    __author__ __copyright__ __credits__ __date__ __description__ __email__ __license__
    __maintainer__ __summary__ __title__ __url__ __version__
"""
_ABOUT = frozenset(_SELF.split())


class Differences:
    """Compare the project at ``root`` with what runs saw.

    ``python_files`` are all there are now, ``old`` gives the pieces of a file at a version that
    some run saw, or None when they are unknown.
    """

    def __init__(
        self,
        root: Path,
        python_files: Sequence[str],
        old: OldPieces,
    ) -> None:
        self._root = root
        self._python_files = python_files
        self._old = old
        self._sources: dict[str, bytes | None] = {}
        self._pieces: dict[str, Pieces] = {}
        self._project = Project(python_files, self._source)
        self._reached: dict[tuple[object, ...], Reach] = {}
        self._lookers: dict[str, frozenset[tuple[str, str]]] = {}
        self._readers: dict[frozenset[str], bool] = {}
        self._givers: dict[str, frozenset[str]] = {}
        self._packages = Packages(root)

    def effect(
        self, differing: Collection[Differing], tracked: Collection[str], opened: Collection[str]
    ) -> Effect:
        """Return what the differing files change.

        ``tracked`` are the files tests may use, ``opened`` those that some test has read. Of a
        run that `Effect.full` names no more than that is told.
        """
        effect = Effect()
        told: dict[tuple[str, Version | None], tuple[_Python, _Noticed]] = {}
        for each in differing:
            if each.file.startswith(CONFIGURATION):
                name = each.file.removeprefix(CONFIGURATION)
                effect.full.setdefault(each.run_no, f"{name} changed")
        names: dict[tuple[int, str], frozenset[str]] = {}
        new_modules: dict[int, set[str]] = {}
        upgraded: dict[int, list[Differing]] = {}
        for each in differing:
            if each.run_no in effect.full:
                continue  # parsing takes most of the time
            if each.file.startswith(INSTALLED):
                upgraded.setdefault(each.run_no, []).append(each)
            elif not each.seen:
                self._appeared(each, tracked, effect, new_modules)
            elif each.file.endswith(".py"):
                if each.version in (ABSENT, UNSTABLE):  # there now, and then not, or not always
                    self._appeared(each, tracked, effect, new_modules)
                key = each.file, each.version  # many runs saw the same
                if key not in told:
                    found = self._python(each)
                    told[key] = found, self._noticed(each.file, found, opened)
                found, noticed = told[key]
                effect.changed |= {(each.run_no, each.file, name) for name in found.changed}
                effect.changed.add((each.run_no, each.file, ""))  # for who read it as a text
                effect.added |= {(each.run_no, each.file, name) for name in found.added}
                if found.inert:
                    names[each.run_no, each.file] = found.inert
                    # A fixture that overrides a plugin's: no source has to name that.
                    effect.changed |= {(each.run_no, FIXTURE + n, None) for n in found.inert}
                if noticed.by_all:
                    effect.changed.add((each.run_no, each.file, MODULE))
                effect.conditional += [(each.run_no, each.file, those) for those in noticed.by]
                if not (found.changed or found.inert or found.keys or found.moved):
                    continue
            else:
                effect.changed.add((each.run_no, each.file, None))
            effect.files.setdefault(each.run_no, set()).add(each.file)
        for run_no, distributions in upgraded.items():
            self._upgraded(run_no, distributions, tracked, effect)
        self._named(names, effect)
        self._importable(new_modules, effect)
        return effect

    def _appeared(
        self,
        each: Differing,
        tracked: Collection[str],
        effect: Effect,
        new_modules: dict[int, set[str]],
    ) -> None:
        """A new Python file matters to who is below it, or might import it by its name."""
        path = PurePosixPath(each.file)
        folder = "" if str(path.parent) == "." else f"{path.parent}/"
        if path.suffix != ".py":
            return
        effect.added.add((each.run_no, each.file, ""))
        if path.name in ("conftest.py", "__init__.py"):
            effect.changed |= {
                (each.run_no, file, MODULE) for file in tracked if file.startswith(folder)
            }
        stem = path.parent.name if path.name == "__init__.py" else path.stem
        modules = new_modules.setdefault(each.run_no, set())
        modules.add(stem)
        if not any(file.startswith(folder) for file in tracked):
            modules.add(path.parent.name)

    def _python(self, each: Differing) -> _Python:
        """Return what differs in a Python file."""
        if each.version is None or each.version == UNSTABLE or self._source(each.file) is None:
            return _Python()
        old = self._old(each.file, each.version)
        if old is None:
            return _Python()
        new = self._now(each.file)
        difference = compare(old.checksums, new.checksums)
        bindings, difference = _apart(difference)
        if POSTPONED in bindings - new.checksums.keys():  # annotations are evaluated again
            bindings, difference = frozenset(), _with_module(difference)
        moved = difference.added | difference.removed
        comes = bindings & {_FOR_CHECKERS} - old.checksums.keys()
        if comes and not self._is_false(each.file):
            comes = frozenset()
        # of functions only the signature stands there
        read = self._read(each.file, bindings - comes)
        keys = frozenset(key for key in read if signed(key) not in moved)
        if not all(self._only_binds(each.file, key) for key in keys):
            keys, difference = frozenset(), _with_module(difference)
        inert = (difference.added & new.inert) | (difference.removed & old.inert)
        inert |= {name for name in old.inert ^ new.inert if name not in difference.changed}
        bound = order_of(new.checksums)
        binding = {key for key in keys if not is_doc(key)}
        return _Python(
            frozenset({*difference.changed, *difference.removed, *difference.added}),
            difference.added,
            frozenset(name.rpartition(".")[2] for name in inert),
            keys,
            frozenset(name for key in binding for name in names_of(key)).difference(bound),
            bool(comes) or (_in_order(old, new) != _in_order(new, old) and self._reads(_LISTING)),
        )

    def _read(self, file: str, keys: Set[str]) -> Set[str]:
        """Leave out what nothing in the project reads: annotations, and what is for checkers."""
        if any(map(is_annotations, keys)) and not self._reads(_ANNOTATION_READERS):
            keys = {key for key in keys if not is_annotations(key)}
        if TYPE_CHECKING in keys and not self._sets_type_checking:
            keys = keys - {TYPE_CHECKING}
        if DOCS in keys and not (self._readers_of_docs or self._giving(file)):
            keys = keys - {DOCS}
        return keys

    def _is_false(self, file: str) -> bool:
        """Tell whether ``TYPE_CHECKING`` is what `typing` has, and is there before it is used."""
        if self._sets_type_checking:
            return False
        tree = parse(self._source(file) or b"")
        for statement in tree.body if tree is not None else ():
            if isinstance(statement, ast.ImportFrom):
                if any(each.name == "TYPE_CHECKING" for each in statement.names):
                    return True
            elif "TYPE_CHECKING" in ast.dump(statement):
                return False
        return False

    @cached_property
    def _sets_type_checking(self) -> bool:
        return any(map(_SETS_TYPE_CHECKING.search, self._sources_with(b"TYPE_CHECKING").values()))

    def _only_binds(self, file: str, key: str) -> bool:
        """Tell whether a statement does as its key says, whatever else is in the project."""
        if key == TYPE_CHECKING:
            return False
        if is_class(key):
            return self._project.bases.make_plain(file, bases_of(key))
        return not any(map(self._project.bases.hides, modules_of(key)))

    def _noticed(self, file: str, found: _Python, opened: Collection[str]) -> _Noticed:
        """What a module binds matters to who uses it, or looks names up in the module."""
        keys = {key for key in found.keys if not self._is_function(file, key)}
        docs = {key for key in keys if is_doc(key)}
        by = [self._doc_readers] if docs else []
        if DOCS in keys:
            by.append(frozenset(self._reading_docs(file)))
            keys.discard(DOCS)
        if signed := self._signatures(file, found):
            by.append(signed)
        if refused := frozenset(self._refused(file, found)):
            by.append(refused)
        if remade := self._remade(file, found):
            by.append(remade)
        if found.moved:
            by.append(self._looking(file) | self._subclass_finders)
        if keys == docs:
            return _Noticed(False, tuple(by))
        by_all, using = self._bound(file, keys - docs, found.gone, opened)
        return _Noticed(by_all, (*by, using | frozenset(self._borrowing(keys))))

    def _borrowing(self, keys: set[str]) -> Iterator[tuple[str, str]]:
        """Yield who uses a standard package's submodule and leaves its import to others."""
        for path in {path for key in keys for path in paths_of(key) if "." in path}:
            package, name = path.partition(".")[0].encode(), path.rpartition(".")[2]
            for file in self._python_files:
                source = self._source(file) or b""
                if package not in source or name.encode() not in source:
                    continue
                if not any(path in paths_of(key) for key in self._now(file).checksums):
                    yield from ((file, piece) for piece in mentions.mentions(source, {name}))

    def _bound(
        self, file: str, keys: set[str], gone: frozenset[str], opened: Collection[str]
    ) -> tuple[bool, frozenset[tuple[str, str]]]:
        """Return who notices statements: whether all that depends on the module, and pieces."""
        names = {name for key in keys for name in names_of(key)}
        taken = {name for key in keys if modules_of(key) for name in names_of(key)}
        taken -= {name for key in keys if not modules_of(key) for name in names_of(key)}
        about = _ABOUT | ({"VERSION"} if self._is_package(file) else set())
        told = names <= about
        reach = self._reach(file, names, gone, frozenset(taken), told)
        ours = {
            name
            for key in keys
            if not modules_of(key)
            for name in names_of(key)
            if not (is_class(key) and "test" in f"{file}/{name}".lower())
        }
        framework = not told and self._project.is_read_by_others(file)
        words = {name.encode() for name in reach.names}
        texts = {(each, "") for each in opened if self._may_name(each, words)}
        looking = frozenset[tuple[str, str]]() if told else self._looking(file)
        noticing = frozenset(reach.pieces | texts | looking)
        return framework or not (reach.unused & ours) <= about, noticing

    def _is_package(self, file: str) -> bool:
        """Tell whether a file is that of a package which is in no other."""
        folder, _, name = file.rpartition("/")
        above = folder.rpartition("/")[0]
        beside = f"{above}/__init__.py" if above else "__init__.py"
        return name == "__init__.py" and bool(folder) and beside not in self._python_files

    def _signatures(self, module: str, found: _Python) -> frozenset[tuple[str, str]]:
        """A signature matters to who gives the function on, or names a method's class.

        A method's does only where anything in the project reads such, and there who may find
        either in the module reads it too.
        """
        keys = [key for key in found.keys if self._is_function(module, key)]
        noticing: set[tuple[str, str]] = set()
        read = bool(keys) and self._reads(_SIGNATURE_READERS - _SPECS | _ANNOTATION_READERS)
        if read:
            noticing |= {*self._looking(module), *self._specified(module)}
        for group in [keys] if len(keys) > _MANY else [[key] for key in keys]:
            named = [names_of(key) for key in group]
            reach = self._reach(module, {owner for owner, *_ in named})
            methods = {name for _, *method in named for name in method}
            if methods and read:
                noticing |= reach.pieces
                continue
            for file in {file for file, _ in reach.pieces}:
                source = self._source(file) or b""
                if methods:
                    readers = mentions.mentions(source, _SPECS).keys()
                    said = mentions.mentions(source, reach.names | methods) if readers else {}
                    noticing |= {(file, piece) for piece in readers & said.keys()}
                if any(len(each) == 1 for each in named):
                    given = mentions.hands_on(source, reach.names) - {MODULE}
                    noticing |= {(file, piece) for piece in given}
                    noticing |= reach.pieces & {(file, MODULE)}
        return frozenset(noticing)

    def _refused(self, module: str, found: _Python) -> Iterator[tuple[str, str]]:
        """Yield who may call a function with arguments that it does not take.

        Then it does not run, so nothing else says that this test depends on what it takes.
        """
        names: set[str] = set()
        for key in found.keys:
            if self._is_function(module, key) and not is_annotations(key):
                owner, *methods = names_of(key)
                names.update(each for each in methods if not each.startswith("__"))
                if not methods or methods[-1].startswith("__"):
                    names |= self._reach(module, {owner}).names
        for file, source in self._sources_with(*map(str.encode, names)).items():
            catching = mentions.mentions(source, _CATCHERS).keys()
            calling = mentions.mentions(source, names).keys() if catching else set()
            yield from ((file, piece) for piece in catching & calling)

    def _remade(self, module: str, found: _Python) -> frozenset[tuple[str, str]]:
        """Return who hands on a function where its code may be run as that of another."""
        names = {name.rpartition(".")[2] for name in found.changed - {MODULE, MAIN} if name}
        if not names or not self._remakes:
            return frozenset()
        named = self._reach(module, names).names
        return frozenset(
            (file, piece)
            for file in self._python_files
            for piece in mentions.hands_on(self._source(file) or b"", named)
        )

    @cached_property
    def _remakes(self) -> bool:
        words = (b"CodeType", b"FunctionType", b"__code__", b"marshal")
        return any(map(_REMAKES.search, self._sources_with(*words).values()))

    def _specified(self, module: str) -> Iterator[tuple[str, str]]:
        """Yield the pieces that name a module, in a text too, to have its signatures read."""
        files, names = self._project.holders(module)
        for file in files:
            source = self._source(file) or b""
            readers = mentions.mentions(source, _SIGNATURE_READERS).keys()
            named = mentions.mentions(source, names) if readers else {}
            yield from ((file, piece) for piece in readers & named.keys())

    def _reads(self, readers: frozenset[str]) -> bool:
        """Tell whether anything in the project names one of these readers."""
        known = self._readers.get(readers)
        if known is None:
            search = re.compile("|".join(sorted(readers)).encode()).search
            sources = (self._source(file) or b"" for file in self._python_files)
            known = any(search(each) and mentions.mentions(each, readers) for each in sources)
            self._readers[readers] = known
        return known

    @cached_property
    def _doc_readers(self) -> frozenset[tuple[str, str]]:
        """The pieces that may read docstrings of classes."""
        return frozenset(self._naming_docs(_READS_ANY_DOCS))

    @cached_property
    def _readers_of_docs(self) -> frozenset[tuple[str, str]]:
        """The pieces that read docstrings of what they are given, those of decorators not."""
        readers = {each: each[1].rpartition(".")[2] for each in self._naming_docs(_READS_DOCS)}
        decorators: set[str] = set()
        for source in self._sources_with(*map(str.encode, set(readers.values()))).values():
            decorators.update(map(bytes.decode, _DECORATOR.findall(source)))
        return frozenset(each for each, name in readers.items() if name not in decorators)

    def _naming_docs(self, reads: re.Pattern[bytes]) -> Iterator[tuple[str, str]]:
        for file, source in self._sources_with(*map(str.encode, _READERS_OF_DOCS)).items():
            if reads.search(source):
                yield from ((file, piece) for piece in mentions.mentions(source, _READERS_OF_DOCS))
        for file, source in self._sources_with(b"help").items():  # an option's is another
            yield from ((file, piece) for piece in mentions.gives(source, {"help"}))

    def _reading_docs(self, module: str) -> Iterator[tuple[str, str]]:
        """Yield who may read docstrings of a module: at import only with a name of it."""
        own = [key for key in self._now(module).checksums if not paths_of(key)]
        names = {*module_of(module)[-1:], *order_of(own)}
        for file, piece in self._readers_of_docs:
            if piece != MODULE or MODULE in mentions.mentions(self._source(file) or b"", names):
                yield file, piece
        for file in self._giving(module):
            yield file, MODULE

    def _giving(self, module: str) -> frozenset[str]:
        """Return who gives a function or class of a module away as it is imported: see `Reading`.

        Of a function that its own module gives away the docstring is a part of the module.
        """
        known = self._givers.get(module)
        if known is None:
            keys = self._now(module).checksums
            classes = {name for key in keys if is_class(key) for name in names_of(key)}
            names = classes.union(filter(str.isidentifier, keys))
            as_given = b"|".join(map(str.encode, sorted(names))) or b"(?!)"
            search = re.compile(rb"(?:%b)\s*(?:[,)#\\]|as\b)" % as_given).search
            known = self._givers[module] = frozenset(
                file
                for file in self._project.with_words(names)
                if search(source := self._source(file) or b"")
                and self._gives(source, classes if file == module else names)
            )
        return known

    def _gives(self, source: bytes, names: Collection[str]) -> bool:
        """Tell whether an import gives one of these away; it is parsed only if it may."""
        may_give = MODULE in mentions.hands_on(source, names) or (
            b" as " in source and MODULE in mentions.mentions(source, names)
        )
        return may_give and not reading(source).given.isdisjoint(names)

    @cached_property
    def _subclass_finders(self) -> frozenset[tuple[str, str]]:
        return self._naming({"__subclasses__"})

    def _naming(self, names: Collection[str]) -> frozenset[tuple[str, str]]:
        return frozenset(
            (file, piece)
            for file in self._python_files
            for piece in mentions.mentions(self._source(file) or b"", names)
        )

    def _is_function(self, file: str, key: str) -> bool:
        return signed(key) in self._now(file).checksums

    def _reach(
        self,
        module: str,
        names: Iterable[str],
        gone: frozenset[str] = frozenset(),
        taken: frozenset[str] = frozenset(),
        told: bool = False,
    ) -> Reach:
        key = module, frozenset(names), gone, taken, told
        known = self._reached.get(key)
        if known is None:
            known = self._project.reach(module, key[1], gone, taken=taken, told=told)
            self._reached[key] = known
        return known

    def _may_name(self, file: str, words: set[bytes]) -> bool:
        """Tell a file that is not Python's and has one of these words, or is too large to read."""
        if file.startswith("<") or file.endswith((".py", "/")):
            return False
        path = self._root / file
        try:
            if path.stat().st_size > _MOST_BYTES:
                return True
        except OSError:
            return False
        source = self._source(file) or b""
        return any(word in source for word in words) and not words.isdisjoint(_WORD.findall(source))

    def _named(self, names: Mapping[tuple[int, str], frozenset[str]], effect: Effect) -> None:
        """A function that came or went matters to who names it, or looks names up."""
        wanted = frozenset().union(*names.values())
        if not wanted:
            return
        mentioned = {
            file: mentions.mentions(source, wanted)
            for file in self._python_files
            if (source := self._source(file)) is not None
        }
        for (run_no, module), came_or_went in names.items():
            noticing = {
                (file, piece)
                for file, pieces_of_file in mentioned.items()
                for piece, found in pieces_of_file.items()
                if found & came_or_went
            }
            noticing |= self._looking(module)
            effect.conditional.append((run_no, module, frozenset(noticing)))

    def _looking(self, module: str) -> frozenset[tuple[str, str]]:
        """Return the pieces that may find names of a module without saying them."""
        known = self._lookers.get(module)
        if known is None:
            known = self._lookers[module] = frozenset(self._look(module))
        return known

    def _look(self, module: str) -> Iterator[tuple[str, str]]:
        """Yield the pieces that may find names of a module without saying them.

        Who asks an object for a name it does not say may ask a module only where one is about
        as a value.
        """
        files, names = self._project.holders(module)
        sources = {file: source for file in files if (source := self._source(file)) is not None}
        giving = {file: mentions.gives(source, names) for file, source in sources.items()}
        about = any(giving.values()) or any(map(self._project.loads, files))
        for file, source in sources.items():
            for piece in giving[file] | mentions.reflects(source, asking=about):
                yield file, piece
            if b"import_module" in source:
                yield from ((file, piece) for piece in self._project.importing(file, files))
        yield from self._roaming

    @cached_property
    def _roaming(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (file, piece)
            for file in self._python_files
            for piece in mentions.roams(self._source(file) or b"")
        )

    def _importable(self, new_modules: Mapping[int, set[str]], effect: Effect) -> None:
        """A new module matters to who imports, or tried to import, something of its name."""
        wanted = frozenset().union(*new_modules.values()) - {""}
        if not wanted:
            return
        for file in self._python_files:
            source = self._source(file)
            found = mentions.mentions(source, wanted) if source is not None else {}
            for piece, names in found.items():
                effect.changed |= {
                    (run_no, file, piece)
                    for run_no, modules in new_modules.items()
                    if names & modules
                }

    def _upgraded(
        self,
        run_no: int,
        distributions: Sequence[Differing],
        tracked: Collection[str],
        effect: Effect,
    ) -> None:
        """An installed package matters to who imports it, or imports what requires it."""
        for each in distributions:
            name = each.file.removeprefix(INSTALLED)
            if self._packages.is_project(name):
                continue
            files = self._packages.importable_with(name, tracked)
            if files is None:
                effect.full.setdefault(
                    run_no, f"the installed {name} changed, and who uses it is not known"
                )
            else:
                effect.changed |= {(run_no, file, None) for file in files}

    def since_base(
        self, files: Iterable[str], old_source: Callable[[str], bytes | None]
    ) -> list[tuple[str, str | None]]:
        """Return file and piece for what differs from a base commit (None: all of the file)."""
        found: list[tuple[str, str | None]] = []
        for file in files:
            before, now = old_source(file), self._source(file)
            if not file.endswith(".py") or before is None or now is None:
                found.append((file, None))
                continue
            difference = compare(pieces(before).checksums, self._now(file).checksums)
            bindings, difference = _apart(difference)
            if self._read(file, bindings):
                difference = _with_module(difference)
            found += [
                (file, name)
                for name in (*difference.changed, *difference.added, *difference.removed)
            ]
        return found

    def _now(self, file: str) -> Pieces:
        known = self._pieces.get(file)
        if known is None:
            source = self._source(file) or b""
            # some run saw it as it is now, unless it was edited since the latest
            known = self._pieces[file] = self._old(file, digest(source)) or pieces_of(source)
        return known

    def _sources_with(self, *words: bytes) -> dict[str, bytes]:
        """Return the Python files that have one of these anywhere: quicker than a pattern is."""
        return {
            file: source
            for file in self._python_files
            if any(word in (source := self._source(file) or b"") for word in words)
        }

    def _source(self, file: str) -> bytes | None:
        if file not in self._sources:
            try:
                self._sources[file] = (self._root / file).read_bytes()
            except OSError:
                self._sources[file] = None
        return self._sources[file]


def _apart(difference: Difference) -> tuple[frozenset[str], Difference]:
    """Part the bindings that differ from the pieces; a module that differs is all of them."""
    bindings = {
        name
        for name in (*difference.changed, *difference.added, *difference.removed)
        if name.startswith(BINDING)
    }
    rest = Difference(
        difference.changed - bindings, difference.added - bindings, difference.removed - bindings
    )
    return frozenset() if MODULE in rest.changed else frozenset(bindings), rest


def _in_order(these: Pieces, those: Pieces) -> list[str]:
    """Return the names that both bind, as these do: pieces stand in the order of the source."""
    both = {*order_of(those.checksums)}
    return [name for name in order_of(these.checksums) if name in both]


def _with_module(difference: Difference) -> Difference:
    return Difference(difference.changed | {MODULE}, difference.added, difference.removed)
