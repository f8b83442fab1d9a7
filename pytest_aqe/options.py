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

from pytest_aqe import DEFAULT_HISTORY, FULL_RUN_PATHS

if TYPE_CHECKING:
    from pytest_aqe.data import Budget, Mode, NodeId

_MODES: dict[str, Mode] = {"observe": "observe", "order": "order", "select": "select"}
FAIL_ON = ("gap", "new-flaky", "expired-quarantine")
MODELS = 2  # as many as the gap learner tells apart
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Option(NamedTuple):
    """One setting. ``ini`` is pytest's type of the key, or None for a flag that has none.

    A list (``args``) may be written as TOML writes one, or as text, by spaces or commas.
    """

    flag: str
    help: str
    default: str | bool | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    ini: Literal["bool", "string", "args"] | None = "string"

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
        "observe: record only. order: the likely failures run first, everything runs. "
        "select: run only what a change can have broken",
        default="order",
        choices=("observe", "order", "select"),
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
        "git ref that the change is measured against (default: CI's base, else the merge-base "
        "with the upstream default branch, else the last commit; select then compares "
        "each test with the code it last passed with)",
        metavar="REF",
    ),
    Option(
        "--aqe-suite",
        "name of this variant of the suite (OS, Python, database); variants are kept apart",
        default="",
        metavar="NAME",
    ),
    Option(
        "--aqe-dependencies",
        "on: record what each test runs, imports and opens, which select needs "
        "(default: on, but off for observe)",
        choices=("on", "off"),
        metavar="WHEN",
    ),
    Option(
        "--aqe-budget",
        "run the riskiest tests that fit into a time (90s, 5m, 1h) or a share of the whole "
        "(30%); say what was cut",
        metavar="SPEC",
    ),
    Option(
        "--aqe-probe",
        "share of the tests that select leaves out which run nevertheless, so that what it "
        "misses is measured",
        default="1%",
        metavar="SHARE",
    ),
    Option(
        "--aqe-gaps",
        "measure what the tests cover, and show what no test runs, ranked by risk; uses "
        "pytest-cov's data where that measures, else coverage.py with branches and contexts",
        default=False,
        ini="bool",
    ),
    Option(
        "--aqe-generate",
        "write tests for what no test runs, and keep those that prove themselves. propose: into "
        ".aqe/proposals. apply: into the test tree. Both run in this session",
        default="off",
        choices=("off", "propose", "apply"),
        metavar="HOW",
        ini=None,
    ),
    Option(
        "--aqe-generate-time",
        "how long a session may go on writing tests after the last one has run",
        default="60s",
        metavar="TIME",
    ),
    Option(
        "--aqe-sandbox-cmd",
        "command that generated tests are run by, as another wall around the sandbox: "
        "bwrap and its options, docker run and an image",
        default="",
        metavar="COMMAND",
    ),
    Option(
        "--aqe-unsafe",
        "run tests that a language model wrote also where the system has no sandbox",
        default=False,
        ini=None,
    ),
    Option(
        "--aqe-fail-on",
        "turn exit code 0 into 1, and say why: gap (a line that the change touched is not "
        "covered), new-flaky (a test becomes known to be flaky), "
        "expired-quarantine (an entry of the list is past its date). A list, separated by commas",
        default="",
        metavar="LIST",
        ini="args",
    ),
    Option(
        "--aqe-llm",
        "language model that writes tests where --aqe-generate is given and the offline author "
        "is at its end: openai, anthropic, gemini or ollama, a slash, and the model's name; of "
        "two, separated by a comma, the cheaper one first. Needs pytest-aqe[agents]",
        metavar="PROVIDER/MODEL",
        ini="args",
    ),
    Option(
        "--aqe-llm-url",
        "base address of a server that speaks OpenAI's chat completions; --aqe-llm may then "
        "name any provider",
        metavar="URL",
    ),
    Option(
        "--aqe-llm-key",
        "where the model's key is: env:NAME or file:PATH (default: the provider's variable, "
        "such as OPENAI_API_KEY). A file keeps it out of the environment of your tests",
        metavar="PLACE",
    ),
    Option(
        "--aqe-llm-price",
        "what the model costs, in dollars per million tokens sent and received, where that is "
        "not known or not what you pay",
        metavar="IN/OUT",
    ),
    Option(
        "--aqe-llm-cost-cap",
        "the most that a session may spend, in dollars (default: 1; only tokens are capped "
        "where no price is known)",
        metavar="DOLLARS",
    ),
    Option(
        "--aqe-llm-token-cap",
        "the most tokens that a session may send and receive",
        default="200000",
        metavar="TOKENS",
    ),
    Option(
        "--aqe-llm-timeout",
        "how long one question may take, all attempts included",
        default="60s",
        metavar="TIME",
    ),
    Option(
        "--aqe-llm-time-cap",
        "how long a session waits for models altogether",
        default="5m",
        metavar="TIME",
    ),
    Option(
        "--aqe-llm-samples",
        "answers asked for to the same question, of which the best are tried",
        default="1",
        metavar="N",
    ),
    Option(
        "--aqe-llm-review",
        "reviewers that read each test that the trial accepted; what most of them object to is "
        "not proposed",
        default="0",
        metavar="N",
    ),
    Option(
        "--aqe-seed",
        "seed of every random choice (default: the commit)",
        metavar="N",
    ),
    Option(
        "--aqe-allow-full-refs",
        "let select leave tests out in CI on the default branch, a merge queue, a schedule or a "
        "tag too",
        default=False,
        ini="bool",
    ),
    Option(
        "--aqe-full-run-paths",
        "globs of files whose change makes select run everything",
        default=FULL_RUN_PATHS,
        metavar="GLOBS",
        ini="args",
    ),
    Option(
        "--aqe-environ",
        "names of environment variables that tests depend on",
        default="",
        metavar="NAMES",
        ini="args",
    ),
    Option(
        "--aqe-flaky",
        "report: say of failures whether they are flaky or broken. rerun: also run a failed test "
        "again, in this process or in a fresh one, as often as that is worth. quarantine: a flake "
        "of a listed test does not fail the session. off: neither say nor learn it",
        default="report",
        choices=("report", "rerun", "quarantine", "off"),
        metavar="WHAT",
    ),
    Option(
        "--aqe-rerun-budget",
        "with --aqe-flaky=rerun, the time that further attempts may take in all (90s, 5m, 1h)",
        default="1m",
        metavar="TIME",
    ),
    Option(
        "--aqe-quarantine-file",
        "the committed list of quarantined tests",
        default="aqe-quarantine.toml",
        metavar="PATH",
    ),
    Option(
        "--aqe-plan",
        "write the plan: which tests run, in which order, which do not and why",
        metavar="PATH",
        ini=None,
    ),
    Option(
        "--aqe-replay",
        "run exactly the tests of a written plan, in its order",
        metavar="PATH",
        ini=None,
    ),
    Option(
        "--aqe-rest",
        "write the node ids that were left out, one a line (pytest @PATH runs them)",
        metavar="PATH",
        ini=None,
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


class LLM(NamedTuple):
    """Which language models are asked, and how much they may cost; times are seconds.

    ``cost_cap`` is None where none was given.
    """

    models: tuple[str, ...]
    url: str | None
    key: str | None
    price: str | None
    cost_cap: float | None
    token_cap: int
    timeout: float
    time_cap: float
    samples: int
    review: int


class Options(NamedTuple):
    """The settings of one session, resolved and checked."""

    mode: Mode
    history: Path
    base: str | None
    suite: str
    dependencies: bool
    budget: Budget | None
    probe: float
    gaps: bool
    generate: str
    generate_time: float
    sandbox_cmd: str
    unsafe: bool
    fail_on: frozenset[str]
    llm: LLM | None
    seed: str | None
    allow_full_refs: bool
    full_run_paths: tuple[str, ...]
    environ: tuple[str, ...]
    flaky: str
    rerun_seconds: float
    quarantine_file: Path
    plan: Path | None
    replay: tuple[NodeId, ...] | None
    rest: Path | None
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
        text = option.help.replace("%", "%%")  # argparse formats it, an ini key's help nobody
        if isinstance(option.default, bool):
            group.addoption(
                option.flag, action="store_true", default=None, dest=option.dest, help=text
            )
        else:
            group.addoption(
                option.flag,
                choices=option.choices or None,
                default=None,
                dest=option.dest,
                metavar=option.metavar,
                help=text,
            )
        if option.ini is not None:
            parser.addini(option.dest, option.help, type=option.ini, default=None)
    group.addoption(
        "--no-aqe", action="store_false", default=None, dest="aqe", help="turn --aqe off"
    )


class _Early:
    """What `resolve` asks of a configuration whose command line is known and no more."""

    def __init__(self, config: pytest.Config) -> None:
        self.getini = config.getini
        self.rootpath = config.rootpath
        self.invocation_params = config.invocation_params
        self._known = config.known_args_namespace

    def getoption(self, name: str) -> str | bool | None:
        found: str | bool | None = getattr(self._known, name, None)
        return found


def resolve_early(config: pytest.Config) -> Options | None:
    """Return the settings before conftests are loaded; a wrong one is told later."""
    try:
        return resolve(_Early(config))
    except pytest.UsageError:
        return None


def resolve(
    config: pytest.Config | _Early, environ: Mapping[str, str] = os.environ
) -> Options | None:
    """Return the session's settings, or None while off; a wrong one is a `pytest.UsageError`.

    While off the other settings are not looked at: what is off stops nobody.
    """
    switch, *others = TABLE
    showing = config.getoption("aqe_dry_run") or config.getoption("aqe_explain")
    if config.getoption("aqe") is False or not (showing or _value(switch, config, environ)):
        return None
    value = {option.dest: _value(option, config, environ) for option in others}
    mode: Mode = _MODES[str(value["aqe_mode"])]
    history = (config.rootpath / str(value["aqe_history"])).absolute()
    if value["aqe_history"] != DEFAULT_HISTORY and history.is_dir():
        raise pytest.UsageError(
            f"--aqe-history={value['aqe_history']}: is a folder; name a file, "
            f"such as {DEFAULT_HISTORY}"
        )
    fail_on = reasons_to_fail(str(value["aqe_fail_on"]))
    return Options(
        mode=mode,
        history=history,
        base=str(value["aqe_base"]) if value["aqe_base"] else None,
        suite=str(value["aqe_suite"]),
        dependencies=(value["aqe_dependencies"] or ("off" if mode == "observe" else "on")) == "on",
        budget=budget(str(value["aqe_budget"])) if value["aqe_budget"] else None,
        probe=share(str(value["aqe_probe"]), "--aqe-probe"),
        gaps=bool(value["aqe_gaps"]) or "gap" in fail_on or value["aqe_generate"] != "off",
        generate=str(value["aqe_generate"]),
        generate_time=duration(str(value["aqe_generate_time"]), "--aqe-generate-time"),
        sandbox_cmd=str(value["aqe_sandbox_cmd"]),
        unsafe=bool(value["aqe_unsafe"]),
        fail_on=fail_on,
        llm=_llm(value) if value["aqe_llm"] else None,
        seed=str(value["aqe_seed"]) if value["aqe_seed"] else None,
        allow_full_refs=bool(value["aqe_allow_full_refs"]),
        full_run_paths=tuple(str(value["aqe_full_run_paths"]).replace(",", " ").split()),
        environ=tuple(str(value["aqe_environ"]).replace(",", " ").split()),
        flaky=str(value["aqe_flaky"]),
        rerun_seconds=duration(str(value["aqe_rerun_budget"]), "--aqe-rerun-budget"),
        quarantine_file=config.rootpath / str(value["aqe_quarantine_file"]),
        plan=_path(config, value["aqe_plan"]),
        replay=_replay(config, value["aqe_replay"]),
        rest=_path(config, value["aqe_rest"]),
        dry_run=bool(value["aqe_dry_run"]),
        explain=bool(value["aqe_explain"]),
    )


def typed_without_effect(config: pytest.Config) -> list[str]:
    """Return our flags that were typed, where nobody turned us on or off.

    What stands in ``addopts`` waits for an ``--aqe`` on purpose.
    """
    switch = TABLE[0]
    if config.getoption("aqe") is not None or os.environ.get(switch.variable):
        return []
    typed = (each.partition("=")[0] for each in config.invocation_params.args)
    return list(dict.fromkeys(each for each in typed if each.startswith(f"{switch.flag}-")))


def _path(config: pytest.Config | _Early, given: str | bool | None) -> Path | None:
    return (config.invocation_params.dir / str(given)).absolute() if given else None


def _replay(config: pytest.Config | _Early, given: str | bool | None) -> tuple[NodeId, ...] | None:
    path = _path(config, given)
    if path is None:
        return None
    if not path.is_file():
        raise pytest.UsageError(f"--aqe-replay={given}: there is no such file")
    from pytest_aqe.errors import AqeError
    from pytest_aqe.plans import read_written

    try:
        return read_written(path)
    except AqeError as error:
        raise pytest.UsageError(str(error)) from error


def budget(spec: str) -> Budget:
    """Read ``90s``, ``5m``, ``1h`` or ``30%``; raise `pytest.UsageError` for anything else."""
    from pytest_aqe.data import Budget

    if spec.endswith("%"):
        return Budget(None, share(spec, "--aqe-budget"))
    return Budget(duration(spec, "--aqe-budget", "90s, 5m, 1h or 30%"), None)


def reasons_to_fail(spec: str) -> frozenset[str]:
    """Read a list of `FAIL_ON`; raise `pytest.UsageError` for anything else."""
    found = frozenset(spec.replace(",", " ").split())
    if unknown := found - set(FAIL_ON):
        raise pytest.UsageError(
            f"--aqe-fail-on={spec!r}: {min(unknown)!r} is none of {', '.join(FAIL_ON)}"
        )
    return found


def _llm(value: Mapping[str, str | bool | None]) -> LLM:
    """Read all that --aqe-llm needs; raise `pytest.UsageError` for what cannot be meant."""
    models = tuple(str(value["aqe_llm"]).replace(",", " ").split())
    for model in models:
        provider, _, name = model.partition("/")
        if not (provider and name):
            raise pytest.UsageError(
                f"--aqe-llm={model!r}: expected PROVIDER/MODEL, such as ollama/qwen3-coder"
            )
    if len(models) > MODELS:
        raise pytest.UsageError(
            f"--aqe-llm={value['aqe_llm']}: at most {MODELS} models, a cheap one and a better one"
        )
    key = str(value["aqe_llm_key"]) if value["aqe_llm_key"] else None
    if key is not None and not key.startswith(("env:", "file:")):
        raise pytest.UsageError("--aqe-llm-key: expected env:NAME or file:PATH, not the key")
    cap = value["aqe_llm_cost_cap"]
    return LLM(
        models=models,
        url=str(value["aqe_llm_url"]) if value["aqe_llm_url"] else None,
        key=key,
        price=str(value["aqe_llm_price"]) if value["aqe_llm_price"] else None,
        cost_cap=_number(str(cap), "--aqe-llm-cost-cap") if cap else None,
        token_cap=int(_number(str(value["aqe_llm_token_cap"]), "--aqe-llm-token-cap")),
        timeout=duration(str(value["aqe_llm_timeout"]), "--aqe-llm-timeout"),
        time_cap=duration(str(value["aqe_llm_time_cap"]), "--aqe-llm-time-cap"),
        samples=max(int(_number(str(value["aqe_llm_samples"]), "--aqe-llm-samples")), 1),
        review=int(_number(str(value["aqe_llm_review"]), "--aqe-llm-review")),
    )


def _number(spec: str, flag: str) -> float:
    try:
        found = float(spec.replace("_", "").removeprefix("$"))
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise pytest.UsageError(f"{flag}={spec!r}: expected a number")
    return found


def duration(spec: str, flag: str, expected: str = "90s, 5m or 1h") -> float:
    """Read ``90s``, ``5m`` or ``1h`` as seconds; raise `pytest.UsageError` for anything else."""
    unit = _SECONDS.get(spec[-1:])
    try:
        seconds = float(spec[:-1]) * unit if unit else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise pytest.UsageError(f"{flag}={spec!r}: expected {expected}")
    return seconds


def share(spec: str, flag: str) -> float:
    """Read ``1%`` as 0.01 and ``0`` as nothing; raise `pytest.UsageError` for anything else."""
    try:
        found = float(spec.removesuffix("%")) / 100
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise pytest.UsageError(f"{flag}={spec!r}: expected a share such as 5%")
    return found


def _value(
    option: Option, config: pytest.Config | _Early, environ: Mapping[str, str]
) -> str | bool | None:
    given: str | bool | None = config.getoption(option.dest)
    if given is not None:
        return _checked(option, given, option.flag)
    if environ.get(option.variable):  # CI services pass on what is unset as empty
        return _checked(option, environ[option.variable], option.variable)
    if option.ini is not None:
        try:
            ini: str | bool | list[str] | None = config.getini(option.dest)
        except (ValueError, TypeError, pytest.UsageError) as error:  # not each names the key
            raise pytest.UsageError(f"{option.dest}: {error}") from error
        if isinstance(ini, list):
            ini = " ".join(map(str, ini))
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
