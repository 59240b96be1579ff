"""Calls that an upstream engine serves go there with their options; to every other provider without."""

from collections.abc import Mapping
from typing import Any

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.catalogue import SPECIAL_CHAINS
from scalix_callbacks.core.context.request import CONTEXT_HEADER

_ADDRESSES = ("SCALIX_ENGINE_URL", "SCALIX_GATEWAY_URL")


def engine_addresses(environ: Mapping[str, str]) -> frozenset[str]:
    """Where upstream engines are; none with the demo provider, which serves every model itself."""
    if "SCALIX_DEMO_URL" in environ:
        return frozenset()
    return frozenset(_plain(address) for name in _ADDRESSES if (address := environ.get(name)))


def for_deployment(call: Call, kwargs: dict[str, Any], upstreams: frozenset[str]) -> dict[str, Any] | None:
    """What LiteLLM is to send to the deployment it has chosen; None: as it is.

    The messages hold the files already. An upstream engine gets them as they came, and the options beside.
    """
    engine = call.engine
    if engine is None or engine.options is None:
        return None
    engine.is_upstream = _plain(str(kwargs.get("api_base") or "")) in upstreams
    if not engine.is_upstream:
        if engine.header is not None:
            call.headers[CONTEXT_HEADER] = engine.header
        return None
    call.headers.pop(CONTEXT_HEADER, None)
    changed = dict(kwargs)
    beside = dict(kwargs.get("extra_body") or {})
    if (thinking := changed.pop("thinking", None)) is not None:
        # As an option of its own LiteLLM would drop it: no provider of OpenAI's kind has it.
        beside["thinking"] = thinking
    if not engine.options:
        return {**changed, "extra_body": beside} if beside else None
    beside["scalix_options"] = dict(engine.options)
    # A cache's key knows messages, but not what stands beside them: other files would get this answer.
    uncached = {**(kwargs.get("cache") or {}), "no-cache": True, "no-store": True}
    return {**changed, "messages": list(engine.messages), "extra_body": beside, "cache": uncached}


def by_upstream(call: Call, data: dict[str, Any]) -> None:
    """Asks an upstream engine first, where a call came for it; then whatever was to be asked."""
    if call.engine is None or call.engine.upstream_model is None:
        return
    upstream = call.engine.upstream_model
    chain = [link for chains in data.get("fallbacks") or () for link in chains.get(call.model, ())]
    data["model"] = upstream
    data["fallbacks"] = [{upstream: [{"model": call.model, "num_retries": 0}, *chain]}]
    for kind in SPECIAL_CHAINS:
        # What is too long for the upstream is so for the model itself; its own chain for that comes first.
        special = [link for chains in data.get(kind.value) or () for link in chains.get(call.model, ())]
        data[kind.value] = [{upstream: special}] if special else None


def _plain(address: str) -> str:
    return address.rstrip("/")


class Savings:
    """Puts the saving before the first of an answer's text, once for each of its choices."""

    def __init__(self, call: Call | None) -> None:
        self._call = call
        self._told: set[int] = set()

    def before(self, chunk: Any) -> Any:
        """The chunk, with the saving at its beginning if it is the first to say anything."""
        engine = self._call.engine if self._call is not None else None
        if engine is None or engine.savings is None or engine.is_upstream:
            return chunk
        for choice in getattr(chunk, "choices", None) or ():
            delta, index = getattr(choice, "delta", None), getattr(choice, "index", 0)
            if delta is None or index in self._told or not _says(delta):
                continue
            self._told.add(index)
            delta.content = engine.savings + (delta.content or "")
        return chunk


def _says(delta: Any) -> bool:
    return any(getattr(delta, name, None) for name in ("content", "reasoning_content", "tool_calls"))
