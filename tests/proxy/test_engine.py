"""What leaves for which deployment, and what a stream begins with."""

from types import SimpleNamespace

import pytest
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.context.request import EngineRequest
from scalix_callbacks.proxy.engine import Savings, by_upstream, engine_addresses, for_deployment

PLAIN = [{"role": "user", "content": "u"}]
ENGINE = "http://engine/v1"


@pytest.fixture
def call():
    engine = EngineRequest(PLAIN, {"files": []}, savings="<think>s</think>", header="h")
    return Call(request_id="r", model="gpt-4.1", engine=engine)


def test_the_upstream_gets_messages_as_they_came_and_options(call):
    """Whether or not its address ends with a slash; what else goes along stays."""
    kwargs = {
        "api_base": f"{ENGINE}/",
        "messages": ["with files"],
        "extra_body": {"a": 1},
        "n": 1,
        "cache": {"ttl": 5},
    }
    sent = for_deployment(call, kwargs, frozenset({ENGINE}))

    assert (PLAIN, {"a": 1, "scalix_options": {"files": []}}, 1) == (
        sent["messages"],
        sent["extra_body"],
        sent["n"],
    )
    assert {"ttl": 5, "no-cache": True, "no-store": True} == sent["cache"]
    assert ["with files"] == kwargs["messages"]
    assert "x-scalix-smart-context" not in call.headers


@pytest.mark.parametrize("options", [{}, {"files": []}])
def test_the_upstream_is_told_how_to_think(options):
    """With options or without; LiteLLM would drop it for any provider of OpenAI's kind."""
    call = Call(request_id="r", model="gpt-4.1", engine=EngineRequest(PLAIN, options))
    thinking = {"type": "enabled", "budget_tokens": 4_000}
    kwargs = {"api_base": ENGINE, "messages": PLAIN, "thinking": thinking}
    sent = for_deployment(call, kwargs, frozenset({ENGINE}))

    assert thinking == sent["extra_body"]["thinking"]
    assert "thinking" not in sent
    assert None is for_deployment(call, {**kwargs, "api_base": "http://other/v1"}, frozenset({ENGINE}))


@pytest.mark.parametrize("base", [None, "", "http://engine", "http://engine/v1/more", "https://engine/v1"])
def test_any_other_address_gets_neither(call, base):
    """Only the very address that is configured is the engine's."""
    assert None is for_deployment(call, {"api_base": base, "messages": []}, frozenset({ENGINE}))
    assert "h" == call.headers["x-scalix-smart-context"]


def test_calls_without_options_are_left_alone():
    """Whatever deployment they reach."""
    assert None is for_deployment(Call(request_id="r"), {"api_base": ENGINE}, frozenset({ENGINE}))


def test_the_model_itself_follows_the_upstream(call):
    """Then what follows it anyway; each is tried once."""
    call.engine.upstream_model = "scalix-engine/gpt-4.1"
    data = {"model": "gpt-4.1", "fallbacks": [{"gpt-4.1": [{"model": "b", "num_retries": 0}]}]}
    by_upstream(call, data)

    assert "scalix-engine/gpt-4.1" == data["model"]
    assert [
        {
            "scalix-engine/gpt-4.1": [
                {"model": "gpt-4.1", "num_retries": 0},
                {"model": "b", "num_retries": 0},
            ]
        }
    ] == data["fallbacks"]
    assert None is data["context_window_fallbacks"] is data["content_policy_fallbacks"]


def test_a_prompt_too_long_for_the_upstream_goes_where_its_model_sends_it(call):
    """The model itself would find it as long."""
    call.engine.upstream_model = "scalix-engine/gpt-4.1"
    long = [{"model": "long", "num_retries": 0}]
    data = {"model": "gpt-4.1", "fallbacks": [], "context_window_fallbacks": [{"gpt-4.1": long}]}
    by_upstream(call, data)

    assert [{"scalix-engine/gpt-4.1": long}] == data["context_window_fallbacks"]
    assert None is data["content_policy_fallbacks"]


def test_the_demo_has_no_upstream():
    """It serves every model itself, whatever is configured."""
    assert {ENGINE} == engine_addresses({"SCALIX_ENGINE_URL": f"{ENGINE}/", "SCALIX_GATEWAY_URL": ""})
    assert set() == engine_addresses({"SCALIX_ENGINE_URL": ENGINE, "SCALIX_DEMO_URL": "x"})


def chunk(index: int = 0, **delta) -> ModelResponseStream:
    return ModelResponseStream(choices=[StreamingChoices(index=index, delta=Delta(**delta))])


def test_the_saving_comes_once_before_the_first_word(call):
    """The chunk that only names the role passes; each choice has a beginning of its own."""
    savings = Savings(call)
    chunks = [chunk(role="assistant", content=""), *(chunk(i, content="x") for i in (0, 0, 1))]

    assert ["", "<think>s</think>x", "x", "<think>s</think>x"] == [
        savings.before(each).choices[0].delta.content for each in chunks
    ]


@pytest.mark.parametrize("change", [{"is_upstream": True}, {"savings": None}])
def test_who_has_nothing_to_tell_passes_everything_on(call, change):
    """An upstream engine tells its own."""
    for name, value in change.items():
        setattr(call.engine, name, value)

    assert "x" == Savings(call).before(chunk(content="x")).choices[0].delta.content
    assert b"raw" == Savings(None).before(b"raw")
    assert Savings(call).before(empty := SimpleNamespace(choices=None)) is empty
