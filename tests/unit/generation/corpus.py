"""Bad candidates, one a kind, with the stage that must refuse it; and good ones.

The kinds are those that authors were seen to produce, and ways around the trial. ``SOURCE`` is
the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

SOURCE = '''
"""Money, and a few things that are hard to test."""

import builtins
import datetime
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading

RATES = {"eur": 1.1, "chf": 1.05}
_last = None


def convert(amount, currency="eur"):
    """Return dollars."""
    if currency not in RATES:
        raise ValueError(f"unknown currency: {currency}")
    if amount < 0:
        return -convert(-amount, currency)
    return round(amount * RATES[currency], 2)


def label(amount):
    if amount == 0:
        return "free"
    return f"{amount:.2f}"


def year():
    return datetime.date.today().year


def home():
    return os.path.expanduser("~")


def program():
    return sys.argv[0].rpartition(".")[2]


def others():
    return sum(each.__name__ == "Other" for each in dict.__subclasses__())


def host():
    return socket.gethostname()


def node():
    return platform.node().lower()


def threads():
    return threading.active_count()


def there(path):
    return "here" if os.path.exists(path) else "away"


def tags(text):
    return list(set(text.split()))


def remember(value):
    global _last
    _last = value
    return value


def recall():
    return _last


def save(path, text):
    with open(path, "w") as file:
        file.write(text)
    return len(text)


def fetch(host):
    try:
        socket.create_connection((host, 80), timeout=1).close()
    except OSError:
        return "offline"
    return "online"


def shell(command):
    try:
        return subprocess.run(command, shell=True).returncode
    except OSError:
        return -1


def background(event):
    thread = threading.Thread(target=event.wait)
    thread.start()
    return "started"


def on_hangup(handler):
    signal.signal(signal.SIGHUP, handler)
    return "listens"


def on_error(hook):
    sys.excepthook = hook
    return "listens"


def pretend(name):
    sys.argv = [name]
    return "called so"


def install(name):
    vars(builtins)[name] = label
    return "there"


def secret(name):
    return os.environ.get(name, "none")


def debugging():
    return os.environ.get("MONEY_DEBUG") is not None


def hurried():
    return bool(os.getenv("CI"))


def width():
    return shutil.get_terminal_size().columns


def count(limit):
    total = 0
    while total != limit:
        total += 1
    return total


def covered(value):
    return value
'''


@dataclass(frozen=True)
class Bad:
    """A candidate that must be refused: by which stage, with what in the reason."""

    kind: str
    stage: str
    reason: str
    text: str


def _bad(kind: str, stage: str, reason: str, text: str) -> Bad:
    return Bad(kind, stage, reason, dedent(text).lstrip("\n"))


_IMPORT = "from pack import money\n\n\n"


def _test(kind: str, stage: str, reason: str, body: str, arguments: str = "") -> Bad:
    lines = dedent(body).strip().splitlines()
    text = f"{_IMPORT}def test_it({arguments}):\n" + "".join(f"    {line}\n" for line in lines)
    return Bad(kind, stage, reason, text)


READ: tuple[Bad, ...] = (
    # no test module
    _bad("syntax error", "reply", "parse", "from pack import money\n\ndef test_it(:\n    pass\n"),
    _bad("truncated", "reply", "parse", "from pack import money\n\ndef test_it():\n    assert ("),
    _bad("prose", "reply", "parse", "Sure! Here is a test that covers the function.\n"),
    _bad("empty", "reply", "empty", "\n\n"),
    _bad("json instead of code", "reply", "no test", '{"tests": ["test_it"]}\n'),
    _bad("yaml instead of code", "reply", "parse", "tests:\n  - name: test_it\n    code: |\n"),
    _bad("fence left in", "reply", "fence", "```python\nimport pack\n```\n"),
    _bad("edits another file", "reply", "edits", "FILE: conftest.py\nimport pytest\n"),
    _bad("a patch", "reply", "edits", "+++ b/tests/test_a.py\n@@ -1 +1 @@\n-x\n+y\n"),
    _bad("no test function", "reply", "no test", "from pack import money\n\nX = 1\n"),
    _bad("giant", "reply", "characters", "from pack import money\n" + "# filler line\n" * 2000),
    _bad("nul bytes", "reply", "no text", "from pack import money\0\n"),
    _bad("not utf-8", "reply", "no text", "from pack import money\n# \ufffd\ufffd\n"),
    _bad("mixed tabs", "reply", "parse", "def test_it():\n    a = 1\n\tb = 2\n"),
    _bad("too many tests", "reply", "tests; at most", "from pack import money\n"
         + "".join(f"def test_{n}(): assert money.label(0) == 'free'\n" for n in range(60))),
    # harmful as far as can be read
    _bad("does not import the code", "safety", "does not import",
         "def test_it():\n    assert 1 + 1 == 2\n"),
    _bad("tests a copy", "safety", "copy", """
        from pack import money

        def convert(amount):
            return amount * 1.1

        def test_it():
            assert convert(10) == 11
        """),
    _bad("code at import", "safety", "when the module is imported", """
        from pack import money

        print(money.convert(1))

        def test_it():
            assert money.convert(10) == 11
        """),
    _bad("call in a constant", "safety", "when the module is imported", """
        from pack import money

        X = money.convert(3)

        def test_it():
            assert X == 3.3
        """),
    _bad("star import", "safety", "when the module is imported",
         "from pack.money import *\n\ndef test_it():\n    assert convert(10) == 11\n"),
    _bad("skip marker", "safety", "skip", """
        import pytest
        from pack import money

        @pytest.mark.skip
        def test_it():
            assert money.convert(10) == 11
        """),
    _bad("xfail marker", "safety", "xfail", """
        import pytest
        from pack import money

        @pytest.mark.xfail
        def test_it():
            assert money.convert(10) == 12
        """),
    _bad("skips inside", "safety", "pytest.skip", """
        import pytest
        from pack import money

        def test_it():
            pytest.skip("later")
            assert money.convert(10) == 11
        """),
    _bad("ends the process", "safety", "os._exit", """
        import os
        from pack import money

        def test_it():
            assert money.convert(10) == 11
            os._exit(0)
        """),
    _bad("deletes a tree", "safety", "shutil.rmtree", """
        import shutil
        from pack import money

        def test_it():
            shutil.rmtree("/tmp/aqe-nothing", ignore_errors=True)
            assert money.convert(10) == 11
        """),
    _bad("runs a program", "safety", "subprocess", """
        import subprocess
        from pack import money

        def test_it():
            subprocess.run(["true"])
            assert money.convert(10) == 11
        """),
    _bad("changes the environment", "safety", "os.environ", """
        import os
        from pack import money

        def test_it():
            os.environ["X"] = "1"
            assert money.convert(10) == 11
        """),
    _bad("rebinds the target", "safety", "rebinds", """
        from pack import money

        def test_it():
            money.convert = lambda amount: 11
            assert money.convert(10) == 11
        """),
    _bad("changes a table of the target", "safety", "changes money.RATES", """
        from pack import money

        def test_it():
            money.RATES["gbp"] = 2
            assert money.convert(10, "gbp") == 20
        """),
    _bad("replaces a module", "safety", "sys.modules", """
        import sys
        from pack import money

        def test_it():
            sys.modules["pack.money"] = None
            assert money.convert(10) == 11
        """),
    _bad("sleeps", "safety", "time.sleep", """
        import time
        from pack import money

        def test_it():
            time.sleep(60)
            assert money.convert(10) == 11
        """),
    _bad("loops for ever", "safety", "for ever", """
        from pack import money

        def test_it():
            while True:
                money.convert(10)
            assert money.convert(10) == 11
        """),
    _bad("forges execution", "safety", "exec", """
        from pack import money

        def test_it():
            exec(compile("\\n" * 12 + "x = 1", money.__file__, "exec"))
            assert money.label(0) == "free"
        """),
    _bad("a call in disguise", "safety", "put together", """
        import os
        from pack import money

        def test_it():
            getattr(os, "sys" + "tem")("true")
            assert money.convert(10) == 11
        """),
    _bad("import in disguise", "safety", "__import__", """
        from pack import money

        def test_it():
            __import__("os").system("true")
            assert money.convert(10) == 11
        """),
    _bad("reaches for globals", "safety", "__globals__", """
        from pack import money

        def test_it():
            money.convert.__globals__["RATES"] = {"eur": 1}
            assert money.convert(10) == 10
        """),
    _bad("beside itself", "safety", "__file__", """
        from pathlib import Path
        from pack import money

        def test_it():
            Path(__file__).with_name("x").write_text("x")
            assert money.convert(10) == 11
        """),
    _bad("changes the recursion limit", "safety", "setrecursionlimit", """
        import sys
        from pack import money

        def test_it():
            sys.setrecursionlimit(50_000)
            assert money.convert(10) == 11
        """),
    _bad("patches coverage", "safety", "coverage", """
        import coverage
        from pack import money

        def test_it():
            coverage.Coverage.stop = lambda self: None
            assert money.convert(10) == 11
        """),
    _bad("another framework", "safety", "unittest", """
        import unittest
        from pack import money

        class TestIt(unittest.TestCase):
            def test_it(self):
                self.assertEqual(money.convert(10), 11)
        """),
    _bad("order-dependent by a global", "safety", "global", """
        from pack import money

        value = 0

        def test_one():
            global value
            value = money.convert(10)
            assert value == 11

        def test_two():
            assert value == money.convert(10)
        """),
    # nothing that can fail for a reason
    _test("no assertion", "oracle", "asserts nothing", "money.convert(10)"),
    _test("prints instead", "oracle", "asserts nothing", "print(money.convert(10))"),
    _test("asserts under a condition", "oracle", "where a condition does not hold",
          "if money.year() == 2026:\n    assert money.label(0) == 'free'"),
    _test("asserts in one branch", "oracle", "where a condition does not hold", """
        for amount in [0, 5]:
            if money.label(amount):
                money.convert(10)
            else:
                assert money.label(0) == 'free'
        """),
    _test("tautology", "oracle", "whatever", "assert money.convert(10) == money.convert(10)"),
    _test("recomputes", "oracle", "whatever", "x = money.convert(10)\nassert x == x"),
    _test("asserts true", "oracle", "whatever", "money.convert(10)\nassert True"),
    _test("or true", "oracle", "whatever", "assert money.convert(10) == 99 or True"),
    _test("unrelated", "oracle", "does not depend", "y = 2\nmoney.convert(1)\nassert y == 2"),
    _test("length at least zero", "oracle", "whatever", "assert len(money.label(0)) >= 0"),
    _test("not none", "oracle", "too little", "assert money.label(5) is not None"),
    _test("a type", "oracle", "too little", "assert isinstance(money.label(5), str)"),
    _test("any exception", "oracle", "too little",
          "import pytest\nwith pytest.raises(Exception):\n    money.convert(1, 'gbp')"),
    _test("swallowed", "oracle", "swallowed", """
        try:
            assert money.convert(10) == 12
        except AssertionError:
            pass
        """),
    _test("swallowed by a bare except", "oracle", "swallowed", """
        try:
            assert money.convert(10) == 12
        except:
            print("no")
        """),
    _test("chance", "oracle", "random", "import random\n"
          "amount = random.randint(1, 9)\nassert money.convert(amount) > 0"),
    _test("the clock", "oracle", "time.time", "import time\n"
          "assert money.convert(time.time()) > 0"),
    _test("an address", "oracle", "id", "x = money.RATES\nassert money.convert(id(x)) > 0"),
    _test("order of a set", "oracle", "set",
          "words = list(set(money.tags('b a')))\nassert words == ['a', 'b']"),
)  # fmt: skip

RUN: tuple[Bad, ...] = (
    # fails
    _test("wrong value", "run", "11.0 == 12", "assert money.convert(10) == 12"),
    _test("invented attribute", "run", "AttributeError", "assert money.exchange(10) == 11"),
    _test("invented argument", "run", "TypeError", "assert money.convert(10, unit='x') == 11"),
    _test("missing fixture", "run", "client", "assert money.label(0) == 'free'", "client"),
    _test("did not raise", "run", "DID NOT RAISE",
          "import pytest\nwith pytest.raises(ValueError):\n    money.convert(10)"),
    _bad("missing dependency", "run", "cannot be imported", """
        import no_such_package
        from pack import money

        def test_it():
            assert money.convert(10) == 11
        """),
    # weak
    _test("a truth value", "mutants", "", "assert money.label(5)"),
    # gains nothing
    _test("no gain", "gain", "no line", "assert money.covered(3) == 3"),
    _test("asserts on a mock", "gain", "no line", """
        from unittest import mock
        with mock.patch.object(money, "label", return_value="x"):
            assert money.label(3) == "x"
        """),
    # reaches for what no test needs
    _test("network", "traces", "the network", "assert money.fetch('example.org') == 'offline'"),
    _test("network, swallowed", "traces", "the network", """
        import socket
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except BaseException:
            pass
        assert money.label(0) == "free"
        """),
    _test("a name looked up", "traces", "the network", """
        import socket
        try:
            socket.getaddrinfo("example.org", 80)
        except BaseException:
            pass
        assert money.label(0) == "free"
        """),
    _test("a program by the target", "traces", "another process",
          "assert money.shell('true') in (0, -1)"),
    _test("writes outside", "traces", "writing",
          "assert money.save('/var/tmp/aqe-corpus', 'x') == 1"),
    _test("writes into the project", "traces", "writing", """
        from pathlib import Path
        path = Path(money.RATES.__class__.__name__).resolve()
        assert money.save(str(Path(money.__spec__.origin)) + ".x", "x") == 1
        """),
    _test("an alias of a forbidden call", "traces", "another process", """
        import os as system
        run = system.__dict__["system"]
        run("true")
        assert money.label(0) == "free"
        """),
    _test("a prefix of the scratch folder", "traces", "writing", """
        from pathlib import Path
        assert money.save(str(Path.cwd()) + "-beside", "x") == 1
        """),
    # leaves a trace
    _test("leaves a file", "traces", "leaves the file", "assert money.save('left', 'x') == 1"),
    _test("leaves a thread", "traces", "thread", """
        import threading
        assert money.background(threading.Event()) == "started"
        """),
    _test("listens to a signal", "traces", "handler of SIGHUP",
          "assert money.on_hangup(lambda *_: None) == 'listens'"),
    _test("listens to errors", "traces", "sys.excepthook",
          "assert money.on_error(print) == 'listens'"),
    _test("another command line", "traces", "sys.argv",
          "assert money.pretend('x') == 'called so'"),
    _test("a new built-in", "traces", "built-in money_label",
          "assert money.install('money_label') == 'there'"),
    _test("changes the directory", "traces", "working directory",
          "import os\nos.chdir(str(tmp_path))\nassert money.label(0) == 'free'", "tmp_path"),
    _test("changes the environment by an alias", "traces", "the environment",
          "from os import environ\nenviron.update(X='1')\nassert money.secret('X') == '1'"),
    _test("rebinds by object.__setattr__", "traces", "rebinds", """
        money.__dict__.update(label=lambda amount: "free")
        assert money.label(0) == "free" and money.convert(-10) == -11
        """),
    # does not hold
    _test("only today", "stability", "another date", "assert money.year() == {year}"),
    _test("length of the home folder's path", "stability", "interpreter",
          "assert len(money.home()) == {home}"),
    _test("depth of the home folder", "stability", "interpreter",
          "assert money.home().count('/') == {depth}"),
    _test("classes of others", "stability", "interpreter", "assert money.others() == 0"),
    _test("order of hashes", "stability", "",
          "assert money.tags('a b c d e f g h') == {tags}"),
    _bad("order-dependent pair", "run", "None == 7", """
        from pack import money

        def test_one():
            money.remember(7)

        def test_two():
            assert money.recall() == 7
        """),
    _bad("spoils its sibling", "stability", "", """
        from pack import money

        def test_one():
            assert money.recall() is None and money.label(0) == "free"

        def test_two():
            assert money.remember(7) == 7
        """),
    # ends, blocks or fills
    _test("never ends", "run", "too long", "assert money.count(-1) == -1"),
    _test("exits by an exception", "run", "SystemExit",
          "assert money.label(0) == 'free'\nraise SystemExit(0)"),
    _test("fills memory", "run", "MemoryError",
          "assert len(money.label(0) * (1 << 33)) == 4 << 33"),
    _test("deep recursion", "run", "RecursionError", """
        def again(n):
            return again(n + 1) + money.convert(n)
        assert again(0) == 1
        """),
    _test("talks for ever", "run", "", """
        for number in range(10**9):
            print(money.label(number) * 1000)
        assert money.label(0) == "free"
        """),
    _test("secret probe", "run", "none", "assert money.secret('AQE_CORPUS_KEY') == 'abc'"),
)  # fmt: skip

# what none of the others may disturb
ELSEWHERE: tuple[Bad, ...] = (
    _test("name of the machine", "stability", "interpreter", "assert money.host() == '{host}'"),
    _test(
        "name of the platform",
        "stability",
        "interpreter",
        "assert money.node() == '{host}'.lower()",
    ),
    _test("name of the program", "stability", "interpreter", "assert money.program() == 'py'"),
    _test("number of threads", "stability", "interpreter", "assert money.threads() == 1"),
    _test("a variable of the project that is not set", "stability", "interpreter",
          "assert money.debugging() is False"),
    _test("not on CI", "stability", "interpreter", "assert money.hurried() is False"),
    _test("width of the terminal", "stability", "interpreter", "assert money.width() == 80"),
    _test(
        "a file that is there where the suite runs",
        "stability",
        "interpreter",
        "assert money.there('pack') == 'away'",
    ),
    _test(
        "a file that is there where the trial runs",
        "stability",
        "interpreter",
        "assert money.there('pytest.ini') == 'here'",
    ),
    _test("name of the temporary folder", "stability", "interpreter",
          "assert money.tags(tmp_path.parents[1].name[:3]) == ['aqe']", "tmp_path"),
    _bad("cannot be imported at another date", "stability", "not collected at another date", """
        import pytest
        from pack import money

        @pytest.mark.parametrize("amount", [{{year}: 10}[money.year()]])
        def test_it(amount):
            assert money.convert(amount) == 11.0
        """),
    _bad("fewer cases at another date", "stability", "fewer cases at another date", """
        import pytest
        from pack import money

        @pytest.mark.parametrize("a, b", [(-10, -11.0), *[(10, 11.0)][:money.year() == {year}]])
        def test_it(a, b):
            assert money.convert(a) == b
        """),
    _bad("cannot be imported under another hash seed", "stability", "not collected", """
        import pytest
        from pack import money

        @pytest.mark.parametrize("amount", [{str({tags}): 10}[str(money.tags("a b c d e f g h"))]])
        def test_it(amount):
            assert money.convert(amount) == 11.0
        """),
)  # fmt: skip

GOOD: tuple[tuple[str, str], ...] = (
    ("values", "def test_it():\n    assert money.convert(10) == 11.0\n"),
    ("an error", "def test_it():\n    with pytest.raises(ValueError, match='gbp'):\n"
     "        money.convert(1, 'gbp')\n"),
    ("parametrized", "@pytest.mark.parametrize('amount, said', [(0, 'free'), (5, '5.00')])\n"
     "def test_it(amount, said):\n    assert money.label(amount) == said\n"),
    ("a class", "class TestLabel:\n    def test_free(self):\n"
     "        assert money.label(0) == 'free'\n"),
    ("in both branches", "def test_it():\n    if money.threads() > 99:\n"
     "        assert money.label(0) == 'free'\n    else:\n"
     "        assert money.label(0) == 'free'\n"),
    ("before a condition", "def test_it():\n    said = money.label(0)\n    assert said == 'free'\n"
     "    if said:\n        assert money.convert(10) == 11.0\n"),
    ("raises under a with", "def test_it():\n    with pytest.raises(ValueError, match='gbp'):\n"
     "        if money.label(0):\n            money.convert(1, 'gbp')\n"),
    ("approximately", "def test_it():\n    assert money.convert(-10) == pytest.approx(-11)\n"),
    ("in its own folder", "def test_it(tmp_path):\n"
     "    assert money.save(tmp_path / 'x', 'abc') == 3\n"),
    ("monkeypatched", "def test_it(monkeypatch):\n    monkeypatch.setenv('X', 'y')\n"
     "    assert money.secret('X') == 'y'\n"),
    ("a helper", "def check(amount, said):\n    assert money.label(amount) == said\n\n\n"
     "def test_it():\n    check(0, 'free')\n"),
    ("a fixture", "@pytest.fixture\ndef amount():\n    return 10\n\n\n"
     "def test_it(amount):\n    assert money.convert(amount) == 11\n"),
    ("mocked network", "def test_it(monkeypatch):\n"
     "    class Connection:\n        def close(self):\n            pass\n\n"
     "    monkeypatch.setattr(money.socket, 'create_connection', lambda *a, **k: Connection())\n"
     "    assert money.fetch('example.org') == 'online'\n"),
    ("sorted set", "def test_it():\n    assert sorted(money.tags('b a b')) == ['a', 'b']\n"),
    ("state restored", "def test_it(monkeypatch):\n    monkeypatch.setattr(money, '_last', None)\n"
     "    assert money.remember(3) == 3\n    assert money.recall() == 3\n"),
)  # fmt: skip
