"""Every flag, once: the parser, the resolution and the reference page read this table.

Precedence: command line, then ``PYTEST_AQE_*``, then the ini key, then the default.
Types in ini files are the string tags that pytest 8.4 to 9.2 all accept.

Read in every pytest session, off ones too, so it imports nothing of ours and has no
dataclasses: each costs 0.8 ms at import (measured), and off must cost nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest

if TYPE_CHECKING:
    from pytest_aqe.data import Mode

DEFAULT_HISTORY = ".aqe/history.duckdb"


class Option(NamedTuple):
    """One setting. ``ini`` is None for a flag that has no ini key."""

    flag: str
    help: str
    default: str | bool | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    ini: Literal["bool", "string"] | None = "string"

    @property
    def dest(self) -> str:
        """The attribute on ``config.option``, which is also the ini key."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"PYTEST_{self.dest.upper()}"


TABLE: tuple[Option, ...] = (
    Option(
        "--aqe",
        "record this run in the history and apply what earlier runs taught; "
        "--no-aqe turns it off again",
        default=False,
        ini="bool",
    ),
    Option(
        "--aqe-mode",
        "observe: record only. order: the likely failures run first, everything runs",
        default="order",
        choices=("observe", "order"),
        metavar="MODE",
    ),
    Option(
        "--aqe-history",
        "where the history is kept; its folder also holds the run files and ignores itself in git",
        default=DEFAULT_HISTORY,
        metavar="PATH",
    ),
    Option(
        "--aqe-base",
        "git ref that the change is measured against "
        "(default: CI's base, else the merge-base with the upstream default branch, "
        "else the last commit)",
        metavar="REF",
    ),
    Option(
        "--aqe-suite",
        "name of this variant of the suite (OS, Python, database); variants are kept apart",
        default="",
        metavar="NAME",
    ),
    Option(
        "--aqe-dry-run",
        "show how many tests the plan moves; run nothing, learn nothing",
        default=False,
        ini=None,
    ),
    Option(
        "--aqe-explain",
        "show the planned order and the reason for every place; run nothing, learn nothing",
        default=False,
        ini=None,
    ),
)


class Options(NamedTuple):
    """The settings of one session, resolved and checked."""

    mode: Mode
    history: Path
    base: str | None
    suite: str
    dry_run: bool
    explain: bool

    @property
    def folder(self) -> Path:
        """The folder that holds the history, the run files and the saved faults."""
        return self.history.parent


def add(parser: pytest.Parser) -> None:
    """Declare every option and ini key."""
    group = parser.getgroup("aqe", "pytest-aqe: learn from the suite's own past")
    for option in TABLE:
        if isinstance(option.default, bool):
            group.addoption(
                option.flag, action="store_true", default=None, dest=option.dest, help=option.help
            )
        else:
            group.addoption(
                option.flag,
                choices=option.choices or None,
                default=None,
                dest=option.dest,
                metavar=option.metavar,
                help=option.help,
            )
        if option.ini is not None:
            parser.addini(option.dest, option.help, type=option.ini, default=None)
    group.addoption(
        "--no-aqe", action="store_false", default=None, dest="aqe", help="turn --aqe off"
    )


def resolve(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> Options | None:
    """Return the session's settings, or None while off; a wrong one is a `pytest.UsageError`.

    While off the other settings are not looked at: what is off stops nobody.
    """
    switch, *others = TABLE
    showing = config.getoption("aqe_dry_run") or config.getoption("aqe_explain")
    if config.getoption("aqe") is False or not (showing or _value(switch, config, environ)):
        return None
    value = {option.dest: _value(option, config, environ) for option in others}
    mode: Mode = "observe" if value["aqe_mode"] == "observe" else "order"
    history = (config.rootpath / str(value["aqe_history"])).absolute()
    if value["aqe_history"] != DEFAULT_HISTORY and history.is_dir():
        raise pytest.UsageError(
            f"--aqe-history={value['aqe_history']}: is a folder; name a file, "
            f"such as {DEFAULT_HISTORY}"
        )
    return Options(
        mode=mode,
        history=history,
        base=str(value["aqe_base"]) if value["aqe_base"] else None,
        suite=str(value["aqe_suite"]),
        dry_run=bool(value["aqe_dry_run"]),
        explain=bool(value["aqe_explain"]),
    )


def _value(option: Option, config: pytest.Config, environ: Mapping[str, str]) -> str | bool | None:
    given: str | bool | None = config.getoption(option.dest)
    if given is not None:
        return _checked(option, given, option.flag)
    if environ.get(option.variable):  # CI services pass on what is unset as empty
        return _checked(option, environ[option.variable], option.variable)
    if option.ini is not None:
        try:
            ini: str | bool | None = config.getini(option.dest)
        except (ValueError, pytest.UsageError) as error:  # pytest does not name the key
            raise pytest.UsageError(f"{option.dest}: {error}") from error
        if ini is not None and ini != "":
            return _checked(option, ini, option.dest)
    return option.default


def _checked(option: Option, given: str | bool, source: str) -> str | bool:
    if isinstance(given, bool):
        return given
    if isinstance(option.default, bool):
        if given.lower() in {"1", "true", "yes", "on"}:
            return True
        if given.lower() in {"", "0", "false", "no", "off"}:
            return False
        raise pytest.UsageError(f"{source}={given!r}: expected true or false")
    if option.choices and given not in option.choices:
        raise pytest.UsageError(f"{source}={given!r}: choose one of {', '.join(option.choices)}")
    if option.default == DEFAULT_HISTORY and "://" in given:
        raise pytest.UsageError(
            f"{source}={given}: this version keeps its history in a file; "
            f"give a path such as {DEFAULT_HISTORY}"
        )
    return given
