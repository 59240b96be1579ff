"""Whatever goes wrong has a category, and nothing of the inside gets out with it."""

import asyncio
import importlib
import inspect
import json
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.http_exceptions
import fastapi
import httpx
import litellm
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm import exceptions as litellm_exceptions
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy._types import ProxyErrorTypes, ProxyException
from litellm.proxy.common_utils.proxy_rate_limit_error import ProxyRateLimitError
from litellm.proxy.route_llm_request import ProxyMissingRequiredParamError, ProxyModelNotFoundError
from litellm.types import router as router_types

from scalix_callbacks.core.errors import TABLE, ErrorCategory, GatewayError, render
from scalix_callbacks.proxy.errors import ScalixProxyError, categorise, to_gateway_error
from tests.litellm_clients import close_clients
from tests.proxy.raw_provider import raw_provider

pytestmark = pytest.mark.filterwarnings(
    "ignore:Item.*using the `ReadOnly` qualifier:UserWarning"
)  # LiteLLM's

C = ErrorCategory
LITELLM = Path(litellm.__file__).parent
REQUEST = httpx.Request("POST", "https://provider.invalid/v1")


def exceptions_of(module: Any) -> list[type[BaseException]]:
    """The exception classes a module defines."""
    return [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, BaseException) and cls.__module__ == module.__name__
    ]


def exceptions_of_the_request_path() -> Iterator[type[BaseException]]:
    """Every exception class in the modules of LiteLLM that a request passes."""
    for name in (
        "proxy._types",
        "proxy.route_llm_request",
        "proxy.common_utils.proxy_rate_limit_error",
        "proxy.auth.model_access_denied",
        "proxy.middleware.request_size_limit_middleware",
    ):
        yield from exceptions_of(importlib.import_module(f"litellm.{name}"))
    yield from exceptions_of(litellm_exceptions)
    yield from exceptions_of(router_types)
    yield from exceptions_of(openai._exceptions)


def exceptions_of_the_providers() -> Iterator[type[BaseException]]:
    """Every subclass of LiteLLM's BaseLLMException, found in the source, so that none goes unloaded."""
    importlib.import_module("litellm.harness")  # its halves import each other; it must come first
    for path in (LITELLM / "llms").rglob("*.py"):
        if re.search(r"^class \w+\([^)]*(Exception|Error)\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            module = path.relative_to(LITELLM.parent).with_suffix("").as_posix().replace("/", ".")
            loaded = importlib.import_module(module.removesuffix(".__init__"))
            yield from (cls for cls in exceptions_of(loaded) if issubclass(cls, BaseLLMException))


NOT_ON_A_CALLERS_WAY = {
    "ModelNotMappedError": "asked for a price, not for an answer",
    "InvalidWebhookSignatureError": "a webhook of OpenAI's",
}
ALL_EXCEPTIONS = sorted({*exceptions_of_the_request_path(), *exceptions_of_the_providers()}, key=str)


def bare(cls: type[BaseException]) -> BaseException:
    """An instance without what its constructor sets: only the class is left to judge by.

    The proxy's two general classes say everything with their status; they are given one.
    """
    instance = cls.__new__(cls)
    if isinstance(instance, ProxyException):
        instance.code = "400"
    elif isinstance(instance, fastapi.HTTPException):
        instance.status_code = 400
    return instance


@pytest.mark.parametrize("cls", ALL_EXCEPTIONS, ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_every_exception_class_of_litellm_has_a_category(cls: type[BaseException]) -> None:
    """A class that a new LiteLLM brings must be decided on, here or in the table."""
    is_decided = categorise(bare(cls)) is not C.INTERNAL

    assert (cls.__name__ not in NOT_ON_A_CALLERS_WAY) is is_decided


OURS_OR_THE_OPERATORS_MISTAKE = {
    *("InvalidURL", "UnsupportedProtocol", "InvalidUrlClientError", "NonHttpUrlClientError"),  # an address
    *("CookieConflict", "LocalProtocolError"),  # what we would send
    *(
        "StreamError",
        "StreamClosed",
        "StreamConsumed",
        "RequestNotRead",
        "ResponseNotRead",
    ),  # misuse of httpx
    *("WSMessageTypeError", "WebSocketError"),  # LiteLLM reaches no model of ours by one
}
TRANSPORTS = sorted(
    {
        cls
        for module in (httpx._exceptions, aiohttp.client_exceptions, aiohttp.http_exceptions)
        for cls in exceptions_of(module)
        if issubclass(cls, Exception)
    },
    key=str,
)


@pytest.mark.parametrize("cls", TRANSPORTS, ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_every_exception_class_of_the_transports_has_a_category(cls: type[BaseException]) -> None:
    """Those beneath the SDKs reach us as causes, or as they are where LiteLLM calls by itself."""
    is_decided = categorise(bare(cls)) is not C.INTERNAL

    assert (cls.__name__ not in OURS_OR_THE_OPERATORS_MISTAKE) is is_decided


def test_the_walk_finds_the_classes() -> None:
    """Guards the guard: the walk sees LiteLLM's own list and the providers we route to."""
    names = {cls.__name__ for cls in ALL_EXCEPTIONS}

    assert set() == {cls.__name__ for cls in litellm_exceptions.LITELLM_EXCEPTION_TYPES} - names
    assert {"AnthropicError", "VertexAIError", "OllamaError", "OpenAIError", "RouterRateLimitError"} <= names


def test_every_kind_of_proxy_error_has_a_category() -> None:
    """LiteLLM's proxy names its own refusals by a closed list."""
    kinds = {kind: categorise(ProxyException("x", kind.value, None, 401)) for kind in ProxyErrorTypes}

    assert C.INVALID_API_KEY is kinds[ProxyErrorTypes.auth_error]
    assert C.MODEL_NOT_IN_TIER is kinds[ProxyErrorTypes.key_model_access_denied]
    assert C.PERMISSION_DENIED is kinds[ProxyErrorTypes.tool_access_denied]
    assert C.BUDGET_EXCEEDED is kinds[ProxyErrorTypes.budget_exceeded]


# --- against real connections ---------------------------------------------------------------------------

SECRETS = ("sk-CANARYKEY1234567", "CANARY provider words", "CANARYPROMPT", "canary-upstream-model")


def answer(status: int, message: str = SECRETS[1], headers: str = "", param: str | None = None) -> bytes:
    body = json.dumps({"error": {"message": message, "type": "x", "code": None, "param": param}})
    return raw(status, body, headers)


def raw(status: int, body: str, headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"connection: close\r\n{headers}\r\n{body}"
    ).encode()


HANG = None
ANSWERS: dict[str, tuple[bytes, ErrorCategory]] = {
    "400": (answer(400), C.INVALID_REQUEST),
    "context-openai": (answer(400, "This model's maximum context length is 1"), C.CONTEXT_WINDOW_EXCEEDED),
    "context-anthropic": (answer(400, "prompt is too long: 9 tokens > 8 maximum"), C.CONTEXT_WINDOW_EXCEEDED),
    "policy": (answer(400, "Your request was rejected as a result of our safety system"), C.CONTENT_POLICY),
    "401": (answer(401, f"Incorrect API key provided: {SECRETS[0]}"), C.PROVIDER_AUTH),
    "402": (answer(402, "Insufficient Balance"), C.PROVIDER_AUTH),
    "403": (answer(403), C.PROVIDER_AUTH),
    "404": (answer(404), C.MODEL_UNAVAILABLE),
    "408": (answer(408), C.PROVIDER_TIMEOUT),
    "409": (answer(409), C.PROVIDER_ERROR),
    "413": (answer(413), C.REQUEST_TOO_LARGE),
    "422": (answer(422), C.INVALID_REQUEST),
    "429": (answer(429, headers="retry-after: 7\r\n"), C.PROVIDER_RATE_LIMITED),
    "500": (answer(500), C.PROVIDER_ERROR),
    "502": (raw(502, "<html>CANARY provider words</html>"), C.PROVIDER_ERROR),
    "503": (answer(503), C.PROVIDER_ERROR),
    "503-overloaded": (answer(503, "The model is overloaded."), C.PROVIDER_RATE_LIMITED),
    "504": (answer(504), C.PROVIDER_TIMEOUT),
    "529": (answer(529, "Overloaded"), C.PROVIDER_RATE_LIMITED),
    "no-json": (raw(200, "<html>CANARY provider words</html>"), C.PROVIDER_ERROR),
    "other-json": (raw(200, '{"foo": "CANARY provider words"}'), C.PROVIDER_ERROR),
    "null": (raw(200, "null"), C.PROVIDER_ERROR),
    "cut": (b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"id":', C.NETWORK_ERROR),
    "closed": (b"", C.NETWORK_ERROR),
    "hangs": (HANG, C.PROVIDER_TIMEOUT),
}  # fmt: skip
PROVIDERS = {
    "openai": ("openai/canary-upstream-model", "/v1"),
    "anthropic": ("anthropic/canary-upstream-model", ""),
    "gemini": ("gemini/canary-upstream-model", ""),
    "azure": ("azure/canary-upstream-model", ""),
    "openrouter": ("openrouter/canary-upstream-model", ""),
    "deepseek": ("deepseek/canary-upstream-model", ""),
    "ollama": ("ollama_chat/canary-upstream-model", ""),
    "lmstudio": ("lm_studio/canary-upstream-model", ""),
}


async def failure(name: str, address: str, *, timeout_s: float = 10, **request: Any) -> Exception:
    """What LiteLLM raises for a call of this provider."""
    model, path = PROVIDERS[name]
    with pytest.raises(Exception) as caught:  # any class: which one is what the tests are about
        await litellm.acompletion(
            model=model,
            api_base=address + path,
            api_key=SECRETS[0],
            timeout=timeout_s,
            max_retries=0,
            api_version="2024-10-21" if name == "azure" else None,
            **{"messages": [{"role": "user", "content": SECRETS[2]}], **request},
        )
    await close_clients()
    return caught.value


@pytest.mark.parametrize("name", PROVIDERS)
async def test_what_a_provider_does_has_the_same_category_with_every_provider(name: str) -> None:
    """The same failure reads the same, whichever provider's wire format it came in."""
    expected, actual, texts = {}, {}, []
    for case, (reply, category) in ANSWERS.items():
        async with raw_provider(lambda path, said=reply: said) as address:
            error = await failure(name, address, timeout_s=0.3 if reply is HANG else 10)
        expected[case], actual[case] = category, categorise(error)
        texts.append(json.dumps(render(to_gateway_error(error), "r")))

    assert expected == actual
    assert [] == [text for text in texts for secret in (*SECRETS, "127.0.0.1") if secret in text]


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
async def test_a_provider_that_cannot_be_reached_is_a_network_error(name: str, address: str) -> None:
    """Refused and unresolved connections, which LiteLLM raises as 500s of several classes."""
    assert C.NETWORK_ERROR is categorise(await failure(name, address))


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": ["not a message"]},
        {"messages": [{"role": "user", "content": 5}]},
        {"response_format": "x"},
        {"tool_choice": {"x": 1}, "tools": [{"type": "function", "function": {"name": "f"}}]},
    ],
    ids=["message", "content", "response_format", "tool_choice"],
)
async def test_a_request_litellm_cannot_translate_is_the_callers_error(request_: dict[str, Any]) -> None:
    """LiteLLM makes an APIConnectionError with status 500 of most of these."""
    assert C.INVALID_REQUEST is categorise(await failure("anthropic", "http://127.0.0.1:9", **request_))


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "ollama"])
async def test_so_it_is_whichever_provider_it_was_for(name: str) -> None:
    """Azure's translation fails as an APIError with status 500; Ollama is sent the message as it is."""
    image = {"role": "user", "content": [{"type": "image_url"}]}
    error = await failure(name, "http://127.0.0.1:9", messages=[image])

    assert C.INVALID_REQUEST is categorise(error)


async def test_the_providers_wait_is_passed_on() -> None:
    """The client learns when to come back, though the status is not the provider's 429."""
    async with raw_provider(lambda path: answer(429, headers="retry-after: 7\r\n")) as address:
        told = to_gateway_error(await failure("openai", address))

    assert (C.PROVIDER_RATE_LIMITED, 503, 7.0) == (told.category, told.status, told.retry_after_s)


async def test_the_field_a_provider_names_is_named() -> None:
    """Only when it is one of the API's own names."""
    async with raw_provider(lambda path: answer(400, param="temperature")) as address:
        known = to_gateway_error(await failure("openai", address))
    async with raw_provider(lambda path: answer(400, param="canary-upstream-model")) as address:
        unknown = to_gateway_error(await failure("openai", address))

    assert ("temperature", None) == (known.param, unknown.param)
    assert "'temperature'" in known.message


async def test_no_deployment_left_says_when_one_is_back() -> None:
    """A router whose only deployment cools down names the rest of its pause."""
    router = litellm.Router(
        model_list=[{"model_name": "m", "litellm_params": {"model": "openai/x", "api_key": "k"}}],
    )
    deployment = router.get_model_list()[0]["model_info"]["id"]  # type: ignore[index]  # there is one
    router.cooldown_cache.add_deployment_to_cooldown(
        deployment, original_exception=ValueError(), exception_status=500, cooldown_time=20.0
    )
    with pytest.raises(router_types.RouterRateLimitError) as caught:
        await router.acompletion(model="m", messages=[{"role": "user", "content": "x"}])
    told = to_gateway_error(caught.value)

    assert C.MODEL_UNAVAILABLE is told.category
    assert told.retry_after_s is not None
    assert 1 <= told.retry_after_s <= 20


async def test_an_unknown_model_of_the_router_is_not_found() -> None:
    """The router calls it a bad request without healthy deployments."""
    router = litellm.Router(model_list=[])
    with pytest.raises(litellm.BadRequestError) as caught:
        await router.acompletion(model="nosuch", messages=[{"role": "user", "content": "x"}])

    assert C.MODEL_NOT_FOUND is categorise(caught.value)


# --- by hand --------------------------------------------------------------------------------------------


def response(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, request=REQUEST, headers=headers)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def rate_limited(headers: dict[str, str] | None = None) -> litellm.RateLimitError:
    return litellm.RateLimitError("x", "openai", "m", response=response(429, headers))


MID_STREAM = litellm_exceptions.MidStreamFallbackError("x", "m", "openai", original_exception=rate_limited())
HAND_MADE: list[tuple[BaseException, ErrorCategory]] = [
    (asyncio.CancelledError(), C.CLIENT_CLOSED),
    (fastapi.HTTPException(499, "Client disconnected"), C.CLIENT_CLOSED),
    (TimeoutError(), C.PROVIDER_TIMEOUT),
    (httpx.ConnectTimeout("x"), C.PROVIDER_TIMEOUT),
    (httpx.ReadTimeout("x"), C.PROVIDER_TIMEOUT),
    (httpx.PoolTimeout("x"), C.OVERLOADED),
    (httpx.ConnectError("x"), C.NETWORK_ERROR),
    (httpx.RemoteProtocolError("x"), C.NETWORK_ERROR),
    (httpx.HTTPStatusError("x", request=REQUEST, response=response(401)), C.PROVIDER_AUTH),
    (httpx.HTTPStatusError("x", request=REQUEST, response=response(500)), C.PROVIDER_ERROR),
    (httpx.TooManyRedirects("x"), C.PROVIDER_ERROR),
    (aiohttp.ServerDisconnectedError(), C.NETWORK_ERROR),
    (aiohttp.ServerTimeoutError(), C.PROVIDER_TIMEOUT),
    (aiohttp.ClientPayloadError("x"), C.NETWORK_ERROR),
    (ConnectionResetError(), C.NETWORK_ERROR),
    (ssl.SSLCertVerificationError(), C.NETWORK_ERROR),
    (openai.APIConnectionError(request=REQUEST), C.NETWORK_ERROR),
    (openai.APITimeoutError(REQUEST), C.PROVIDER_TIMEOUT),
    (openai.AuthenticationError("x", response=response(401), body=None), C.PROVIDER_AUTH),
    (openai.RateLimitError("x", response=response(429), body=None), C.PROVIDER_RATE_LIMITED),
    (openai.NotFoundError("x", response=response(404), body=None), C.MODEL_UNAVAILABLE),
    (openai.InternalServerError("x", response=response(503), body=None), C.PROVIDER_ERROR),
    (BaseLLMException(429, "x"), C.PROVIDER_RATE_LIMITED),
    (BaseLLMException(400, "API key not valid. Please pass a valid API key."), C.PROVIDER_AUTH),
    (BaseLLMException(418, "x"), C.INVALID_REQUEST),
    (MID_STREAM, C.PROVIDER_RATE_LIMITED),
    (litellm_exceptions.MidStreamFallbackError("x", "m", "openai"), C.PROVIDER_ERROR),
    (router_types.RouterRateLimitErrorBasic("m"), C.PROVIDER_RATE_LIMITED),
    (litellm.BudgetExceededError(2, 1), C.BUDGET_EXCEEDED),
    (ProxyRateLimitError("x"), C.RATE_LIMIT_EXCEEDED),
    (ProxyRateLimitError("x", rate_limit_type="budget"), C.BUDGET_EXCEEDED),
    (ProxyModelNotFoundError("/v1/chat/completions", "m"), C.MODEL_NOT_FOUND),
    (ProxyMissingRequiredParamError("/v1/chat/completions", "messages"), C.INVALID_REQUEST),
    (ProxyException("x", "None", None, 401), C.INVALID_API_KEY),
    (ProxyException("x", "None", None, 401, headers={"llm_provider-date": "x"}), C.PROVIDER_AUTH),
    (caused(ProxyException("x", "None", None, 429), rate_limited()), C.PROVIDER_RATE_LIMITED),
    (ProxyException("No deployments available for selected model", "None", None, 500), C.MODEL_UNAVAILABLE),
    (ProxyException("x", "None", None, "not a status"), C.INTERNAL),
    (ProxyException("x", "None", None, 500), C.INTERNAL),
    (fastapi.HTTPException(401), C.INVALID_API_KEY),
    (fastapi.HTTPException(404), C.NOT_FOUND),
    (fastapi.HTTPException(413), C.REQUEST_TOO_LARGE),
    (fastapi.HTTPException(400, {"error": "x"}), C.INVALID_REQUEST),
    (fastapi.HTTPException(503), C.SERVICE_UNAVAILABLE),
    (fastapi.exceptions.RequestValidationError([]), C.INVALID_REQUEST),
    (Exception("Max retries per request hit!"), C.PROVIDER_ERROR),
    (caused(Exception("x"), httpx.ConnectError("x")), C.NETWORK_ERROR),
    (ExceptionGroup("x", [httpx.ReadTimeout("x")]), C.PROVIDER_TIMEOUT),
    (KeyError("x"), C.INTERNAL),
    (Exception(), C.INTERNAL),
]


@pytest.mark.parametrize(("error", "category"), HAND_MADE, ids=lambda value: type(value).__name__)
def test_the_category_of(error: BaseException, category: ErrorCategory) -> None:
    """One of each way to fail."""
    assert category is categorise(error)
    assert category is to_gateway_error(error).category


def test_a_providers_refusal_is_never_the_callers() -> None:
    """No provider's status becomes 401, 402, 403 or 429 of ours."""
    statuses = {TABLE[categorise(BaseLLMException(status, "x"))].status for status in range(400, 600)}

    assert set() == statuses & {401, 402, 403, 429, 499, 500}


def test_a_decided_error_is_passed_through() -> None:
    """What we decided ourselves is not decided anew, however it is wrapped."""
    ours = GatewayError(C.RATE_LIMIT_EXCEEDED, retry_after_s=5)
    wrapped = caused(Exception("x"), ScalixProxyError(ours, "r"))

    assert ours is to_gateway_error(ours)
    assert ours is to_gateway_error(ScalixProxyError(ours, "r"))
    assert ours is to_gateway_error(wrapped)


def test_a_circle_of_causes_ends() -> None:
    """An exception that is its own cause, and a chain without end, are looked at for a while only."""
    first, second = Exception("a"), Exception("b")
    first.__cause__, second.__cause__ = second, first
    deep: BaseException = httpx.ConnectError("x")
    for _ in range(1_000):
        deep = caused(Exception("x"), deep)

    assert C.INTERNAL is categorise(first)
    assert C.INTERNAL is categorise(deep)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500"}, 2.0),
        ({"retry-after": "0"}, 1.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 5_000}, 3600.0),
        ({}, None),
    ],
)
def test_the_promised_wait_is_bounded(headers: dict[str, str], expected: float | None) -> None:
    """From one second to an hour, whatever a provider sends."""
    assert expected == to_gateway_error(rate_limited(headers)).retry_after_s


# --- what is told ---------------------------------------------------------------------------------------

MAKERS: list[Callable[[str], BaseException]] = [
    lambda text: Exception(text),
    lambda text: litellm.BadRequestError(text, text, text, response=response(400), body={"param": text}),
    lambda text: litellm.AuthenticationError(text, text, text),
    lambda text: litellm.APIConnectionError(text, text, text),
    lambda text: BaseLLMException(500, text, body={"param": text}),
    lambda text: ProxyException(text, text, text, 400),
    lambda text: fastapi.HTTPException(400, {"error": {"message": text}}),
    lambda text: router_types.RouterRateLimitError(text, 5, False, [text]),
    lambda text: caused(Exception(text), litellm.NotFoundError(text, text, text)),
]


@given(st.text(), st.text(), st.sampled_from(MAKERS))
def test_nothing_of_a_foreign_text_is_ever_told(
    before: str, after: str, make: Callable[[str], BaseException]
) -> None:
    """Keys, prompts, addresses and model ids arrive in texts; none of them leaves."""
    error = to_gateway_error(make(f"{before}CANARY-7f3a{after}"))

    assert "CANARY-7f3a" not in json.dumps([render(error, "r"), ScalixProxyError(error, "r").headers])


# --- on the way out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", ErrorCategory)
def test_the_status_is_ours_whatever_the_message_says(category: ErrorCategory) -> None:
    """ProxyException's own constructor would make a 429 or 401 of these words."""
    words = "No deployments available. Not allowed to access model due to tags configuration"
    error = ScalixProxyError(GatewayError(category, words), "r")

    assert (TABLE[category].status, str(TABLE[category].status)) == (error.status_code, error.code)


def test_the_body_and_headers_are_ours() -> None:
    """What LiteLLM's handler sends is what `render` makes."""
    ours = GatewayError(C.RATE_LIMIT_EXCEEDED, "Wait.", retry_after_s=5, headers={"x-a": "b"})
    error = ScalixProxyError(ours, "req-1")

    assert render(ours, "req-1") == error.to_dict()
    assert {
        "x-a": "b",
        "retry-after": "5",
        "retry-after-ms": "5000",
        "x-scalix-request-id": "req-1",
    } == error.headers
    assert "Wait." == str(error)


def test_it_has_all_that_litellm_reads_of_a_proxy_exception() -> None:
    """It does not run ProxyException's constructor, so it must set what that sets."""
    theirs = vars(ProxyException("x", "t", None, 400))

    assert set() == set(theirs) - set(vars(ScalixProxyError(GatewayError(C.INTERNAL), None)))


def test_litellms_handler_sends_it(recwarn: pytest.WarningsRecorder) -> None:
    """Through the real exception handler of LiteLLM's app."""
    from litellm.proxy.proxy_server import openai_exception_handler
    from starlette.requests import Request

    error = ScalixProxyError(GatewayError(C.MODEL_NOT_IN_TIER, upgrade_url="https://a.example"), "r")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/x",
        "headers": [],
        "query_string": b"",
        "state": {},
    }
    sent = asyncio.run(openai_exception_handler(Request(scope), error))

    assert (403, {"error": error.to_dict()}) == (sent.status_code, json.loads(bytes(sent.body)))
