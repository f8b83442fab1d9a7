"""pytest's rootdir and what its configuration says, for who does not import pytest.

As `_pytest.config.findpaths` of pytest 8.4 to 9.2 looks for them: the first file, from the folder
upwards, that has a section for pytest.
"""

from __future__ import annotations

import configparser
import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_aqe.evidence.configuration import toml

_ALWAYS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")  # even where they are empty
_FILES = (*_ALWAYS, "pyproject.toml", "tox.ini", "setup.cfg")


def configured(start: Path, top: Path) -> tuple[Path, dict[str, str]]:
    """Return the rootdir of who runs pytest in ``start``, not above ``top``, and its settings.

    ``top`` without settings where no file between the two has any. What ``addopts`` says of a
    setting wins, as on the command line; lists are joined by spaces.
    """
    for folder in (start, *start.parents):
        for name in _FILES:
            settings = _settings(folder / name)
            if settings is not None:
                found = {key: _text(value) for key, value in settings.items()}
                return folder, found | _typed(found.get("addopts", ""))
        if folder == top:
            break
    return top, {}


def _settings(path: Path) -> Mapping[str, Any] | None:
    """Return pytest's section of a file; None where it has none, or cannot be read."""
    found: Mapping[str, Any] | None = None
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            read = toml(text)
            if path.name == "pyproject.toml":
                read = read.get("tool", {})
            held = read.get("pytest")
            found = held.get("ini_options", held) if held is not None else None
        else:
            parser = configparser.ConfigParser(strict=False, interpolation=None)
            parser.read_string(text)
            section = "tool:pytest" if path.name == "setup.cfg" else "pytest"
            found = dict(parser[section]) if section in parser else None
    except OSError:
        return None
    except (ValueError, AttributeError, configparser.Error):
        pass  # pytest will say so
    return {} if found is None and path.name in _ALWAYS else found


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _typed(addopts: str) -> dict[str, str]:
    """Return what options say: ``--aqe-suite=NAME``, ``-o NAME=VALUE``."""
    try:
        words = shlex.split(addopts)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name.startswith("--aqe-"):
            found[name[2:].replace("-", "_")] = value if equals else following
        elif word in ("-o", "--override-ini"):
            name, _, value = following.partition("=")
            found[name] = value
    return found
