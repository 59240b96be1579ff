"""Providers that answer with nothing, or with nonsense: no form of the API takes it for an answer."""

import json
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, Self

import httpx
import litellm
import openai
import pytest
from litellm.exceptions import MidStreamFallbackError
from litellm.router import Router

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.trace import Step, Trace
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.errors import categorise
from scalix_callbacks.proxy.repairs import empty_messages, empty_responses, empty_streams
from tests.proxy.forms import FORMS, asked, mend, open_router

pytestmark = [
    # LiteLLM's own.
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
USAGE = litellm.Usage(prompt_tokens=3, completion_tokens=0, total_tokens=3)


class Source:
    """A deployment's stream, as far as it matters."""

    model, custom_llm_provider = "m", "openai"

    def __init__(self, *items: Any, **attributes: Any) -> None:
        self._left = iter(items)
        vars(self).update(attributes)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        for item in self._left:
            if isinstance(item, Exception):
                raise item
            return item
        raise StopAsyncIteration


# --- /v1/messages ----------------------------------------------------------------------------------------


def sse(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def begin(**usage: int) -> bytes:
    return sse("message_start", message={"content": [], **({"usage": usage} if usage else {})})


def block(kind: str) -> bytes:
    return sse("content_block_start", index=0, content_block={"type": kind})


def delta(**fields: str) -> bytes:
    return sse("content_block_delta", index=0, delta=fields)


def end(reason: str | None = "end_turn", **usage: int) -> bytes:
    return sse("message_delta", delta={"stop_reason": reason}, **({"usage": usage} if usage else {}))


STOP, BLOCK_STOP = sse("message_stop"), sse("content_block_stop", index=0)
WORD = delta(type="text_delta", text="Hi")


@pytest.mark.parametrize(
    "events",
    [
        (begin(), block("text"), WORD, WORD, BLOCK_STOP, end(), STOP),
        (begin(), block("thinking"), delta(type="thinking_delta", thinking="Hm"), BLOCK_STOP, end(), STOP),
        (begin(), block("tool_use"), BLOCK_STOP, end("tool_use"), STOP),
        (begin(), end("refusal"), STOP),
        (begin(input_tokens=3), end(), STOP),
        (begin(), block("text"), BLOCK_STOP, end(output_tokens=2), STOP),
        (begin(), sse("ping"), b": still here\n\n", block("text"), WORD),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 40])
async def test_messages_come_through_as_they_are(events: tuple[bytes, ...], size: int | None) -> None:
    """However the network cuts them; also one of no word, where its provider says that it is one, or why."""
    raw = b"".join(events)
    pieces = events if size is None else [raw[at : at + size] for at in range(0, len(raw), size)]
    passed = [each async for each in empty_messages.CheckedEvents(Source(*pieces))]

    assert raw == b"".join(passed)


NONSENSE = {
    "nothing": b"",
    "a page": b"<html><body>SECRET</body></html>",
    "broken": b'data: {"SECRET\n\n',
    "a list": b"data: []\n\n",
    "of another API": b'data: {"choices": [{"delta": {"content": "SECRET"}}]}\n\ndata: [DONE]\n\n',
    "an error of another API": b'data: {"error": {"message": "SECRET"}}\n\n',
    "only its ends": begin() + block("text") + BLOCK_STOP + end() + STOP,
    "endless": b"SECRET" * 200_000,
}


@pytest.mark.parametrize("said", NONSENSE)
async def test_messages_without_an_answer_are_a_failure(said: str) -> None:
    """Nothing of them goes on but how Anthropic begins a message; another model may answer behind it."""
    told: list[bytes] = []
    with pytest.raises(MidStreamFallbackError) as failure:
        async for each in empty_messages.CheckedEvents(Source(NONSENSE[said])):
            told.append(each)

    assert failure.value.is_pre_first_chunk
    assert ErrorCategory.PROVIDER_ERROR is categorise(failure.value)
    assert b"".join(told) in (b"", begin() + block("text"))


async def test_what_litellm_counts_itself_is_no_report() -> None:
    """It tells tokens of the prompt where the provider of a chat told nothing."""
    counted = Source(begin(), end(input_tokens=3), STOP, chunks=[SimpleNamespace(usage=None)])
    told = Source(begin(), end(input_tokens=3), STOP, chunks=[SimpleNamespace(usage=USAGE)])
    with pytest.raises(MidStreamFallbackError):
        async for _ in empty_messages.CheckedEvents(counted):
            pass

    assert 3 == len([each async for each in empty_messages.CheckedEvents(told)])


async def test_what_stops_a_stream_of_messages_is_passed_on() -> None:
    """The router's own look for errors, and what its stream can do."""
    error = sse("error", error={"type": "overloaded_error", "message": "busy"})
    closed: list[bool] = []

    async def aclose() -> None:
        closed.append(True)

    source = Source(begin(), error, litellm.AuthenticationError("no", "openai", "m"), aclose=aclose)
    checked = empty_messages.CheckedEvents(source)

    assert [begin(), error] == [await anext(checked), await anext(checked)]
    with pytest.raises(MidStreamFallbackError) as failure:
        await anext(checked)
    assert ErrorCategory.PROVIDER_AUTH is categorise(failure.value)
    await checked.aclose()
    assert [True] == closed
    assert "m" == checked.model


# --- /v1/responses ---------------------------------------------------------------------------------------


def event(kind: str, **fields: Any) -> Any:
    return SimpleNamespace(type=kind, **fields)


def completed(*output: Any, usage: Any = None) -> Any:
    answer = litellm.types.llms.openai.ResponsesAPIResponse(  # type: ignore[attr-defined]  # it is there
        id="r", created_at=1, output=list(output), usage=usage, status="completed"
    )
    return event("response.completed", response=answer)


CREATED = event("response.created")
MESSAGE = event("response.output_item.added", item={"type": "message"})
SAID = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
TEXT = event("response.output_text.delta", delta="Hi")


@pytest.mark.parametrize(
    "events",
    [
        (CREATED, MESSAGE, TEXT, completed(SAID)),
        (CREATED, event("response.output_item.added", item={"type": "function_call"}), completed()),
        (CREATED, completed(SAID)),
        (CREATED, completed(usage={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5})),
        (CREATED, event("response.incomplete")),
    ],
)
async def test_a_response_comes_through_as_it_is(events: tuple[Any, ...]) -> None:
    """Also one of no word, where its provider says that it used something for it, or why."""
    assert list(events) == [each async for each in await empty_responses.begun(Source(*events))]


COUNTED = {"input_tokens": 3, "output_tokens": 0, "total_tokens": 3}


@pytest.mark.parametrize(
    ("events", "category"),
    [
        ((), ErrorCategory.PROVIDER_ERROR),
        ((CREATED,), ErrorCategory.PROVIDER_ERROR),
        ((CREATED, MESSAGE, completed()), ErrorCategory.PROVIDER_ERROR),
        ((CREATED, completed(usage=COUNTED)), ErrorCategory.PROVIDER_ERROR),
        ((CREATED, KeyError("error")), ErrorCategory.PROVIDER_ERROR),
        ((CREATED, MESSAGE, httpx.ReadTimeout("late")), ErrorCategory.PROVIDER_TIMEOUT),
        ((CREATED, litellm.AuthenticationError("no", "openai", "m")), ErrorCategory.PROVIDER_AUTH),
    ],
)
async def test_a_response_without_an_answer_is_a_failure(
    events: tuple[Any, ...], category: ErrorCategory
) -> None:
    """Of its deployment, before it is given out: another try or model may answer."""
    with pytest.raises((openai.OpenAIError, httpx.HTTPError)) as failure:
        await empty_responses.begun(Source(*events))

    assert category is categorise(failure.value)


async def test_a_response_of_another_api_goes_by_what_that_one_told() -> None:
    """LiteLLM makes its usage up, where a chat told none."""
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    chats = [Source(chunks=[SimpleNamespace(usage=told)]) for told in (None, USAGE)]
    silent, told = (Source(completed(usage=usage), litellm_custom_stream_wrapper=chat) for chat in chats)
    with pytest.raises(litellm.InternalServerError):
        await empty_responses.begun(silent)

    assert "response.completed" == (await anext(await empty_responses.begun(told))).type


@pytest.mark.parametrize("model", [None, "gpt-4"])
async def test_a_stream_without_an_answer_is_in_the_trace(model: str | None) -> None:
    """As a failure of who was asked last; outside of a call of ours nobody keeps it."""
    call = Call("r-1", trace=Trace(lambda: 0.0)) if model else None
    token = CURRENT_CALL.set(call)
    try:
        if call is not None:
            tries.sent(call, {"model": "openai/x", "metadata": {"model_group": model}})
        for begun in (
            anext(empty_messages.CheckedEvents(Source(b"<html>"))),
            empty_responses.begun(Source()),
            empty_streams.begun(Source(MidStreamFallbackError("late", "m", "openai"))),
        ):
            with pytest.raises(openai.OpenAIError):
                await begun
    finally:
        CURRENT_CALL.reset(token)

    if call is not None:
        assert call.trace is not None
        assert [Step.SENT, Step.FAILED] == [step for _, step, _ in call.trace.steps[1:]]


# --- chats -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "category"),
    [
        (litellm.AuthenticationError("no", "openai", "m"), ErrorCategory.PROVIDER_AUTH),
        (ValueError("'oops' is no status"), ErrorCategory.PROVIDER_ERROR),
    ],
)
async def test_a_chat_fails_with_what_its_provider_failed_with(
    failure: Exception, category: ErrorCategory
) -> None:
    """Before its first word; what LiteLLM makes of it when it is out of the router's hands is taken off."""
    for raised in (failure, MidStreamFallbackError("late", "m", "openai", original_exception=failure)):
        with pytest.raises(Exception) as told:  # compared below
            await empty_streams.begun(Source(raised))

        assert category is categorise(told.value)
        assert not isinstance(told.value, MidStreamFallbackError)


# --- with LiteLLM's router -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[DemoProviderServer]:
    with DemoProviderServer() as server:
        yield server


@pytest.fixture
async def router(provider: DemoProviderServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Router]:
    provider.reset()
    async with open_router(provider, monkeypatch) as router:
        yield router


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    mend(monkeypatch)


SILENT: dict[str, Any] = {"text": "", "report_usage": False}
each_model = pytest.mark.parametrize("model", ["openai", "anthropic", "gemini"])


@pytest.mark.usefixtures("mended")
@each_model
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("script", [{"garbage": True}, SILENT], ids=["garbage", "silent"])
async def test_another_model_answers_for_one_that_says_nothing(
    router: Router,
    provider: DemoProviderServer,
    model: str,
    form: str,
    stream: bool,
    script: dict[str, Any],
) -> None:
    """In every form, whatever its provider's own."""
    provider.script(times=1, **script)
    told = await asked(router, form, model, stream=stream)
    calls = provider.calls()

    assert "Hello" in told
    assert "this is no JSON" not in told
    assert (2, "second") == (len(calls), calls[-1]["model"])


LITELLMS_OWN = [
    # form, the model that says nothing, script; whether it is streamed
    ("messages", "openai", {"garbage": True}, True),
    ("messages", "anthropic", {"garbage": True}, True),
    ("responses", "anthropic", {"garbage": True}, True),
    ("messages", "anthropic", SILENT, False),
    ("chat", "openai", SILENT, False),
]


@pytest.mark.parametrize(("form", "model", "script", "stream"), LITELLMS_OWN)
async def test_litellm_still_takes_nothing_for_an_answer(
    router: Router, provider: DemoProviderServer, form: str, model: str, script: dict[str, Any], stream: bool
) -> None:
    """Where it asks another model by itself, the mend can go."""
    provider.script(times=1, **script)
    await asked(router, form, model, stream=stream)

    assert 1 == len(provider.calls())
