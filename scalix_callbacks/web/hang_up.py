"""Waiting for a client to leave."""

from starlette.types import Receive


async def hung_up(receive: Receive) -> None:
    """Ends when the client has left; it has sent all of its request."""
    while (await receive())["type"] != "http.disconnect":
        pass
