"""What an installed plugin costs a session that does not use it.

Runs a generated suite of 1,000 small tests without the plugin (``-p no:aqe``, twice: their
ratio is the noise floor of this machine) and with the plugin installed and off, in
interleaved rounds, and compares CPU time. The bar is 1.01x.

Where hypothesis is installed, its own plugin is measured too: what each session would cost if
this plugin brought it along.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from statistics import median

import measuring

BAR = 1.01
BODY = "assert sum(range(50)) == 1225"


def main() -> int:
    """Measure, print, and return 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, metavar="N")
    asked = parser.parse_args()
    with measuring.scratch() as folder:
        suite = measuring.write_suite(folder / "suite", files=20, tests=50, body=BODY)

        def session(*arguments: str, alone: Sequence[str] = measuring.ALONE) -> measuring.Cost:
            cost = measuring.run(measuring.pytest_command(*alone, *arguments), suite)
            if cost.exit_code:
                sys.exit(f"pytest {' '.join(arguments)} ended with {cost.exit_code}")
            return cost

        seconds = measuring.interleaved(
            {
                "without": lambda: session(*measuring.OFF),
                "off": session,
                "without again": lambda: session(*measuring.OFF),
                "hypothesis": lambda: session(*measuring.OFF, alone=()),
            },
            asked.rounds,
        )
    floor = measuring.ratio(seconds["without again"], seconds["without"])
    both = [(a + b) / 2 for a, b in zip(seconds["without"], seconds["without again"], strict=True)]
    off = measuring.ratio(seconds["off"], both)
    others = measuring.ratio(seconds["hypothesis"], both)
    print(f"1,000 tests, {asked.rounds} rounds; {measuring.machine()}")
    measuring.table(
        ("variant", "CPU ms", "ratio [95 %]"),
        [
            ("-p no:aqe", f"{median(seconds['without']) * 1e3:.0f}", "1"),
            (
                "-p no:aqe again (noise)",
                f"{median(seconds['without again']) * 1e3:.0f}",
                f"{floor}",
            ),
            ("installed and off", f"{median(seconds['off']) * 1e3:.0f}", f"{off}"),
            ("hypothesis' plugin", f"{median(seconds['hypothesis']) * 1e3:.0f}", f"{others}"),
        ],
    )
    return measuring.verdict(f"bar <= {BAR}x", off.median <= BAR)


if __name__ == "__main__":
    sys.exit(main())
