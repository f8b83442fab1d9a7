"""The trial refuses every bad candidate by name, and takes the good ones."""

from __future__ import annotations

import ast
import datetime
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_aqe.data import SEARCHED, Candidate, Gap, Target, Trial
from pytest_aqe.generation.interpreters import Interpreters
from pytest_aqe.generation.job import SCRATCH
from pytest_aqe.generation.proposals import merged
from pytest_aqe.generation.sandbox import Settings
from pytest_aqe.generation.trial import HASH_SEEDS, Trials

from . import corpus

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a trial needs os.fork")


def make_target(folder: Path, source: str = corpus.SOURCE) -> Target:
    """Write a package of one file, of which nothing is covered but ``covered``."""
    file = folder / "pack" / "money.py"
    file.parent.mkdir(parents=True)
    (folder / "pack" / "__init__.py").touch()
    file.write_text(source.lstrip("\n"), "utf-8")
    text = file.read_text("utf-8")
    gaps = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name != "covered":
            end = node.end_lineno or node.lineno
            gaps.append(
                Gap("pack/money.py", node.name, node.lineno, end,
                    tuple(range(node.body[0].lineno, end + 1)), (), end - node.lineno)
            )  # fmt: skip
    own = Path(__file__).parents[3]
    return Target(
        folder, folder, file, "pack.money", text, tuple(gaps), frozenset(), frozenset(),
        (str(folder), str(own)), folder,
    )  # fmt: skip


def whole(target: Target) -> Gap:
    """All gaps of the file as one: these tests are not about what a gap is."""
    lines = tuple(line for gap in target.gaps for line in gap.lines)
    return Gap("pack/money.py", "", 1, lines[-1], lines, (), len(lines))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(tmp_path_factory.mktemp("trial"))


def judge(processes: Interpreters, target: Target, texts: Iterable[str]) -> list[Trial]:
    gap = whole(target)
    candidates = [Candidate(gap, text, "corpus") for text in texts]
    return Trials(Settings(), target, time.time(), processes).judge(candidates, target)


def filled(text: str) -> str:
    """Put in what is true here and now."""
    tags = subprocess.run(
        [sys.executable, "-c", "print(list(set('abcdefgh')), end='')"],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    home = Path(tempfile.gettempdir()).resolve() / f"{SCRATCH}xxxxxxxx"
    true = {
        "{year}": str(datetime.datetime.now(datetime.timezone.utc).year),
        "{tags}": tags,
        "{host}": socket.gethostname(),
        "{home}": str(len(str(home))),
        "{depth}": str(len(home.parts) - 1),
    }
    for name, value in true.items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize("bad", corpus.READ, ids=lambda bad: bad.kind)
def test_what_is_refused_without_being_run(
    processes: Interpreters, target: Target, bad: corpus.Bad
) -> None:
    (trial,) = judge(processes, target, [bad.text])
    assert (trial.verdict.outcome, trial.verdict.stage) == ("rejected", bad.stage), trial.verdict
    assert bad.reason in trial.verdict.reason
    assert trial.layer is None  # nothing ran


@pytest.fixture(scope="module")
def ran(processes: Interpreters, target: Target) -> dict[str, Trial]:
    """Every bad candidate that has to be run, tried with all the others at once."""
    trials = judge(processes, target, (filled(bad.text) for bad in corpus.RUN))
    return {bad.kind: trial for bad, trial in zip(corpus.RUN, trials, strict=True)}


@pytest.mark.parametrize("bad", corpus.RUN, ids=lambda bad: bad.kind)
def test_what_is_refused_by_running_it(ran: dict[str, Trial], bad: corpus.Bad) -> None:
    verdict = ran[bad.kind].verdict
    if bad.kind == "spoils its sibling":  # of such a pair the one that stands alone may stay
        assert ran[bad.kind].tests != ("test_one", "test_two")
        return
    assert verdict.outcome == "rejected"
    assert (verdict.stage, bad.reason in verdict.reason) == (bad.stage, True), verdict


def test_what_holds_only_here_is_refused(processes: Interpreters, target: Target) -> None:
    """On this machine, in a process with one thread, in the folder of the trial."""
    trials = judge(processes, target, (filled(bad.text) for bad in corpus.ELSEWHERE))
    for bad, trial in zip(corpus.ELSEWHERE, trials, strict=True):
        assert (trial.verdict.outcome, trial.verdict.stage) == ("rejected", bad.stage), bad.kind
        assert bad.reason in trial.verdict.reason


@pytest.mark.parametrize(
    ("path", "stage"),
    [("{root}/money.txt", "stability"), ("in {root}", "stability"), ("/usr/bin", None)],
)
@pytest.mark.parametrize(
    "text",
    [
        "def test_it():\n    assert money.label(0) + {path!r} == 'free' + {path!r}\n",
        "def test_it():  # {path}\n    assert money.label(0) == 'free'\n",
        "PATH = {path!r}\n\n\ndef test_it():\n    assert money.label(0) + PATH == 'free' + PATH\n",
    ],
)
def test_a_path_of_this_checkout_is_another_one_elsewhere(
    processes: Interpreters, target: Target, text: str, path: str, stage: str | None
) -> None:
    """In the test or beside it: who takes part in the project has it somewhere else."""
    whole = "from pack import money\n\n\n" + text.format(path=path.format(root=target.root))
    (trial,) = judge(processes, target, [whole])
    assert trial.verdict.stage == stage, trial.verdict


def test_of_a_class_the_method_that_names_a_folder_is_refused_alone(
    processes: Interpreters, target: Target
) -> None:
    text = (
        "from pack import money\n\n\nclass TestIt:\n"
        "    def test_good(self):\n        assert money.label(0) == 'free'\n\n"
        f"    def test_bad(self):\n        assert money.label(5) != {str(target.root)!r}\n"
    )
    (trial,) = judge(processes, target, [text])
    assert trial.accepted
    assert trial.tests == ("TestIt.test_good",)


@pytest.mark.parametrize("year", ["1", "{year}"])
def test_what_shares_a_module_is_refused_alone(
    processes: Interpreters, target: Target, year: str
) -> None:
    """Searched calls are written into one: that cannot be imported, here or at another date."""
    first = "import pytest\nfrom pack import money\n\n\n"
    test = "def test_it():\n    assert money.convert(10) == 11.0\n"
    broken = (
        f"@pytest.mark.parametrize('amount', [{{{year}: 10}}[money.year()]])\n"
        "def test_it(amount):\n    assert money.convert(amount) == 11.0\n"
    )
    texts = [first + test, filled(first + broken), first + test]
    candidates = [Candidate(whole(target), text, "corpus", origin=SEARCHED) for text in texts]
    trials = Trials(Settings(), target, time.time(), processes)
    judged = trials.judge(candidates, target)
    assert [trial.accepted for trial in judged] == [True, False, True]
    assert judged[1].verdict.stage == ("run" if year == "1" else "stability")


_MATES = "import pytest\nfrom pack import money\n\n\n"
_GOOD = f"{_MATES}def test_it():\n    assert money.convert(10) == 11.0\n"


@pytest.mark.parametrize(
    "texts, accepted",
    [
        ([f"{_MATES}@pytest.fixture(autouse=True)\ndef rate(monkeypatch):\n"
          "    monkeypatch.setitem(money.RATES, 'eur', 2)\n\n\n"
          "def test_it():\n    assert money.convert(10) == 20\n",
          f"{_MATES}def test_bad():\n    assert money.convert(5) == 10\n"], [1, 0]),
        ([f"{_MATES}def test_l():\n    assert money.convert(10) == 999\n",
          f"{_MATES}def check():\n    assert money.convert(10) == 11.0\n\n\ntest_l = check\n"
          "\n\ndef test_m():\n    assert money.label(0) == 'free'\n"], [0, None]),
        ([f"{_MATES}from pack.money import label as list\n\n\n"
          "def test_one():\n    assert list(0) == 'free'\n",
          f"{_MATES}def test_two():\n    assert list(money.RATES) == ['eur', 'chf']\n"
          "    assert money.convert(10) == 11.0\n"], [1, 1]),
    ],
)  # fmt: skip
def test_mates_do_not_reach_each_other(
    processes: Interpreters, target: Target, texts: list[str], accepted: list[int | None]
) -> None:
    """What was searched for is judged in one module as in one of its own."""
    trials = Trials(Settings(), target, time.time(), processes)
    for mates in (texts, texts[::-1]):
        candidates = [Candidate(whole(target), text, "corpus", origin=SEARCHED) for text in mates]
        judged = {trial.candidate.text: trial for trial in trials.judge(candidates, target)}
        for text, expected in zip(texts, accepted, strict=True):
            assert expected in (None, judged[text].accepted), judged[text].verdict


def test_who_is_weak_is_told_by_its_own_name(processes: Interpreters, tmp_path: Path) -> None:
    """In a module that it shares it has another."""
    target = make_target(
        tmp_path,
        "def covered(v):\n    return v\n\n\ndef wipe(items):\n    del items[:]\n\n\n"
        "def other(x):\n    return x * 2 + 1\n",
    )
    good = f"{_MATES}def test_it():\n    assert money.other(3) == 7\n"
    weak = f"{_MATES}def test_it():\n    x = [1]\n    money.wipe(x)\n    assert not x\n"
    candidates = [Candidate(whole(target), text, "c", origin=SEARCHED) for text in (good, weak)]
    trials = Trials(Settings(), target, time.time(), processes).judge(candidates, target)
    assert [trial.accepted for trial in trials] == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        f"{_GOOD}\n\ntest_other = lambda: 1 / 0\n",
        f"{_MATES}def test_it():\n    assert money.convert(10) == 12.0\n\n\n{_GOOD[len(_MATES) :]}",
    ],
)
def test_a_test_that_nobody_knows_is_found_in_the_end(
    processes: Interpreters, target: Target, text: str
) -> None:
    """A module that has one is no proven one: it runs again as it will be written."""
    trials = Trials(Settings(), target, time.time(), processes)
    candidate = Candidate(whole(target), text, "corpus", origin=SEARCHED)
    judged = [trial for trial in trials.judge([candidate], target) if trial.accepted]
    written, called = merged(trial.text for trial in judged)
    names = [name for names in called for name in names.values()]
    assert not judged or any(trials.again(written, names, model=False).values())


@pytest.mark.parametrize(
    "test, stage",
    [
        ("def test_it():\n    assert money.convert(10) == 11.0\n", None),
        ("def test_it():\n    assert money.convert(10) == 12.0\n", "run"),
        ("def test_it():\n    money.label(1 / 0)\n    assert money.label(0) == 'free'\n", "run"),
        ("def test_it(capsys):\n    print(money.label(0))\n"
         "    assert capsys.readouterr().out == 'free\\n'\n", None),
        ("@pytest.mark.parametrize('a, b', [(0, 'free'), (5, '5.00')])\n"
         "def test_it(a, b):\n    assert money.label(a) == b\n", None),
        ("@pytest.mark.parametrize('a, b', [(0, 'free'), (5, '5')])\n"
         "def test_it(a, b):\n    assert money.label(a) == b\n", "run"),
        ("def test_it():\n    assert money.secret('PYTEST_CURRENT_TEST') == 'none'\n", "run"),
        ("def test_it():\n    sys.stdout.buffer.write(b'x')\n"
         "    assert money.label(0) == 'free'\n", None),
    ],
)  # fmt: skip
def test_what_is_a_call_is_called(
    processes: Interpreters, target: Target, test: str, stage: str | None
) -> None:
    """Pytest runs what was searched for once; what is another thing there is refused."""
    text = f"import sys\nimport pytest\nfrom pack import money\n\n\n{test}"
    candidate = Candidate(whole(target), text, "corpus", origin=SEARCHED)
    trials = Trials(Settings(), target, time.time(), processes)
    assert trials.judge([candidate], target)[0].verdict.stage == stage


def test_what_ran_everywhere_does_not_run_again(processes: Interpreters, target: Target) -> None:
    """The module of accepted tests, as it will be written; any other does."""
    texts = [f"import pytest\nfrom pack import money\n\n\n{text}" for _, text in corpus.GOOD]
    candidates = [Candidate(whole(target), text, "corpus", origin=SEARCHED) for text in texts[:2]]
    trials = Trials(Settings(), target, time.time(), processes)
    judged = trials.judge(candidates, target)
    text, called = merged(trial.text for trial in judged)
    names = [name for names in called for name in names.values()]
    seconds = trials.seconds
    assert trials.again(text, names, model=False) == dict.fromkeys(names, "")
    assert trials.seconds == seconds
    assert trials.again(text + "# another\n", names, model=False) == dict.fromkeys(names, "")
    assert trials.seconds > seconds
    bad = text.replace("11.0", "12.0")
    assert all(trials.again(bad, names[:1], model=False).values())


def test_good_candidates_are_accepted(processes: Interpreters, target: Target) -> None:
    texts = [f"import pytest\nfrom pack import money\n\n\n{text}" for _, text in corpus.GOOD]
    trials = judge(processes, target, texts)
    wrong = {
        kind: trial.verdict
        for (kind, _), trial in zip(corpus.GOOD, trials, strict=True)
        if not trial.accepted
    }
    assert not wrong
    assert all(trial.killed for trial in trials)


def test_a_good_function_survives_a_bad_one(processes: Interpreters, target: Target) -> None:
    """What is kept says nothing of the other, not even its import."""
    text = (
        "import random\nfrom pack import money\n\n\n"
        "def test_good():\n    assert money.label(0) == 'free'\n\n\n"
        "def test_bad():\n    assert money.convert(random.random()) > 0\n"
    )
    (trial,) = judge(processes, target, [text])
    assert trial.tests == ("test_good",)
    assert trial.text == (
        "from pack import money\n\n\ndef test_good():\n    assert money.label(0) == 'free'\n"
    )
    assert "random" in trial.refused["test_bad"]


def test_a_bug_found_is_listed_apart(processes: Interpreters, target: Target) -> None:
    """An author that says what is wrong with the code is believed to mean the failure."""
    text = "from pack import money\n\n\ndef test_it():\n    assert money.convert(10) == 12\n"
    candidate = Candidate(whole(target), text, "corpus", bug="dollars are counted wrongly")
    (trial,) = Trials(Settings(), target, time.time(), processes).judge([candidate], target)
    assert trial.verdict.outcome == "bug"
    assert "11.0 == 12" in trial.verdict.reason


def test_a_candidate_that_ends_its_process_spares_the_others(
    processes: Interpreters, target: Target
) -> None:
    """The batch is halved until it stands alone."""
    bad = (
        "from pack import money\n\n\nclass Now:\n    import ctypes\n\n\n"
        "def test_it():\n    assert money.label(0) == 'free'\n"
    )
    good = "from pack import money\n\n\ndef test_it():\n    assert money.label(0) == 'free'\n"
    first, second = judge(processes, target, [bad, good])
    assert not first.accepted
    assert second.accepted


def test_the_project_is_as_it_was(target: Target, ran: dict[str, Trial]) -> None:
    """After everything above: no file more, none less, none changed."""
    assert ran
    names = sorted(path.name for path in target.root.rglob("*") if path.is_file())
    assert names == ["__init__.py", "money.py"]
    assert target.file.read_text("utf-8") == target.source
    assert not Path("/var/tmp/aqe-corpus").exists()


def test_the_same_twice_gives_the_same(processes: Interpreters, target: Target) -> None:
    text = "from pack import money\n\n\ndef test_it():\n    assert money.convert(10) == 11\n"
    (first,), (second,) = judge(processes, target, [text]), judge(processes, target, [text])
    assert (first.text, first.lines, first.killed) == (second.text, second.lines, second.killed)
    assert first.layer == second.layer


def test_a_test_of_the_suite_must_not_notice(processes: Interpreters, tmp_path: Path) -> None:
    """A candidate after which a test of the suite fails is refused."""
    target = make_target(tmp_path)
    suite = tmp_path / "tests" / "test_suite.py"
    suite.parent.mkdir()
    suite.write_text(
        "from pack import money\n\ndef test_fresh():\n    assert money.recall() is None\n", "utf-8"
    )
    target = target._replace(tests=("tests/test_suite.py::test_fresh",))
    spoils = "from pack import money\n\n\ndef test_it():\n    assert money.remember(7) == 7\n"
    good = "from pack import money\n\n\ndef test_it():\n    assert money.label(0) == 'free'\n"
    first, second = judge(processes, target, [spoils, good])
    assert "test_fresh of the suite fails after it" in first.verdict.reason
    assert second.accepted
    shutil.rmtree(suite.parent)


SMALL = """
def is_long(x):
    big = len(x) > 2
    return big


def other(x):
    return x + 1
"""
GOOD = {
    "a long message": """
from pack.money import is_long

def test_it():
    text = 'abc' * 1000
    assert is_long(text), f'refuses {text}'
""",
    "a note": """
from pack.money import is_long

def test_it():
    try:
        assert is_long('abc')
    except AssertionError as error:
        error.add_note('n' * 3000) if hasattr(error, 'add_note') else None
        raise
""",
    "a folder that is gone": """
import collections
from pack.money import other

def test_it(tmp_path, monkeypatch):
    inner = tmp_path / 'gone'
    inner.mkdir()
    monkeypatch.chdir(inner)
    inner.rmdir()
    assert collections.namedtuple('P', 'a b')(other(1), 2) == (2, 2)
""",
}
if sys.version_info >= (3, 11):
    GOOD["a group of one error"] = """
import asyncio
from pack.money import is_long

def test_it():
    async def one():
        assert is_long('abc')

    async def run():
        async with asyncio.TaskGroup() as group:
            group.create_task(one())

    asyncio.run(run())
"""


def test_what_notices_a_mutant_by_what_it_asserts(processes: Interpreters, tmp_path: Path) -> None:
    """However the failure is told: only an assertion counts where one says little."""
    trials = judge(processes, make_target(tmp_path, SMALL), GOOD.values())
    verdicts = dict(zip(GOOD, [trial.verdict.outcome for trial in trials], strict=True))
    assert verdicts == dict.fromkeys(GOOD, "accepted"), [trial.verdict for trial in trials]


def test_what_was_refused_is_refused_again(processes: Interpreters, target: Target) -> None:
    """A repair may come back to a text that was tried: what was said of it is said again."""
    text = (
        "import time\nfrom pack import money\n\n\n"
        "def test_it():\n    assert time.timezone == 0\n    assert money.label(0) == 'free'\n"
    )
    trials = Trials(Settings(), target, time.time(), processes)
    for _ in range(3):
        (trial,) = trials.judge([Candidate(whole(target), text, "corpus")], target)
        assert (trial.verdict.outcome, trial.verdict.stage) == ("rejected", "stability")


DICE = """
import random
from random import choice


def roll(sides):
    number = random.randint(1, sides)
    return number


def deal(cards):
    cards = list(cards)
    random.shuffle(cards)
    return cards


def name(length):
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "".join(choice(letters) for _ in range(length))
"""
OF_LUCK = (
    "def test_it():\n    assert roll(20) > 1\n",
    "def test_it():\n    assert roll(20) < 20\n",
    "def test_it():\n    assert sum(roll(6) for _ in range(3)) > 3\n",
    "def test_it():\n    assert deal('abcde') != list('abcde')\n",
    "def test_it():\n    assert name(1) != 'a'\n",
    "def test_it():\n    assert len(set(name(5))) > 1\n",
)
OF_NO_LUCK = (
    "def test_it():\n    assert 1 <= roll(20) <= 20\n",
    "def test_it():\n    assert sorted(deal('hello')) == sorted('hello')\n",
    "def test_it():\n    assert name(12) != name(12)\n    assert len(name(12)) == 12\n",
    "import random\n\n\ndef test_it():\n    random.seed(3)\n    assert roll(20) == 8\n",
)


def test_what_passes_nine_times_of_ten_is_refused(processes: Interpreters, tmp_path: Path) -> None:
    """What is drawn first may be the least or the greatest; who seeds draws what he expects."""
    target = make_target(tmp_path, DICE)
    head = "from pack.money import deal, name, roll\n"
    trials = judge(processes, target, [head + text for text in (*OF_LUCK, *OF_NO_LUCK)])
    for trial in trials[: len(OF_LUCK)]:
        assert not trial.accepted, trial.text
        assert trial.verdict.stage in ("run", "stability"), trial.verdict
    for trial in trials[len(OF_LUCK) :]:
        assert trial.accepted, (trial.text, trial.verdict)


@pytest.mark.parametrize("line", ['"returned"', '["returned"]', '{"returned": 5}', '{"told": 5}'])
def test_who_writes_a_report_spares_the_others(
    processes: Interpreters, tmp_path: Path, line: str
) -> None:
    good = "from pack.money import other\n\ndef test_good():\n    assert other(1) == 2\n"
    forging = f"""
import os
from pack.money import is_long

def test_forging():
    assert is_long('abc') is True
    for each in range(3, 30):
        try:
            os.write(each, {line.encode() + bytes([10])!r})
        except OSError:
            pass
    os.closerange(3, 30)
"""
    target = make_target(tmp_path, SMALL)
    outcomes = [trial.verdict.outcome for trial in judge(processes, target, [good, forging])]
    assert outcomes == ["accepted", "rejected"]


def test_a_project_that_the_interpreters_know_is_tried_too(
    processes: Interpreters, tmp_path: Path
) -> None:
    """They run pytest: what that imports is frozen, and nobody finds its functions."""
    known = pytest.importorskip("iniconfig._parse", reason="an older one is a single file")
    package = Path(str(known.__file__)).parent
    shutil.copytree(package, tmp_path / "iniconfig")
    file = tmp_path / "iniconfig" / "_parse.py"
    text = file.read_text("utf-8")
    (found,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == "iscommentline"
    )
    lines = tuple(range(found.body[0].lineno, (found.end_lineno or 0) + 1))
    gap = Gap("iniconfig/_parse.py", found.name, found.lineno, lines[-1], lines, (), 2)
    target = make_target(tmp_path)._replace(file=file, module="iniconfig._parse", gaps=(gap,))
    test = """
from iniconfig._parse import iscommentline

def test_it():
    assert iscommentline('# a') is True
    assert iscommentline('a') == False
"""
    (trial,) = Trials(Settings(), target, time.time(), processes).judge(
        [Candidate(gap, test, "corpus")], target
    )
    assert trial.accepted, trial.verdict
    assert trial.lines
    assert trial.killed


@pytest.mark.skipif(sys.version_info < (3, 11), reason="texts are hashed otherwise")
def test_hash_seeds_show_both_orders_of_a_set() -> None:
    """Of four in five pairs of short texts and small numbers."""
    code = (
        "import itertools\n"
        "values = ['a', 'b', 'c', 'x', 'key', 'hello world', '1', '', 0, 1, 2, -1, 10, None, 1.5]\n"
        "pairs = [pair for pair in itertools.combinations(values, 2) if str in map(type, pair)]\n"
        "print([next(iter({first, second})) == first for first, second in pairs])"
    )
    orders = [
        ast.literal_eval(
            subprocess.run(
                [sys.executable, "-c", code],
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for seed in ("0", *HASH_SEEDS)
    ]
    seen = [len(set(each)) for each in zip(*orders, strict=True)]
    assert seen.count(2) / len(seen) >= 0.8
