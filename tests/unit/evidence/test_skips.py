"""Which skips the interpreter and the project's code alone decide."""

from __future__ import annotations

import pytest

from pytest_aqe.evidence.skips import Skips

HEAD = "import os, platform, shutil, sys, unittest\nimport sys as system\nimport pytest\n"


class Asking:
    """Asks of every test while the session is there."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Ask."""
        skips = Skips()
        self.settled = [skips.are_settled(item) for item in session.items]


def settled(pytester: pytest.Pytester, source: str, **modules: str) -> list[bool]:
    """Say of every test of a module, in turn, whether its skip is settled."""
    pytester.makepyfile(test_it=HEAD + source, **modules)
    asking = Asking()
    pytester.inline_run("--collect-only", "-p", "no:randomly", plugins=[asking])
    return asking.settled


@pytest.mark.parametrize(
    "condition",
    [
        "True",
        "sys.version_info >= (3, 8)",
        "sys.version_info[:2] > (3, 0)",
        "sys.version_info[0] == 3",
        "system.version_info.major == 3 and sys.version_info.minor != 0",
        "not sys.platform.startswith('mars')",
        "sys.platform in ('mars', sys.platform) or shutil.which('mars')",
        "platform.python_implementation().lower() == sys.implementation.name",
        "hasattr(os, 'getpid')",
        "0 < sys.maxsize",
        "KNOWN",
        "not UNKNOWN_ELSEWHERE",
        "BRANCH",
    ],
)
def test_what_the_interpreter_decides_is_settled(pytester: pytest.Pytester, condition: str) -> None:
    """Directly, and behind names that are assigned once."""
    source = f"""
from elsewhere import UNKNOWN_ELSEWHERE
KNOWN = ALSO = sys.maxsize > 2
if KNOWN:
    BRANCH: bool = ALSO
else:
    BRANCH = False
@pytest.mark.skipif({condition}, reason="r")
def test(): pass
"""
    elsewhere = "import sys\nUNKNOWN_ELSEWHERE = sys.platform == 'mars'"
    assert settled(pytester, source, elsewhere=elsewhere) == [True]


@pytest.mark.parametrize(
    "condition",
    [
        "False",
        "sys.version_info < (3, 8)",
        "shutil.which('mars') is None",
        "'MARS' not in os.environ",
        "not os.path.exists('mars')",
        "sys.platform == 'mars' or not shutil.which('mars')",
        "'sys.platform != \"mars\"'",
        "TWICE",
        "TRIED",
        "SET",
        "GLOBAL",
        "NOWHERE if 0 else 1",
        "sys.version_info >= '3'",
        "hasattr(pytest, 'skip')",
        "LOOP",
        "not EMPTY",
        "LISTED",
        "NESTED",
        "hasattr(sys, '_quick')",
        "places.MEDDLED",
        "MEDDLED_TOO",
    ],
)
def test_anything_else_is_open(pytester: pytest.Pytester, condition: str) -> None:
    """Also where the mark does not skip now: something else did."""
    source = f"""
TWICE = True
TWICE = True
try:
    TRIED = True
except ImportError:
    TRIED = False
if shutil.which("sh"):
    SET = True
else:
    SET = True
GLOBAL = True
def change():
    global GLOBAL
    GLOBAL = False
import places
from places import MEDDLED_TOO
EMPTY = []
LISTED = [True]
HERE = False
try:
    import not_there
    HERE = True
except ImportError:
    pass
if HERE:
    NESTED = False
else:
    NESTED = True
LOOP = sys.maxsize > 2 and sys.maxsize > 2
for LOOP in [True]: pass
@pytest.mark.skipif("True", {condition!r}, reason="r")
def test_as_a_text(): pass
try:
    @pytest.mark.skipif({condition}, reason="r")
    @pytest.mark.skipif("True", reason="r")
    def test_now(): pass
except (TypeError, NameError):
    def test_now(): pass
test_also = test_now
@pytest.mark.skipif({condition if "'3'" not in condition else False}, reason="r")
@pytest.mark.skipif("True", reason="r")
def test_again(): pass
"""
    places = "MEDDLED = True\nMEDDLED_TOO: bool = True\n"
    conftest = (
        "import os, places\nplaces.MEDDLED = 'RUN_ALL' not in os.environ\n"
        "if 'RUN_ALL' in os.environ: setattr(places, 'MEDDLED_TOO', False)\n"
    )
    assert settled(pytester, source, places=places, conftest=conftest) == [False] * 4


def test_where_marks_stand(pytester: pytest.Pytester) -> None:
    """On functions, classes, in a class, in lists, behind names, and of unittest."""
    source = """
from marks import on_mars
@on_mars
def test_a(): pass
@pytest.mark.skip
def test_b(): pass
@pytest.mark.skip(reason="r")
class TestC:
    def test_c(self): pass
    class TestInner:
        def test_d(self): pass
class TestE:
    pytestmark = [pytest.mark.skipif(shutil.which("mars") is None, reason="r"), on_mars]
    def test_e(self): pass
class TestF(unittest.TestCase):
    @unittest.skipUnless(sys.platform == "mars", "r")
    def test_f(self): pass
    @unittest.skipIf(sys.platform == "mars", "r")
    def test_g(self): pass
@unittest.skip("r")
class TestH(unittest.TestCase):
    def test_h(self): pass
@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.skip)])
def test_i(n): pass
def test_j(): pass
"""
    marks = "import sys, pytest\non_mars = pytest.mark.skipif(sys.platform != 'mars', reason='r')"
    found = settled(pytester, source, marks=marks)
    assert found == [True, True, True, True, False, True, False, True, False, False, False]


@pytest.mark.parametrize("after", ["", "pytestmark = [*pytestmark]\n"])
def test_the_marks_of_a_module(pytester: pytest.Pytester, after: str) -> None:
    """Alone or in a list, but only one that nothing replaces."""
    assert settled(pytester, f"pytestmark = [pytest.mark.skip]\n{after}def test_a(): pass\n") == [
        not after
    ]


def test_a_class_gives_names_its_own_meaning(pytester: pytest.Pytester) -> None:
    """What a decorator of a method says is looked up in the class first."""
    source = """
SKIP = KEPT = True
class TestShop:
    SKIP = not os.environ.get("RUN_ALL")
    @pytest.mark.skipif(SKIP, reason="r")
    def test_open(self): pass
    @pytest.mark.skipif(KEPT, reason="r")
    def test_settled(self): pass
"""
    assert settled(pytester, source.replace("SKIP = KEPT", "KEPT")) == [False, True]


def test_a_heir_takes_a_mark_of_unittest_off(pytester: pytest.Pytester) -> None:
    """Then it is not what skips the methods."""
    source = """
@unittest.skip("abstract")
class Base(unittest.TestCase):
    @unittest.skipUnless(os.environ.get("RUN_ALL"), "all")
    def test_it(self): pass
class Shop(Base):
    __unittest_skip__ = False
"""
    assert settled(pytester, source, conftest="") == [True, False]


def test_who_handles_marks_may_take_them_off(pytester: pytest.Pytester) -> None:
    """For a reason that no source of a test says."""
    conftest = (
        "import os\ndef pytest_collection_modifyitems(items):\n"
        "    for item in items:\n        if 'RUN_ALL' in os.environ: item.own_markers.clear()\n"
    )
    source = "@pytest.mark.skip\ndef test_it(): pass\n"
    assert settled(pytester, source, conftest=conftest) == [False]


def test_a_star_may_bring_anything(pytester: pytest.Pytester) -> None:
    """Below an assignment, another value for the same name."""
    source = (
        "SKIP = True\nfrom places import *\n"
        "@pytest.mark.skipif(SKIP, reason='r')\ndef test_it(): pass\n"
    )
    assert settled(pytester, source, places="") == [False]


def test_relative_imports(pytester: pytest.Pytester) -> None:
    """Names lead through the modules of a package."""
    pytester.makepyfile(
        __init__="", one="from .two import NEW\n", two="import sys\nNEW = sys.maxsize > 2\n"
    )
    source = """
from .one import NEW
from . import two
@pytest.mark.skipif(NEW, reason='r')
def test_a(): pass
@pytest.mark.skipif(two.NEW, reason='r')
def test_b(): pass
"""
    assert settled(pytester, source) == [True, True]


def test_a_file_that_is_no_longer_python(pytester: pytest.Pytester) -> None:
    """What cannot be read is not settled."""
    source = (
        "import pathlib\npathlib.Path(__file__).write_text('(')\n"
        "@pytest.mark.skip\ndef test_a(): pass\n"
    )
    assert settled(pytester, source) == [False]
