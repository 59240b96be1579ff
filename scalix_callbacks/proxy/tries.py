"""Each time LiteLLM asks a provider: noted for trace and record, made to fail where a developer wants it."""

from collections.abc import Mapping
from typing import Any

import litellm

from scalix_callbacks.core.call import Call, Try
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.simulation import Simulation
from scalix_callbacks.core.trace import Step
from scalix_callbacks.proxy.categories import causes
from scalix_callbacks.proxy.errors import categorise
from scalix_callbacks.proxy.raised_in import at_a_request
from scalix_callbacks.proxy.served import Served, served_of

MAX_TRIES = 16
"""Of one call: LiteLLM makes six."""
_WORDS = "This failure was asked for with X-Scalix-Simulate."


def sent(call: Call, kwargs: Mapping[str, Any]) -> None:
    """A provider is about to be asked.

    Raises:
        APIConnectionError, RateLimitError, InternalServerError: as the call asked for. LiteLLM takes it for
            its provider's: it tries again, falls back and gives up.
    """
    deployment_id = (kwargs.get("model_info") or {}).get("id")
    last = call.tries[-1] if call.tries else None
    if last and last.category is None and deployment_id and last.deployment_id == deployment_id:
        return  # LiteLLM asks through itself, where it makes one API's call of another's
    begun = Try(deployment_id if call.simulated is None else None, _names(kwargs))
    if len(call.tries) < MAX_TRIES:
        call.tries.append(begun)
    call.note(Step.SENT, begun.names)
    if call.simulated is not None:
        failure = _failure(call.simulated, str(kwargs.get("model") or ""))
        failed(call, failure)
        raise failure


def failed(call: Call, error: BaseException) -> None:
    """The provider asked last did not answer as it should; told again, it is the same failure."""
    if not call.tries or (last := call.tries[-1]).category is not None:
        return
    last.category = categorise(error)
    if any(map(at_a_request, causes(error))):
        last.deployment_id = None  # LiteLLM could not even ask it
    if call.trace is not None:
        status = getattr(error, "status_code", None)
        about = {"category": last.category.value, "status": status if isinstance(status, int) else None}
        call.note(Step.FAILED, {**last.names, **about})


def blamed(call: Call, category: ErrorCategory) -> Served | None:
    """Who failed the call with this; None: nobody who was asked.

    Of all failures along a chain LiteLLM tells one, mostly the first.
    """
    failures = [each for each in reversed(call.tries) if each.category and each.deployment_id]
    those = [each for each in failures if each.category is category] or failures
    if not those:
        return None
    model = those[0].names.get("model")
    served = served_of(str(those[0].deployment_id), asked=model)
    return Served(served.model or model, served.provider)


def _names(kwargs: Mapping[str, Any]) -> dict[str, str]:
    """The public name of the model, and its name at the provider."""
    metadata = kwargs.get("litellm_metadata") or kwargs.get("metadata") or {}
    group = metadata.get("model_group") if isinstance(metadata, Mapping) else None
    told = {"model": group, "deployment": kwargs.get("model")}
    return {name: value for name, value in told.items() if isinstance(value, str)}


def _failure(kind: Simulation, model: str) -> Exception:
    failure: Exception = _FAILURES[kind](message=_WORDS, llm_provider="simulated", model=model)
    return failure


_FAILURES = {
    Simulation.NETWORK: litellm.APIConnectionError,
    Simulation.RATE_LIMIT: litellm.RateLimitError,
    Simulation.SERVER: litellm.InternalServerError,
}
