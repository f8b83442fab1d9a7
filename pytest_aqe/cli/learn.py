"""The selection learner: what it is worth, and what it has learnt: backtest, tune, policy."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_aqe import training
from pytest_aqe.cli.answer import Answer, reading, writing
from pytest_aqe.cli.arguments import count
from pytest_aqe.cli.backtest import walk
from pytest_aqe.cli.exchange import evidence_of
from pytest_aqe.errors import AqeError, NotFound
from pytest_aqe.history import interchange, policies
from pytest_aqe.history.merging import is_history
from pytest_aqe.history.store import Connection, open_history
from pytest_aqe.history.tables import ENDINGS
from pytest_aqe.report.terminal import counted, table

if TYPE_CHECKING:
    from pytest_aqe.learning.backtest import Track
    from pytest_aqe.learning.metrics import Interval

DEFAULT_POLICIES = "random,failed-first,rate-per-second,beta-mean,linear-q,linear-q@0.5,guarded"
_WEIGHTS = 10  # shown of those that changed
_SHOWN = ("apfd", "napfd_50", "apfdc", "ttff", "recall_10", "recall_25", "recall_33", "recall_50")
_HEADINGS = (
    "APFD", "NAPFD@50%", "APFDc", "first failure", "@10%", "@25%", "@33%", "@50%",
)  # fmt: skip


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    backtest = commands.add_parser(
        "backtest",
        parents=[common],
        help="replay past runs and score what each policy would have done",
        description="replay past runs one by one, each policy knowing only what came before. For "
        "selection, score the orders they make: APFD, NAPFD at half of the time, APFDc, time to "
        "the first failure, and the share of failures found in 10, 25, 33 and 50 percent of the "
        "time, each with its 95 percent bootstrap interval over the runs with a failure; policies "
        "are compared with beta-mean, or else with the first one. For flaky, print what would "
        "have been concluded of each failure at that moment, one JSON object a line: run_id, "
        "node_id, attempt, verdict (flaky, broken, unknown), p_flaky, p_broken, suppressed (a "
        "quarantine would have kept the run green)",
    )
    backtest.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="results as import takes them, folders that hold them, or one history "
        "(default: the history)",
    )
    backtest.add_argument(
        "--learner",
        choices=("selection", "flaky"),
        default="selection",
        help="which learner; the options below but --runs are for selection (default: %(default)s)",
    )
    backtest.add_argument(
        "--runs", type=Path, metavar="RUNSFILE", help="what holds for each run, as for import"
    )
    backtest.add_argument(
        "--policy",
        default=DEFAULT_POLICIES,
        metavar="NAMES",
        help="policies, with commas between them, or 'all' (default: %(default)s). NAME@B "
        "divides by seconds^B, for beta-mean and linear-q; MODULE:NAME is a policy of your own",
    )
    backtest.add_argument(
        "--baseline",
        metavar="NAME",
        help="of these, the one the others are compared with (default: beta-mean, else the first)",
    )
    backtest.add_argument(
        "--each", action="store_true", help="with --format json, the scores of every run too"
    )
    backtest.add_argument(
        "--share",
        metavar="SHARE",
        help="partial feedback: every policy runs, and sees, only this share of the time (33%%)",
    )
    backtest.add_argument(
        "--epsilon",
        default="10%",
        metavar="SHARE",
        help="of that time, what goes to the tests not run for longest (default: 10%%)",
    )
    backtest.add_argument(
        "--prior",
        type=Path,
        metavar="FILE",
        help="weights that learners start from (default: those that come with the package)",
    )
    backtest.add_argument("--suite", default="", metavar="NAME", help="the suite to replay")
    backtest.add_argument(
        "--seed", default="0", metavar="N", help="seed of every random choice (default: 0)"
    )
    backtest.set_defaults(run=_backtest)
    tune = commands.add_parser(
        "tune",
        parents=[common],
        help="learn again from the whole history, and say what changed",
        description="fit the selection policy again from the whole history, in the order in "
        "which it happened. Doing it twice changes nothing",
    )
    tune.add_argument("--suite", default="", metavar="NAME", help="the suite to learn")
    tune.add_argument(
        "--preset",
        choices=("conservative", "balanced", "aggressive"),
        help="how boldly it learns from now on (default: as before, at first balanced)",
    )
    tune.set_defaults(run=_tune)
    policy = commands.add_parser(
        "policy",
        parents=[common],
        help="the policy that orders a suite: its versions, its weights, going back",
    )
    policy.add_argument(
        "action",
        nargs="?",
        choices=("list", "show", "rollback", "compare"),
        default="list",
        help="list the versions, show one, put one in force again, or compare what policies "
        "scored in the full runs so far (default: list)",
    )
    policy.add_argument(
        "which",
        nargs="*",
        metavar="VERSION",
        help="a version to show (default: the latest) or roll back to (default: the one before); "
        "two policies to compare (default: 'in force' beta-mean)",
    )
    policy.add_argument("--suite", default="", metavar="NAME", help="the suite it orders")
    policy.set_defaults(run=_policy)


def _backtest(asked: argparse.Namespace) -> Answer:
    return walk(asked) if asked.learner == "flaky" else _replay(asked)


def _replay(asked: argparse.Namespace) -> Answer:
    policies = [name.strip() for name in asked.policy.split(",") if name.strip()]
    if ":" in asked.policy:  # a module of the project's own
        sys.path.insert(0, str(Path.cwd()))
    part = _share(asked.share, "--share") if asked.share else None
    with _history_of(asked) as (connection, source):
        found = training.backtest(
            connection,
            asked.suite,
            policies,
            seed=asked.seed,
            share=part,
            epsilon=_share(asked.epsilon, "--epsilon"),
            prior=_prior(asked.prior) if asked.prior else None,
        )
    rows = _rows(found.tracks, asked.seed, asked.baseline)
    faulty = len(found.tracks[0].scores) if found.tracks else 0
    lines = [
        f"{', '.join(source)}: {counted(found.runs, 'run')}, {faulty:,} with a failure, "
        f"{counted(found.tests, 'test')}, {counted(found.executions, 'execution')}"
    ]
    if not found.measured:
        lines.append("not every duration is known: there, time is counted in tests, APFDc is not")
    if part is not None:
        lines.append(f"each policy sees {part:.0%} of the time alone")
    lines += ["", *_table(rows, part)]
    if not faulty:
        lines = [*lines[:1], "no run failed: there is nothing to score"]
    data = {
        "learner": "selection",
        "source": source,
        "suite": found.suite,
        "seed": asked.seed,
        "feedback": "full" if part is None else "partial",
        "share": part,
        "runs": found.runs,
        "faulty_runs": faulty,
        "tests": found.tests,
        "executions": found.executions,
        "durations": found.measured,
        "policies": [row.data(each=asked.each) for row in rows],
    }
    return Answer(data, lines)


def _share(text: str, flag: str) -> float:
    """Read ``33%`` or ``0.33``."""
    try:
        found = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise AqeError(f"{flag}={text!r}: expected a share such as 33%")
    return found


def _prior(path: Path) -> dict[str, float]:
    try:
        found = json.loads(path.read_text("utf-8"))["weights"]
        return {str(name): float(weight) for name, weight in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AqeError(f"--prior: {path} holds no weights as prior.json does ({error})") from error


@contextmanager
def _history_of(asked: argparse.Namespace) -> Iterator[tuple[Connection, list[str]]]:
    """Open what is to be replayed: the history, another one, or files as a fresh history."""
    if not asked.files:
        with reading(asked.history) as connection:
            yield connection, [str(asked.history)]
        return
    if len(asked.files) == 1 and asked.files[0].is_file() and is_history(asked.files[0]):
        with open_history(asked.files[0], write=False) as connection:
            yield connection, [str(asked.files[0])]
        return
    files, runs = _results_and_runs(asked.files, asked.runs)
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.duckdb"
        with writing(history) as connection:
            for path in files:
                interchange.import_file(
                    connection, path, evidence_of(Path.cwd()), suite=asked.suite, runs=runs
                )
            yield connection, [str(each) for each in (*files, *([runs] if runs else []))]


def _results_and_runs(asked: list[Path], runs: Path | None) -> tuple[list[Path], Path | None]:
    """Tell results from a file of runs, which is called ``runs.*`` and may stand beside them."""
    paths: list[Path] = []
    for path in asked:
        paths += _inside(path) if path.is_dir() else [path]
    described = [path for path in paths if path.name.startswith("runs.")]
    files = [path for path in paths if path not in described]
    if not files:
        raise AqeError(f"{asked[0]} holds no results; give files that `import` takes")
    if runs is None and not described:
        described = [each for path in files for each in sorted(path.parent.glob("runs.*"))]
    return files, runs or (described[0] if described else None)


def _inside(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name.endswith(tuple(ENDINGS))]


@dataclass(frozen=True, slots=True)
class _Row:
    """One policy's line."""

    track: Track
    metrics: dict[str, Interval]
    comparison: dict[str, Any] | None

    def data(self, *, each: bool = False) -> dict[str, Any]:
        """Return it for programs: each metric's mean, and the intervals beside them.

        With ``each`` the scores of every run too, and where a guard changed what is in force.
        """
        track, runs = self.track, max(self.track.decisions, 1)
        data: dict[str, Any] = {
            "policy": track.ranker.name,
            **{name: found.mean for name, found in self.metrics.items()},
            "intervals": {name: [found.low, found.high] for name, found in self.metrics.items()},
            "scored_runs": len(track.scores),
            "observed_recall": track.found / track.failures if track.failures else None,
            "observed_faulty": track.caught / track.faulty if track.faulty else None,
            "against_baseline": self.comparison,
            "seconds": {
                "deciding": track.deciding,
                "learning": track.learning,
                "per_decision": track.deciding / runs,
            },
        }
        steps = getattr(track.ranker, "steps", None)
        if steps is not None:
            data["steps"] = [asdict(step) for step in steps]
        if each:
            data["each"] = [
                {"run_id": run_id, **asdict(scores)}
                for run_id, scores in zip(track.run_ids, track.scores, strict=True)
            ]
        return data


def _rows(tracks: Sequence[Track], seed: str, asked: str | None) -> list[_Row]:
    from pytest_aqe.learning import guard, metrics
    from pytest_aqe.learning.qlearning import seeded

    names = [track.ranker.name for track in tracks]
    if asked is not None and asked not in names:
        raise AqeError(f"--baseline={asked}: not one of {', '.join(names)}")
    name = asked or ("beta-mean" if "beta-mean" in names else names[0])
    baseline = tracks[names.index(name)]
    timed = all(each.apfdc is not None for track in tracks for each in track.scores)

    def of(track: Track) -> list[float]:
        return [each.apfd if each.apfdc is None else each.apfdc for each in track.scores]

    rows = []
    for track in tracks:
        comparison = None
        if track is not baseline:
            comparison = {
                "baseline": baseline.ranker.name,
                "metric": "apfdc" if timed else "apfd",
                **asdict(guard.compare(of(track), of(baseline))),
            }
        summary = metrics.summarize(track.scores, seeded(seed, "bootstrap"))
        rows.append(_Row(track, summary, comparison))
    return rows


def _table(rows: list[_Row], part: float | None) -> list[str]:
    headings = ["policy", *_HEADINGS, "95 % of APFD", "against baseline", "ms a run"]
    if part is not None:
        headings[1:1] = ["failures seen", "faulty runs seen"]
    cells = []
    for row in rows:
        track = row.track
        interval = row.metrics["apfd"]
        line: list[object] = [track.ranker.name]
        if part is not None:
            data = row.data()
            line += [data["observed_recall"], data["observed_faulty"]]
        line += [row.metrics[name].mean for name in _SHOWN]
        line += [
            "-" if interval.low is None else f"{interval.low:.3f} to {interval.high:.3f}",
            row.comparison["verdict"] if row.comparison else "baseline",
            1000 * track.deciding / max(track.decisions, 1),
        ]
        cells.append(line)
    return table(headings, cells)


def _tune(asked: argparse.Namespace) -> Answer:
    with writing(asked.history) as connection:
        done = training.tune(connection, asked.suite, preset=asked.preset)
    before = done.before.policy if done.before else None
    lines = [
        f"learnt from {counted(done.runs, 'run')}, {done.scored:,} of them scored; "
        f"in force: {done.policy or 'nothing, no test was executed yet'}"
    ]
    if done.version is None:
        lines.append("nothing changed")
    else:
        lines.append(f"version {done.version}" + (f", before it {before}" if before else ""))
        moved = [(name, *pair) for name, pair in list(done.moved.items())[:_WEIGHTS]]
        lines += table(("weight of", "before", "now"), moved) if moved else []
    return Answer(
        {
            "suite": asked.suite,
            "runs": done.runs,
            "scored_runs": done.scored,
            "policy": done.policy,
            "policy_before": before,
            "version": done.version,
            "changed": done.version is not None,
            "weights": {name: {"before": a, "now": b} for name, (a, b) in done.moved.items()},
        },
        lines,
    )


def _policy(asked: argparse.Namespace) -> Answer:
    if asked.action == "compare":
        return _compare(asked)
    if len(asked.which) > (0 if asked.action == "list" else 1):
        raise AqeError(f"policy {asked.action}: {' '.join(asked.which)} is more than one version")
    try:
        asked.version = count(asked.which[0]) if asked.which else None
    except argparse.ArgumentTypeError as error:
        raise AqeError(f"policy {asked.action}: {error}") from error
    if asked.action == "rollback":
        with writing(asked.history) as connection:
            done = training.roll_back(connection, asked.suite, asked.version)
        line = f"version {done.version} is in force: {done.policy}"
        if done.version is None:
            line = f"that is what is in force already: {done.policy}"
        return Answer({"version": done.version, "policy": done.policy}, [line])
    with reading(asked.history) as connection:
        kept = policies.versions(connection, asked.suite)
    if not kept:
        raise NotFound(
            f"no policy was learnt for suite {asked.suite!r} yet: no run with a failure is known"
        )
    if asked.action == "list":
        return Answer(
            {"suite": asked.suite, "versions": [_version(each) for each in kept]},
            table(
                ("version", "created (UTC)", "policy", "learnt up to", "reason"),
                [
                    (each.version, each.created_at, each.policy, each.run_id, each.reason)
                    for each in kept
                ],
            ),
        )
    found = next((each for each in kept if asked.version in (None, each.version)), None)
    if found is None:
        raise NotFound(f"no policy version {asked.version} of suite {asked.suite!r} is kept")
    parameters = json.loads(found.snapshot)["parameters"]
    weights = sorted(parameters["weights"].items(), key=lambda item: -abs(item[1]))
    return Answer(
        {**_version(found), "parameters": parameters},
        [
            f"version {found.version}: {found.policy} ({found.reason}), {found.digest}",
            "",
            *table(("weight", "feature"), [(weight, name) for name, weight in weights]),
        ],
    )


def _compare(asked: argparse.Namespace) -> Answer:
    """Compare two policies on the full runs that scored both."""
    from pytest_aqe.learning.guard import compare

    names = asked.which or ["in force", "beta-mean"]
    if len(names) != 2:
        raise AqeError("policy compare: give two policies, such as linear-q failed-first")
    with reading(asked.history) as connection:
        pairs = policies.paired(connection, asked.suite, *names)
    found = compare([a for a, _ in pairs], [b for _, b in pairs])
    line = f"{names[0]} against {names[1]} over {counted(found.runs, 'full run')} with failures: "
    if found.difference is not None:
        line += f"{found.difference:+.3f}"
    if found.low is not None:
        line += f" (95 %: {found.low:+.3f} to {found.high:+.3f})"
    if found.t is not None:
        line += f", t {found.t:.2f}"
    line += f"{'' if found.difference is None else ': '}{found.verdict}"
    return Answer({"policies": names, **asdict(found)}, [line])


def _version(version: policies.Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "created_at": version.created_at,
        "policy": version.policy,
        "run_id": version.run_id,
        "reason": version.reason,
        "digest": version.digest,
    }
