"""`GET /metrics`: what is counted, for Prometheus."""

import asyncio
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


def metrics_page(exposition: Callable[[], bytes]) -> ASGIApp:
    """In the text format of version 0.0.4, whatever was asked for; reads files of all workers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await asyncio.to_thread(exposition)
        await Response(body, headers={"content-type": CONTENT_TYPE_LATEST})(scope, receive, send)

    return app
