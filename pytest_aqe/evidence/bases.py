"""Whether making a class does nothing else, by what its bases are.

A base may register, check or change every class made from it (`__init_subclass__`, a
metaclass), so a class only binds its name when all its bases are known to leave that alone: the
standard library's, other people's errors, and classes of the project that are plain themselves.
What cannot be followed to one of these is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from pytest_aqe.evidence.plain import STANDARD
from pytest_aqe.evidence.readings import reading

Source = Callable[[str], bytes | None]

_DEEPEST = 100  # bases on bases, before the last is not followed
_ENDINGS = ("Error", "Exception", "Warning")
_TEST_CASES = frozenset(  # other people's; one of another name may have tests to inherit
    {"LiveServerTestCase", "SimpleTestCase", "TestCase", "TransactionTestCase"}
)


def module_of(file: str) -> tuple[str, ...]:
    """Return the parts of a file's dotted path, from the root."""
    path = PurePosixPath(file).with_suffix("")
    return path.parent.parts if path.name == "__init__" else path.parts


class Bases:
    """The classes of a project's Python files, as bases of others."""

    def __init__(self, files: Sequence[str], source: Source) -> None:
        self._files = files
        self._source = source
        self._plain: dict[tuple[str, str], bool] = {}
        self._depth = 0

    def make_plain(self, file: str, bases: Iterable[str]) -> bool:
        """Tell whether a class that is plain itself, with these bases, only binds its name."""
        return not self._has_descriptors and all(self.is_plain(file, base) for base in bases)

    def is_plain(self, file: str, base: str) -> bool:
        """Tell whether making a class from a base, named as in ``file``, does nothing else."""
        known = self._plain.get((file, base))
        if known is None:
            if self._depth >= _DEEPEST:
                return False
            self._plain[file, base] = False  # its own base, at some remove
            self._depth += 1
            known = self._plain[file, base] = self._look_at(file, base)
            self._depth -= 1
        return known

    def hides(self, module: str) -> bool:
        """Tell whether a file or folder of the project is called like a top-level module."""
        return module in self._parts

    @cached_property
    def _parts(self) -> frozenset[str]:
        return frozenset(
            part for modules in self._modules.values() for path, _ in modules for part in path
        )

    @cached_property
    def _has_descriptors(self) -> bool:
        """Tell whether anything in the project is told the class that it becomes part of."""
        return any(b"__set_name__" in (self._source(file) or b"") for file in self._files)

    def _look_at(self, file: str, base: str) -> bool:
        module, _, name = base.rpartition(".")
        if not base:
            return False
        if module == "builtins":
            return True
        if not base.count("."):
            return self._is_plain_class(file, name)
        if base.startswith("."):
            found = [self._bound(each, name) for each in self._relative(file, base)]
            return True in found and False not in found
        parts = tuple(module.split("."))
        if not self.hides(parts[0]):
            theirs = parts[0] == "typing_extensions" or name.endswith(_ENDINGS)
            return theirs or parts[0] in STANDARD or name in _TEST_CASES
        last = self._modules.get(parts[-1], ())
        found = [self._bound(each, name) for path, each in last if path[-len(parts) :] == parts]
        return True in found and False not in found

    def _relative(self, file: str, base: str) -> list[str]:
        """Return the files of the module that a relative import in ``file`` names."""
        dotted = base.lstrip(".")
        package = PurePosixPath(file).parent.parts
        ups = len(base) - len(dotted) - 1
        if ups > len(package):
            return []
        wanted = (*package[: len(package) - ups], *dotted.split(".")[:-1])
        return [
            each
            for path, each in self._modules.get(wanted[-1] if wanted else "", ())
            if path == wanted
        ]

    @cached_property
    def _modules(self) -> dict[str, list[tuple[tuple[str, ...], str]]]:
        """The dotted path and file of every module, by its last part."""
        found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for file in self._files:
            path = module_of(file)
            found.setdefault(path[-1] if path else "", []).append((path, file))
        return found

    def _bound(self, file: str, name: str) -> bool | None:
        """Tell whether what a file binds to a name is a plain base; None when it does not."""
        top = reading(self._source(file) or b"").top
        if top is None:
            return False
        if name in top.heirs:
            return self._is_plain_class(file, name)
        if name not in top.paths:
            return False if "*" in top.paths else None
        path = top.paths[name]
        return "." in path and self.is_plain(file, path)

    def _is_plain_class(self, file: str, name: str) -> bool:
        top = reading(self._source(file) or b"").top
        bases = top.heirs.get(name) if top is not None else None
        return bases is not None and all(self.is_plain(file, each) for each in bases)
