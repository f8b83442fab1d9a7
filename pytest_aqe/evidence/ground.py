"""Where selection looks, what everything there is now, and what of it may have an effect."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pytest_aqe.data import Version
from pytest_aqe.evidence import tree
from pytest_aqe.evidence.configuration import CONFIGURATION, parted
from pytest_aqe.evidence.contents import contents_in
from pytest_aqe.evidence.invocation import NAMES
from pytest_aqe.evidence.versions import ABSENT, VARIABLE, Packages, version_of


class Ground(NamedTuple):
    """Where selection looks: the git root (or rootdir), and the folder pytest runs in.

    ``folder`` is where what was read of the project is kept, if anywhere. ``invocation`` is None
    where no session asks, so that none of its options tells runs apart.
    """

    root: Path
    prefix: str
    suite: str
    environment: str
    full_run_paths: tuple[str, ...]
    folder: Path | None = None
    environ: tuple[str, ...] = ()  # declared variables: what cannot be followed may read them
    invocation: tuple[tuple[str, Version], ...] | None = None  # see `invocation`


class Differing(NamedTuple):
    """A file that is not now what a run saw; ``seen`` is False when the run saw no such file."""

    run_no: int
    file: str
    version: Version | None
    seen: bool


@dataclass(slots=True)
class Effect:
    """What changed for tests: per run, file and piece (None: all of the file's).

    ``conditional`` holds, for a run and a module, pieces that matter only to tests that also
    depend on that module: a function that came or went is noticed by who names it. ``full``
    says of a run why nothing can be known since then.
    """

    changed: set[tuple[int, str, str | None]] = field(default_factory=set)
    conditional: list[tuple[int, str, frozenset[tuple[str, str]]]] = field(default_factory=list)
    full: dict[int, str] = field(default_factory=dict)
    added: set[tuple[int, str, str]] = field(default_factory=set)
    """Run, file and name of functions that are new; of a new file the name is empty."""
    files: dict[int, set[str]] = field(default_factory=dict)
    """Per run, the files whose change can mean anything: not one that only got a comment."""


def state(ground: Ground, files: Collection[str]) -> dict[str, Version | None]:
    """Return the version of ``files`` now, and of everything else that may matter.

    A Python file that nobody used has None: it is there, and that is all a new one tells.
    """
    packages, contents, root = Packages(), contents_in(ground.folder), str(ground.root)
    now: dict[str, Version | None] = dict.fromkeys(tree.python_files(ground.root))
    installed = tree.installed()
    names = {file.removeprefix(tree.INSTALLED) for file in installed}
    files = {*files, *(VARIABLE + name for name in ground.environ)}
    for file in configuration_files(ground):
        now[CONFIGURATION + file], locked = parted(file, content_of(ground, file), names)
        for name, version in locked.items():
            installed[tree.INSTALLED + name] += f", locked {version}"
    now |= installed
    now |= {CONFIGURATION + name: version for name, version in ground.invocation or ()}
    for file in files:
        if file.startswith(CONFIGURATION):
            if ground.invocation is not None or file.removeprefix(CONFIGURATION) not in NAMES:
                now.setdefault(file, ABSENT)
        elif file == tree.PROJECT:
            now[file] = tree.project_version(ground.root)
        elif file.startswith(tree.INSTALLED):
            now.setdefault(file, ABSENT)
        else:
            now[file] = version_of(file, root, os.environ, packages, contents.version)
    contents.keep()
    return now


def content_of(ground: Ground, file: str) -> bytes:
    """Return the bytes of a file, none where it cannot be read."""
    try:
        return (ground.root / file).read_bytes()
    except OSError:
        return b""


def configuration_files(ground: Ground) -> list[str]:
    """Return the files that call for a full run and that every run knows of."""
    return tree.full_run_files(ground.root, {"", ground.prefix}, ground.full_run_paths)
