"""The demo provider as a process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import chat, port_of, raw_request

COMMAND = [sys.executable, "-m", "scalix_callbacks.demo_provider"]


def wait_until(holds: Callable[[], bool], *, timeout_s: float) -> None:
    """Return as soon as `holds()`."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the URL it printed."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("demo provider at http://127.0.0.1:")
            yield process, line.removeprefix("demo provider at ").strip()
        finally:
            process.kill()


def test_it_says_where_it_listens() -> None:
    """With port 0 the chosen URL is a line on stdout, and it answers there."""
    with started("--host", "127.0.0.1", "--port", "0") as (_, url):
        answer = httpx.get(f"{url}/_demo/health", trust_env=False)

        assert {"status": "ok", "in_flight": 0} == answer.json()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_even_amid_calls(number: signal.Signals) -> None:
    """A hanging call does not hold it up; it ends with status 0."""
    with started() as (process, url), raw_request(port_of(url), chat("[demo hang]")) as connection:
        wait_until(
            lambda: httpx.get(f"{url}/_demo/health", trust_env=False).json()["in_flight"] == 1, timeout_s=5
        )
        asked_at = time.monotonic()
        process.send_signal(number)

        assert 0 == process.wait(timeout=5)
        assert time.monotonic() - asked_at < 2
        assert b"" == connection.recv(100)


def test_it_ends_with_its_parent() -> None:
    """Killed launchers leave no provider behind."""
    script = (
        "import os, subprocess, sys\n"
        "command = [*sys.argv[1:], '--parent-pid', str(os.getpid())]\n"
        "child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)\n"
        "print(child.pid, child.stdout.readline().split()[-1], flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, *COMMAND], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        _, url = parent.stdout.readline().split()
        httpx.get(f"{url}/_demo/health", trust_env=False).raise_for_status()
        parent.kill()

    def is_gone() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port_of(url))).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_until(is_gone, timeout_s=2)


def test_it_ends_when_its_parent_is_gone_already() -> None:
    """A parent that died before the watch began is noticed too."""
    command = [*COMMAND, "--parent-pid", str(os.getppid())]

    assert 0 == subprocess.run(command, stdout=subprocess.DEVNULL, timeout=10, check=False).returncode


def test_it_serves_an_inherited_socket() -> None:
    """A launcher can hold the port before the provider starts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, descriptor = listener.getsockname()[1], listener.fileno()
        process = subprocess.Popen(
            [*COMMAND, "--fd", str(descriptor)], pass_fds=[descriptor], stdout=subprocess.DEVNULL
        )
    try:
        httpx.get(f"http://127.0.0.1:{port}/_demo/health", trust_env=False, timeout=10).raise_for_status()
    finally:
        process.terminate()

    assert 0 == process.wait(timeout=5)


def test_it_knows_nothing_of_the_rest_of_the_package() -> None:
    """The provider starts in no time, as it loads neither LiteLLM nor the gateway."""
    script = (
        "import sys, scalix_callbacks.demo_provider.__main__\n"
        "ours = [m for m in sys.modules if m.startswith('scalix_callbacks.') and 'demo_provider' not in m]\n"
        "print(ours, 'litellm' in sys.modules, 'httpx' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[] False False" == run.stdout.strip()


def test_the_helper_survives_an_outage() -> None:
    """Stopped and started again it has the same address and a new tally."""
    with DemoProviderServer() as server:
        address = server.base_url
        with httpx.Client(trust_env=False, headers={"authorization": "Bearer k"}) as client:
            client.post(f"{address}/chat/completions", json=chat()).raise_for_status()
            server.stop()
            with pytest.raises(httpx.ConnectError):
                client.post(f"{address}/chat/completions", json=chat())
            with pytest.raises(RuntimeError, match="not running"):
                server.tally()
            server.start()
            client.post(f"{address}/chat/completions", json=chat()).raise_for_status()

        assert address == server.base_url
        assert 1 == server.tally()["totals"]["calls"]
        with pytest.raises(RuntimeError, match="running already"):
            server.start()
    server.stop()


def test_the_helper_gives_up_waiting() -> None:
    """A call that never ends fails the test with numbers, not with a timeout of the whole run."""
    with DemoProviderServer() as server:
        with pytest.raises(TimeoutError, match="0 calls ended"):
            server.wait_for_calls(1, timeout_s=0.05)
        with pytest.raises(TimeoutError, match="0 calls are running"):
            server.wait_for_in_flight(1, timeout_s=0.05)
        os.kill(server.pid, 0)
