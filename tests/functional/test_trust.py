"""What never enters the history, and how odd names come out of it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

_KEY = "sk-proj-hunter2hunter2hunter2"

_LEAKY = """
import os, pytest, sys, unittest, warnings

KEY = os.environ["OPENAI_API_KEY"]

def test_prints():
    print(KEY)
    sys.stderr.write(KEY)
    assert 0
def test_compares(): assert KEY == "another"
def test_message(): assert 0, KEY
def test_raises(): raise ValueError(KEY)
def test_several_lines(): raise ValueError("first" + chr(10) + KEY)
def test_fails(): pytest.fail(KEY)
def test_fails_bare(): pytest.fail(KEY, pytrace=False)
def test_fails_bare_word(): pytest.fail(KEY.replace("-", ""), pytrace=False)
def test_fails_bare_with_colon(): pytest.fail(KEY.replace("-", "") + ": no", pytrace=False)
def test_skips(): pytest.skip(KEY)
@pytest.mark.xfail(reason=KEY)
def test_xfails(): assert 0
@pytest.mark.xfail(reason=KEY.replace("-", ""), strict=True)
def test_xpasses(): pass
@pytest.fixture
def broken(): raise RuntimeError(KEY)
def test_setup(broken): pass
def test_warns(): warnings.warn(KEY)
def test_exits(): sys.exit(KEY)
def test_properties(record_property):
    record_property("key", KEY)
    assert 0
def test_unknown_fixture(no_such_fixture): pass
class TestUnit(unittest.TestCase):
    def test_unit(self): self.assertEqual(KEY, "another")
    def test_sub(self):
        with self.subTest(key=KEY):
            self.fail(KEY)
"""


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", _KEY)
    return _KEY


def _everything(project: Project) -> str:
    """Return every byte that we wrote, run files unpacked, and every text of the history."""
    texts = []
    for path in sorted(project.folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            texts.append(gzip.decompress(data) if path.suffix == ".gz" else data)
    written = b"\n".join(texts).decode("utf-8", "replace")
    tables = project.sql("select table_name from duckdb_tables()")
    rows = [project.sql(f"select t::varchar from {table} as t") for (table,) in tables]
    return f"{written}\n{rows}"


def _hidden(project: Project) -> None:
    everything = _everything(project)
    assert "test_compares" in everything
    assert "hunter2" not in everything


@pytest.mark.parametrize("style", ["long", "short", "line", "native", "no"])
def test_secrets(project: Project, secret: str, style: str) -> None:
    """No output, message, value or reason enters the folder, in any traceback style."""
    project.write(test_leaky=_LEAKY)
    project.run(f"--tb={style}", "--showlocals")
    _hidden(project)


def test_secrets_under_xdist(project: Project, secret: str) -> None:
    """Nor does it by way of a worker."""
    pytest.importorskip("xdist")
    project.write(test_leaky=_LEAKY)
    project.run("-n2")
    _hidden(project)


def test_secrets_of_subtests(project: Project, secret: str) -> None:
    """Nor by way of pytest's subtests."""
    if pytest.version_tuple < (9, 0):
        pytest.skip("pytest has no subtests fixture")
    project.write(
        test_leaky="""
        import os

        def test_compares(subtests):
            with subtests.test(os.environ["OPENAI_API_KEY"]):
                assert os.environ["OPENAI_API_KEY"] == ""
        """
    )
    project.run()
    _hidden(project)


def test_secrets_of_doctests(project: Project, secret: str) -> None:
    """Nor by way of a doctest."""
    project.write(test_compares='"""\n>>> import os\n>>> os.environ["OPENAI_API_KEY"]\n\'\'\n"""\n')
    project.run("--doctest-modules")
    _hidden(project)


def test_secrets_in_faults(project: Project, secret: str) -> None:
    """A saved traceback of ours shows code, and no values."""
    project.write(
        test_leaky="def test_compares(): pass\n",
        conftest="""
        import os

        def pytest_aqe_recorded(config):
            key = os.environ["OPENAI_API_KEY"]
            return {}[len(key)]
        """,
    )
    project.run("--showlocals")
    assert list((project.folder / "faults").iterdir())
    _hidden(project)


def test_environment_is_not_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment is recorded but what names the CI service."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_hunter2")
    monkeypatch.setenv("GITHUB_ACTOR", "hunter2")
    project.write(test_a="def test_compares(): assert 0\n")
    project.run()
    _hidden(project)


_SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def script(project: Project) -> str:
    """A recorded, failing test with a script for a parameter."""
    project.write(
        test_a=f"""
        import pytest

        @pytest.mark.parametrize("text", [{_SCRIPT!r}])
        def test_x(text): assert 0
        """
    )
    project.run()
    return f"test_a.py::test_x[{_SCRIPT}]"


def test_script_is_kept(project: Project, script: str) -> None:
    """A parameter that is a script is kept as it is written."""
    assert project.results("identity, node_id") == [(script, script)]


@pytest.mark.parametrize("command", ["status", "why", "history"])
def test_script_is_shown(project: Project, script: str, command: str) -> None:
    """Commands show it as the text that it is."""
    arguments = [command] if command == "status" else [command, script]
    code, printed = project.command(*arguments)
    assert code == 0
    assert script in printed


@pytest.mark.parametrize("command", ["status", "why", "history"])
def test_script_in_json(project: Project, script: str, command: str) -> None:
    """JSON gives it back unharmed."""
    arguments = [command] if command == "status" else [command, script]
    assert script in str(project.answer(*arguments))


_ODD = [
    "\x1b[31mred",
    "a\nb",
    "t\tab",
    "quote'\"",
    "back\\slash",
    "ünï",
    "\u202edesrever",
    "[::]",
    "",
]


def test_odd_parameters(project: Project, workers: Workers) -> None:
    """Parameters of control characters, quotes and brackets are tests like others."""
    project.write(
        test_a=f"""
        import pytest

        @pytest.mark.parametrize("text", {_ODD!r})
        def test_x(text): pass
        """
    )
    done = project.run(*workers)
    done.assert_outcomes(passed=len(_ODD))
    assert len(project.results()) == len(_ODD)
    project.run(*workers)
    assert project.sql("select count(*) from tests") == [(len(_ODD),)]


def test_control_characters_are_not_printed(project: Project) -> None:
    """Escape sequences in a name do not reach the terminal of who asks."""
    project.write(
        test_a="""
        import pytest

        class Red:
            def __repr__(self): return "plain"

        @pytest.mark.parametrize("text", [pytest.param(1, id="\\x1b[31mred\\x07")])
        def test_x(text): assert 0
        """
    )
    project.run()
    for command in (["status"], ["history", "test_x"], ["why", "test_x"]):
        _, printed = project.command(*command)
        assert "red" in printed
        assert "\x1b" not in printed
        assert "\x07" not in printed


def test_run_file_with_hostile_names(project: Project) -> None:
    """Escape sequences in a run file from elsewhere do not reach the terminal either."""
    runs = project.folder / "runs"
    runs.mkdir(parents=True)
    (runs / "r.jsonl").write_text(
        '{"type":"run","format":1,"run_id":"r\\u001b[31m","started_at":"2026-01-01T00:00:00Z",'
        '"branch":"\\u001b]0;title\\u0007"}\n'
        '{"type":"result","node_id":"test_a.py::test_x[\\u001b[2J]","outcome":"failed",'
        '"signature":"\\u001b[2J"}\n',
        encoding="utf-8",
    )
    for command in (["status"], ["history"], ["history", "test_x"], ["why", "test_x"]):
        _, printed = project.command(*command)
        assert "\x1b" not in printed
        assert "\x07" not in printed
