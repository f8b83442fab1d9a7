"""Which bad and good replies of a model become tests: ours, and CoverUp's for the same replies.

    python benchmarks/beside_coverup.py --coverup PROGRAM

Every reply of the corpus in ``tests/`` is said by a server on loopback for a function that it
calls, to each in turn. Ours goes through lionagi and the trial, as in
``tests/functional/test_agents_tried.py``. PROGRAM is ``coverup`` in an environment of its own
(``pip install coverup==0.6.3 "litellm<1.60" "pytest<8.4"``: it does not run with later ones). It
runs what it is told as it is told, so it is kept in a namespace of its own (``unshare``, of
util-linux) in which only its folder can be written and only that server be reached. It gets a
project of one module, a suite that passes, and ``--seconds`` a reply; a test counts as accepted
when a file with it was added. Bars: no bad reply is accepted, and at least 95 % of the good.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measuring

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.functional import test_agents_tried as tried
from tests.functional.scripted import Answer, Request, serving
from tests.unit.generation import corpus
from tests.unit.generation.test_trial import filled, make_target

GOOD_BAR = 0.95
_DEFINED = re.compile(r"def (\w+)\(")
# Any that calls tools; OpenAI's want an encoding from the network.
_MODEL = "deepseek/deepseek-chat"
_ELSEWHERE = "I would not test that."
# The folder stays writable; all that is mounted besides is not, semaphores lie in memory, and
# there is no network but one of its own. $0 is the folder, the rest the command.
_ALONE = """
mount --bind "$0" "$0"
cut -d' ' -f2 /proc/self/mounts | while read -r place; do
    [ "$place" = "$0" ] || mount -o remount,bind,ro "$place" 2>/dev/null
done
mount -t tmpfs none /dev/shm
ip link set lo up 2>/dev/null
if touch "$HOME/.aqe-probe" 2>/dev/null; then rm "$HOME/.aqe-probe"; exit 99; fi
export HOME="$0" TMPDIR="$0/tmp"
exec "$@"
"""


def main() -> int:
    """Let both answer, print, and return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coverup", required=True, metavar="PROGRAM")
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside is not None:
        return _inside(asked.inside, asked.coverup, asked.seconds)
    bad, good = _replies()
    ours = {name: _ours(said) for name, said in (("bad", bad), ("good", good))}
    theirs, ended = _theirs({**bad, **good}, asked.coverup, asked.seconds)
    print(measuring.machine())
    measuring.table(
        ("replies", "of them", "ours accepts", "CoverUp accepts"),
        [
            (name, f"{len(said)}", f"{len(ours[name])}", f"{len(theirs & said.keys())}")
            for name, said in (("bad", bad), ("good", good))
        ],
    )
    print("bad, accepted by ours:", ", ".join(sorted(ours["bad"])) or "none")
    print("bad, accepted by CoverUp:", ", ".join(sorted(theirs & bad.keys())) or "none")
    print("good, not by ours:", ", ".join(sorted(good.keys() - ours["good"])) or "none")
    print("good, not by CoverUp:", ", ".join(sorted(good.keys() - theirs)) or "none")
    print("CoverUp ended by itself or was stopped at:", ", ".join(sorted(ended)) or "none")
    held = not ours["bad"] and len(ours["good"]) >= GOOD_BAR * len(good)
    return int(measuring.verdict(f"bar 0 bad, >= {GOOD_BAR:.0%} good", held))


def _replies() -> tuple[dict[str, str], dict[str, str]]:
    """Return what models say, by kind: bad and good."""
    bad = {each.kind: f"```python\n{filled(each.text)}```" for each in (*corpus.READ, *corpus.RUN)}
    del bad["spoils its sibling"]  # of such a pair the one that stands alone may stay
    good = {kind: f"```python\n{tried.HEAD}{text}```" for kind, text in corpus.GOOD}
    return bad | dict(tried.SAID), good | dict(tried.TAKEN)


def _ours(said: dict[str, str]) -> set[str]:
    """Return the kinds of which a test was accepted."""
    with tempfile.TemporaryDirectory() as folder, serving(lambda _: Answer()) as server:
        Path(folder, "conftest.py").write_text(tried.CONFTEST)
        target = make_target(Path(folder), corpus.SOURCE)
        found, _ = tried.through(list(said.values()), target, server, cost_cap=100.0)
    return {
        kind
        for kind, trials in zip(said, found, strict=True)
        if any(trial.accepted for trial in trials)
    }


def _theirs(said: dict[str, str], program: str, seconds: int) -> tuple[set[str], set[str]]:
    """Return the kinds of which CoverUp accepted a test, and at which it did not end well."""
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder).resolve()
        (inside / "tmp").mkdir()
        (inside / "said.json").write_text(json.dumps(said), "utf-8")
        alone = ["unshare", "-rmpnf", "--mount-proc", "--kill-child", "sh", "-c", _ALONE, inside]
        options = [f"--coverup={program}", f"--seconds={seconds}", f"--inside={inside}"]
        done = subprocess.run([*alone, sys.executable, __file__, *options], check=False)
        if done.returncode:
            sys.exit(f"CoverUp could not be kept by itself (exit code {done.returncode})")
        found = json.loads((inside / "found.json").read_text("utf-8"))
    return set(found["accepted"]), set(found["ended"])


def _inside(folder: Path, program: str, seconds: int) -> int:
    """Run CoverUp once for every reply, where it can do no harm."""
    said = json.loads((folder / "said.json").read_text("utf-8"))
    accepted, ended = [], []
    for number, (kind, text) in enumerate(said.items()):
        project = folder / f"project{number}"
        make_target(project, corpus.SOURCE)
        (project / "conftest.py").write_text(tried.CONFTEST)
        (project / "tests").mkdir()
        (project / "tests" / "test_covered.py").write_text(
            "from pack import money\n\n\ndef test_covered():\n    assert money.covered(1) == 1\n"
        )
        with serving(lambda request, text=text: _answer(request, text)) as server:
            well = _coverup(program, project, server.url, seconds)
        if not well:
            ended.append(kind)
        if len(list((project / "tests").glob("test_*.py"))) > 1:
            accepted.append(kind)
        shutil.rmtree(project, ignore_errors=True)
        print(f"{number + 1}/{len(said)} {kind}: {kind in accepted}", file=sys.stderr)
    (folder / "found.json").write_text(json.dumps({"accepted": accepted, "ended": ended}))
    return 0


def _answer(request: Request, text: str) -> Answer:
    """Say it for the functions it calls; a text that calls none is said for one."""
    asked = {name for message in request.body["messages"] for name in _names(message)}
    about = {name for name in _DEFINED.findall(corpus.SOURCE) if f"money.{name}" in text}
    return Answer(text if asked & (about or {"label"}) else _ELSEWHERE)


def _names(message: dict[str, Any]) -> list[str]:
    return _DEFINED.findall(message["content"]) if message["role"] == "user" else []


def _coverup(program: str, project: Path, url: str, seconds: int) -> bool:
    """Run CoverUp over a project; tell whether it ended well and in time."""
    environ = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it looks for one on the network
        "DEEPSEEK_API_BASE": url,
        "DEEPSEEK_API_KEY": "none",
        "PYTHONPATH": "",
    }
    command = [program, "--package-dir=pack", "--tests-dir=tests", f"--model={_MODEL}"]
    with subprocess.Popen(
        [*command, "--no-checkpoint", "--max-backoff=1"],
        cwd=project,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return False


if __name__ == "__main__":
    sys.exit(main())
