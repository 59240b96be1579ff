"""Serving the demo provider with uvicorn."""

import asyncio
import logging
import resource
import signal
import socket
import sys
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 4_096
GRACE_S = 1
OPEN_FILES = 65_536

_INTENDED = ("ASGI callable returned without completing response.", "Cancel %s running task(s)")


class _DemoServer(uvicorn.Server):
    """Ends at once: whoever is connected is hung up on."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.close()
        await super().shutdown(sockets)


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve `app` on a listening socket until SIGTERM or SIGINT, then exit the process with status 0."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_unintended)
    # uvicorn raises the signal once more when it is done; this makes it a clean exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    _raise_open_files_limit()
    _DemoServer(config).run([listener])


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _is_unintended(record: logging.LogRecord) -> bool:
    """False for what a cut stream or an end amid calls makes uvicorn log."""
    is_cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not (is_cancelled or str(record.msg).startswith(_INTENDED))


def _raise_open_files_limit() -> None:
    """Each stream is an open file, and the usual soft limit of 1,024 is none too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
