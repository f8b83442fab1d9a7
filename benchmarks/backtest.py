"""Every policy on the public CI histories, through the real import and ``pytest-aqe backtest``.

    python benchmarks/backtest.py HISTORIES [--only NAMES]

HISTORIES is a folder with one history in the interchange format a folder. Learners start from
the weights that leave the history's family out (``benchmarks/priors``). Prints a table a
history, then each bar with what was reached; exits with 1 when one is missed. The bars are
the best plain heuristic's figures on the same histories (issue 4).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fit_prior import FAMILIES, PRIORS

POLICIES = (
    "random,recorded,duration,failed-first,new-first,decayed-rate,rate-per-second,beta-mean,"
    "beta-mean@0.5,rocket,ucb,frrmab,thompson,logistic,tabular-q,linear-q,linear-q@0.25,"
    "linear-q@0.5,linear-q@1,guarded"
)
PARTLY = "failed-first,beta-mean,linear-q,linear-q@0.5,guarded"
# history: metric -> (at least or, for ranks, at most; what it is held against)
BARS: dict[str, dict[str, float]] = {
    "dask": {"apfd": 0.938, "faulty_33": 0.955, "first_ever": 0.45},
    "distributed": {},
    "dune": {"apfd": 0.928, "apfdc": 0.940},
    "deeplearning4j": {"apfd": 0.898, "apfdc": 0.867},
    "retrofit": {"apfd": 0.815, "apfdc": 0.750},
    "iofrol": {"apfd": 0.598, "apfdc": 0.622},
}
PARTIAL = {"observed_recall": 0.62, "observed_faulty": 0.78}
LEARNERS = ("linear-q", "linear-q@0.25", "linear-q@0.5", "linear-q@1")
SHOWN = ("apfd", "napfd_50", "apfdc", "ttff", "recall_33", "faulty_33", "first_ever")


def main() -> int:
    """Run, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("histories", type=Path)
    parser.add_argument("--only", default=",".join(BARS))
    asked = parser.parse_args()
    names = asked.only.split(",")
    judged: list[tuple[str, float, float, bool]] = []
    partial: dict[str, list[float]] = {metric: [] for metric in PARTIAL}
    for name in names:
        full = ask(asked.histories / name, POLICIES)
        show(name, full)
        judged += judge(name, full)
        for each in ask(asked.histories / name, PARTLY, "--share", "33.3%")["policies"]:
            print(
                f"{'':<16}{each['policy']:<18} a third of the time: recall "
                f"{each['observed_recall']:.3f}, faulty runs {each['observed_faulty']:.3f}"
            )
            if each["policy"] == "linear-q@0.5":
                for metric, values in partial.items():
                    values.append(each[metric])
    for metric, bar in PARTIAL.items():
        reached = sum(partial[metric]) / len(partial[metric])
        judged.append((f"a third of the time, mean {metric}", reached, bar, reached >= bar))
    print()
    for what, reached, bar, held in judged:
        print(f"{'held' if held else 'MISSED':<7}{what:<58}{reached:.3f}  bar {bar:.3f}")
    return 0 if all(held for *_, held in judged) else 1


def ask(folder: Path, policies: str, *more: str) -> dict[str, Any]:
    """Run the command as users do."""
    family = next(each for each, names in FAMILIES.items() if folder.name in names)
    prior = PRIORS / f"without-{family}.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest_aqe", "backtest", str(folder), "--policy", policies),
            *("--prior", str(prior), "--format", "json", *more),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(name: str, found: dict[str, Any]) -> None:
    """Print one history's table."""
    print(f"\n{name}: {found['runs']} runs, {found['faulty_runs']} with a failure")
    print(f"{'':<34}" + "".join(f"{metric:>11}" for metric in SHOWN) + "  ms a decision")
    for each in found["policies"]:
        values = "".join(f"{shown(each[metric]):>11}" for metric in SHOWN)
        print(
            f"{'':<16}{each['policy']:<18}{values}{each['seconds']['per_decision'] * 1000:>15.2f}"
        )


def shown(value: float | None) -> str:
    """Write a share; unmeasured is a dash."""
    return "-" if value is None else f"{value:.3f}"


def judge(name: str, found: dict[str, Any]) -> list[tuple[str, float, float, bool]]:
    """Hold the learner's best exponent against each bar, and against the baseline's interval."""
    rows = {each["policy"]: each for each in found["policies"]}
    judged = []
    for metric, bar in BARS[name].items():
        best = min if metric == "first_ever" else max
        reached = best(rows[policy][metric] for policy in LEARNERS)
        held = reached <= bar if metric == "first_ever" else reached >= bar
        judged.append((f"{name}, {metric} of linear-q", reached, bar, held))
    if not BARS[name]:
        bar = max(rows[policy]["apfd"] for policy in ("failed-first", "new-first", "beta-mean"))
        reached = rows["linear-q"]["apfd"]
        judged.append((f"{name}, apfd of linear-q", reached, bar, reached >= bar))
    for policy, metric in (("linear-q", "apfd"), ("guarded", "apfdc")):
        low = rows["beta-mean"]["intervals"][metric][0]
        if low is not None:
            reached = rows[policy][metric]
            what = f"{name}, {metric} of {policy} in beta-mean's interval"
            judged.append((what, reached, low, reached >= low))
    return judged


if __name__ == "__main__":
    sys.exit(main())
