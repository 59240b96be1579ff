"""Environment variables → checked values."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import quote, urlsplit

from scalix_callbacks.core.places import Network, is_loopback
from scalix_callbacks.core.redis_address import cluster_address, sentinel_address
from scalix_callbacks.settings.errors import SettingsError, shown
from scalix_callbacks.settings.spans import check_spans
from scalix_callbacks.settings.variables import SETTINGS

DEMO_MASTER_KEY = "sk-scalix-dev-123456789"
"""Published, so worth nothing: accepted with --demo only."""
MIN_MASTER_KEY_LENGTH = 16
MIN_MASTER_KEY_VARIETY = 6
MAX_NETWORKS = 64

_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Environment:
    """The checked values of the environment. `redis_url` None: embedded; `master_key` None: to be made.

    `retention_days` None: records are kept for good; `access_log` None: its lines go to the log.
    """

    master_key: str | None
    host: str
    port: int
    workers: int
    redis_url: str | None
    database_url: str
    data_dir: Path
    is_development: bool
    is_debug: bool
    max_body_bytes: int
    max_active_calls: int
    max_waiting_calls: int
    shutdown_timeout_s: float
    readiness_grace_s: float
    retention_days: int | None
    cache_bytes: int
    trace_bytes: int
    trace_percent: int
    writes_access_log: bool
    access_log: Path | None
    exports_spans: bool
    trusted_proxies: tuple[Network, ...]
    metrics_networks: tuple[IPv4Network | IPv6Network, ...]
    alert_webhook: str | None
    alert_key_days: int
    log_level: str
    log_file: Path


def read_environment(
    environ: Mapping[str, str], *, is_demo: bool = False, yaml_master_key: str | None = None
) -> Environment:
    """The checked settings.

    Args:
        yaml_master_key: `general_settings.master_key`, resolved; used where the environment names none.

    Raises:
        SettingsError: names the variable and the mend.
    """
    data_dir = _path(environ, "SCALIX_DATA_DIR") or Path(".scalix").absolute()
    is_development = _choice(environ, "SCALIX_ENV", ("production", "development")) == "development"
    is_debug = _flag(environ, "DEBUG_MODE")
    if is_debug and not is_development:
        raise SettingsError(
            "DEBUG_MODE: needs SCALIX_ENV=development, for its logs show too much. Set both or none."
        )
    host = _host(environ)
    if is_development and not is_loopback(host):
        raise SettingsError(
            "SCALIX_ENV: development lets every caller simulate failures, and LITELLM_HOST"
            f" {shown(host)} serves other machines. Listen on 127.0.0.1, or set SCALIX_ENV=production."
        )
    access_log = _text(environ, "SCALIX_ACCESS_LOG")
    return Environment(
        master_key=_master_key(environ, yaml_master_key, is_demo),
        host=host,
        port=_integer(environ, "LITELLM_PORT", 0, 65_535),
        workers=_workers(environ),
        redis_url=_redis_url(environ),
        database_url=_text(environ, "SCALIX_DATABASE_URL") or f"sqlite:///{data_dir / 'scalix.db'}",
        data_dir=data_dir,
        is_development=is_development,
        is_debug=is_debug,
        max_body_bytes=_integer(environ, "SCALIX_MAX_BODY_MB", 1, 100) * 1_000_000,
        max_active_calls=_integer(environ, "SCALIX_MAX_ACTIVE_CALLS", 1, 100_000),
        max_waiting_calls=_integer(environ, "SCALIX_MAX_WAITING_CALLS", 0, 100_000),
        shutdown_timeout_s=float(_integer(environ, "SCALIX_SHUTDOWN_TIMEOUT_S", 1, 3_600)),
        readiness_grace_s=float(_integer(environ, "SCALIX_READINESS_GRACE_S", 0, 300)),
        retention_days=_retention_days(environ),
        cache_bytes=_cache_bytes(environ),
        trace_bytes=_trace_bytes(environ),
        trace_percent=_integer(environ, "SCALIX_TRACE_PERCENT", 0, 100),
        writes_access_log=access_log != "off",
        access_log=None if access_log in ("log", "off") else _path(environ, "SCALIX_ACCESS_LOG"),
        exports_spans=_flag(environ, "SCALIX_OTEL") and check_spans(environ),
        trusted_proxies=_networks(environ, "SCALIX_TRUSTED_PROXIES"),
        alert_webhook=_webhook(environ),
        alert_key_days=_integer(environ, "SCALIX_ALERT_KEY_DAYS", 0, 365),
        metrics_networks=_networks(environ, "SCALIX_METRICS_NETWORKS"),
        log_level=_choice(
            {**environ, "LITELLM_LOG_LEVEL": (_text(environ, "LITELLM_LOG_LEVEL") or "").upper()},
            "LITELLM_LOG_LEVEL",
            _LEVELS,
        ),
        log_file=_path(environ, "LITELLM_LOG_FILE") or data_dir / "logs" / "litellm.log",
    )


def _text(environ: Mapping[str, str], name: str) -> str | None:
    return (environ.get(name) or "").strip() or _DEFAULTS[name]


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    text = _text(environ, name)
    if text is None:
        return None
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # ~somebody, and there is no such user
        raise SettingsError(
            f"{name}: {shown(text)} begins with an unknown user's home. Correct it."
        ) from None


def _master_key(environ: Mapping[str, str], yaml_key: str | None, is_demo: bool) -> str | None:
    name, key = "LITELLM_MASTER_KEY", environ.get("LITELLM_MASTER_KEY") or None
    if key and yaml_key and key != yaml_key:
        raise SettingsError(
            "general_settings.master_key: differs from LITELLM_MASTER_KEY. Write"
            " os.environ/LITELLM_MASTER_KEY there."
        )
    if not key and yaml_key:
        name, key = "general_settings.master_key", yaml_key
    if key is None:
        return DEMO_MASTER_KEY if is_demo else None
    if key == DEMO_MASTER_KEY:
        if is_demo:
            return key
        raise SettingsError(f"{name}: this key is published and works with --demo only. Set a secret one.")
    if any(
        character.isspace() or not character.isprintable() or not character.isascii() for character in key
    ):
        raise SettingsError(
            f"{name}: holds white space or characters that no header can carry. Set another one."
        )
    if key.startswith("scalix_"):
        raise SettingsError(
            f"{name}: users' keys begin with scalix_, the operator's must not. Set another one."
        )
    if len(key) < MIN_MASTER_KEY_LENGTH or len(set(key)) < MIN_MASTER_KEY_VARIETY:
        raise SettingsError(
            f"{name}: too weak. Set at least {MIN_MASTER_KEY_LENGTH} varied characters (openssl rand"
            " -hex 24 makes some), or unset it to have one made."
        )
    return key


def _host(environ: Mapping[str, str]) -> str:
    host = _text(environ, "LITELLM_HOST") or ""
    if any(c in host for c in "/ @?#"):
        raise SettingsError(
            f"LITELLM_HOST: {shown(host)} is no address to listen on. Write e.g. 127.0.0.1 or 0.0.0.0."
        )
    return host


def _workers(environ: Mapping[str, str]) -> int:
    if not (environ.get("LITELLM_MAX_WORKERS") or "").strip():
        return min(
            4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
    return _integer(environ, "LITELLM_MAX_WORKERS", 1, 64)


def _redis_url(environ: Mapping[str, str]) -> str | None:
    # SCALIX_REDIS_URL is what a launcher tells its workers; it is no setting.
    url, host = environ.get("SCALIX_REDIS_URL") or _text(environ, "REDIS_URL"), _text(environ, "REDIS_HOST")
    if url:
        return _checked_redis_url(url)
    if environ.get("REDIS_CLUSTER_NODES") and host is None:
        raise SettingsError(
            "REDIS_CLUSTER_NODES: only LiteLLM reads it. Write REDIS_URL=redis+cluster://host:port,host:port."
        )
    if host:
        if any(c in host for c in "/ @?#"):
            raise SettingsError(f"REDIS_HOST: {shown(host)} is no host. Write its name, or set REDIS_URL.")
        password = environ.get("REDIS_PASSWORD") or ""
        secret = f":{quote(password, safe='', errors='surrogateescape')}@" if password else ""
        return f"redis://{secret}{host}:{_integer(environ, 'REDIS_PORT', 1, 65_535)}/0"
    return None


def _checked_redis_url(url: str) -> str:
    try:
        if cluster_address(url) is not None or sentinel_address(url) is not None:
            return url
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}") from None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError("REDIS_URL: its host or port is none. Write e.g. redis://host:6379/0.") from None
    if parts.scheme not in ("redis", "rediss", "unix") or (parts.scheme != "unix" and not parts.hostname):
        raise SettingsError(
            "REDIS_URL: must begin with redis://, rediss:// or unix://, with redis+cluster:// for a cluster,"
            " or with redis+sentinel:// for Sentinels. Correct it."
        )
    return url


def _integer(environ: Mapping[str, str], name: str, low: int, high: int) -> int:
    text = _text(environ, name) or ""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise SettingsError(f"{name}: {shown(text)} must be a whole number from {low} to {high}. Correct it.")
    return int(text)


def _retention_days(environ: Mapping[str, str]) -> int | None:
    days = _integer(environ, "SCALIX_RETENTION_DAYS", 0, 36_500)
    if 0 < days <= 30:  # records may be 30 days on their way, and must not come in after they were cleaned up
        raise SettingsError(
            "SCALIX_RETENTION_DAYS: too few days. Write 31 or more, or 0 to keep records for good."
        )
    return days or None


def _cache_bytes(environ: Mapping[str, str]) -> int:
    megabytes = _integer(environ, "SCALIX_CACHE_MB", 0, 100_000)
    if 0 < megabytes < 32:  # it is shared out among 64 shards, each of which must hold an answer
        raise SettingsError("SCALIX_CACHE_MB: too little. Write 32 or more, or 0 to cache no answers.")
    return megabytes * 1_000_000


def _trace_bytes(environ: Mapping[str, str]) -> int:
    megabytes = _integer(environ, "SCALIX_TRACE_MB", 0, 10_000)
    if 0 < megabytes < 4:  # it is shared out among 64 shards, each of which must hold some
        raise SettingsError("SCALIX_TRACE_MB: too little. Write 4 or more, or 0 to keep no traces.")
    return megabytes * 1_000_000


def _networks(environ: Mapping[str, str], name: str) -> tuple[Network, ...]:
    texts = [text.strip() for text in (_text(environ, name) or "").split(",") if text.strip()]
    if len(texts) > MAX_NETWORKS:
        raise SettingsError(f"{name}: holds more than {MAX_NETWORKS} networks. Write fewer, wider ones.")
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError:
            raise SettingsError(
                f"{name}: {shown(text)} is no network. Write e.g. 10.0.0.0/8, with commas between several."
            ) from None
    return tuple(networks)


def _webhook(environ: Mapping[str, str]) -> str | None:
    address = _text(environ, "SCALIX_ALERT_WEBHOOK")
    if address is None:
        return None
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        is_one = False
    if not is_one or not address.isprintable() or " " in address:
        # It is not shown: who knows it may write there.
        raise SettingsError(
            "SCALIX_ALERT_WEBHOOK: is no web address. Write e.g. https://hooks.example.com/services/…"
        )
    return address


def _choice(environ: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    text = _text(environ, name) or ""
    if text not in known:
        raise SettingsError(f"{name}: {shown(text)} is unknown. Write one of {', '.join(known)}.")
    return text


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = (_text(environ, name) or "").lower()
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise SettingsError(f"{name}: {shown(text)} is neither true nor false. Correct it.")
    return text in ("true", "1", "yes")
