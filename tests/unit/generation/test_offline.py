"""The author without a model: what it writes, from what, and what it leaves alone."""

from __future__ import annotations

import ast
import json
import re
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_aqe.data import Candidate, Gap, Target, Trial, Verdict
from pytest_aqe.generation import laws
from pytest_aqe.generation.cores import Cores
from pytest_aqe.generation.interpreters import Fresh
from pytest_aqe.generation.offline import Offline
from pytest_aqe.generation.sandbox import Settings
from pytest_aqe.generation.search import RESULT, Wanted, in_turn, told_by
from pytest_aqe.generation.trial import Trials

from .test_trial import make_target as quick_target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the author needs os.fork")


def make_target(folder: Path, source: str) -> Target:
    """Leave time enough for what is written to depend on no machine: what is found ends it."""
    return quick_target(folder, source)._replace(seconds=120.0)


SOURCE = '''
"""Hard to reach by chance, easy by what the project shows."""

from __future__ import annotations

import enum
import functools


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Box:
    def __init__(self, width: int):
        self.width = width

    @property
    def wide(self):
        return self.width > 7

    @wide.setter
    def wide(self, value):
        raise AttributeError("a box keeps its width")

    def grow(self, by=1):
        self.width += by


def code(text):
    """Return a number.

    >>> code("sesame-17")
    17
    """
    word, _, number = text.partition("-")
    if word != "sesame":
        raise ValueError("closed")
    return int(number)


def size(value: Size) -> str:
    return "s" if value is Size.SMALL else "l"


def encode(text):
    return ".".join(format(ord(each), "x") for each in text)


def decode(code):
    return "".join(chr(int(each, 16)) for each in code.split(".") if each)


def squeeze(text):
    return " ".join(text.split())


def unquote(text):
    return text[1:]


def quote(text):
    return "'" + text + "'"


def crash(items):
    return items[0] / 0


def chance():
    import random

    return random.random()


def numbers(limit: int):
    for number in range(limit):
        yield number * 2


def shout(text: str):
    print(text.upper())


def key(password):
    return password


KEY = "sk-live-4242424242"


def account(name):
    if name == KEY:
        return "the shop"
    if name == "shop":
        return f"key {KEY}"
    raise LookupError(f"no account has {KEY}")


async def later(value: int) -> int:
    return value + 1


@functools.total_ordering
class Level:
    def __init__(self, height: int):
        self.height = height

    def __lt__(self, other):
        if isinstance(other, Level):
            return self.height < other.height
        return NotImplemented


class Ticket:
    def __init__(self, price: int, **extras: int):
        self.price = price
        self.extras = extras

    def again(self, **changes):
        if "price" in changes:
            return Ticket(changes["price"])
        return Ticket(self.price)

    def equals(self, other):
        if isinstance(other, dict):
            other = Ticket(**other)
        return self.price == other.price


def promoted(minutes: float):
    hours, left = divmod(minutes, 60)
    if round(left, 2) == 60:
        return hours + 1
    if hours * 7 == 91:
        return "half a day"
    return hours


def place(point):
    try:
        return point.row * 10 + point.column
    except TypeError:
        return None


def ticket(word):
    if word.upper() == "ADMIT ONE":
        return "welcome"
    if word.startswith("gate:"):
        return word[5:]
    return "sorry"


def alone(sizes: "Iterable[Size]"):
    if all(each in sizes for each in Size):
        return "every size"
    return "some"


def covered(value):
    return value
'''


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every candidate by the name of its gap."""
    target = make_target(tmp_path_factory.mktemp("offline"), SOURCE)
    suite = target.root / "tests" / "test_money.py"
    suite.parent.mkdir()
    suite.write_text(
        "from pack.money import Box, key\n\n\ndef test_box():\n    Box(12).grow(3)\n"
        "    key('sk-0123456789abcdef0123')\n",
        "utf-8",
    )
    gaps = list(target.gaps)
    tree = ast.parse(target.source)
    named = [
        (f"{owner.name}.{node.name}", node)
        for owner in tree.body
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, ast.FunctionDef)
    ]
    named += [(node.name, node) for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]  # type: ignore[misc]
    for name, node in named:
        end = node.end_lineno or node.lineno
        lines = tuple(range(node.body[0].lineno, end + 1))
        gaps.append(gaps[0]._replace(name=name, line=node.lineno, end=end, lines=lines))
    target = target._replace(gaps=tuple(gaps), tests=("tests/test_money.py::test_box",))
    author = Offline(Settings(), Fresh(()))
    return {
        f"{gap.name}:{gap.line}": candidate.text
        for gap in target.gaps
        for candidate in author.author(gap, target)
    }


def text(written: dict[str, str], name: str) -> str:
    return "\n".join(each for key, each in written.items() if key.startswith(f"{name}:"))


@pytest.mark.parametrize(
    "name, said",
    [
        ("code", "('sesame-17', 17)"),
        ("code", 'pytest.raises(ValueError, match="closed")'),
        ("size", "Size.SMALL"),
        ("Box.wide", "Box("),
        ("Box.wide", '.wide = '),
        ("Box.wide", 'match="a box keeps its width"'),
        ("Box.grow", "obj = Box("),
        ("numbers", "assert list(numbers("),
        ("shout", "capsys.readouterr().out == "),
        ("later", "asyncio.run(later("),
        ("encode", "assert decode(encode(value)) == value"),
        ("Level.__lt__", 'pytest.raises(TypeError, match="\'<\' not supported'),
        ("Ticket.again", "Ticket("),
        ("Ticket.equals", "{'price': "),
        ("promoted", "'half a day'"),
        ("promoted", "9.9999"),
        ("place", "types.SimpleNamespace("),
        ("ticket", "'welcome'"),
        ("ticket", "gate:"),
        ("alone", "Size.SMALL"),
        ("alone", "'every size'"),
        ("squeeze", "assert squeeze(squeeze(value)) == squeeze(value)"),
    ],
)  # fmt: skip
def test_what_is_written(written: dict[str, str], name: str, said: str) -> None:
    assert said in text(written, name)


@pytest.mark.parametrize("name", ["crash", "chance"])
def test_what_is_left_alone(written: dict[str, str], name: str) -> None:
    """A crash may be a bug and is not pinned; what is different every time cannot be."""
    assert text(written, name) == ""


@pytest.mark.parametrize(
    "seconds, order", [(0.01, ["large", "little"]), (20.0, ["little", "large"])]
)
def test_with_no_time_for_all_the_largest_comes_first(seconds: float, order: list[str]) -> None:
    gaps = [Wanted("large", 1, (2, 3), ()), Wanted("little", 5, (6,), ())]
    groups, hurry = in_turn([*gaps, Wanted("large.<locals>.inner", 2, (3,), ())], seconds)
    assert [name for name, _ in groups] == order
    assert dict(groups)["large"].keys() == {0, 2}
    assert hurry is (order[0] == "large")


@pytest.mark.parametrize(
    "broken",
    [
        '{"cases": [',
        "3",
        '{"cases": [{"gap": 1}]}',
        '{"cases": 4}',
        '{"searched": [[5]]}',
        '{"seen": [["test_it.py", [5]]]}',
    ],
)
def test_what_a_search_left_counts_up_to_what_it_did_not_write(tmp_path: Path, broken: str) -> None:
    """It may have been ended as it wrote, and a call that was tried may have written there."""
    case = {"gap": 1, "function": "f", "shape": "", "lines": [], "imports": [], "fixtures": []}
    seen = [["test_a.py", [[["pack.py", 3], [[[], [["x", "/", "7", []]]]]]]]]
    first = [{"searched": [0, 1]}, {"cases": [case]}, {"seen": seen}]
    lines = [*map(json.dumps, first), broken, '{"searched": [2]}']
    (tmp_path / RESULT).write_text("\n".join(lines), "utf-8")
    told = told_by(tmp_path)
    assert [each.function for each in told.cases] == ["f"]
    assert told.searched == {0, 1}
    assert told.seen == dict(seen)


def test_a_file_of_the_suite_is_run_once_for_all_that_it_calls(tmp_path: Path) -> None:
    """How it calls one module and another of the package is seen in the same run."""
    source = (
        "def price(text):\n    kind, low, high = text.split('|')\n"
        "    if kind == 'pear' and int(high) > int(low) + 3:\n        return kind\n"
        "    return ''\n"
    )
    one = make_target(tmp_path, source)._replace(tests=("test_both.py::test_both",))
    other = tmp_path / "pack" / "other.py"
    other.write_text(source.replace("pear", "plum"))
    two = one._replace(file=other, module="pack.other", source=other.read_text())
    test = tmp_path / "test_both.py"
    test.write_text(
        "from pack import money, other\n\n"
        "def test_both():\n    money.price('pear|3|7')\n    other.price('plum|4|9')\n"
    )
    author = Offline(Settings(), Fresh(()))
    assert "pear|3|7" in author.author(one.gaps[0], one)[0].text
    test.unlink()
    assert "plum|4|9" in author.author(two.gaps[0], two)[0].text


def test_a_law_that_does_not_hold_is_not_claimed(written: dict[str, str]) -> None:
    """Names suggest, values decide."""
    assert "unquote(quote(" not in "".join(written.values())
    assert "given(value=st.text(alphabet=string.printable))" in text(written, "encode")


def test_no_secret_is_written(written: dict[str, str]) -> None:
    """Not as an argument and not as a result, wherever it was seen."""
    all_of_it = "".join(written.values())
    assert "0123456789abcdef" not in all_of_it
    assert "42424242" not in all_of_it
    assert "pytest.raises(LookupError)" in text(written, "account")


def test_all_of_it_is_a_module(written: dict[str, str]) -> None:
    for each in written.values():
        names = [node.name for node in ast.parse(each).body if hasattr(node, "name")]
        assert len(names) == len(set(names))
        assert all(name.startswith("test_") for name in names)


def written_for(folder: Path, source: str, name: str) -> str:
    """Return the one test written for a function inside a class or another function."""
    target = make_target(folder, source)
    node = next(
        each
        for holder in ast.walk(ast.parse(target.source))
        if isinstance(holder, (ast.ClassDef, ast.FunctionDef))
        for each in holder.body
        if isinstance(each, ast.FunctionDef)
        and f"{holder.name}.{each.name}" == name.replace(".<locals>", "")
    )
    last = node.end_lineno or node.lineno
    lines = tuple(range(node.lineno + 1, last + 1))
    gap = target.gaps[0]._replace(name=name, line=node.lineno, end=last, lines=lines)
    (candidate,) = Offline(Settings(), Fresh(())).author(gap, target._replace(gaps=(gap,)))
    return candidate.text


KINDS = '''
import datetime
import os
import shutil


class Walk:
    def __init__(self, steps: int):
        self.steps = steps

    def go(self, by: int):
        self.steps += by
        return self


class Frozen(dict):
    def updated(self, **more):
        return type(self)(self, **more)


class Zone(datetime.tzinfo):
    def tzname(self, when):
        return "here"


class Client:
    def __init__(self, link):
        self.link = link

    def fetch(self, name):
        return self.link.recv(name)[1:]

    def close(self):
        self.link.close()


class Refusal(Exception):
    def shout(self):
        return str(self.args[0]).upper()


def measured(value):
    """Return a number.

    >>> measured([1])
    1
    """
    if type(value) is Walk:
        return value.steps + 100
    if type(value) in (set, frozenset):
        return len(value) + 200
    if value:
        return len(value)
    return 0


def shared(options):
    """Say it.

    >>> place("north-17")
    'north'
    """
    return place(options.region)


def place(region):
    name, number = region.split("-")
    return name + str(int(number) - 17).strip("0")


def copied(src, dst):
    for name in os.listdir(src):
        shutil.copy(os.path.join(src, name), dst)
    raise ValueError(list(str(src)))
'''


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every candidate by the name of its function."""
    target = make_target(tmp_path_factory.mktemp("kinds"), KINDS)
    gaps = list(target.gaps)
    for owner in ast.parse(target.source).body:
        for node in owner.body if isinstance(owner, ast.ClassDef) else ():
            assert isinstance(node, ast.FunctionDef)
            lines = tuple(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
            name = f"{owner.name}.{node.name}"
            gaps.append(gaps[0]._replace(name=name, line=node.lineno, end=lines[-1], lines=lines))
    target = target._replace(gaps=tuple(gaps))
    author = Offline(Settings(), Fresh(()))
    return {gap.name: candidate.text for gap in gaps for candidate in author.author(gap, target)}


@pytest.mark.parametrize(
    "name, said",
    [
        ("Frozen.updated", r"dict\(Frozen\(.*\)\.updated\(.*\)\) == \{"),
        ("Zone.tzname", r"Zone\(\)\.tzname\(.*\) == 'here'"),
        ("Refusal.shout", r"Refusal\('[a-z].*\.shout\(\) == '[A-Z]"),
        ("Client.fetch", r"Client\(types\.SimpleNamespace\(recv=lambda \*args: b?'[^']*'\)\)"),
        ("measured", r"Walk\(-?\d+\), \d+"),
        ("measured", r"set\(.*, 20\d|\{.*\}, 20\d"),
        ("shared", r"SimpleNamespace\(region='north-17'\)"),
        ("copied", r"pytest\.raises\(ValueError\):"),
    ],
)
def test_objects_are_made_and_told_apart(kinds: dict[str, str], name: str, said: str) -> None:
    """Of classes that inherit how they are made; of a type that is asked for by ``type()``."""
    assert re.search(said, kinds[name]), kinds[name]


def test_a_class_that_pretends_to_be_a_function_spoils_nothing(tmp_path: Path) -> None:
    """``__code__`` of a class of functions is a descriptor, not code."""
    source = (
        "import types\n\n\n"
        "class Pretender:\n    __code__ = types.FunctionType.__code__\n\n\n"
        "class Holder:\n    held = Pretender\n\n\n"
        "def made(by: int):\n    def inner(value: int):\n        return value * by\n"
        "    return inner\n\n\n"
        "twice = made(2)\n"
    )
    assert "twice(" in written_for(tmp_path, source, "made.<locals>.inner")


def test_a_function_that_only_a_descriptor_holds_is_reached(tmp_path: Path) -> None:
    """It is called by the name of the descriptor."""
    source = (
        "class Kept:\n    def __init__(self, func):\n        self.func = func\n\n"
        "    def __get__(self, obj, owner=None):\n"
        "        return self if obj is None else self.func(obj)\n\n\n"
        "class Box:\n    def __init__(self, width: int):\n        self.width = width\n\n"
        "    def _calc(self):\n        return self.width * 2\n\n"
        "    double = Kept(_calc)\n    del _calc\n\n\n"
        "def other():\n    pass\n"
    )
    assert ".double == " in written_for(tmp_path, source, "Box._calc")


DESCRIPTOR = """
class Typed:
    def __init__(self, kind):
        self.kind = kind

    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, obj, owner=None):
        if obj is None:
            return self
        return getattr(obj, self.name, None)

    def __set__(self, obj, value):
        if not isinstance(value, self.kind):
            raise TypeError(f"{self.name[1:]} takes {self.kind.__name__}")
        setattr(obj, self.name, value)


class Point:
    x = Typed(int)

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return isinstance(other, Point) and self.x == other.x

    def __hash__(self):
        return hash(self.x)


def other():
    pass
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Typed.__get__", r"assert Point\(.+\)\.x == "),
        ("Typed.__set__", r'raises\(TypeError, match="x takes int"\):\n    +Point\(.+\)\.x = '),
        ("Point.__hash__", r"assert len\({(Point\(.+\)), \1}\) == 1"),
    ],
)
def test_what_no_call_names_is_used(tmp_path: Path, name: str, said: str) -> None:
    """Attributes behind which a descriptor stands; the hash of equal objects."""
    assert re.search(said, written_for(tmp_path, DESCRIPTOR, name))


def test_what_is_returned_is_called(tmp_path: Path) -> None:
    """A decorator's wrapper has no name of its own."""
    source = (
        "def times(factor: int):\n    def decorator(func):\n        def wrapper(*args):\n"
        "            return [func(*args)] * factor\n        return wrapper\n    return decorator\n"
    )
    target = make_target(tmp_path, source)
    gaps = (
        target.gaps[0]._replace(name="times.<locals>.decorator", line=2, end=5, lines=(3, 5)),
        target.gaps[0]._replace(
            name="times.<locals>.decorator.<locals>.wrapper", line=3, lines=(4,)
        ),
    )
    target = target._replace(gaps=gaps)
    author = Offline(Settings(), Fresh(()))
    text = "".join(each.text for gap in gaps for each in author.author(gap, target))
    assert re.search(r"times\(\d+\)\(\w+\)\(.*\) == \[", text), text


def test_text_of_a_set_is_not_repeated(tmp_path: Path) -> None:
    """It is another one under another hash seed."""
    source = "def shown(words: list[str]):\n    return str(set(words)) + '!'\n"
    target = make_target(tmp_path, source)
    texts = [each.text for each in Offline(Settings(), Fresh(())).author(target.gaps[0], target)]
    assert not re.search(r"\{'[^{}]*,", "".join(texts))


def test_no_test_holds_a_path_of_this_checkout(tmp_path: Path) -> None:
    """Of a folder in it, its name holds everywhere; of the checkout itself, not even that."""
    source = (
        "import os\nfrom pathlib import Path\n\n\n"
        "def where(kind: str):\n"
        "    here = Path(__file__).parent\n"
        "    if kind == 'text':\n        return str(here)\n"
        "    if kind == 'shown':\n        return f'{[here]}'\n"
        "    if kind == 'inside':\n        return here / 'locale'\n"
        "    if kind == 'several':\n        return {'a': [here]}\n"
        "    if kind == 'printed':\n        print(here)\n        return 3\n"
        "    if kind == 'refused':\n        raise LookupError(os.fspath(here))\n"
        "    return here\n"
    )
    target = make_target(tmp_path, source)
    (candidate,) = Offline(Settings(), Fresh(())).author(target.gaps[0], target)
    assert str(tmp_path) not in candidate.text
    assert tmp_path.name not in candidate.text
    assert "where(kind).name == expected" in candidate.text
    assert "pytest.raises(LookupError)" in candidate.text
    (trial,) = Trials(Settings(), target, time.time(), Fresh(())).judge([candidate], target)
    assert trial.verdict.outcome == "accepted", trial.verdict


def test_time_is_promised_once(tmp_path: Path) -> None:
    """To a file until it was searched, however often it is asked for."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = quick_target(tmp_path / "one")._replace(seconds=1.0)
    two = quick_target(tmp_path / "two")._replace(seconds=2.0)
    author = Offline(Settings(), Fresh(()), Cores(1))
    assert author.pending == 0
    for target in (one, two, one):
        author.prepare(target)
    assert author.pending in (3.0, 2.0)  # the first may be done by now
    author.author(two.gaps[0], two)
    assert author.pending == 0


def test_a_repair_takes_shared_tests_apart(tmp_path: Path) -> None:
    """Once; a candidate that shares nothing is given up."""
    source = "def label(amount: int):\n    if amount > 5:\n        return 'x'\n    return 'y'\n"
    target = make_target(tmp_path, source)
    author = Offline(Settings(), Fresh(()))
    (candidate,) = author.author(target.gaps[0], target)
    assert "parametrize" in candidate.text
    refused = Trial(candidate, Verdict("rejected", "stability", "no"), candidate.text)
    (again,) = author.repair([refused], target)
    assert "parametrize" not in again.text
    assert again.attempt == 1
    assert author.repair([replace(refused, candidate=again)], target) == []
    other = Candidate(target.gaps[0], "text", "offline", attempt=1)
    assert author.repair([replace(refused, candidate=other)], target) == []


def test_without_hypothesis_no_law_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could run the test."""
    module = types.ModuleType("codes")
    exec("def encode(text): return text[::-1]\ndef decode(text): return text[::-1]", vars(module))
    found = {law.title for law in laws.laws(module, frozenset({"encode"}))}
    assert found == {"decode_undoes_encode", "encode_undoes_decode"}
    assert list(laws.laws(module, frozenset({"encode"}), stop=0.0)) == []
    assert laws.candidates(module, frozenset({"other"})) == []
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert list(laws.laws(module, frozenset({"encode"}))) == []


def test_a_property_proves_itself_like_any_test(tmp_path: Path) -> None:
    """The trial accepts it, and its text says which values it means.

    What hypothesis imports with itself, trio say, may look for libraries by a program.
    """
    (tmp_path / "extra.py").write_text(
        "import contextlib, subprocess\n"
        "with contextlib.suppress(OSError):\n    subprocess.run(['true'])\n"
        "def run(): pass\n"
    )
    (tmp_path / "extra-1.dist-info").mkdir()
    (tmp_path / "extra-1.dist-info" / "METADATA").write_text("Name: extra\nVersion: 1\n")
    (tmp_path / "extra-1.dist-info" / "entry_points.txt").write_text(
        "[hypothesis]\nextra = extra:run\n"
    )
    source = (
        "def encode(text):\n    return text[::-1] + '.'\n\n\n"
        "def decode(code):\n    return code[:-1][::-1]\n"
    )
    target = make_target(tmp_path, source)
    author = Offline(Settings(), Fresh(()))
    candidates = [each for gap in target.gaps for each in author.author(gap, target)]
    trials = Trials(Settings(), target, time.time(), Fresh(())).judge(candidates, target)
    accepted = "\n".join(trial.text for trial in trials if trial.accepted)
    assert "def test_decode_undoes_encode(value):" in accepted, [trial.refused for trial in trials]
    assert "@given(value=st.text(" in accepted
    assert all(trial.accepted for trial in trials), [trial.verdict for trial in trials]


ENDLESS = """
class Bag:
    def __init__(self, items):
        self.items = list(items)

    def pick(self, place):
        '''
        >>> Bag(range(0, 1000)).pick(3)
        3
        '''
        if place > len(self.items):
            raise ValueError('not so many')
        return self.items[place]


class Single:
    def __new__(cls, text):
        if not text:
            raise ValueError('no text')
        made = super().__new__(cls)
        made.text = text
        return made
"""


def test_what_fills_all_memory_is_not_tried(tmp_path: Path) -> None:
    """The doctest's range is mutated: with hundreds of millions nothing would be found."""
    target = make_target(tmp_path, ENDLESS)
    places = {"Bag.pick": (5, 12), "Single.__new__": (16, 21)}
    target = target._replace(
        gaps=tuple(
            Gap("pack/money.py", name, first, last, tuple(range(first + 1, last + 1)), (), 5)
            for name, (first, last) in places.items()
        )
    )
    author = Offline(Settings(), Fresh(()))
    text = "\n".join(each.text for gap in target.gaps for each in author.author(gap, target))
    assert "pick(3) == 3" in text
    assert "not so many" in text
    assert 'pytest.raises(ValueError, match="no text")' in text  # raised by __new__


FILES = """
import os


def rotate(filename: str) -> None:
    if not os.path.exists(filename):
        raise ValueError('no such file')
    os.rename(filename, filename + '.1')


def count(path):
    with open(path) as opened:
        return len(opened.readlines())


class Saver:
    def __init__(self, dest_path):
        self.dest_path = dest_path

    def save(self, text: str) -> None:
        if os.path.isdir(self.dest_path):
            raise ValueError('a folder')
        with open(self.dest_path, 'w') as opened:
            opened.write(text)
"""


def test_functions_that_take_a_file_get_one(tmp_path: Path) -> None:
    """What they make of a folder is asserted, and proves itself."""
    target = make_target(tmp_path, FILES)
    saver = target.gaps[0]._replace(name="Saver.save", line=20, end=24, lines=tuple(range(21, 25)))
    target = target._replace(gaps=(*target.gaps, saver))
    author = Offline(Settings(), Fresh(()))
    candidates = [each for gap in target.gaps for each in author.author(gap, target)]
    trials = Trials(Settings(), target, time.time(), Fresh(())).judge(candidates, target)
    assert all(trial.accepted for trial in trials), [trial.verdict for trial in trials]
    text = "\n".join(trial.text for trial in trials)
    assert "(tmp_path / 'notes.txt').write_text('one\\ntwo\\nthree\\n')" in text
    assert "== ['notes.txt.1']" in text
    assert "assert count(str(tmp_path / 'notes.txt')) == 3" in text
    assert 'pytest.raises(ValueError, match="no such file")' in text
    assert 'pytest.raises(ValueError, match="a folder")' in text
    assert ".save(" in text
    assert ".read_text() == '" in text


def test_what_is_raised_again_out_of_a_with_is_an_outcome(tmp_path: Path) -> None:
    """The last line that runs is the head of the ``with``."""
    source = (
        "import threading\n\nLOCK = threading.Lock()\n\n\n"
        "def taken(held: dict, key: str):\n"
        "    with LOCK:\n        try:\n            return held[key]\n"
        "        except KeyError:\n            raise\n"
    )
    target = make_target(tmp_path, source)
    (candidate,) = Offline(Settings(), Fresh(())).author(target.gaps[0], target)
    assert "pytest.raises(KeyError" in candidate.text


ASKED = """
import tempfile


class Draw:
    def shape(self, kind, **options):
        if "width" in options:
            return f"{kind} {options['width']}"
        if options.get("dashed"):
            return f"{kind} dashed"
        color = options.pop("color", "black")
        if color == "red":
            return "danger"
        return kind

    def spool(self, lines):
        with tempfile.TemporaryFile("w+") as held:
            held.writelines(f"{line}\\n" for line in lines)
            held.seek(0)
            return held.read()


class Lines:
    def __init__(self, file_obj):
        self._lines = iter(file_obj)
        self._seek = file_obj.seek

    def back(self):
        self._seek(0)
        return next(self._lines)


class Field:
    def __init__(self, fname):
        self.parts = fname.split(".")

    def first(self):
        return self.parts[0]


class Wire:
    def __init__(self, line, mark=None):
        self.line = line
        self.mark = mark

    def shown(self):
        if self.mark:
            return f"{self.mark}:{self.line}"
        return self.line


class Client:
    def __init__(self, line):
        self.line = Reader(line)

    def ask(self):
        return self.line.ask()


class Reader:
    def __init__(self, raw):
        self.raw = raw

    def ask(self):
        self.raw.send("?")
        return self.raw.receive()


class Mail:
    def user(self, email, when_date):
        user, at, host = email.partition("@")
        if not at:
            raise ValueError("no address")
        year, *rest = when_date.split("-")
        if len(rest) != 2:
            raise ValueError("no date")
        return user, int(year)


class Problem(Exception):
    def __init__(self, cause):
        self.cause = cause

    def kind(self):
        if isinstance(self.cause, Exception):
            return type(self.cause).__name__
        return "none"


def other():
    pass
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Draw.shape", r"width"),
        ("Draw.shape", r"dashed"),
        ("Draw.shape", r"'?color'?[:=] ?'red'"),
        ("Draw.spool", r"spool\(\[.+\]\) == '.+\\n'"),
        ("Lines.back", r"Lines\(io.StringIO\(.+\)\).back\(\) == '"),
        ("Wire.shown", r"Wire\(.+, mark=.+\).shown\(\) == '.*:"),
        ("Client.ask", r"Client\(types.SimpleNamespace\(send=.*receive="),
        ("Mail.user", r"user\('ada@example.org', '2024-01-31'\) == \('ada', 2024\)"),
        ("Problem.kind", r"Problem\((\w+)\('no'\)\).kind\(\) == '\1'"),
        ("Field.first", r"Field\('.*'\).first\(\) == '"),
    ],
)
def test_what_a_function_takes_is_seen(tmp_path: Path, name: str, said: str) -> None:
    """Keys, a temporary file, what is iterated but called a file, how a text of a name is written.

    What is optional, what another class reads, exceptions that wrap others.
    """
    assert re.search(said, written_for(tmp_path, ASKED, name))


def test_an_object_that_is_returned_and_can_be_called_is_called(tmp_path: Path) -> None:
    """It shows nothing else of itself."""
    source = (
        "class Counted:\n    def __init__(self, func):\n        self._func = func\n\n"
        "    def __call__(self, *args):\n        return [self._func(*args)]\n\n\n"
        "def counted(func):\n    return Counted(func)\n"
    )
    target = make_target(tmp_path, source)
    (candidate,) = Offline(Settings(), Fresh(())).author(target.gaps[0], target)
    assert re.search(r"assert counted\(\w+\)\(.*\) == \[", candidate.text), candidate.text


def test_a_wrapper_in_a_module_is_called(tmp_path: Path) -> None:
    """It looks like a cached property, which a class would hold."""
    source = (
        "class Wrapped:\n    def __init__(self, func):\n        self.func = func\n\n"
        "    def __call__(self, *args, **kwargs):\n        return self.func(*args, **kwargs)\n\n"
        "    def __get__(self, obj, owner=None):\n        return self\n\n\n"
        "@Wrapped\ndef twice(number: int):\n    return number * 2\n"
    )
    target = make_target(tmp_path, source)
    (candidate,) = Offline(Settings(), Fresh(())).author(target.gaps[0], target)
    assert "assert twice(" in candidate.text


def test_what_is_caught_is_an_exception(tmp_path: Path) -> None:
    """A parameter behind ``except`` is a class of exceptions."""
    source = (
        "def tried(what, caught):\n"
        "    try:\n        return int(what)\n    except caught:\n        return 'caught'\n"
    )
    target = make_target(tmp_path, source)
    (candidate,) = Offline(Settings(), Fresh(())).author(target.gaps[0], target)
    assert "'caught'" in candidate.text


def test_a_command_line_ends_with_its_code(tmp_path: Path) -> None:
    """What a program says to arguments that it does not know, and to some that it does."""
    source = (
        "import argparse\n\n\n"
        "def main(argv: list[str]) -> int:\n"
        "    parser = argparse.ArgumentParser('tool')\n"
        "    parser.add_argument('--loud', action='store_true')\n"
        "    asked = parser.parse_args(argv)\n"
        "    if asked.loud:\n        return 2\n    return 1\n"
    )
    target = make_target(tmp_path, source)
    arcs = ((7, -4), (8, 9), (8, 10))
    gaps = (target.gaps[0]._replace(branches=arcs),)
    target = target._replace(gaps=gaps)
    author = Offline(Settings(), Fresh(()))
    candidates = [each for gap in gaps for each in author.author(gap, target)]
    (trial,) = Trials(Settings(), target, time.time(), Fresh(())).judge(candidates, target)
    assert trial.accepted, trial.verdict
    assert 'pytest.raises(SystemExit, match="2")' in trial.text
    assert "(['--loud'], 2)" in trial.text or "main(['--loud']) == 2" in trial.text


AROUND = '''
from __future__ import annotations

import argparse
import datetime as dates
import os
import random
import shutil
import sys
import time
from datetime import datetime
from time import monotonic


def main():
    parser = argparse.ArgumentParser(prog="money")
    parser.add_argument("amount", type=float)
    parser.add_argument("--round", action="store_true")
    asked = parser.parse_args()
    if asked.round:
        print(round(asked.amount))
        return 0
    return 1


def settings():
    if os.environ.get("MONEY_DEBUG"):
        return {"verbose": True}
    return {}


def total():
    found = 0
    for line in sys.stdin:
        if line.strip().isdigit():
            found += int(line)
    return found


def lines(path=None):
    if path is None:
        path = sys.argv[1]
    with open(path) as opened:
        return opened.read().splitlines()


def plain(amount: int):
    """Ask for nothing, where it is small."""
    if amount > 3:
        return settings()
    return amount


def stamp(name: str):
    return f"{name}-{int(time.time())}"


def patient(tries: int):
    for each in range(tries):
        time.sleep(3)
    return tries * 2


def lucky():
    if random.random() < 0.1:
        return "yes"
    return "no"


def folder():
    if sys.platform == "win32":
        return "AppData"
    return ".config"


def greeting():
    if datetime.now().hour < 12:
        return "good morning"
    return "good day"


def since(start: float):
    return monotonic() - start


def told():
    return os.environ.get("MONEY_ASKED") == "yes"


def louder(conf: Conf):
    return "loud" if conf.level > 5 else "low"


def tool(name: str):
    try:
        found = shutil.which(name, path="/opt")
    except Exception:
        return "broken"
    return found or "none"


def poll(done: bool):
    end = time.monotonic() + 0.01
    while time.monotonic() < end:
        if done:
            return "done"
    return "late"


def other(items: list, first: int):
    second = first
    while second == first:
        second = random.choice(items)
    return second


def today():
    return dates.date.today().isoformat()


def upper():
    if "MONEY_LOUD" in os.environ:
        return os.environ["MONEY_LOUD"].upper()
    return "no"


class Conf:
    def __init__(self):
        self.level = int(os.environ.get("MONEY_LEVEL", "3"))


class Clock:
    def _read(self):
        return time.time()

    def shown(self):
        return f"{self._read():.0f}"
'''


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    """The trial of every candidate by the name of its function, of code that asks for more."""
    target = make_target(tmp_path_factory.mktemp("around"), AROUND)
    gaps = [
        target.gaps[0]._replace(
            name=node.name,
            line=node.lineno,
            end=node.end_lineno or node.lineno,
            lines=tuple(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)),
        )
        for node in ast.parse(target.source).body
        if isinstance(node, ast.FunctionDef)
    ]
    last = len(target.source.splitlines())
    shown = gaps[0]._replace(name="Clock.shown", line=last - 1, end=last, lines=(last,))
    gaps.append(shown)
    target = target._replace(gaps=tuple(gaps))
    author = Offline(Settings(), Fresh(()))
    candidates = [each for gap in gaps for each in author.author(gap, target)]
    trials = Trials(Settings(), target, time.time(), Fresh(())).judge(candidates, target)
    return {each.gap.name: trial for each, trial in zip(candidates, trials, strict=True)}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("main", r"monkeypatch.setattr\('sys.argv', \['prog'.*'--round'"),
        ("main", r"assert main\(\) == 0\n    assert capsys.readouterr\(\).out == '\d+\\n'"),
        ("settings", r"monkeypatch.delenv\('MONEY_DEBUG', raising=False\)"),
        ("settings", r"monkeypatch.setenv\('MONEY_DEBUG', '\w+'\)"),
        ("total", r"monkeypatch.setattr\('sys.stdin', io.StringIO\("),
        ("total", r"assert total\(\) == [1-9]"),
        ("lines", r"monkeypatch.setattr\('sys.argv', \['prog', str\(tmp_path / "),
        ("plain", r"monkeypatch.(setenv|delenv)\('MONEY_DEBUG'"),
        ("told", r"monkeypatch.delenv\('MONEY_ASKED', raising=False\)\n.*assert told\(\) is False"),
        ("louder", r"monkeypatch.delenv\('MONEY_LEVEL', raising=False\)\n.*Conf\(\)"),
        ("tool", r"which', lambda \*args, \*\*kwargs: None\)\n.* == 'none'"),
        ("poll", r"'late'"),
        ("other", r"monkeypatch.setattr\('random.choice', lambda items: items\[(0|-1)\]\)"),
        ("today", r"monkeypatch.setattr\('datetime.date', .*\n.* == '2024-01-31'"),
        ("upper", r"monkeypatch.setenv\('MONEY_LOUD', '.*'\)\n.* == '"),
        ("stamp", r"monkeypatch.setattr\('time.time', lambda: 1700000000.0\)"),
        ("patient", r"monkeypatch.setattr\('time.sleep', lambda \*args: None\)"),
        ("lucky", r"monkeypatch.setattr\('random.random', lambda: 0.\d+\)\n.* == 'yes'"),
        ("lucky", r" == 'no'"),
        ("folder", r"monkeypatch.setattr\('sys.platform', 'win32'\)\n.* == 'AppData'"),
        ("folder", r"monkeypatch.setattr\('sys.platform', 'linux'\)\n.* == '.config'"),
        ("greeting", r"monkeypatch.setattr\('pack.money.datetime', .*\n.* == 'good day'"),
        ("greeting", r"== 'good morning'"),
        ("Clock.shown", r"monkeypatch.setattr\('time.time', .*\n.* == '1700000000'"),
        ("since", r"monkeypatch.setattr\('pack.money.monotonic', lambda: 100.0\)"),
    ],
)
def test_what_a_function_finds_is_set_for_it(
    around: dict[str, Trial], name: str, said: str
) -> None:
    """What is another thing elsewhere or later: the trial accepts no test that leaves it open."""
    assert around[name].accepted, around[name].verdict
    assert re.search(said, around[name].text), around[name].text


def test_what_a_call_does_not_ask_for_is_left_alone(around: dict[str, Trial]) -> None:
    """It may be anything."""
    assert re.search(r"def test_plain\w*\((amount, expected)?\):", around["plain"].text)


CLICK = '''
import click


@click.command()
@click.argument("name")
@click.option("--count", type=int, default=1)
@click.option("--how", type=click.Choice(["loud", "low"]), default="low")
def hello(name, count, how):
    """Say hello."""
    if count < 0:
        raise click.BadParameter("not so few")
    if how == "loud":
        name = name.upper()
    for _ in range(count):
        click.echo(f"hello {name}")


@click.command()
@click.argument("path", type=click.Path(exists=True))
@click.option("--lines/--no-lines")
def size(path, lines):
    with open(path) as opened:
        text = opened.read()
    if lines:
        click.echo(len(text.splitlines()))
    else:
        click.echo(len(text))
'''


ASKING = """
import click


@click.command()
@click.option("--user", envvar="MONEY_USER", default="nobody")
@click.option("--name", prompt="Your name")
@click.option("quiet", " /-q", is_flag=True, default=True)
def who(user, name, quiet):
    click.echo(f"{name} is {user}")
"""


def test_a_program_made_with_click_is_answered(tmp_path: Path) -> None:
    """It gets what it asks for, and no variable of the user's."""
    target = make_target(tmp_path, ASKING)
    gap = target.gaps[0]._replace(name="who", line=4, end=9, lines=(9,))
    (candidate,) = Offline(Settings(), Fresh(())).author(gap, target._replace(gaps=(gap,)))
    (trial,) = Trials(Settings(), target, time.time(), Fresh(())).judge([candidate], target)
    assert trial.accepted, trial.verdict
    assert "monkeypatch.delenv('MONEY_USER', raising=False)" in trial.text
    assert r"input='a\na\na\na\n'" in trial.text
    assert "a is nobody" in trial.text


def test_a_program_made_with_click_is_run_by_its_runner(tmp_path: Path) -> None:
    """With what it needs, and each option beside it: what it prints is asserted."""
    target = make_target(tmp_path, CLICK)
    hello = target.gaps[0]._replace(name="hello", line=4, end=15, lines=(10, 11, 12, 13, 14, 15))
    size = hello._replace(name="size", line=18, end=27, lines=(22, 23, 24, 25, 27))
    target = target._replace(gaps=(hello, size))
    author = Offline(Settings(), Fresh(()))
    candidates = [each for gap in target.gaps for each in author.author(gap, target)]
    trials = Trials(Settings(), target, time.time(), Fresh(())).judge(candidates, target)
    assert all(trial.accepted for trial in trials), [trial.verdict for trial in trials]
    text = "\n".join(trial.text for trial in trials)
    assert "from click.testing import CliRunner" in text
    assert "(['a', '--how', 'loud'], 'hello A\\n')" in text
    assert "not so few" in text
    assert "CliRunner().invoke(size, [str(tmp_path / 'notes.txt'), '--lines']" in text


ARGPARSE = """
import argparse


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tool")
    parser.add_argument("--loud", action="store_true")
    inner = parser.add_subparsers(dest="command", required=True)
    count = inner.add_parser("count")
    count.add_argument("path", type=argparse.FileType())
    total = inner.add_parser("total")
    total.add_argument("numbers", type=int, nargs="+")
    total.add_argument("--how", choices=["sum", "product"], default="sum")
    args = parser.parse_args(argv)
    if args.command == "count":
        with args.path:
            said = f"{len(args.path.read().split())} words"
    elif args.how == "sum":
        said = str(sum(args.numbers))
    else:
        result = 1
        for number in args.numbers:
            result *= number
        said = str(result)
    if args.loud:
        said += "!"
    print(said)


def hello():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    print(f"hello {args.name}")
"""


def test_a_program_made_with_argparse_is_run_with_lines_that_its_parser_takes(
    tmp_path: Path,
) -> None:
    """Its commands, with what they need, and its options; what it prints is asserted."""
    target = make_target(tmp_path, ARGPARSE)
    main = target.gaps[0]._replace(name="main", line=4, end=26, lines=tuple(range(14, 27)))
    hello = main._replace(name="hello", line=29, end=33, lines=(33,))
    target = target._replace(gaps=(main, hello))
    author = Offline(Settings(), Fresh(()))
    candidates = [each for gap in target.gaps for each in author.author(gap, target)]
    trials = Trials(Settings(), target, time.time(), Fresh(())).judge(candidates, target)
    assert all(trial.accepted for trial in trials), [trial.verdict for trial in trials]
    text = "\n".join(trial.text for trial in trials)
    assert "main(argv=['count', str(tmp_path / 'notes.txt')])" in text
    assert "'3 words\\n'" in text
    assert "main(argv=['total', '--how', 'product', '1', '7'])" in text
    assert "main(argv=['--loud', " in text
    assert "monkeypatch.setattr('sys.argv', ['prog', '--name', 'a'])" in text
    assert "'hello a\\n'" in text


ODD = """
import argparse
import os

PARSER = argparse.ArgumentParser(prog="tool")
PARSER.add_argument("in-file", nargs="?")
PARSER.add_argument("--from", dest="a.b", default="")


def other(text: str):
    return text.upper()


def read(number: int):
    known = vars(PARSER.parse_args())
    return (len(known), known["a.b"], number)


def refused(word: str):
    parser = argparse.ArgumentParser(prog="tool", exit_on_error=False)
    parser.add_argument("how", choices=["one", "two"])
    try:
        parser.parse_args([word])
    except argparse.ArgumentError as error:
        return str(error)


def local(name: str):
    known = dict(os.environ)
    return name + known[name]
"""


def test_a_program_of_odd_names_is_run_and_no_line_of_another(tmp_path: Path) -> None:
    """No variable of this machine is known, and no message of one Python."""
    target = make_target(tmp_path, ODD)
    gaps = {gap.name: gap for gap in target.gaps}
    (candidate,) = Offline(Settings(), Fresh(())).author(gaps["read"], target)
    assert "monkeypatch.setattr('sys.argv', ['prog'])" in candidate.text
    assert candidate.text.count("def test") == candidate.text.count("setattr('sys.argv'")
    for name, word in (("local", "PATH"), ("refused", "choose from")):
        for found in Offline(Settings(), Fresh(())).author(gaps[name], target):
            assert word not in found.text


def test_a_text_is_written_as_a_pattern_wants_it(tmp_path: Path) -> None:
    """With what is optional and without it."""
    source = (
        "import re\n\n\n"
        "def bump(tag):\n"
        '    match = re.fullmatch(r"v(\\d+)\\.(\\d+)(?:-(alpha|beta)(\\d+))?", tag)\n'
        "    if not match:\n        return None\n"
        "    major, minor, kind, number = match.groups()\n"
        "    if kind:\n        return f'v{major}.{minor}-{kind}{int(number) + 1}'\n"
        "    return f'v{major}.{int(minor) + 1}'\n"
    )
    target = make_target(tmp_path, source)
    (candidate,) = Offline(Settings(), Fresh(())).author(target.gaps[0], target)
    assert "('v1.1-alpha1', 'v1.1-alpha2')" in candidate.text
    assert "('v9.9', 'v9.10')" in candidate.text


def test_a_key_that_is_not_there_is_exchanged_for_one_that_is(tmp_path: Path) -> None:
    """Nothing compares it: only the dictionary knows."""
    source = (
        "RATES = {'kWh-day': 3, 'kWh-night': 2}\n\n\n"
        "def price(kind, count: int):\n    rate = RATES[kind.strip()]\n    return rate * count\n"
    )
    target = make_target(tmp_path, source)
    gap = target.gaps[0]._replace(name="price", line=4, end=6, lines=(6,))
    (candidate,) = Offline(Settings(), Fresh(())).author(gap, target._replace(gaps=(gap,)))
    assert "price('kWh-day', " in candidate.text


def test_an_object_that_answers_nothing_spoils_nothing(tmp_path: Path) -> None:
    """Outside of a request, say, whatever it is asked for, even for its class."""
    source = (
        "class Proxy:\n"
        "    @property\n    def __class__(self):\n        raise RuntimeError('no request')\n\n"
        "    def __getattr__(self, name):\n        raise RuntimeError('no request')\n\n\n"
        "request = Proxy()\n\n\n"
        "def double(number: int):\n    return number * 2\n"
    )
    target = make_target(tmp_path, source)
    candidates = [*Offline(Settings(), Fresh(())).author(target.gaps[0], target)]
    trials = Trials(Settings(), target, time.time(), Fresh(())).judge(candidates, target)
    assert [trial.accepted for trial in trials] == [True], trials
    assert "double(" in trials[0].text
