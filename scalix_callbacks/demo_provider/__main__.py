"""The command line of the demo provider: python -m scalix_callbacks.demo_provider."""

import argparse
import socket
from collections.abc import Sequence

from scalix_callbacks.demo_provider.app import create_app
from scalix_callbacks.demo_provider.parent_watch import end_with_parent
from scalix_callbacks.demo_provider.serve import BACKLOG, serve


def main(argv: Sequence[str] | None = None) -> None:
    """Listen, say where on stdout, serve until told to end."""
    options = _parser().parse_args(argv)
    if options.parent_pid is not None:
        end_with_parent(options.parent_pid)
    listener = _listen(options.host, options.port) if options.fd is None else socket.socket(fileno=options.fd)
    print(f"demo provider at {_url(listener)}", flush=True)
    serve(create_app(options.key), listener)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scalix_callbacks.demo_provider", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen at (default: any free one)")
    parser.add_argument("--fd", type=int, help="serve this inherited listening socket instead")
    parser.add_argument("--key", help="the API key to insist on (default: any)")
    parser.add_argument("--parent-pid", type=int, help="end when this is no longer the parent process")
    return parser


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    main()
