"""Providers that answer with nothing, or with nonsense: no form of the API takes it for an answer."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Self

import httpx
import litellm
import openai
import pytest
from litellm.exceptions import MidStreamFallbackError
from litellm.llms.anthropic.pass_through.adapters import streaming_iterator as translated
from litellm.llms.anthropic.pass_through.messages.streaming_iterator import parse_anthropic_error_event
from litellm.router import Router
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.trace import Step, Trace
from scalix_callbacks.demo_provider.script import ToolCall, UsageOverride
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.errors import categorise
from scalix_callbacks.proxy.repairs import empty_messages, empty_responses, empty_streams
from scalix_callbacks.proxy.repairs.begun import MAX_HELD
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


def block(kind: str, **fields: str) -> bytes:
    return sse("content_block_start", index=0, content_block={"type": kind, **fields})


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
        (begin(), block("text", text="Hi"), BLOCK_STOP, end(), STOP),
        (begin(), end("refusal"), STOP),
        (begin(input_tokens=3), end(), STOP),
        (begin(), block("text"), BLOCK_STOP, end(output_tokens=2), STOP),
        (begin(), block("text"), WORD, sse("ping"), b": still here\n\n"),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 40])
async def test_messages_come_through_as_they_are(events: tuple[bytes, ...], size: int | None) -> None:
    """However the network cuts them; also one of no word, where its provider says that it is one, or why."""
    raw = b"".join(events)
    pieces = events if size is None else [raw[at : at + size] for at in range(0, len(raw), size)]
    passed = [each async for each in await empty_messages.begun(Source(*pieces))]

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
    """Of their deployment, before they are given out: another try or model may answer."""
    with pytest.raises(litellm.InternalServerError) as failure:
        await empty_messages.begun(Source(NONSENSE[said]))

    assert ErrorCategory.PROVIDER_ERROR is categorise(failure.value)


async def test_signs_of_life_do_not_wait_for_a_first_word() -> None:
    """There may be any number of them."""
    events = [begin(), *[sse("ping"), b": still here\n\n"] * MAX_HELD, block("text"), WORD]

    assert [begin(), block("text"), WORD] == [
        each async for each in await empty_messages.begun(Source(*events))
    ]


async def test_what_litellm_counts_itself_is_no_report() -> None:
    """It tells tokens of the prompt where the provider of a chat told nothing."""
    counted = Source(begin(), end(input_tokens=3), STOP, chunks=[SimpleNamespace(usage=None)])
    told = Source(begin(), end(input_tokens=3), STOP, chunks=[SimpleNamespace(usage=USAGE)])
    with pytest.raises(litellm.InternalServerError):
        await empty_messages.begun(counted)

    assert 3 == len([each async for each in await empty_messages.begun(told)])


@pytest.mark.parametrize(
    ("failure", "category"),
    [
        (
            sse("error", error={"type": "overloaded_error"}),
            ErrorCategory.PROVIDER_RATE_LIMITED,
        ),
        (
            sse("error", error={"type": "rate_limit_error", "message": "busy"}),
            ErrorCategory.PROVIDER_RATE_LIMITED,
        ),
        (litellm.AuthenticationError("no", "openai", "m"), ErrorCategory.PROVIDER_AUTH),
        (MidStreamFallbackError("no", "m", "openai"), ErrorCategory.PROVIDER_ERROR),
    ],
)
async def test_messages_fail_with_what_their_provider_failed_with(
    failure: Any, category: ErrorCategory
) -> None:
    """Also where it is told as an event; its stream is closed."""
    closed: list[bool] = []

    async def aclose() -> None:
        closed.append(True)

    with pytest.raises(openai.OpenAIError) as told:
        await empty_messages.begun(Source(begin(), failure, aclose=aclose))

    assert category is categorise(told.value)
    assert [True] == closed


@pytest.mark.parametrize("is_mended", [False, True])
async def test_what_fails_in_a_translated_message_is_told_as_what_it_is(
    is_mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its status. Once LiteLLM does not make a 500 of it, `_error_status_and_message` can go."""
    if is_mended:
        mend(monkeypatch)
    chat = Source(litellm.AuthenticationError("no", "gemini", "m"))
    stream = translated.AnthropicStreamWrapper(chat, model="m").async_anthropic_sse_wrapper()
    *_, last = [parse_anthropic_error_event(each) async for each in stream]

    assert last is not None
    assert ("authentication_error" if is_mended else "api_error") == last[0]


@pytest.mark.parametrize("is_mended", [False, True])
async def test_a_message_that_has_called_a_tool_is_not_begun_again(
    router: Router, provider: DemoProviderServer, monkeypatch: pytest.MonkeyPatch, is_mended: bool
) -> None:
    """That it calls one is a word of it. Once LiteLLM asks nobody else behind it, its
    `_aanthropic_messages_recover_stream_error` can stay as it is."""
    mend(monkeypatch)
    if not is_mended:
        own = empty_messages._original_recover
        monkeypatch.setattr(Router, "_aanthropic_messages_recover_stream_error", own)
    looks = ToolCall("look", '{"at": "what is here, and at what is there"}')
    provider.script(tool_calls=(looks,), fail_after_tokens=1, delay_per_token_s=0.05)
    with suppress(litellm.APIError, openai.OpenAIError):  # it is an event, or raised
        await asked(router, "messages", "anthropic", stream=True)

    assert (1 if is_mended else 2) == len(provider.calls())


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
            empty_messages.begun(Source(b"<html>")),
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


@pytest.mark.parametrize("is_mended", [False, True])
async def test_each_try_of_a_stream_is_noted_as_failed(
    router: Router, provider: DemoProviderServer, monkeypatch: pytest.MonkeyPatch, is_mended: bool
) -> None:
    """Also of adapters whose provider is asked behind LiteLLM's hooks; else the next try of the same one
    would be taken for it. Once LiteLLM tells its hooks, `fetch_stream` can go."""
    if is_mended:
        mend(monkeypatch)
    call = Call("r-1", trace=Trace(lambda: 0.0))
    token = CURRENT_CALL.set(call)
    provider.script(status=500, times=1)
    try:
        tries.sent(call, {"model": "gemini/x", "metadata": {"model_group": "gemini"}})
        await asked(router, "chat", "gemini", stream=True)
    finally:
        CURRENT_CALL.reset(token)

    assert is_mended == (call.tries[0].category is ErrorCategory.PROVIDER_ERROR)


BREAKS: dict[str, Any] = {"times": 1, "fail_after_tokens": 2, "delay_per_token_s": 0.05}


async def broken(router: Router, provider: DemoProviderServer, form: str, model: str) -> str:
    """What is told of a stream that breaks behind its first word; "" where it is only raised."""
    if model == "second":  # of `openai`, by its name, LiteLLM takes no stream of this form for one
        router.fallbacks = [{"second": ["openai"]}]
    provider.script(**BREAKS)
    with suppress(litellm.APIError, openai.OpenAIError):  # of messages it is an event
        return await asked(router, form, model, stream=True)
    return ""


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("model", ["second", "anthropic", "gemini"])
@pytest.mark.parametrize("form", FORMS)
async def test_a_stream_that_has_begun_is_not_begun_again(
    router: Router, provider: DemoProviderServer, form: str, model: str
) -> None:
    """What fails behind the first word is told, in every form: no other model's answer follows."""
    await broken(router, provider, form, model)

    assert 1 == len(provider.calls())


@pytest.mark.parametrize("model", ["second", "anthropic"])
async def test_litellm_still_begins_a_response_again(
    router: Router, provider: DemoProviderServer, model: str
) -> None:
    """Once it does not, `empty_responses` can leave that alone."""
    told = await broken(router, provider, "responses", model)

    assert 2 == len(provider.calls()) == told.count("'response.created'")


@pytest.mark.parametrize("told", [2, None])
async def test_a_completion_of_no_word_goes_by_what_its_provider_told(
    router: Router, provider: DemoProviderServer, mended: None, told: int | None
) -> None:
    """That it used something: then it is an answer, as it is in a chat."""
    provider.script(times=1, text="", report_usage=bool(told), usage=UsageOverride(completion_tokens=told))
    await asked(router, "completions", "openai", stream=True)

    assert (1 if told else 2) == len(provider.calls())


class Text(Source):
    """A chat of which LiteLLM makes a completion."""

    def __init__(self, *deltas: dict[str, str]) -> None:
        super().__init__(*map(self._chunk, deltas))
        self.is_closed = False

    async def aclose(self) -> None:
        self.is_closed = True

    def _chunk(self, delta: dict[str, str]) -> ModelResponseStream:
        return ModelResponseStream(choices=[StreamingChoices(delta=Delta(**delta))])

    def as_completion(self) -> litellm.TextCompletionStreamWrapper:
        return litellm.TextCompletionStreamWrapper(self, model="m")


async def test_a_completion_without_an_answer_leaves_its_provider() -> None:
    """LiteLLM's own stream of it cannot be closed."""
    source = Text({"content": ""})
    with pytest.raises(litellm.InternalServerError):
        await empty_streams.begun(source.as_completion())

    assert source.is_closed


def test_a_completion_of_litellms_still_cannot_be_closed() -> None:
    """Once it can, `Begun` need not look for what is within it."""
    assert not hasattr(Text().as_completion(), "aclose")


async def test_a_thought_of_a_completion_is_a_word_of_it() -> None:
    """LiteLLM tells it beside the text."""
    source = Text({"reasoning_content": "Hm"}, {"content": "Hi"})
    stream = await empty_streams.begun(source.as_completion())

    assert [None, "Hi"] == [each.choices[0].text async for each in stream]


@pytest.mark.parametrize("is_mended", [False, True])
async def test_each_model_of_a_chain_is_asked_once_for_a_message(
    router: Router, provider: DemoProviderServer, monkeypatch: pytest.MonkeyPatch, is_mended: bool
) -> None:
    """As in the other forms. Once LiteLLM heeds what the chain says, `empty_messages` has one reason less."""
    monkeypatch.setattr(Router, "_time_to_sleep_before_retry", lambda *args, **kwargs: 0)
    if is_mended:
        mend(monkeypatch)
    router.num_retries = 2
    provider.script(cut_after_tokens=0)
    with suppress(litellm.APIError, openai.OpenAIError):
        await asked(router, "messages", "openai", stream=True)

    assert (1 if is_mended else 3) == [call["model"] for call in provider.calls()].count("second")


LITELLMS_OWN = [
    # form, the model that says nothing, script; whether it is streamed
    ("chat", "openai", {"garbage": True}, True),
    ("completions", "openai", SILENT, True),
    ("messages", "openai", {"garbage": True}, True),
    ("messages", "anthropic", {"garbage": True}, True),
    ("responses", "anthropic", {"garbage": True}, True),
    ("chat", "openai", SILENT, False),
    ("completions", "openai", SILENT, False),
    ("messages", "anthropic", SILENT, False),
    ("responses", "openai", SILENT, False),
]


@pytest.mark.parametrize(("form", "model", "script", "stream"), LITELLMS_OWN)
async def test_litellm_still_takes_nothing_for_an_answer(
    router: Router, provider: DemoProviderServer, form: str, model: str, script: dict[str, Any], stream: bool
) -> None:
    """Where it asks another model by itself, the mend can go."""
    provider.script(times=1, **script)
    await asked(router, form, model, stream=stream)

    assert 1 == len(provider.calls())
