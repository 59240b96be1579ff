"""uvicorn's protocol of web sockets, which takes a refusal with an answer of its own for the end it is."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

WEBSOCKET_PROTOCOL = f"{__name__}:WebSocketProtocol"
"""By name, as uvicorn's configuration takes it."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection. Without this, whoever brings no key leaves a line of level ERROR in the log."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
