"""What is mended of LiteLLM from outside; a test fails here when a mend can go, or no longer fits."""

import asyncio
import inspect
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import Any, Self

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils import litellm_logging
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.proxy import hooks, proxy_server
from litellm.proxy import utils as proxy_utils
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.hooks import ResponsesIDSecurity
from litellm.proxy.hooks.model_max_budget_limiter import PROXY_VirtualKeyModelMaxBudgetLimiter
from litellm.proxy.utils import ProxyLogging
from litellm.responses import streaming_iterator
from litellm.responses.streaming_iterator import (
    BaseResponsesAPIStreamingIterator,
    ResponsesAPIStreamingIterator,
)
from litellm.router import Router
from litellm.router_utils import fallback_event_handlers
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices, Usage
from openai import AsyncOpenAI
from pydantic import BaseModel

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.proxy import repairs
from scalix_callbacks.proxy.repairs import (
    answer_cost,
    callers_mistakes,
    correlation,
    counted_failures,
    deployment_usage,
    empty_streams,
    last_pause,
    refused_keys,
    response_ids,
    stream_models,
    success_log,
    text_streams,
    unused_hooks,
    zero_cost,
)
from scalix_callbacks.proxy.repairs.begun import MAX_HELD
from tests.proxy.forms import asked, mend, open_router

ADA = Caller("ada", "free", Role.USER)
PATCHED = (
    (Logging, "_restore_correlation_context"),
    (Logging, "_restore_correlation_context_if_unclaimed"),
    (Logging, "async_success_handler"),
    (Logging, "dispatch_failure_handlers"),
    (BaseResponsesAPIStreamingIterator, "_handle_failure"),
    (Router, "deployment_callback_on_failure"),
    (fallback_event_handlers, "_trigger_cooldown_for_failed_deployment"),
    (Logging, "_record_zero_cost_diagnostic"),
    (Logging, "response_cost_calculator"),
    (Router, "_increment_deployment_usage"),
    (Router, "_acompletion_streaming_iterator"),
    (Router, "_time_to_sleep_before_retry"),
    (ResponsesIDSecurity, "async_post_call_streaming_iterator_hook"),
)


class Listener(CustomLogger):
    """Somebody who logs calls."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self.heard.append(kwargs["model"])


class Idle(CustomLogger):
    """A callback that logs nothing."""


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM as it is, before and after each test."""
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    for name in ("callbacks", "success_callback", "_async_success_callback"):
        monkeypatch.setattr(litellm, name, [])
    monkeypatch.setattr(zero_cost, "_told", set())


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[type, str], list[str]]:
    """How often LiteLLM calls a method of its own."""

    def count(owner: type, name: str) -> list[str]:
        calls: list[str] = []
        original = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)
        return calls

    return count


@pytest.fixture
def router() -> Router:
    return _router()


@pytest.fixture
def call() -> Iterator[Call]:
    """A user's, which this task works for."""
    call = Call("r-1", caller=ADA)
    token = CURRENT_CALL.set(call)
    yield call
    CURRENT_CALL.reset(token)


def _router(**limits: int) -> Router:
    params = {"model": "openai/unpriced", "api_key": "k", "mock_response": "Hello", **limits}
    router = Router(model_list=[{"model_name": "m", "litellm_params": params}])
    # As the proxy does at its start.
    litellm._async_success_callback[:] = [router.deployment_callback_on_success]
    return router


async def ask(router: Router) -> Any:
    """One call, with all that LiteLLM does behind it."""
    answer = await router.acompletion(model="m", messages=[{"role": "user", "content": "Hi"}])
    await asyncio.sleep(0.01)  # what follows is put into the queue by a task
    await GLOBAL_LOGGING_WORKER.flush()
    return answer


def _logging() -> Logging:
    """What LiteLLM keeps of one call of `m`."""
    return Logging("m", [], True, "acompletion", datetime.now(), "c", "f")


def successes(router: Router) -> int:
    """As the router counts them, to judge whether a failing deployment needs a pause."""
    return int(router.cache.get_cache(f"{router.get_model_ids()[0]}:successes", local_only=True) or 0)


def test_the_repairs_are_for_this_version() -> None:
    """Whoever raises the version looks at each of them again."""
    assert "1.106.2" == version("litellm")


def test_every_repair_is_installed() -> None:
    """By `bootstrap`, which asks for all of them at once."""
    found = [import_module(f"{repairs.__name__}.{each.name}") for each in iter_modules(repairs.__path__)]

    assert {each for each in found if hasattr(each, "install")} == set(repairs.REPAIRS)


def test_wrong_requests_and_refused_credentials_are_both_heeded() -> None:
    """Both are in the place of the same method: the one that asks the other has to come last."""
    installed = repairs.REPAIRS.index

    assert installed(refused_keys) < installed(callers_mistakes)


async def _closed(stream: CustomStreamWrapper) -> None:
    await stream.aclose()


async def _dropped(stream: CustomStreamWrapper) -> None:
    stream.__del__()


class Noted:
    """A variable of a context, of which nothing is known but how it was touched."""

    def __init__(self) -> None:
        self.touched: list[str] = []

    def get(self) -> str:
        self.touched.append("read")
        return ""

    def set(self, value: str) -> None:
        self.touched.append("written")


@pytest.mark.parametrize("is_mended", [False, True])
@pytest.mark.parametrize(("left", "touched"), [(_closed, ["written"]), (_dropped, ["read", "written"])])
async def test_a_hang_up_touches_no_context(
    is_mended: bool,
    left: Callable[[CustomStreamWrapper], Awaitable[None]],
    touched: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where LiteLLM does not when a stream is left, that part of `correlation` can go."""
    if is_mended:
        correlation.install()
    stream, context = CustomStreamWrapper(None, "m", _logging()), Noted()
    monkeypatch.setattr(litellm_logging, "trace_id_var", context)
    await left(stream)

    assert ([] if is_mended else touched) == context.touched


def registered_hooks() -> set[str]:
    """The names of those that LiteLLM registers when it starts up."""
    logging = ProxyLogging(user_api_key_cache=proxy_server.user_api_key_cache)
    logging._add_proxy_hooks()
    return {*logging.proxy_hook_mapping}


def test_litellm_still_registers_the_hooks_that_are_left_out() -> None:
    """A name that it does not register, without a database of its own, can go from `unused_hooks`."""
    assert {*unused_hooks.UNUSED} <= registered_hooks()


def test_litellm_still_registers_its_budgets_by_model() -> None:
    """It does so while it is imported, before any test. Once it does not, that part can go."""
    limiter = proxy_server.model_max_budget_limiter

    assert isinstance(limiter, PROXY_VirtualKeyModelMaxBudgetLimiter)
    assert "add_litellm_callback(model_max_budget_limiter)" in inspect.getsource(proxy_server)


def test_no_hook_for_limits_of_litellms_own_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others stay, and so do callbacks of the YAML."""
    listener = Listener()
    copied = dict(hooks.PROXY_HOOKS)
    for module in (hooks, proxy_utils, unused_hooks):
        monkeypatch.setattr(module, "PROXY_HOOKS", copied)
    litellm.callbacks[:] = [PROXY_VirtualKeyModelMaxBudgetLimiter(litellm.DualCache()), listener]
    unused_hooks.install()

    assert [listener] == litellm.callbacks
    assert {
        "cache_control_check",
        "litellm_skills",
        "responses_id_security",
        "sensitive_data_routing",
    } == registered_hooks()


async def test_litellm_still_prepares_a_log_that_nobody_hears(counted: Any, router: Router) -> None:
    """Once it asks first, `success_log` can go."""
    prepared = counted(Logging, "_success_handler_helper_fn")
    await ask(router)

    assert 1 == len(prepared)


async def test_a_call_that_nobody_logs_is_only_counted(counted: Any, router: Router) -> None:
    """The router needs successes beside failures."""
    success_log.install()
    litellm._async_success_callback.append(Idle())
    prepared = counted(Logging, "_success_handler_helper_fn")
    await ask(router)
    await ask(router)

    assert ([], 2) == (prepared, successes(router))


async def test_a_call_that_somebody_logs_is_logged(router: Router) -> None:
    """A callback of the operator's YAML hears of each, and the router counts as well."""
    success_log.install()
    listener = Listener()
    litellm._async_success_callback.append(listener)
    await ask(router)

    assert (["unpriced"], 1) == (listener.heard, successes(router))


@pytest.mark.parametrize("limits", [{"tpm": 1_000}, {"rpm": 10}])
async def test_limits_of_a_deployment_are_counted_as_before(counted: Any, limits: dict[str, int]) -> None:
    """LiteLLM's own limits on a deployment need the whole log."""
    success_log.install()
    deployment_usage.install()
    router = _router(**limits)
    prepared = counted(Logging, "_success_handler_helper_fn")
    await ask(router)
    keys = [key for key in router.cache.in_memory_cache.cache_dict if ":tpm:" in str(key)]

    assert 1 == len(prepared)
    assert 1 == len(keys)


async def test_a_deployment_without_limits_is_not_looked_at(counted: Any, router: Router) -> None:
    """LiteLLM still would; once it does not, `deployment_usage` can go."""
    looked_at = counted(Router, "get_router_model_info")
    usage = {"deployment_id": router.get_model_ids()[0], "deployment_name": "m", "model_group": "m"}
    amounts = {"total_tokens": 1, "rpm_increment": 1, "parent_otel_span": None}
    await router._increment_deployment_usage(**usage, **amounts)
    before = len(looked_at)
    deployment_usage.install()
    await router._increment_deployment_usage(**usage, **amounts)

    assert (1, 1) == (before, len(looked_at))


async def test_litellm_still_looks_for_a_missing_price_at_each_call(counted: Any, router: Router) -> None:
    """Once it remembers what it found, `zero_cost` can go."""
    looked_for = counted(Logging, "_zero_cost_finding")
    await ask(router)
    first = len(looked_for)
    await ask(router)

    assert 1 <= first < len(looked_for)


async def test_a_missing_price_is_looked_for_once_a_model(counted: Any, router: Router) -> None:
    """Which nobody hears of; the price list does not change."""
    success_log.install()
    zero_cost.install()
    looked_for = counted(Logging, "_zero_cost_finding")
    for _ in range(3):
        await ask(router)

    assert 1 == len(looked_for)


@pytest.mark.usefixtures("call")
async def test_litellm_still_computes_what_an_answer_cost(router: Router) -> None:
    """Once it does not for whoever asks, `answer_cost` can go."""
    assert 0.0 == (await ask(router))._hidden_params["response_cost"]


async def test_what_an_answer_cost_is_told_to_the_operator_alone(router: Router, call: Call) -> None:
    """Users do not see the header it is for; for them nothing is computed."""
    call.caller = OPERATOR
    success_log.install()
    answer_cost.install()
    told = (await ask(router))._hidden_params["response_cost"]
    call.caller = ADA
    untold = (await ask(router))._hidden_params["response_cost"]

    assert (0.0, None) == (told, untold)


async def test_what_an_answer_cost_is_told_to_who_logs(router: Router, call: Call) -> None:
    """Their records have it, whoever called."""
    success_log.install()
    answer_cost.install()
    litellm._async_success_callback.append(Listener())

    assert (await ask(router))._hidden_params["response_cost"] is not None


@pytest.mark.parametrize(
    ("route", "is_looked_at"),
    [("/v1/responses", True), ("/openai/v1/responses", True), (None, True), ("/v1/chat/completions", False)],
)
async def test_only_streams_with_ids_are_looked_at(route: str | None, is_looked_at: bool) -> None:
    """All others go on as they are."""
    response_ids.install()

    async def stream() -> AsyncIterator[str]:
        yield "chunk"

    response = stream()
    user = SimpleNamespace(request_route=route)
    security = ResponsesIDSecurity()
    hooked: Any = security.async_post_call_streaming_iterator_hook(user, response, {})  # type: ignore[arg-type]

    assert is_looked_at == (hooked is not response)
    assert ["chunk"] == [chunk async for chunk in hooked]
    assert UserAPIKeyAuth.model_fields.keys() >= {"request_route"}


async def test_litellm_still_looks_at_each_chunk_of_a_chat() -> None:
    """Once a chat's stream goes on as it is, `response_ids` can go."""

    async def stream() -> AsyncIterator[ModelResponseStream]:
        yield WORD
        yield STOP

    response = stream()
    user = UserAPIKeyAuth(request_route="/v1/chat/completions")
    hooked = ResponsesIDSecurity().async_post_call_streaming_iterator_hook(user, response, {})

    assert hooked is not response
    assert [WORD, STOP] == [each async for each in hooked]


def chunk(**fields: Any) -> ModelResponseStream:
    """One of a chat's stream: a word, why it ends, or its usage."""
    usage, finish = fields.pop("usage", None), fields.pop("finish", None)
    made = ModelResponseStream(choices=[StreamingChoices(delta=Delta(**fields), finish_reason=finish)])
    if usage is not None:
        made.usage = usage  # type: ignore[attr-defined]  # as LiteLLM sets it
    return made


class Chunks:
    """A deployment's stream, as far as it matters."""

    model, custom_llm_provider = "m", "openai"

    def __init__(self, *chunks: ModelResponseStream) -> None:
        self.chunks = list(chunks)
        self.is_closed = False
        self._left = iter(chunks)

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        self.is_closed = True

    async def __anext__(self) -> ModelResponseStream:
        for chunk in self._left:
            return chunk
        raise StopAsyncIteration


ROLE, WORD, STOP = chunk(role="assistant"), chunk(content="Hi"), chunk(finish="stop")
USAGE = Usage(prompt_tokens=3, completion_tokens=0, total_tokens=3)


@pytest.mark.parametrize(
    "chunks",
    [
        (ROLE, WORD, WORD, STOP),
        (ROLE, STOP, chunk(usage=USAGE)),
        (ROLE, chunk(finish="content_filter")),
        (chunk(reasoning_content="Hm"), STOP),
    ],
)
async def test_an_answer_comes_through_as_it_is(chunks: tuple[ModelResponseStream, ...]) -> None:
    """Also one of no word, where its provider says that it is one, or why."""
    assert list(chunks) == [each async for each in await empty_streams.begun(Chunks(*chunks))]


async def test_a_stream_that_is_long_silent_is_given_out() -> None:
    """What is held back of it has a bound."""
    chunks = [*[ROLE] * (2 * MAX_HELD), WORD, STOP]
    assert chunks == [each async for each in await empty_streams.begun(Chunks(*chunks))]


@pytest.mark.parametrize("chunks", [(), (STOP,), (ROLE, STOP), (ROLE,)])
async def test_a_stream_without_an_answer_is_a_failure(chunks: tuple[ModelResponseStream, ...]) -> None:
    """Of its deployment, before it is given out; its provider is left."""
    stream = Chunks(*chunks)
    with pytest.raises(litellm.InternalServerError):
        await empty_streams.begun(stream)

    assert stream.is_closed


@pytest.mark.parametrize("is_mended", [False, True])
async def test_another_try_and_model_follow_garbage(is_mended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where LiteLLM asks it by itself, as with OpenAI's SDK, the mend can go."""
    monkeypatch.setenv("EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER", "true")  # as our launcher does
    if is_mended:
        mend(monkeypatch)
    with DemoProviderServer() as provider:
        provider.script(model="first", garbage=True)
        served = {"api_base": provider.base_url, "api_key": "k"}
        names = ("first", "second")
        models = [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", **served}} for name in names
        ]
        router = Router(
            model_list=models, fallbacks=[{"first": ["second"]}], num_retries=1, disable_cooldowns=True
        )
        stream = await router.acompletion(
            "first", [{"role": "user", "content": "Hi"}], stream=True, max_tokens=3
        )
        words = [each.choices[0].delta.content async for each in stream]
        asked = [call["model"] for call in provider.calls()]

    assert (["first", "first", "second"] if is_mended else ["first"]) == asked
    assert is_mended == any(words)


@pytest.mark.parametrize("is_mended", [False, True])
async def test_a_stream_of_text_fails_while_it_is_begun(
    is_mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the router can still ask another model. Once LiteLLM fails there by itself, the mend can go."""
    monkeypatch.setattr(litellm, "atext_completion", text_streams._original)
    if is_mended:
        text_streams.install()
    begin = litellm.atext_completion
    with DemoProviderServer() as provider:
        async with AsyncOpenAI(base_url=provider.base_url, api_key="k", max_retries=0) as client:
            provider.script(status=500)
            if is_mended:
                with pytest.raises(litellm.InternalServerError):
                    await begin(model="openai/m", prompt="Hi", stream=True, client=client)
                return
            stream = await begin(model="openai/m", prompt="Hi", stream=True, client=client)
            asked = provider.calls()
            with pytest.raises(litellm.InternalServerError):
                await anext(stream)

    assert [] == asked


class Now:
    """An executor that does not wait for its turn."""

    def submit(self, work: Callable[..., Any], *args: Any) -> None:
        work(*args)


def _chats(logging: Logging, error: Exception) -> Awaitable[Any]:
    later: Awaitable[Any] = logging.dispatch_failure_handlers(error, "", prefer_async_handlers=True)
    return later


def _responses(logging: Logging, error: Exception) -> Awaitable[Any]:
    stream = object.__new__(ResponsesAPIStreamingIterator)
    stream.logging_obj, stream.start_time = logging, datetime.now()
    stream._failure_handled, stream._pending_logging_tasks = False, ()
    stream._handle_failure(error)
    return asyncio.gather(*stream._pending_logging_tasks)


@pytest.mark.parametrize("is_mended", [False, True])
@pytest.mark.parametrize("failed", [_chats, _responses])
async def test_a_failure_of_a_stream_is_counted_against_who_failed(
    is_mended: bool,
    failed: Callable[[Logging, Exception], Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where LiteLLM does not count it against the next one, which is asked by then, the mend can go."""
    if is_mended:
        counted_failures.install()
    params = {"model": "openai/m", "api_key": "k"}
    names = ("failed", "next")
    listed = [{"model_name": name, "litellm_params": params, "model_info": {"id": name}} for name in names]
    router = Router(model_list=[*listed, *({**each, "model_info": {"id": "well"}} for each in listed)])
    monkeypatch.setattr(litellm, "failure_callback", [router.deployment_callback_on_failure])
    for module in (litellm_logging, streaming_iterator):
        monkeypatch.setattr(module, "executor", Now())
    logging = _logging()
    logging.model_call_details["litellm_params"] = {"model_info": {"id": "failed"}, "acompletion": True}
    error = litellm.AuthenticationError("no", "gemini", "m")
    later = failed(logging, error)
    logging.model_call_details["litellm_params"] = {"model_info": {"id": "next"}, "acompletion": True}
    await later
    resting = await router.cooldown_cache.async_get_active_cooldowns([*names, "well"], None)

    assert ["failed" if is_mended else "next"] == [name for name, _ in resting]


async def test_litellm_pauses_after_the_last_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it no longer asks how long, with no retry left, the mend can go."""
    left = []

    def noted(self: Router, e: Exception, remaining_retries: int, **about: Any) -> float:
        left.append(remaining_retries)
        return 0

    monkeypatch.setattr(Router, "_time_to_sleep_before_retry", noted)
    params = {"model": "openai/m", "api_key": "k", "mock_response": "litellm.InternalServerError"}
    router = Router(model_list=[{"model_name": "m", "litellm_params": params}], num_retries=1)
    with pytest.raises(litellm.InternalServerError):
        await router.acompletion("m", [{"role": "user", "content": "Hi"}])

    assert [1, 0] == left


@pytest.mark.parametrize("is_mended", [False, True])
def test_only_the_pause_after_the_last_retry_is_left_out(is_mended: bool) -> None:
    """LiteLLM's own half second and more before each retry stays. Once it has none without a retry, the mend
    can go."""
    if is_mended:
        last_pause.install()
    router = Router(model_list=[])

    assert is_mended == (0 == router._time_to_sleep_before_retry(ValueError(), 0, num_retries=2))
    assert 0.5 <= router._time_to_sleep_before_retry(ValueError(), 2, num_retries=2)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pydantic as it is, whatever another test has installed."""
    for model, _ in stream_models.UNDECLARED:
        monkeypatch.setattr(model, "__pydantic_setattr_handlers__", {})


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model, names in stream_models.UNDECLARED for name in names]
)
def test_an_undeclared_attribute_is_set_as_pydantic_sets_it(model: type[BaseModel], name: str) -> None:
    """Once a name is declared, or pydantic remembers it by itself, it can go here."""
    plain, ours = model(), model()
    setattr(plain, name, "value")
    assert name not in model.model_fields
    assert name not in model.__pydantic_setattr_handlers__
    stream_models.install()
    setattr(ours, name, "value")
    ours.id = plain.id = "same"  # type: ignore[attr-defined]  # only one of them has ids of its own

    assert plain == ours
    assert plain.model_dump(exclude_unset=True) == ours.model_dump(exclude_unset=True)
    assert plain.model_fields_set == ours.model_fields_set


@pytest.mark.usefixtures("forgetful")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # LiteLLM's own
@pytest.mark.parametrize("is_mended", [False, True])
async def test_how_to_set_it_is_not_found_out_for_each_chunk(
    is_mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once LiteLLM sets a name no longer for each, it can go from `stream_models`."""
    if is_mended:
        stream_models.install()
    found_out: Counter[str] = Counter()
    original = BaseModel._setattr_handler

    def noted(self: BaseModel, name: str, value: Any) -> Any:
        if isinstance(self, ModelResponseStream | StreamingChoices):
            found_out[name] += 1
        return original(self, name, value)

    monkeypatch.setattr(BaseModel, "_setattr_handler", noted)
    with DemoProviderServer() as provider:
        async with open_router(provider, monkeypatch) as router:
            provider.script(tokens=20)
            await asked(router, "chat", "gemini", stream=True)

    each = {name for name, times in found_out.items() if times >= 10}
    names = {*itertools.chain.from_iterable(names for _, names in stream_models.UNDECLARED)}
    assert (set() if is_mended else names) == each
