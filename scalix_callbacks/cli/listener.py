"""The listening socket, bound before anything else is started."""

import ctypes
import errno
import socket
import struct
import sys
from contextlib import suppress
from ipaddress import ip_address

from scalix_callbacks.cli.start_error import StartError

BACKLOG = 2_048
_SO_ATTACH_FILTER = 26


def bind(host: str, port: int) -> socket.socket:
    """A socket listening on `host` and `port`; 0 takes a free one.

    Raises:
        StartError: the port is taken, or the address is none of this machine.
    """
    family, address = _resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without it a restart would have to wait until the kernel has forgotten the old connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        # At once: of two that only bind, both would succeed.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(_sentence(error, host, port)) from None
    return listener


def begin_no_more(listener: socket.socket) -> None:
    """Has the kernel pass over new connections, while those begun before still get through to be accepted.

    Closing a listener resets whatever waits in its queue, and a load balancer cannot tell whether a request
    that it had sent there was carried out. Who comes now tries again within a second, and is then refused in
    a way that says so: by a closed port. Linux alone can do it; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    # A classic BPF program over the TCP header: drops what has SYN and no ACK among its flags.
    steps = [(0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    with suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("@HP", len(steps), ctypes.addressof(program)),
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`.

    Raises:
        StartError: the name has no address.
    """
    return ip_address(_resolve(host, 0)[1][0].partition("%")[0]).is_loopback


def local_address(listener: socket.socket) -> tuple[str, int]:
    """Host and port by which this machine reaches `listener`."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise StartError(f"LITELLM_HOST: {host!r} has no address. Write e.g. 127.0.0.1 or 0.0.0.0.") from None
    family, _, _, _, address = next((entry for entry in found if entry[0] == socket.AF_INET), found[0])
    return family, address  # type: ignore[return-value]  # typeshed also thinks of families not asked for


def _sentence(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"LITELLM_PORT: port {port} on {host} is in use by another program. Stop that one, or choose"
                " another port with --port (0 takes a free one)."
            )
        case errno.EADDRNOTAVAIL:
            return f"LITELLM_HOST: {host} is no address of this machine. Write e.g. 127.0.0.1 or 0.0.0.0."
        case errno.EACCES:
            return f"LITELLM_PORT: port {port} needs more rights than this user has. Choose one from 1024 up."
        case _:
            return f"LITELLM_HOST: cannot listen on {host}, port {port} ({error.strerror}). Choose others."
