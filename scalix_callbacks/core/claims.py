"""What a request says of its sender, taken from headers alone; nothing here is verified yet."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scalix_callbacks.core.errors import invalid
from scalix_callbacks.core.keys import is_key_shaped
from scalix_callbacks.core.redact import Redactor
from scalix_callbacks.core.routes import Endpoint, Route

_SECRET_QUERY_NAMES = frozenset(
    {
        "key",
        "api_key",
        "api-key",
        "apikey",
        "x_api_key",
        "token",
        "access_token",
        "refresh_token",
        "id_token",
        "password",
        "secret",
        "client_secret",
        "auth",
        "authorization",
        "x-api-key",
        "x-scalix-key",
    }
)
_SECRET_PREFIXES = ("sk-", "bearer ")
_without_keys = Redactor(())
_MAX_CREDENTIAL = 4_096


@dataclass(frozen=True, slots=True)
class Sender:
    """`X-Scalix-Client`, `-Version` and `-Session`: for traces and logs alone, bounded and cleaned."""

    client: str | None = None
    version: str | None = None
    session: str | None = None


NOBODY = Sender()


@dataclass(frozen=True, slots=True)
class Claims:
    """A request's credential, and what its headers claim beside it.

    Attributes:
        credential: the key of `Authorization: Bearer …`; on `/v1/messages` also of `x-api-key`, the only
            header Anthropic's SDK sends.
        user_key, user_id, user_tier: `X-Scalix-Key`, `X-User-ID`, `X-User-Tier`; an operator's to use.
        is_desktop_app: `X-Scalix-Client: desktop-app`.
        client_request_id: `X-Scalix-Request-Id` as sent, bounded.
        cache_control: `Cache-Control` as sent, bounded.
        forwarded_for: the end of `X-Forwarded-For`, which anybody may have written.
        sender: what its program says of itself.
        simulate: `X-Scalix-Simulate` as sent, bounded; heeded in development alone.
    """

    credential: str | None = None
    user_key: str | None = None
    user_id: str | None = None
    user_tier: str | None = None
    is_desktop_app: bool = False
    client_request_id: str | None = None
    cache_control: str | None = None
    forwarded_for: str | None = None
    sender: Sender = NOBODY
    simulate: str | None = None

    @property
    def is_empty(self) -> bool:
        """It says nothing of who sends it."""
        return not (self.credential or self.user_key or self.user_id or self.user_tier)


def read_claims(headers: Iterable[tuple[bytes, bytes]], route: Route | None) -> Claims:
    """The claims in raw ASGI headers (names in lower case).

    Raises:
        GatewayError: INVALID_REQUEST when a header that decides something stands twice.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name in _TOLD:
            found.setdefault(name, raw_value.decode("latin-1").strip())
        elif name in _READ:
            if name in _LISTS and name in found:
                # Proxies add one of their own; together they are one list (RFC 9110, 5.3).
                raw_value = found[name].encode("latin-1") + b"," + raw_value
            elif name in found:
                raise invalid(f"The header {name} stands twice. Send it once.", param=name)
            found[name] = raw_value.decode("latin-1").strip()
    credential = _bearer(found.get("authorization"))
    if credential is None and route is not None and route.endpoint is Endpoint.MESSAGES:
        credential = found.get("x-api-key") or None
    return Claims(
        credential=credential,
        user_key=found.get("x-scalix-key"),
        user_id=_utf8(found.get("x-user-id")),
        user_tier=found.get("x-user-tier"),
        is_desktop_app=found.get("x-scalix-client") == "desktop-app",
        # It is kept, so that a key which somebody put there must not be in it.
        client_request_id=_without_keys((found.get("x-scalix-request-id") or "")[:512])[:128] or None,
        cache_control=(found.get("cache-control") or "")[:256] or None,
        forwarded_for=(found.get("x-forwarded-for") or "")[-512:] or None,
        sender=_sender(found),
        simulate=(found.get("x-scalix-simulate") or "")[:64] or None,
    )


def _sender(found: Mapping[str, str]) -> Sender:
    client, version, session = (found.get(f"x-scalix-{name}") for name in ("client", "version", "session"))
    if client is None and version is None and session is None:
        return NOBODY
    return Sender(_cleaned(client), _cleaned(version), _cleaned(session))


def _cleaned(value: str | None) -> str | None:
    """Without what no such word holds. A key that somebody put there is left out as a whole."""
    if not value or _is_secret(value):
        return None
    return _UNCLEAN.sub("", value[:256])[:_MAX_TOLD] or None


_READ = frozenset(
    {
        "authorization",
        "x-api-key",
        "x-scalix-key",
        "x-user-id",
        "x-user-tier",
        "x-scalix-client",
        "x-scalix-request-id",
        "cache-control",
        "x-forwarded-for",
        "x-scalix-simulate",
    }
)
_LISTS = frozenset({"cache-control", "x-forwarded-for", "x-scalix-simulate"})
_TOLD = frozenset({"x-scalix-version", "x-scalix-session"})
"""They decide nothing, so nothing is refused for them."""
_MAX_TOLD = 64
_UNCLEAN = re.compile(r"[^A-Za-z0-9._:/+-]+")


def refuse_query_credentials(query: Iterable[tuple[str, str]]) -> None:
    """Raises GatewayError INVALID_REQUEST when a query holds a credential: addresses end up in logs."""
    for name, value in query:
        is_named = name.strip().lower() in _SECRET_QUERY_NAMES
        if is_named or _is_secret(name.strip()) or _is_secret(value.strip()):
            raise invalid(
                "A key must never be part of the address. Send it in the Authorization header, and replace"
                " this key: addresses are kept in logs.",
            )


def _is_secret(value: str) -> bool:
    # Not all that begins with "scalix_": accounts may be named so.
    return is_key_shaped(value) or value.lower().startswith(_SECRET_PREFIXES)


def _bearer(value: str | None) -> str | None:
    if value is None or len(value) > _MAX_CREDENTIAL:
        return None
    scheme, _, credential = value.partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def _utf8(value: str | None) -> str | None:
    """Header bytes as the UTF-8 they usually are."""
    if value is None:
        return None
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value
