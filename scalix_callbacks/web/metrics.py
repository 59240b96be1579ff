"""`GET /metrics`: what is counted, for Prometheus."""

from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.places import Network, is_within
from scalix_callbacks.web.own_routes import peer_of

_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})


def metrics_page(exposition: Callable[[], Awaitable[bytes]]) -> ASGIApp:
    """In the text format of version 0.0.4, whatever was asked for; reads files of all workers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await exposition()
        await Response(body, headers={"content-type": CONTENT_TYPE_LATEST})(scope, receive, send)

    return app


def from_networks(networks: Sequence[Network]) -> Callable[[Scope], bool]:
    """Whether a request comes from one of `networks`, by the address of its connection.

    One that another proxy has passed on does not: behind it may be anybody.
    """

    def comes(scope: Scope) -> bool:
        is_forwarded = any(name.lower() in _FORWARDED for name, _ in scope["headers"])
        return not is_forwarded and is_within(peer_of(scope), networks)

    return comes
