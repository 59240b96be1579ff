"""Which deployment served an answer, by what LiteLLM notes on it."""

from types import SimpleNamespace

import pytest
from litellm import Router
from litellm.proxy import proxy_server
from litellm.types.utils import HiddenParams

from scalix_callbacks.proxy.provider_rates import provider_rates
from scalix_callbacks.proxy.served import Served, served_by


def deployment(name: str, model: str, number: str) -> dict[str, object]:
    params = {"model": model, "api_key": "sk-upstream"}
    return {"model_name": name, "litellm_params": params, "model_info": {"id": number}}


GPT = provider_rates("1", "openai/gpt-4.1", None, "openai")


@pytest.fixture(autouse=True)
def router(monkeypatch):
    listed = [
        deployment("gpt-4", "openai/gpt-4.1", "1"),
        deployment("claude-3-opus", "anthropic/claude-opus-4-6", "2"),
        deployment("gemini/*", "gemini/*", "3"),
        deployment("bare", "gpt-4.1", "4"),
    ]
    monkeypatch.setattr(proxy_server, "llm_router", Router(model_list=listed))


def noted(number: object) -> SimpleNamespace:
    return SimpleNamespace(_hidden_params={"model_id": number})


@pytest.mark.parametrize(
    "answer",
    [
        noted("1"),
        SimpleNamespace(_hidden_params=HiddenParams(model_id="1")),
        {"_hidden_params": {"model_id": "1"}},
    ],
)
def test_the_notes_are_read_wherever_litellm_keeps_them(answer):
    """On objects and in dicts, as a dict and as an object: each of its endpoints has its own way."""
    assert Served("gpt-4", "openai", GPT) == served_by(answer)


def test_a_chunk_knows_better_than_its_stream():
    """Another deployment may have taken the stream over before the first chunk."""
    opus = provider_rates("2", "anthropic/claude-opus-4-6", None, "anthropic")

    assert Served("claude-3-opus", "anthropic", opus) == served_by(noted("2"), noted("1"))
    assert Served("gpt-4", "openai", GPT) == served_by(b"data: {}", noted("1"))


def test_a_pattern_names_no_model():
    """The name asked for stands."""
    assert Served(None, "gemini") == served_by(noted("3"))


@pytest.mark.parametrize("answer", [None, b"", {}, noted(None), noted("gone"), SimpleNamespace()])
def test_nothing_noted_is_nothing_known(answer):
    """Never a guess."""
    assert Served() == served_by(answer)


def test_a_provider_that_is_not_named_is_not_guessed():
    """A model may be named without one."""
    assert ("bare", None) == (served_by(noted("4")).model, served_by(noted("4")).provider)


def test_a_pattern_has_the_rates_of_what_was_asked_for():
    """Of a fallback to a pattern nobody knows which of its models it was."""
    pro = provider_rates("3", "gemini/gemini-2.5-pro", None, "gemini")

    assert pro is not None
    assert Served(None, "gemini", pro) == served_by(noted("3"), asked="gemini/gemini-2.5-pro")
    assert Served(None, "gemini") == served_by(noted("3"), asked="gpt-4")
    assert Served(None, "gemini") == served_by(noted("3"), asked="gemini/nobody-knows")
