"""--aqe-llm and its companions: what cannot be meant is refused, what is missing is said."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_aqe.agents import setup
from pytest_aqe.data import Announcement
from pytest_aqe.errors import ModelError
from pytest_aqe.generation.correspondence import Correspondence
from pytest_aqe.generation.questions import Question
from pytest_aqe.options import LLM

if TYPE_CHECKING:
    from .conftest import Project

PLAIN = LLM(("openai/gpt-4o-mini",), None, None, None, None, 200_000, 60.0, 300.0, 1, 0)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--aqe-llm=gpt-4o", "expected PROVIDER/MODEL"),
        ("--aqe-llm=openai/", "expected PROVIDER/MODEL"),
        ("--aqe-llm=a/x,b/y,c/z", "at most 2 models"),
        ("--aqe-llm-key=sk-abc", "not the key"),
        ("--aqe-llm-cost-cap=much", "expected a number"),
        ("--aqe-llm-token-cap=-1", "expected a number"),
        ("--aqe-llm-timeout=60", "expected 90s, 5m or 1h"),
        ("--aqe-llm-samples=some", "expected a number"),
    ],
)
def test_a_wrong_setting_is_a_wrong_call(project: Project, flag: str, said: str) -> None:
    """It is said before any test runs; a key that was given by mistake is not repeated."""
    project.write(test_a="def test_a(): pass")
    result = project.run("--aqe-llm=openai/gpt-4o", flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = "\n".join(result.errlines)
    assert said in text
    assert "sk-abc" not in text


def test_without_generation_no_model_is_asked(project: Project, workers: tuple[str, ...]) -> None:
    """It may stand in the configuration of a project: it costs nothing."""
    project.write_ini("aqe_llm = openai/gpt-4o")
    project.write(test_a="def test_a(): pass")
    result = project.run(*workers)
    result.assert_outcomes(passed=1)
    assert not any("gpt-4o" in line for line in result.outlines)


def test_caps_have_defaults() -> None:
    """A dollar where a price is known, and tokens anyway."""
    found = setup(PLAIN)
    assert (found.caps.tokens, found.caps.dollars, found.timeout) == (200_000, 1.0, 60.0)
    assert setup(PLAIN._replace(cost_cap=0.25)).caps.dollars == 0.25


def test_a_cap_in_dollars_needs_a_price() -> None:
    """Where one was asked for; else tokens alone are capped."""
    unknown = PLAIN._replace(models=("openai/of-next-year",))
    assert setup(unknown).caps.dollars is None
    with pytest.raises(ModelError, match="--aqe-llm-price"):
        setup(unknown._replace(cost_cap=1.0))
    assert setup(unknown._replace(cost_cap=1.0, price="1/2")).caps.dollars == 1.0


def test_the_place_of_a_key_is_known_wherever_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads it has another folder and another home."""
    monkeypatch.setenv("HOME", "/home/ada")
    for given, place in (("key", Path.cwd() / "key"), ("~/key", Path("/home/ada/key"))):
        (model,) = setup(PLAIN._replace(key=f"file:{given}")).models
        assert model.key == f"file:{place}"


def test_several_models_share_caps_and_key() -> None:
    """The first is the cheap one."""
    found = setup(PLAIN._replace(models=("ollama/small", "anthropic/claude-sonnet-4-5")))
    assert [str(model) for model in found.models] == ["ollama/small", "anthropic/claude-sonnet-4-5"]
    assert found.caps.dollars == 1.0


@pytest.mark.skipif(find_spec("lionagi") is not None, reason="the extra `agents` is installed")
def test_without_the_extra_one_line_says_what_to_install() -> None:
    """Every question is answered by it, and nothing is announced."""
    told: list[Announcement] = []
    correspondence = Correspondence(setup(PLAIN), told.append)
    for _ in range(2):
        (reply,) = correspondence.ask([Question("1", 0, "author", "s", "p", 10)]).values()
        assert reply.error is not None
        assert "pip install 'pytest-aqe[agents]'" in reply.error
    assert correspondence.over == reply.error
    assert told == []


def test_the_command_agents_shows_what_was_never_asked(project: Project) -> None:
    """A history without a model has nothing to show, and says how to begin."""
    project.write(test_a="def test_a(): pass")
    project.run()
    assert project.command("agents") == (0, "no language model was asked yet (--aqe-llm)\n")
    assert project.answer("agents") == {"models": [], "memory": []}


def test_the_history_is_found_without_a_word_about_models(tmp_path: Path) -> None:
    """A history that cannot be read costs replies and memory, nothing else."""
    from pytest_aqe.agents import Agents

    (tmp_path / "history.duckdb").write_bytes(b"no history")
    agents = Agents(PLAIN, tmp_path / "history.duckdb", lambda *_: None, lambda _: None)
    assert agents.memory.get_stats().entries == {}
    assert agents.lines() == []
    agents.close()
