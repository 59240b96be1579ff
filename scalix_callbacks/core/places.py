"""From which network a request comes; never which address."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IPV4_PREFIX = 24
IPV6_PREFIX = 48
"""What one home or office gets of either; more would be about a single person."""
MAX_HOPS = 16

Network = IPv4Network | IPv6Network


def client_address(peer: str | None, forwarded_for: str | None, trusted: Sequence[Network]) -> str | None:
    """The address of whoever sent the request.

    Anyone can write an `X-Forwarded-For`. So it is read from its end, and only for as long as what is there
    was written by a proxy that is trusted.

    Args:
        peer: who holds the connection; None: not known, such as on a unix socket.
        forwarded_for: the header; None: there is none.
    """
    if not trusted or forwarded_for is None or peer is None:
        return peer
    address = peer
    for hop in reversed(forwarded_for.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        if not is_within(address, trusted):
            break
        if _parsed(hop.strip()) is None:
            break
        address = hop.strip()
    return address


def is_within(address: str | None, networks: Sequence[Network]) -> bool:
    """Whether an address is of one of `networks`; one that is not known is of none."""
    parsed = _parsed(address or "")
    return parsed is not None and any(parsed in network for network in networks)


def network_of(address: str | None) -> str | None:
    """The /24 of an IPv4 address, the /48 of an IPv6 address; None for what is no address."""
    parsed = _parsed(address or "")
    if parsed is None:
        return None
    prefix = IPV4_PREFIX if parsed.version == 4 else IPV6_PREFIX
    return str(ip_network((parsed.packed, prefix), strict=False))


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped  # the same client, on a socket of both kinds
    return address


def is_loopback(host: str) -> bool:
    """Whether an address to listen on serves this machine alone; told without asking for names."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
