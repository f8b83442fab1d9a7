"""Settings, requirements and installed packages: where a full run is an honest answer."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

ONE_TEST = """
    -- test_shop.py --
    def test_shop():
        assert True
    """

EVERYTHING = frozenset({"test_shop", "test_bystander"})


def _package(version: str, rate: int) -> dict[str, str]:
    """Return an installed distribution, beside the project."""
    info = f"../site-packages/goldrates-{version}.dist-info"
    return {
        "../site-packages/goldrates/__init__.py": f"RATE = {rate}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: goldrates\nVersion: {version}\n",
        f"{info}/INSTALLER": "pip\n",
        f"{info}/top_level.txt": "goldrates\n",
        f"{info}/RECORD": (
            "goldrates/__init__.py,,\n"
            f"goldrates-{version}.dist-info/METADATA,,\n"
            f"goldrates-{version}.dist-info/INSTALLER,,\n"
            f"goldrates-{version}.dist-info/top_level.txt,,\n"
            f"goldrates-{version}.dist-info/RECORD,,\n"
        ),
    }


def _folder(files: dict[str, str]) -> str:
    return "".join(f"-- {path} --\n{text}" for path, text in files.items())


OLD, NEW = _package("1.0", 2), _package("2.0", 3)
UPGRADE: dict[str, str | Swap | None] = {**dict.fromkeys(set(OLD) - set(NEW)), **NEW}

CASES: tuple[Case, ...] = (
    Case(
        "pyproject.toml",
        ONE_TEST + "-- pyproject.toml --\n    [project]\n    name = 'shop'\n",
        change={"pyproject.toml": "[project]\nname = 'shop'\ndependencies = ['gold']\n"},
        passing=EVERYTHING,
        spared=NOTHING,
        full=True,
    ),
    Case(
        "requirements.txt",
        ONE_TEST + "-- requirements.txt --\n    gold==1\n",
        change={"requirements.txt": "gold==2\n"},
        passing=EVERYTHING,
        spared=NOTHING,
        full=True,
    ),
    Case(
        "uv.lock",
        ONE_TEST + "-- uv.lock --\n    version = 1\n",
        change={"uv.lock": "version = 2\n"},
        passing=EVERYTHING,
        spared=NOTHING,
        full=True,
    ),
    Case(
        "a version in uv.lock, of what is not installed",
        ONE_TEST + "-- uv.lock --\n    [[package]]\n    name = 'gold'\n    version = '1'\n",
        change={"uv.lock": Swap("'1'", "'2'")},
        passing=EVERYTHING,
        spared=NOTHING,
        full=True,
    ),
    Case(
        "poetry.lock that appears",
        ONE_TEST,
        change={"poetry.lock": "version = 2\n"},
        passing=EVERYTHING,
        spared=NOTHING,
        full=True,
    ),
    Case(
        "path of the project's own list",
        """
        -- pytest.ini --
        [pytest]
        aqe_full_run_paths = schema/*.sql
        -- schema/one.sql --
        create table one;
        -- test_shop.py --
        def test_shop():
            assert True
        """,
        change={"schema/one.sql": "create table two;\n"},
        passing=EVERYTHING,
        spared=NOTHING,
        full=True,
    ),
    Case(
        "warnings that become errors",
        """
        -- test_shop.py --
        import warnings

        def test_warns():
            warnings.warn("old")
        """,
        change={"pytest.ini": "[pytest]\npythonpath = .\nfilterwarnings = error\n"},
        selected={"test_warns"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "fixtures that an ini file uses everywhere",
        """
        -- rates.py --
        RATE = 1
        -- conftest.py --
        import pytest
        import rates

        @pytest.fixture
        def dear(monkeypatch):
            monkeypatch.setattr(rates, "RATE", 2)
        -- test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 1
        """,
        change={"pytest.ini": "[pytest]\npythonpath = .\nusefixtures = dear\n"},
        selected={"test_rate"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "strict markers",
        """
        -- pytest.ini --
        [pytest]
        addopts = --strict-markers
        markers = slow: takes long
        -- test_shop.py --
        import pytest

        @pytest.mark.slow
        def test_slow():
            assert True
        """,
        change={"pytest.ini": Swap("markers = slow: takes long\n", "")},
        selected={"test_shop"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "expected failures that become strict",
        """
        -- test_shop.py --
        import pytest

        @pytest.mark.xfail
        def test_lucky():
            assert True
        """,
        change={"pytest.ini": "[pytest]\npythonpath = .\nxfail_strict = true\n"},
        selected={"test_lucky"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "ini file that takes over",
        """
        -- test_shop.py --
        import warnings

        def test_warns():
            warnings.warn("old")
        """,
        change={
            "pytest.toml": '[pytest]\nfilterwarnings = ["error"]\n',
            "pytest.ini": None,
            "tox.ini": "[pytest]\nfilterwarnings = error\n",
        },
        selected={"test_warns"},
        spared=NOTHING,
        full=True,
    ),
    Case(
        "a version in uv.lock, of an installed package",
        _folder(OLD)
        + """-- uv.lock --
[[package]]
name = "goldrates"
version = "1.0"
-- test_shop.py --
def test_rate():
    import goldrates
    assert goldrates.RATE == 2
""",
        change={"uv.lock": Swap("1.0", "2.0")},
        passing=frozenset({"test_rate"}),
    ),
    Case(
        "a version in uv.lock, and that is installed",
        _folder(OLD)
        + """-- uv.lock --
[[package]]
name = "goldrates"
version = "1.0"
-- test_shop.py --
import goldrates

def test_rate():
    assert goldrates.RATE == 2
""",
        change={**UPGRADE, "uv.lock": Swap("1.0", "2.0")},
        selected={"test_rate"},
    ),
    Case(
        "new version of an installed package",
        _folder(OLD)
        + """-- test_shop.py --
import goldrates

def test_rate():
    assert goldrates.RATE == 2
""",
        change=UPGRADE,
        selected={"test_rate"},
        full=True,
    ),
    Case(
        "new version of a package imported within a function",
        _folder(OLD)
        + """-- shop.py --
def rate():
    import goldrates
    return goldrates.RATE
-- test_shop.py --
import shop

def test_first():
    assert shop.rate() == 2
def test_second():
    assert shop.rate() + 1 == 3
""",
        change=UPGRADE,
        selected={"test_first", "test_second"},
        full=True,
    ),
    Case(
        "package that is installed",
        """
        -- shop.py --
        try:
            from goldrates import RATE
        except ImportError:
            RATE = 2
        -- test_shop.py --
        import shop

        def test_rate():
            assert shop.RATE == 2
        """,
        change=dict(NEW),
        selected={"test_rate"},
        full=True,
    ),
    Case(
        "package whose version a test asks for",
        _folder(OLD)
        + """-- test_shop.py --
from importlib.metadata import version

def test_version():
    assert version("goldrates") == "1.0"
""",
        change=UPGRADE,
        selected={"test_version"},
        full=True,
    ),
    Case(
        "new version of an installed plugin",
        _folder(OLD)
        + """-- pytest.ini --
[pytest]
addopts = -p goldrates
-- test_shop.py --
import sys

def test_plugin():
    assert sys.modules["goldrates"].RATE == 2
""",
        change=UPGRADE,
        selected={"test_plugin"},
        spared=NOTHING,
        full=True,
    ),
)
