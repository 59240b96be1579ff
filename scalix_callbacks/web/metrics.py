"""`GET /metrics`: what is counted, for Prometheus."""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})


def metrics_page(exposition: Callable[[], Awaitable[bytes]]) -> ASGIApp:
    """In the text format of version 0.0.4, whatever was asked for; reads files of all workers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await exposition()
        await Response(body, headers={"content-type": CONTENT_TYPE_LATEST})(scope, receive, send)

    return app


def from_networks(networks: Sequence[IPv4Network | IPv6Network]) -> Callable[[Scope], bool]:
    """Whether a request comes from one of `networks`, by the address of its connection.

    One that another proxy has passed on does not: behind it may be anybody.
    """

    def comes(scope: Scope) -> bool:
        client = scope.get("client")
        if not networks or client is None or any(name.lower() in _FORWARDED for name, _ in scope["headers"]):
            return False
        try:
            address = ip_address(client[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in networks)

    return comes
