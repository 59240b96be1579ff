"""Whether a Redis that is not ours can be used."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
import redis.exceptions
import redis.sentinel

from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.core.redact import Redactor
from scalix_callbacks.core.redis_address import (
    SLOTS,
    Node,
    SentinelAddress,
    cluster_address,
    sentinel_address,
)
from scalix_callbacks.settings.errors import shown
from scalix_callbacks.store.client import pool_of

TIMEOUT_S = 3.0
OLDEST = (6, 2)


def check_redis(url: str, setting: str = "REDIS_URL") -> None:
    """Asks the Redis at `url`, of a cluster every master, for an answer and its version.

    Args:
        setting: the variable that `url` is from, of `setting_of`.

    Raises:
        StartError: no answer within 3 s, a refused login, TLS that fails, an option that is none, a version
            before 6.2, a cluster that is not whole.
    """
    _check_options(url, setting)
    for server in servers_of(url):
        _check(server, setting, is_of_cluster=cluster_address(url) is not None)


def setting_of(values: Mapping[str, str]) -> str:
    """The variable in `values` that names the Redis; REDIS_URL goes before REDIS_HOST."""
    is_host = values.get("REDIS_HOST", "").strip() and not values.get("REDIS_URL", "").strip()
    return "REDIS_HOST" if is_host else "REDIS_URL"


def servers_of(url: str) -> list[str]:
    """`url` itself; of a cluster, the URLs of all its masters; of Sentinels, that of the master.

    Raises:
        StartError: none of its nodes tells, or some slots are served by none.
    """
    if (sentinels := sentinel_address(url)) is not None:
        return [_master_of(sentinels)]
    address = cluster_address(url)
    if address is None:
        return [url]
    trouble = None
    for node in address.nodes:
        place = _place(address.url_of(node))
        try:
            with _asking(address.url_of(node)) as client:
                rows = client.execute_command("CLUSTER SLOTS")
        except redis.AuthenticationError:
            raise StartError(
                f"REDIS_URL: Redis at {place} refuses the login. Correct the user or password."
            ) from None
        except redis.ResponseError:
            raise StartError(
                f"REDIS_URL: Redis at {place} is of no cluster. Start it with cluster-enabled yes, or write"
                " redis:// for a stand-alone one."
            ) from None
        except (redis.RedisError, OSError, ValueError) as error:
            trouble = _trouble_of_tls(error, place) or trouble
            continue
        missing = SLOTS - sum(last + 1 - first for first, last, *_ in rows)
        if missing:
            raise StartError(
                f"REDIS_URL: {missing} of the cluster's {SLOTS} slots are served by no node. Mend the cluster"
                " (redis-cli --cluster check, then fix)."
            )
        masters = {Node(_text(master[0]) or node.host, int(master[1])) for _, _, master, *_ in rows}
        return [address.url_of(master) for master in sorted(masters)]
    if trouble:
        raise StartError(f"REDIS_URL: {trouble}")
    raise StartError(
        f"REDIS_URL: no node of the cluster at {_place(url)} answers within {TIMEOUT_S:.0f} s. Start it, or"
        " correct the addresses."
    )


def _master_of(address: SentinelAddress) -> str:
    sentinels = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
        [(node.host, node.port) for node in address.nodes],
        sentinel_kwargs={"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "retry": None},
    )
    try:
        host, port = sentinels.discover_master(address.service)  # type: ignore[no-untyped-call]
    except (redis.RedisError, OSError, ValueError):
        raise StartError(
            f"REDIS_URL: no Sentinel knows a master {address.service!r} that works. Start them, or correct"
            " the addresses and the name."
        ) from None
    finally:
        for each in sentinels.sentinels:
            each.close()
    return address.url_of(Node(_text(host), int(port)))


def _check(url: str, setting: str, *, is_of_cluster: bool) -> None:
    place = _place(url)
    try:
        with _asking(url) as client:
            client.ping()
            info = _info(client)
    except redis.AuthenticationError:
        login = "the user or password" if setting == "REDIS_URL" else "REDIS_PASSWORD"
        raise StartError(f"{setting}: Redis at {place} refuses the login. Correct {login}.") from None
    except redis.BusyLoadingError:
        raise StartError(
            f"{setting}: Redis at {place} is still loading its data. Try again shortly."
        ) from None
    except redis.ResponseError as error:
        raise StartError(
            f"{setting}: Redis at {place} refuses PING ({type(error).__name__}). Check its address and state."
        ) from None
    except (redis.RedisError, OSError, ValueError) as error:
        if trouble := _trouble_of_tls(error, place):
            raise StartError(f"{setting}: {trouble}") from None
        if is_of_cluster:
            raise StartError(
                f"{setting}: the cluster's node {place} does not answer within {TIMEOUT_S:.0f} s. Start it,"
                " or have it announce an address that this machine reaches (cluster-announce-ip)."
            ) from None
        raise StartError(
            f"{setting}: no Redis answers at {place} within {TIMEOUT_S:.0f} s. Start it, correct the address,"
            " or unset it to use the embedded one."
        ) from None
    if info.get("redis_mode") == "cluster" and not is_of_cluster:
        raise StartError(
            f"{setting}: Redis at {place} is a node of a cluster. Write REDIS_URL=redis+cluster:// with some"
            " of its nodes."
        )
    version = _version(info)
    if version is not None and version < OLDEST:
        found, needed = (".".join(map(str, v)) for v in (version, OLDEST))
        raise StartError(f"{setting}: Redis at {place} is {found}, {needed} is needed. Upgrade it.")


_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def _check_options(url: str, setting: str) -> None:
    """What stands behind the `?`; a value may be a secret, so only names are told."""
    address = cluster_address(url) or sentinel_address(url)
    server = url if address is None else address.url_of(address.nodes[0])
    base, options = server.partition("?")[0], parse_qsl(urlsplit(server).query)
    for name, value in options:
        if name in _FILES and not Path(value).is_file():
            raise StartError(f"{setting}: the file that its option {name} names is not there. Correct it.")
        try:
            pool_of(f"{base}?{urlencode({name: value})}").make_connection()  # type: ignore[no-untyped-call]  # redis-py's
        except (TypeError, ValueError, redis.RedisError):
            raise StartError(
                f"{setting}: {shown(name)} is no option of a {urlsplit(base).scheme}:// address, or its value"
                " is none. Correct it; redis-py's are known, such as ssl_ca_certs=FILE with rediss://."
            ) from None


def _trouble_of_tls(error: BaseException, place: str) -> str | None:
    """What to say of an answer that failed for TLS, with the mend; None: it did not fail for that."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate of Redis at {place} is not trusted ({cause.verify_message}). Name the file"
                " of its authority, ?ssl_ca_certs=FILE, or correct the host."
            )
        if isinstance(cause, ssl.SSLError):
            return (
                f"TLS with Redis at {place} fails ({cause.reason}). Correct the port and the ssl_ options, or"
                " write redis for rediss."
            )
        if isinstance(cause, ConnectionResetError) and place.startswith("redis:"):
            return (
                f"Redis at {place} hangs up. Should it speak TLS, write rediss for redis; else look into its"
                " log for why."
            )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _text(told: bytes | str | None) -> str:
    return told.decode() if isinstance(told, bytes) else told or ""


def _place(url: str) -> str:
    return Redactor(())(url).partition("?")[0]


def _asking(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=None,
        single_connection_client=True,
    )


def _info(client: redis.Redis) -> dict[str, Any]:
    """Empty where this user may not ask."""
    try:
        told: Any = client.info("server")
    except redis.exceptions.NoPermissionError:
        return {}
    return dict(told)


def _version(info: dict[str, Any]) -> tuple[int, ...] | None:
    parts = str(info.get("redis_version", "")).split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else None
