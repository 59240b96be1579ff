"""The listening socket."""

import socket
import sys
from contextlib import closing

import pytest

from scalix_callbacks.cli.listener import begin_no_more, bind, is_loopback, local_address, url_of
from scalix_callbacks.cli.start_error import StartError


def test_a_free_port_is_found() -> None:
    """Port 0 takes any free one, and the address says which."""
    with bind("127.0.0.1", 0) as listener:
        host, port = local_address(listener)

        assert "127.0.0.1" == host
        with socket.create_connection((host, port), timeout=5):
            pass


def test_a_port_in_use_is_told() -> None:
    """Also when the other one serves nobody yet."""
    with bind("127.0.0.1", 0) as listener:
        port = local_address(listener)[1]
        with pytest.raises(StartError, match=f"^LITELLM_PORT: port {port} on 127.0.0.1 is in use"):
            bind("127.0.0.1", port)


def test_all_addresses_are_reached_by_this_machines_own() -> None:
    """0.0.0.0 is no address to connect to."""
    with bind("0.0.0.0", 0) as listener:
        assert "127.0.0.1" == local_address(listener)[0]


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("no-such-host.invalid", "LITELLM_HOST: 'no-such-host.invalid' has no address"),
        ("192.0.2.1", "LITELLM_HOST: 192.0.2.1 is no address of this machine"),
    ],
)
def test_a_wrong_address_is_told(host: str, sentence: str) -> None:
    """One sentence that names the setting."""
    with pytest.raises(StartError, match=f"^{sentence}"):
        bind(host, 0)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True)),
        *(("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("0", False)),
    ],
)
def test_loopback_is_judged_by_the_address(host: str, expected: bool) -> None:
    """Whatever way it is written."""
    assert expected is is_loopback(host)


def test_an_ipv6_url_has_brackets() -> None:
    """As RFC 3986 wants it."""
    assert "http://[::1]:4000" == url_of("::1", 4000)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can do it")
def test_the_last_connections_get_through() -> None:
    """Who had begun before a stop is accepted; who comes then is passed over, and not reset."""
    with (
        bind("127.0.0.1", 0) as listener,
        closing(socket.socket()) as late,
        socket.create_connection(listener.getsockname()[:2]) as early,
    ):
        begin_no_more(listener)
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect(listener.getsockname()[:2])
        accepted, _ = listener.accept()
        with accepted:
            early.sendall(b"hello")

            assert b"hello" == accepted.recv(5)
