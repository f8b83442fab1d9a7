"""Who is asked, with which key, at which price, and how a request and a reply look."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aqe.errors import ModelError
from pytest_aqe.generation import providers
from pytest_aqe.generation.providers import Price, Said, model


def test_each_provider_has_its_address_and_key() -> None:
    """Ollama answers on this machine, without a key."""
    found = {name: model(f"{name}/m") for name in providers.PROVIDERS}
    assert found["openai"].key == "env:OPENAI_API_KEY"
    assert found["anthropic"].dialect == "anthropic"
    assert found["gemini"].host == "generativelanguage.googleapis.com"
    assert (found["ollama"].key, found["ollama"].host) == (None, "localhost:11434")


def test_a_model_name_may_hold_slashes() -> None:
    """As those of gateways and of Hugging Face do."""
    found = model("mine/org/name:7b", url="http://gpu:8000/v1/")
    assert (found.provider, found.name, found.url) == ("mine", "org/name:7b", "http://gpu:8000/v1")
    assert (found.dialect, found.key, found.price) == ("openai", None, None)


@pytest.mark.parametrize(
    ("spec", "url", "said"),
    [
        ("openai", None, "expected PROVIDER/MODEL"),
        ("/x", None, "expected PROVIDER/MODEL"),
        ("openai/", None, "expected PROVIDER/MODEL"),
        ("mine/x", None, "give --aqe-llm-url"),
        ("openai/x", "ftp://host", "expected an address"),
        ("openai/x", "localhost:8000", "expected an address"),
    ],
)
def test_a_model_that_is_nobody_is_refused(spec: str, url: str | None, said: str) -> None:
    """It says what was expected."""
    with pytest.raises(ModelError, match=said):
        model(spec, url=url)


def test_a_price_is_known_or_null() -> None:
    """A model at somebody else's address costs what they say, which is not known."""
    assert model("openai/gpt-4o-mini").price == Price(0.15, 0.6)
    assert model("openai/gpt-4o-mini", url="https://gateway.example/v1").price is None
    assert model("openai/of-next-year").price is None
    assert model("ollama/any").price == Price(0.0, 0.0)
    assert model("mine/x", url="http://h/v1", price=Price(1, 2)).price == Price(1, 2)


def test_an_own_server_in_a_providers_name_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the variable is set, it is sent; where not, the server may want none."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert model("openai/x", url="http://gpu:8000/v1").key is None
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert model("openai/x", url="http://gpu:8000/v1").key == "env:OPENAI_API_KEY"


def test_a_price_is_read_per_million_tokens() -> None:
    """A million tokens sent and half a million received, at 0.15 and 0.60."""
    assert providers.read_price("0.15/0.60").of(1_000_000, 500_000) == pytest.approx(0.45)


@pytest.mark.parametrize("spec", ["", "1", "1/", "/1", "a/b", "-1/2", "nan/1", "inf/1"])
def test_a_price_that_is_none_is_refused(spec: str) -> None:
    """It says what was expected."""
    with pytest.raises(ModelError, match="dollars per million tokens"):
        providers.read_price(spec)


def test_a_key_is_read_where_it_is(tmp_path: Path) -> None:
    """From a variable or a file, without the line's end."""
    (tmp_path / "key").write_text("k\n")
    assert providers.read_key(None, {}) is None
    assert providers.read_key("env:K", {"K": " k "}) == "k"
    assert providers.read_key(f"file:{tmp_path / 'key'}", {}) == "k"
    with pytest.raises(ModelError, match="set K"):
        providers.read_key("env:K", {})
    with pytest.raises(ModelError, match="cannot be read"):
        providers.read_key(f"file:{tmp_path / 'nothing'}", {})


@pytest.mark.parametrize(
    "reply",
    [None, [], "x", {}, {"choices": None}, {"choices": [1]}, {"choices": [{"message": None}]}],
)
def test_what_is_no_reply_is_none(reply: object) -> None:
    """Whatever JSON it is."""
    assert providers.said(model("openai/x"), reply) is None


def test_a_reply_without_text_or_sensible_counts_is_an_empty_one() -> None:
    """A refusal has no content; a negative count is none."""
    reply = {
        "choices": [{"message": {"content": None}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": -1, "completion_tokens": True},
    }
    assert providers.said(model("openai/x"), reply) == Said("", None, None, cut=True)
    assert providers.said(model("anthropic/x"), {"content": [{"type": "x"}]}) == Said(
        "", None, None
    )


def test_only_what_a_server_complains_about_is_left_out() -> None:
    """A complaint about the prompt changes nothing."""
    request = {"model": "m", "temperature": 0, "seed": 1}
    assert providers.without_what_is_refused(request, "seed is unknown") == {
        "model": "m",
        "temperature": 0,
    }
    assert providers.without_what_is_refused(request, "the prompt is too long") is None
