"""Take the terminal picture, ``docs/_static/terminal.svg``, from a real run of the example.

Copies ``examples/ledger`` to a temporary folder, goes through the story in its README with
the interpreter that runs this script (which needs pytest-aqe and rich), and draws what the
last run printed. ``--plain`` does the same without ``--aqe`` and ``--out`` writes elsewhere,
to look at the drawing alone.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).resolve().parent
LEDGER = HERE.parent / "examples" / "ledger"
WIDTH = 100  # columns
MOST_LINES = 48  # a picture beside a paragraph, not a log
COMMAND = "LEDGER_BUG=1 pytest --aqe --tb=no"


def main() -> int:
    """Run the story and write the picture of its last run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plain", action="store_true", help="without --aqe")
    parser.add_argument("--out", type=Path, default=HERE / "_static" / "terminal.svg")
    asked = parser.parse_args()
    flags = [] if asked.plain else ["--aqe"]
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "ledger"
        ignored = shutil.ignore_patterns(".*", "__pycache__")
        shutil.copytree(LEDGER, project, ignore=ignored)
        for bug, expected in ((False, 0), (True, 1), (True, 1)):
            done = _pytest(project, flags, bug=bug)
            if done.returncode != expected:
                print(done.stdout, f"exit {done.returncode}, not {expected}", file=sys.stderr)
                return 1
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(_draw(_trimmed(done.stdout, project)), encoding="utf-8", newline="\n")
    print(f"wrote {asked.out.name}")
    return 0


def _pytest(project: Path, flags: list[str], *, bug: bool) -> subprocess.CompletedProcess[str]:
    # The environment of a user who did nothing special: no CI service, no settings of ours.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    environment = {**kept, "COLUMNS": str(WIDTH), "PYTHONDONTWRITEBYTECODE": "1"}
    if bug:
        environment["LEDGER_BUG"] = "1"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--color=yes", "--tb=no", *flags],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def _trimmed(output: str, project: Path) -> str:
    """Leave out what names this machine and what would make the picture too long."""
    lines = []
    for line in output.rstrip().replace(f"{project}{os.sep}", "").splitlines():
        bare = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if bare.startswith(("platform ", "rootdir:", "configfile:", "plugins:", "testpaths:")):
            continue
        lines.append(line)
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], "...", *lines[half - MOST_LINES + 1 :]]
    return "\n".join(lines)


def _draw(output: str) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "green"), (COMMAND, "bold")))
    console.print(Text.from_ansi(output), no_wrap=True, overflow="ellipsis")
    # A fixed id: the same run draws the same file. No remote fonts: the page loads nothing.
    drawn = console.export_svg(title="pytest --aqe", theme=MONOKAI, unique_id="pytest-aqe")
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
