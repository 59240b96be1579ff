"""Whether the port can be listened on, or who has it."""

import errno
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, told, unknown
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.cli.listener import bind
from scalix_callbacks.cli.running import Running, find_running
from scalix_callbacks.cli.start_error import StartError


def examine(subject: Subject) -> Iterator[Finding]:
    if subject.environment is None:
        yield unknown("port")
    else:
        yield of(subject.environment.host, subject.environment.port, find_running(subject.data_dir))


def of(host: str, port: int, running: Running | None) -> Finding:
    """Whether a start could listen there.

    Args:
        running: our own gateway; None: none runs.
    """
    if port == 0:
        return ok("port", "0: a free one is taken at the start.")
    if running is not None and running.state is not None and urlsplit(running.state.url).port == port:
        return ok("port", f"{port} is used by this gateway itself (pid {running.pid}).")
    try:
        bind(host, port).close()
    except StartError as error:
        cause = error.__context__
        if not isinstance(cause, OSError) or cause.errno != errno.EADDRINUSE:
            return told("port", error)
        return broken(
            "port",
            f"{port} is used by {_owner(port)}.",
            "Stop that program, or set LITELLM_PORT to another port.",
        )
    return ok("port", f"{port} is free on {host}.")


def _owner(port: int) -> str:
    """Who listens on `port`, as far as this user may know."""
    try:
        pids = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        }
        names = [f"{psutil.Process(pid).name()} (pid {pid})" for pid in sorted(filter(None, pids))]
    except psutil.Error:
        names = []
    return ", ".join(names) or "another program, of another user or in another container"
