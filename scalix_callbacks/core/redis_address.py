"""Where many servers are that make one Redis, written as one address.

`redis+cluster://user:password@host:port,host:port` or `redis+sentinel://user:password@host:port,host:port/name`
"""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
"""The second speaks TLS."""
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
MANY_SCHEMES = CLUSTER_SCHEMES + SENTINEL_SCHEMES
"""What no other program reads."""
MAX_NODES = 64
SLOTS = 16_384
"""Of any cluster."""
DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One server of a cluster."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """The address of a cluster, taken apart.

    Attributes:
        nodes: those it is reached by at first; the others are found through them.
        scheme: of each node's own URL.
        login: as it stands in a URL, with its `@`; empty: none.
        options: of redis-py, as they stand in a URL, with the `?`; empty: none.
    """

    nodes: tuple[Node, ...]
    scheme: str
    login: str
    options: str

    def url_of(self, node: Node) -> str:
        """That of one server, with the same login and options."""
        return _url_of(self, node)


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """The address of a Redis whose master Sentinels know, taken apart; otherwise as `ClusterAddress`.

    Attributes:
        nodes: the Sentinels, which are asked without login and TLS.
        service: what they call this Redis.
    """

    nodes: tuple[Node, ...]
    service: str
    scheme: str
    login: str
    options: str

    def url_of(self, node: Node) -> str:
        """That of the master, once it is known."""
        return _url_of(self, node)


def _url_of(address: ClusterAddress | SentinelAddress, node: Node) -> str:
    host = f"[{node.host}]" if ":" in node.host else node.host
    return f"{address.scheme}://{address.login}{host}:{node.port}/0{address.options}"


def cluster_address(url: str) -> ClusterAddress | None:
    """What `url` says of a cluster; None: it names none.

    Raises:
        ValueError: with what is wrong and the mend, for the name of a setting to stand before it.
    """
    scheme, _, _ = url.partition("://")
    if scheme not in CLUSTER_SCHEMES:
        return None
    parts, places, login, options = _parts(url, scheme)
    if parts.path not in ("", "/", "/0") or parts.fragment:
        raise ValueError("a cluster has database 0 alone. Take off what stands behind the hosts.")
    nodes = _nodes(places, scheme, DEFAULT_PORT)
    return ClusterAddress(nodes, scheme.removesuffix("+cluster"), login, options)


def sentinel_address(url: str) -> SentinelAddress | None:
    """What `url` says of Sentinels; None: it names none.

    Raises:
        ValueError: as `cluster_address`.
    """
    scheme, _, _ = url.partition("://")
    if scheme not in SENTINEL_SCHEMES:
        return None
    parts, places, login, options = _parts(url, scheme)
    service = parts.path.strip("/")
    if not service or "/" in service or parts.fragment:
        raise ValueError(
            f"must end with the name by which Sentinel knows the master. Write {_example(scheme)}."
        )
    nodes = _nodes(places, scheme, DEFAULT_SENTINEL_PORT)
    return SentinelAddress(nodes, service, scheme.removesuffix("+sentinel"), login, options)


def _parts(url: str, scheme: str) -> tuple[SplitResult, str, str, str]:
    """The URL taken apart; of it the hosts, the login and the options."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"its hosts are none. Write {_example(scheme)}.") from None
    login, at, places = parts.netloc.rpartition("@")
    return parts, places, f"{login}{at}", f"?{parts.query}" if parts.query else ""


def _nodes(places: str, scheme: str, port: int) -> tuple[Node, ...]:
    nodes = tuple(dict.fromkeys(_node(place, scheme, port) for place in places.split(",")))
    if len(nodes) > MAX_NODES:
        raise ValueError(f"names more than {MAX_NODES} nodes. Name a few, the others are found through them.")
    return nodes


def _node(place: str, scheme: str, usual_port: int) -> Node:
    try:
        parts = urlsplit(f"//{place.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0:
        raise ValueError(f"a host or port of it is none. Write {_example(scheme)}.")
    return Node(host, usual_port if port is None else port)


def _example(scheme: str) -> str:
    if scheme in SENTINEL_SCHEMES:
        return f"e.g. {scheme}://host-1:26379,host-2:26379,host-3:26379/mymaster"
    return f"e.g. {scheme}://host-1:6379,host-2:6379,host-3:6379"
