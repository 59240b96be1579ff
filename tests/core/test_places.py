"""From which network a request comes."""

from ipaddress import ip_network

import pytest

from scalix_callbacks.core.places import client_address, network_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("testclient", None),
        ("", None),
        (None, None),
    ],
)
def test_a_place_is_a_network(address: str | None, expected: str | None) -> None:
    """What one home or office has, and never one machine."""
    assert expected == network_of(address)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the first was written by the client
        ("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # no proxy of ours
        ("10.0.0.1", "10.0.0.2,10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense, 10.0.0.9", "10.0.0.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        (None, "203.0.113.7", None),
    ],
)
def test_only_trusted_proxies_are_believed(
    peer: str | None, forwarded_for: str | None, expected: str | None
) -> None:
    """Anyone can write an X-Forwarded-For; it counts from its end, as far as a trusted proxy wrote it."""
    assert expected == client_address(peer, forwarded_for, TRUSTED)


def test_without_trusted_proxies_nobody_is_believed() -> None:
    """Not even who connects from this machine."""
    assert "127.0.0.1" == client_address("127.0.0.1", "203.0.113.7", ())


def test_a_long_header_is_read_within_a_bound() -> None:
    """Sixteen hops, from the end."""
    header = ",".join(["203.0.113.7", *["10.0.0.1"] * 100])

    assert "10.0.0.1" == client_address("10.0.0.1", header, TRUSTED)
