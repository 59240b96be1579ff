"""The hooks LiteLLM calls: guards around what it routes, and our form for what goes wrong."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson
from litellm.caching.caching import DualCache
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from scalix_callbacks.core.answer_headers import answer_headers
from scalix_callbacks.core.auto import AUTO_NAMES
from scalix_callbacks.core.call import CURRENT_CALL, Call, current_request_id
from scalix_callbacks.core.catalogue import SPECIAL_CHAINS, Catalogue
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid, render
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.trace import Step
from scalix_callbacks.core.usage import NOTHING, Usage
from scalix_callbacks.proxy import answer_cache, runtime, spans, tries
from scalix_callbacks.proxy.answer_names import give_name, name_of
from scalix_callbacks.proxy.engine import Savings, by_upstream, for_deployment
from scalix_callbacks.proxy.errors import AuthRefusal, ScalixProxyError, to_gateway_error
from scalix_callbacks.proxy.halves import mend_answer
from scalix_callbacks.proxy.served import Served, served_by
from scalix_callbacks.proxy.stream_reading import StreamReading, is_finish, is_last_event
from scalix_callbacks.proxy.unkept import unkept
from scalix_callbacks.proxy.whole_reading import tell_estimated, usage_of

_log = logging.getLogger("scalix.calls")


CHUNKS_IN_A_TURN = 16
"""Of a stream, before others have theirs: some ten milliseconds, with all that LiteLLM does for each.

Of a provider that is faster than we are the next chunk is always there, and nothing here ever waits: leases
are not renewed meanwhile, and a client that hangs up is not noticed, as anyio cancels nobody whose chunk has
come.
"""


class ScalixCallbacks(CustomLogger):
    """Every hook is defined here itself: LiteLLM looks some of them up on the leaf class alone."""

    def __init__(self, catalogue: Catalogue, upstreams: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._catalogue = catalogue
        self._upstreams = upstreams

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Last look before LiteLLM routes: nothing passes that was not authenticated by us."""
        call = CURRENT_CALL.get()
        if call is None or call.caller is None:
            raise ScalixProxyError(GatewayError(ErrorCategory.INVALID_API_KEY), current_request_id())
        spans.describe(call)
        if call.endpoint is not None:
            answer_cache.steer(data, call)
        is_limited = call.choice is not None or not call.caller.is_operator
        if call.endpoint is not None and call.model is not None and is_limited:
            if call.choice is not None:
                chain = call.choice.fallback_options
            else:
                chain = runtime.gateway().usable_chain(call.caller, call.model)
            # Always set, so that neither a chain of the chain nor a model out of reach is tried.
            data["fallbacks"] = _chain(call.model, chain) or []
            for kind in SPECIAL_CHAINS:
                # None: LiteLLM then goes on with the ordinary chain, as it does where nobody set any.
                special = runtime.gateway().usable_chain(call.caller, call.model, kind)
                data[kind.value] = _chain(call.model, special)
        by_upstream(call, data)
        if call.endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS) and call.is_stream:
            # LiteLLM asks providers for the usage of a stream by itself, but for that of chat alone, and
            # only where all deployments take this option. Anthropic's tell it anyway; LiteLLM takes it off.
            data["stream_options"] = {**(data.get("stream_options") or {}), "include_usage": True}
            if (logging := data.get("litellm_logging_obj")) is not None:
                # Made before us; for providers without the option, what it has decides.
                logging.stream_options = data["stream_options"]
        return data

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """What is sent, now that it is known where: options of the engine to an upstream engine alone, and
        that nothing is to be kept to whoever would."""
        call = CURRENT_CALL.get()
        if call is None:
            return None
        tries.sent(call, kwargs)
        changed = for_deployment(call, kwargs, self._upstreams)
        return unkept(changed or kwargs, call_type) or changed

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: Any,
        fallback_depth: int | None = None,
    ) -> None:
        """A provider failed; others may be tried."""
        if (call := CURRENT_CALL.get()) is not None:
            tries.failed(call, exception)

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: list[Any] | None,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[dict[str, Any]]:
        """Without the deployments that have no credentials: a provider's 401 would be the only answer.

        Started by our launcher, LiteLLM does not know them at all; started alone, it does.
        """
        if not isinstance(healthy_deployments, list):
            return healthy_deployments
        return [deployment for deployment in healthy_deployments if self._is_ready(deployment)]

    async def async_filter_listed_models(
        self, user_api_key_dict: UserAPIKeyAuth, model_names: Sequence[str]
    ) -> Sequence[str]:
        """The models this caller may use."""
        call = CURRENT_CALL.get()
        if call is None or call.caller is None:
            return []
        listed = set(runtime.gateway().listed_models(call.caller))
        own = [name for name in AUTO_NAMES if name in listed]  # LiteLLM does not know them
        return [name for name in model_names if name in listed and name not in own] + own

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> ScalixProxyError | None:
        """The failure as its caller may see it; None for what our auth refused: it says so itself."""
        call = CURRENT_CALL.get()
        if isinstance(original_exception, AuthRefusal):
            if call is not None:
                await _settle_failed(call, original_exception.error.category)
            return None
        told = _told(original_exception)
        if call is not None:
            await _settle_failed(call, told.category)
        if call is None and told.category is ErrorCategory.INTERNAL:
            # LiteLLM checks bodies before it asks who is calling; it raises a plain ValueError then.
            told = invalid("The request holds a field that is not open to callers. Remove it.")
        _leave_for_answer(told, original_exception)
        return ScalixProxyError(told, current_request_id())

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: UserAPIKeyAuth, response: Any
    ) -> Any:
        """A whole answer: settled before it leaves, and told what is left."""
        if response is None:
            # What LiteLLM makes of a provider's second 422 where `drop_params` is on.
            raise ScalixProxyError(GatewayError(ErrorCategory.INVALID_REQUEST), current_request_id())
        if getattr(response, "error", None):
            # An error under status 200, in the provider's words.
            raise ScalixProxyError(GatewayError(ErrorCategory.PROVIDER_ERROR), current_request_id())
        call = CURRENT_CALL.get()
        if call is None or call.admission is None:
            return response
        if call.endpoint is not Endpoint.EMBEDDINGS:  # which are numbers, and many
            mend_answer(response)
        served = served_by(response, asked=call.model)
        used = usage_of(response, call.ask.prompt_tokens if call.ask is not None else 0)
        tell_estimated(response, used)
        give_name(response, name_of(call, served))
        await runtime.meter().settle(
            call, Outcome.OK, used, model_used=served.model or call.model, **served.about
        )
        answer_cache.confirm(call, served.model)
        if answer_cache.is_hit(call):
            answer_cache.tell_unused(response)
        told = runtime.meter().scalix(call, served.model)
        if isinstance(response, dict):
            response["scalix"] = told
        else:
            response.scalix = told
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: UserAPIKeyAuth, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """The stream, settled at its end, however it ends: by itself, by a failure, by its client.

        A failure in the middle is told as one frame in our form. A stream that ended well says last what was
        used and what is left: in a chunk of ours, or in the last event where clients read no other.
        """
        call, reading, finish, taken = CURRENT_CALL.get(), StreamReading(), None, 0
        savings = Savings(call)
        try:
            async for chunk in response:
                passed = reading.take(chunk)
                taken += 1
                if taken % CHUNKS_IN_A_TURN == 0:
                    await asyncio.sleep(0)
                # Of raw SSE, what holds nothing yet is a provider's sign of life.
                is_begun = not reading.is_empty or not isinstance(chunk, bytes)
                if call is not None and call.first_token_at_s is None and is_begun:
                    call.first_token_at_s = time.time()
                    call.note(Step.FIRST_TOKEN)
                if passed is None:
                    _check(reading)
                    continue
                if call is not None and call.endpoint is Endpoint.RESPONSES:
                    if (answer := getattr(passed, "response", None)) is not None:
                        give_name(answer, name_of(call, served_by(response, asked=call.model)))
                    if call.ask is not None and is_last_event(passed):
                        _, told = await _settle_ended(call, reading, response)
                        passed.scalix = passed.response.scalix = told
                if reading.is_empty and is_finish(passed):
                    finish = passed  # until it is known whether there was an answer
                else:
                    yield savings.before(passed)
                _check(reading)
            if rest := reading.rest():
                yield rest
            _check(reading)
            if finish is not None:
                if not reading.is_answer(response):
                    raise ScalixProxyError(GatewayError(ErrorCategory.PROVIDER_ERROR), current_request_id())
                yield finish
        except Exception as error:
            # Not raised on: LiteLLM would tell the client the provider's own words.
            failure = _told(error)
            if call is not None:
                served = served_by(reading.first, response, asked=call.model)
                await _settle_failed(call, failure.category, reading, served)
            request_data["_litellm_skip_openai_stream_done"] = True
            yield _error_frame(failure)
            return
        except BaseException:
            if call is not None and call.ask is not None:
                served = served_by(reading.first, response, asked=call.model)
                runtime.meter().settle_soon(
                    call,
                    Outcome.ABORTED,
                    reading.usage(call.ask.prompt_tokens, is_cut=True),
                    model_used=served.model or call.model,
                    **served.about,
                )
            raise
        if call is None or call.ask is None or call.is_ending:
            return
        used, told = await _settle_ended(call, reading, response)
        if call.endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS):
            name = name_of(call, served_by(reading.first, response, asked=call.model))
            yield _last_chunk(call, name, reading.first, used, told)

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: UserAPIKeyAuth,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str]:
        """What every answer carries; nothing where our edge puts it on."""
        call = CURRENT_CALL.get()
        return {} if call is None or call.is_at_edge else answer_headers(call)

    def _is_ready(self, deployment: dict[str, Any]) -> bool:
        model = self._catalogue.find_listed(str(deployment.get("model_name")))
        if model is None or model.is_ready == all(d.is_ready for d in model.deployments):
            return model is None or model.is_ready
        name = (deployment.get("litellm_params") or {}).get("model")
        return any(d.is_ready for d in model.deployments if d.model == name)


HOOKS = (
    "async_pre_call_hook",
    "async_pre_call_deployment_hook",
    "async_filter_deployments",
    "async_filter_listed_models",
    "async_post_call_failure_hook",
    "async_post_call_success_hook",
    "async_post_call_streaming_iterator_hook",
    "async_post_call_response_headers_hook",
)
"""What must be registered for the promises to hold; the doctor and every start check it."""


def _chain(model: str, following: Sequence[str]) -> list[dict[str, Any]] | None:
    """A chain as LiteLLM takes it; None: nothing follows.

    Each is tried once: with retries of its own, the first would use up all calls of the chain.
    """
    return [{model: [{"model": other, "num_retries": 0} for other in following]}] if following else None


def _check(reading: StreamReading) -> None:
    """Raises GatewayError: the provider told a failure within its answer."""
    if reading.has_failed:
        raise GatewayError(ErrorCategory.PROVIDER_ERROR)


def _told(error: Exception) -> GatewayError:
    """The failure in our terms, logged once and without the provider's words."""
    told = to_gateway_error(error)
    if told.category is ErrorCategory.INTERNAL and isinstance(error, AttributeError) and error.obj is None:
        # LiteLLM goes on with the None it makes of a provider's second 422.
        told = GatewayError(ErrorCategory.PROVIDER_ERROR)
    call = CURRENT_CALL.get()
    if call is not None and call.endpoint is Endpoint.EMBEDDINGS:
        told = _of_embeddings(told)
    _log.warning(
        "call failed category=%s cause=%s model=%s request_id=%s",
        told.category.value,
        type(error).__name__,
        call.model if call else None,
        current_request_id(),
    )
    return told


def _of_embeddings(told: GatewayError) -> GatewayError:
    """That a model makes none, where LiteLLM or its provider says that there is no such model: the edge made
    sure that there is."""
    if told.category is ErrorCategory.MODEL_NOT_FOUND:
        return invalid("This model makes no embeddings. Name one that does.", param="model")
    if told.category is ErrorCategory.MODEL_UNAVAILABLE and not told.is_retryable:
        message = "This model makes no embeddings, or is gone. Name another one."
        return GatewayError(told.category, message, param="model", is_retryable=False)
    return told


async def _settle_ended(call: Call, reading: StreamReading, source: Any) -> tuple[Usage, dict[str, Any]]:
    """Settles a stream that ended by itself: what it used, and the `scalix` object."""
    served = served_by(reading.first, source, asked=call.model)
    used = reading.usage(call.ask.prompt_tokens if call.ask is not None else 0, source)
    await runtime.meter().settle(
        call, Outcome.OK, used, model_used=served.model or call.model, **served.about
    )
    answer_cache.confirm(call, served.model)
    return (NOTHING if answer_cache.is_hit(call) else used), runtime.meter().scalix(call, served.model)


async def _settle_failed(
    call: Call, category: ErrorCategory, reading: StreamReading | None = None, served: Served | None = None
) -> None:
    """Gives back what a failed call held, but for what of its answer had arrived.

    A client that left before the answer is charged for the prompt: its provider was at work already.
    """
    if call.ask is None:
        return
    read, by = reading or StreamReading(), served or Served()
    if category is ErrorCategory.CLIENT_CLOSED:
        used = read.usage(call.ask.prompt_tokens, is_cut=True)
        await runtime.meter().settle(
            call, Outcome.ABORTED, used, model_used=by.model or call.model, **by.about
        )
        return
    received = None
    if read.is_empty:
        by = tries.blamed(call, category) or by
    else:
        received = read.usage(call.ask.prompt_tokens, is_cut=True)
    await runtime.meter().settle(
        call, Outcome.ERROR, received, category=category, model_used=by.model, **by.about
    )


def _last_chunk(call: Call, name: str | None, first: Any, used: Usage, scalix: dict[str, Any]) -> bytes:
    """The one usage chunk of a stream, in the form every client reads: no name, `choices` empty."""
    chunk: dict[str, Any] = {
        "id": getattr(first, "id", None) or f"chatcmpl-{call.request_id}",
        "object": getattr(first, "object", None) or "chat.completion.chunk",
        "created": getattr(first, "created", None) or int(call.started_at_s),
        "model": name,
        "choices": [],
        "usage": _usage_told(used),
        "scalix": scalix,
    }
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _usage_told(used: Usage) -> dict[str, Any]:
    told: dict[str, Any] = {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
    }
    if used.cached_tokens is not None:
        told["prompt_tokens_details"] = {"cached_tokens": used.cached_tokens}
    if used.reasoning_tokens is not None:
        told["completion_tokens_details"] = {"reasoning_tokens": used.reasoning_tokens}
    return told


def _leave_for_answer(told: GatewayError, error: Exception) -> None:
    """Makes `told` what the client sees, also where LiteLLM ignores what a failure hook returns.

    `/v1/messages` and `/v1/completions` go on with the exception itself. Our edge then reads the call;
    without an edge, LiteLLM renders the exception: with our words in it instead of the provider's.
    """
    call = CURRENT_CALL.get()
    if call is not None:
        call.failure = told
    if isinstance(error, AuthRefusal):
        return
    error.args = (told.message,)
    for name, value in (("message", told.message), ("status_code", told.status), ("param", told.param)):
        if hasattr(error, name):
            with suppress(AttributeError, TypeError):  # some are properties
                setattr(error, name, value)


def _error_frame(error: GatewayError) -> bytes:
    call = CURRENT_CALL.get()
    body: dict[str, Any] = {"error": render(error, current_request_id())}
    if call is not None and call.endpoint is Endpoint.MESSAGES:
        # Anthropic's clients know errors by the event's name, or by its type.
        return b"event: error\ndata: " + json.dumps({**body, "type": "error"}).encode() + b"\n\n"
    return b"data: " + json.dumps(body).encode() + b"\n\n"
