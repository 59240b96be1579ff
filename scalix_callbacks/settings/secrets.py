"""What a configuration holds that must never be shown: keys, passwords and providers' addresses."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from scalix_callbacks.settings.model_list import resolve

_SECRET_WORDS = (
    "key",
    "secret",
    "password",
    "passphrase",
    "credential",
    "authorization",
    "cookie",
    "webhook",
)
_ADDRESS_WORDS = ("api_base", "base_url", "endpoint", "_host")
_SECRET_VARIABLES = ("_KEY", "_SECRET", "_TOKEN", "_PASSWORD")
_URLS_WITH_PASSWORD = (
    "REDIS_URL",
    "SCALIX_REDIS_URL",
    "SCALIX_DATABASE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
)
_SPANS_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_HEADERS")
_COUNTED_TOKENS = ("tokens", "token_", "_token_count", "cost_per_token")
_BEARER = "bearer "


def secrets(config: Mapping[str, Any], environ: Mapping[str, str]) -> frozenset[str]:
    """Every value to keep out of logs: from the YAML, resolved, and from variables named like secrets."""
    found = {value for name, value in environ.items() if name.endswith(_SECRET_VARIABLES)}
    # Whoever knows the address of a webhook may write there.
    found |= {environ.get("SCALIX_ALERT_WEBHOOK", "").strip()}
    # `api-key=…,other=…`, as OpenTelemetry has it.
    for name in _SPANS_HEADERS:
        found |= {pair.partition("=")[2].strip() for pair in environ.get(name, "").split(",")}
    for name in _URLS_WITH_PASSWORD:
        found |= _password(environ.get(name, ""))
    for key, leaf in _leaves(config):
        resolved = resolve(leaf, environ)
        if not isinstance(resolved, str) or not resolved:
            continue
        if any(word in key for word in _ADDRESS_WORDS):
            found |= _address(resolved)
        elif _names_a_secret(key):
            found |= {resolved, _without_scheme(resolved)}
        else:
            found |= _password(resolved)
    return frozenset(found - {""})


def _names_a_secret(key: str) -> bool:
    if any(word in key for word in _SECRET_WORDS):
        return True
    return "token" in key and not any(word in key for word in _COUNTED_TOKENS)


def _without_scheme(value: str) -> str:
    return value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else value


def _address(url: str) -> set[str]:
    """The address and its host and port: error texts quote any of them."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return {url}
    host = parts.hostname or ""
    shown = {url.rstrip("/"), f"{host}{port}"}
    # LiteLLM's transports quote "host:port" as "Cannot connect to host HOST:PORT".
    return {part for part in shown if part not in ("localhost", "127.0.0.1", "::1", "")}


def _password(url: str) -> set[str]:
    """The password in an address, as it stands there and as the server is told it."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, str(name).lower())
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, key)
    else:
        yield key, value
