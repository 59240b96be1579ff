"""Whether the providers can be reached from here: their doors, not their keys."""

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, unknown, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.model_list import resolve

TIMEOUT_S = 5.0
AT_ONCE = 8
KEYS_NOT_TESTED = "keys are not tested, for that would cost money"

DEFAULT_ADDRESSES: Mapping[str, str] = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "openrouter": "https://openrouter.ai",
    "deepseek": "https://api.deepseek.com",
    "groq": "https://api.groq.com",
    "mistral": "https://api.mistral.ai",
    "xai": "https://api.x.ai",
    "together_ai": "https://api.together.ai",
    "perplexity": "https://api.perplexity.ai",
    "cohere": "https://api.cohere.com",
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
}
"""Where LiteLLM goes for a deployment that names no address."""


@dataclass(frozen=True, slots=True)
class Door:
    """One place that models are called at.

    Attributes:
        models: public names.
        origin: scheme, host and port; never shown. None: it is not known here.
    """

    provider: str
    models: tuple[str, ...]
    origin: str | None


def examine(subject: Subject) -> Iterator[Finding]:
    if subject.settings is None:
        yield unknown("providers")
        return
    if subject.settings.is_demo:
        yield ok("providers", "Not asked, for the demo provider answers for all.")
        return
    found = doors(subject.settings, subject.values)
    if not found:
        yield warning("providers", "No model has credentials, so none was asked.", "Set a provider's key.")
    yield from asyncio.run(knock_at_all(found))


def doors(settings: Settings, values: Mapping[str, str]) -> list[Door]:
    """The distinct places that deployments with credentials are called at."""
    ready = {
        deployment.path
        for model in settings.catalogue.models
        for deployment in model.deployments
        if deployment.is_ready
    }
    models: dict[tuple[str, str | None], list[str]] = {}
    for i, entry in enumerate(settings.config["model_list"]):
        if f"model_list[{i}]" in ready:
            provider, origin = _where(entry["litellm_params"], values)
            models.setdefault((provider, origin), []).append(entry["model_name"])
    return [
        Door(provider, tuple(dict.fromkeys(names)), origin) for (provider, origin), names in models.items()
    ]


async def knock_at_all(found: Sequence[Door]) -> list[Finding]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(door: Door) -> Finding:
        async with limit:
            return await knock(door)

    return list(await asyncio.gather(*map(one, found)))


async def knock(door: Door) -> Finding:
    """One HTTP request without credentials; any answer will do."""
    name = f"provider {door.provider}"
    models = f"for {', '.join(door.models)}"
    if door.origin is None:
        return warning(name, f"Not asked ({models}): where it is reached is not known here.", "Try a call.")
    try:
        async with asyncio.timeout(TIMEOUT_S), httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.head(door.origin, headers={"user-agent": "scalix-doctor"})
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return broken(
            name, f"Cannot be reached ({models}): {_why(error)}.", "See to network, proxy, name and address."
        )
    return ok(name, f"Can be reached ({models}; HTTP {answer.status_code}); {KEYS_NOT_TESTED}.")


def _where(params: Mapping[str, Any], values: Mapping[str, str]) -> tuple[str, str | None]:
    model = str(resolve(params["model"], values))
    provider = str(params.get("custom_llm_provider") or model.split("/", 1)[0])
    named = resolve(params.get("api_base") or params.get("base_url"), values)
    if named is None and "litellm_credential_name" in params:
        return provider, None
    prefix = provider.upper()
    address = (
        named
        or values.get(f"{prefix}_API_BASE")
        or values.get(f"{prefix}_BASE_URL")
        or DEFAULT_ADDRESSES.get(provider)
    )
    return provider, _origin(str(address)) if address else None


def _origin(address: str) -> str | None:
    """Without user, password and path."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"


def _why(error: BaseException) -> str:
    """In words of ours: the error's own hold the address."""
    causes = _causes(error)
    for kind, words in (
        (TimeoutError, f"no answer within {TIMEOUT_S:.0f} s"),
        (httpx.TimeoutException, f"no answer within {TIMEOUT_S:.0f} s"),
        (httpx.ProxyError, "the proxy of this network refuses"),
        (ssl.SSLError, "its certificate, or TLS itself, is not accepted"),
        (socket.gaierror, "its name is not known to this network"),
        (ConnectionRefusedError, "the connection is refused"),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return f"it failed with {type(error).__name__}"


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        if isinstance(error, BaseExceptionGroup):
            found += error.exceptions
        error = error.__cause__ or error.__context__
    return found
