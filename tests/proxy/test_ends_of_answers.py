"""What the hooks settle at the end of an answer, and say last: in each API's own form."""

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from litellm.proxy._types import UserAPIKeyAuth
from litellm.types.llms.openai import ResponseCompletedEvent, ResponsesAPIResponse, ResponsesAPIStreamEvents
from litellm.types.utils import Choices, Delta, Message, ModelResponseStream, StreamingChoices, Usage

from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.caller import Caller, Role
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.proxy import runtime
from scalix_callbacks.proxy.callbacks import ScalixCallbacks
from scalix_callbacks.proxy.served import Served
from tests.world import CATALOGUE, open_world

USER = UserAPIKeyAuth(api_key="0" * 64)
ADA = Caller(id="ada", tier="pro", role=Role.USER)


@pytest.fixture
def hooks():
    return ScalixCallbacks(CATALOGUE)


@pytest.fixture
def world(tmp_path, monkeypatch):
    with open_world(tmp_path) as world:
        monkeypatch.setattr(runtime, "_current", [world])
        yield world


@pytest.fixture
async def admit(world):
    """A call as it is when LiteLLM has it."""

    async def admitted(endpoint: Endpoint, *, is_stream: bool = True, **fields: Any) -> Call:
        body = {"model": "gpt-4.1", "stream": is_stream, **fields}
        call = Call(request_id="r1", caller=ADA)
        CURRENT_CALL.set(call)
        await world.meter.admit(call, endpoint, Screened(body, "gpt-4.1", is_stream, None))
        return call

    yield admitted
    CURRENT_CALL.set(None)


def text(content: str = "Hello", **more: Any) -> ModelResponseStream:
    return ModelResponseStream(id="c1", choices=[StreamingChoices(delta=Delta(content=content))], **more)


def completed() -> ResponseCompletedEvent:
    usage = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
    response = ResponsesAPIResponse(id="resp_1", created_at=1, output=[], usage=usage)  # type: ignore[arg-type]  # a dict does
    return ResponseCompletedEvent(type=ResponsesAPIStreamEvents.RESPONSE_COMPLETED, response=response)


async def passed(hooks: ScalixCallbacks, *chunks: Any) -> list[Any]:
    async def source() -> AsyncIterator[Any]:
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    return [chunk async for chunk in hooks.async_post_call_streaming_iterator_hook(USER, source(), {})]


def data(frame: bytes) -> dict[str, Any]:
    return json.loads(frame.split(b"data: ", 1)[1])


async def test_a_streams_last_chunk_tells_all_that_was_used(hooks, admit):
    """What came from a cache and what was thought, too: the app shows it."""
    await admit(Endpoint.CHAT, messages=[])
    report = Usage(
        prompt_tokens=50,
        completion_tokens=20,
        prompt_tokens_details={"cached_tokens": 5},
        completion_tokens_details={"reasoning_tokens": 3},
    )
    last = data((await passed(hooks, text(), text("", usage=report)))[-1])

    assert ("c1", [], "pro") == (last["id"], last["choices"], last["scalix"]["tier"])
    assert {
        "prompt_tokens": 50,
        "completion_tokens": 20,
        "total_tokens": 70,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 3},
    } == last["usage"]


async def test_the_last_event_of_a_response_tells_what_is_left(hooks, admit, world):
    """In the event and in the response it holds; another chunk behind it makes OpenAI's Node client throw."""
    await admit(Endpoint.RESPONSES, input="Hello")
    events = await passed(hooks, completed())
    told = json.loads(events[-1].model_dump_json(exclude_none=True, exclude_unset=True))

    assert 1 == len(events)
    assert "pro" == told["scalix"]["tier"] == told["response"]["scalix"]["tier"]
    assert 9 == told["scalix"]["usage"]["tokens_used"]
    assert [("ok", 7, 2)] == [
        (r["outcome"], r["prompt_tokens"], r["completion_tokens"]) for r in world.records
    ]


async def test_a_response_is_settled_once_whatever_follows(hooks, admit, world):
    """A connection that breaks behind its end takes nothing back."""
    await admit(Endpoint.RESPONSES, input="Hello")
    await passed(hooks, completed(), ConnectionError("reset"))

    assert ["ok"] == [record["outcome"] for record in world.records]


async def test_a_stream_of_messages_ends_as_it_is(hooks, admit, world):
    """Anthropic's strict clients break on a chunk of ours."""
    await admit(Endpoint.MESSAGES, messages=[], max_tokens=10)
    frame = b'event: message_delta\ndata: {"usage": {"input_tokens": 7, "output_tokens": 2}}\n\n'

    assert [frame] == await passed(hooks, frame)
    assert [(7, 2)] == [(r["prompt_tokens"], r["completion_tokens"]) for r in world.records]


@pytest.mark.parametrize(("endpoint", "kind"), [(Endpoint.MESSAGES, "error"), (Endpoint.CHAT, None)])
async def test_a_failure_in_the_middle_has_the_form_of_its_api(hooks, admit, world, endpoint, kind):
    """Anthropic's clients know an error by its type; what had arrived is in the record."""
    await admit(endpoint, messages=[])
    frames = await passed(hooks, text(), litellm.Timeout("x", "m", "openai"))

    assert kind == data(frames[-1]).get("type")
    assert "PROVIDER_TIMEOUT" == data(frames[-1])["error"]["code"]
    assert [("error", 2)] == [(r["outcome"], r["completion_tokens"]) for r in world.records]


async def test_the_usage_of_a_text_completion_is_asked_for(hooks, admit):
    """LiteLLM asks for that of chat alone; other options of the client's are kept."""
    await admit(Endpoint.COMPLETIONS, prompt="Hello")
    streamed = {"stream_options": {"include_usage": False, "include_obfuscation": False}}
    asked = await hooks.async_pre_call_hook(USER, None, streamed, "atext_completion")
    await admit(Endpoint.COMPLETIONS, prompt="Hello", is_stream=False)
    whole = await hooks.async_pre_call_hook(USER, None, {}, "atext_completion")

    assert {"include_usage": True, "include_obfuscation": False} == asked["stream_options"]
    assert "stream_options" not in whole


async def test_the_usage_of_a_chat_is_asked_for_whoever_serves_it(hooks, admit):
    """LiteLLM leaves it out for Anthropic, and what it noted before our hook decides whether it tells it."""
    await admit(Endpoint.CHAT, messages=[])
    noted = SimpleNamespace(stream_options=None)
    asked = await hooks.async_pre_call_hook(USER, None, {"litellm_logging_obj": noted}, "acompletion")

    assert {"include_usage": True} == asked["stream_options"] == noted.stream_options


async def test_an_error_event_of_a_provider_is_a_failure(hooks, admit, world):
    """Anthropic tells it under status 200, in its own words."""
    await admit(Endpoint.MESSAGES, messages=[], max_tokens=10)
    said = b'event: content_block_delta\ndata: {"delta": {"type": "text_delta", "text": "Hello"}}\n\n'
    failed = b'event: error\ndata: {"type": "error", "error": {"message": "upstream secret"}}\n\n'
    begun, frame = await passed(hooks, said + failed)

    assert said == begun
    assert "PROVIDER_ERROR" == data(frame)["error"]["code"]
    assert b"secret" not in frame
    assert [("error", 0, 2)] == [
        (r["outcome"], r["requests_counted"], r["completion_tokens"]) for r in world.records
    ]


async def test_an_answer_without_a_report_is_estimated(hooks, admit, world):
    """In the answer as in the record, which is marked."""
    await admit(Endpoint.CHAT, messages=[{"role": "user", "content": "Hello"}], is_stream=False)
    zeros = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    answer = litellm.ModelResponse(choices=[Choices(message=Message(content="word " * 50))], usage=zeros)
    told = await hooks.async_post_call_success_hook({}, USER, answer)
    record = world.records[0]

    assert record["estimated"] is True
    assert record["completion_tokens"] > 49
    assert (record["prompt_tokens"], record["completion_tokens"]) == (
        told.usage.prompt_tokens,
        told.usage.completion_tokens,
    )
    assert "pro" == told.scalix["tier"]


async def test_a_sign_of_life_is_no_first_token(hooks, admit):
    """Anthropic's pings go on while it thinks; what is told is the time to something said."""
    call = await admit(Endpoint.MESSAGES, messages=[], max_tokens=10)
    told = []

    async def source() -> AsyncIterator[bytes]:
        yield b'event: ping\ndata: {"type": "ping"}\n\n'
        told.append(call.first_token_at_s)
        yield b'data: {"delta": {"type": "text_delta", "text": "Hello"}}\n\n'
        told.append(call.first_token_at_s is not None)

    _ = [each async for each in hooks.async_post_call_streaming_iterator_hook(USER, source(), {})]

    assert [None, True] == told


async def test_who_served_is_recorded_however_a_stream_ends(hooks, admit, world, monkeypatch):
    """Ended, failed or cut."""
    served = Served("gpt-4", "openai")
    monkeypatch.setattr("scalix_callbacks.proxy.callbacks.served_by", lambda *answers, asked: served)
    for chunks in ((text(),), (text(), ConnectionError("reset"))):
        await admit(Endpoint.CHAT, messages=[])
        await passed(hooks, *chunks)
    await admit(Endpoint.CHAT, messages=[])

    async def endless() -> AsyncIterator[Any]:
        while True:
            yield text()

    stream = hooks.async_post_call_streaming_iterator_hook(USER, endless(), {})
    await anext(stream)
    await stream.aclose()
    await world.meter.finish(5)

    assert {("ok", "openai"), ("error", "openai"), ("aborted", "openai")} == {
        (record["outcome"], record["provider"]) for record in world.records
    }
    assert {"gpt-4"} == {record["model_used"] for record in world.records}


async def test_a_half_of_a_character_in_an_answer_is_no_failure(hooks, admit, world):
    """A provider may send it; it was an error 500, after the provider was paid."""
    await admit(Endpoint.CHAT, messages=[{"role": "user", "content": "Hello"}], is_stream=False)
    answer = litellm.ModelResponse(choices=[Choices(message=Message(content="a\ud83d"))])
    told = await hooks.async_post_call_success_hook({}, USER, answer)

    assert "a\ufffd" == told.choices[0].message.content
