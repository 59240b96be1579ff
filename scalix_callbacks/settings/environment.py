"""Environment variables → checked values; the one list of the settings there are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values

from scalix_callbacks.settings.errors import SettingsError, shown

DEMO_MASTER_KEY = "sk-scalix-dev-123456789"
"""Published, so worth nothing: accepted with --demo only."""
MIN_MASTER_KEY_LENGTH = 16
MIN_MASTER_KEY_VARIETY = 6
ENV_FILES = ("scalix_config.env", ".env")


@dataclass(frozen=True, slots=True)
class Setting:
    """A documented environment variable.

    Attributes:
        default: what holds when it is unset, as it would be written; None: nothing.
        unit: of a number; None for a text.
        sentence: what it does.
    """

    name: str
    default: str | None
    unit: str | None
    sentence: str


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "LITELLM_MASTER_KEY",
        None,
        None,
        "The operator's key; unset: a strong one is made and kept in the data directory.",
    ),
    Setting("LITELLM_HOST", "127.0.0.1", None, "Address to listen on; 0.0.0.0 serves other machines, too."),
    Setting("LITELLM_PORT", "4000", None, "TCP port to listen on; 0 takes a free one."),
    Setting("LITELLM_MAX_WORKERS", None, "processes", "Worker processes; unset: one per core, 4 at most."),
    Setting("GEMINI_API_KEY", None, None, "Key for Google Gemini."),
    Setting("DEEPSEEK_API_KEY", None, None, "Key for DeepSeek; set, free-deepseek-chat goes there directly."),
    Setting(
        "OPENROUTER_API_KEY",
        None,
        None,
        "Key for OpenRouter; serves free-deepseek-chat, free-wizardlm and openrouter/*.",
    ),
    Setting("OPENAI_API_KEY", None, None, "Key for OpenAI."),
    Setting("ANTHROPIC_API_KEY", None, None, "Key for Anthropic."),
    Setting("AZURE_API_KEY", None, None, "Key for Azure OpenAI."),
    Setting("AZURE_API_BASE", None, None, "Address of the Azure OpenAI resource."),
    Setting("OLLAMA_BASE_URL", None, None, "Address of an Ollama server, e.g. http://localhost:11434."),
    Setting(
        "LMSTUDIO_BASE_URL", None, None, "Address of an LM Studio server, e.g. http://localhost:1234/v1."
    ),
    Setting("SCALIX_PRO_API_KEY", None, None, "Key for an upstream Scalix Engine or Gateway."),
    Setting(
        "SCALIX_ENGINE_URL", None, None, "Address of an upstream Scalix Engine; never this server's own."
    ),
    Setting(
        "SCALIX_GATEWAY_URL", None, None, "Address of an upstream Scalix Gateway; never this server's own."
    ),
    Setting(
        "REDIS_URL",
        None,
        None,
        "Redis to use (redis://, rediss:// or unix://); unset: an embedded one is started.",
    ),
    Setting("REDIS_HOST", None, None, "Redis host, where REDIS_URL is unset."),
    Setting("REDIS_PORT", "6379", None, "Redis port, with REDIS_HOST."),
    Setting("REDIS_PASSWORD", None, None, "Redis password, with REDIS_HOST."),
    Setting(
        "SCALIX_DATABASE_URL",
        None,
        None,
        "SQL database (postgresql://… or sqlite:///…); unset: SQLite in the data directory.",
    ),
    Setting("SCALIX_DATA_DIR", ".scalix", None, "Directory for all that is kept; --data-dir overrides it."),
    Setting("SCALIX_ENV", "production", None, "production, or development for what helps a developer."),
    Setting("SCALIX_MAX_BODY_MB", "10", "MB", "Largest request body; larger ones are refused with 413."),
    Setting(
        "SCALIX_SHUTDOWN_TIMEOUT_S",
        "60",
        "seconds",
        "How long a stop waits for calls in flight before it cuts them.",
    ),
    Setting(
        "SCALIX_RETENTION_DAYS",
        "400",
        "days",
        "How long records of single calls are kept, 31 at least; 0 keeps them for good.",
    ),
    Setting(
        "DEBUG_MODE",
        "false",
        None,
        "true logs LiteLLM's details; needs SCALIX_ENV=development, never logs secrets.",
    ),
    Setting("LITELLM_LOG_LEVEL", "WARNING", None, "DEBUG, INFO, WARNING or ERROR."),
    Setting(
        "LITELLM_LOG_FILE",
        None,
        None,
        "Log file, rotated at 20 MB, 5 kept; unset: logs/litellm.log in the data directory.",
    ),
)
"""Every setting; `scalix_config.env.example` is kept equal to it by a test."""

_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Environment:
    """The checked values of the environment. `redis_url` None: embedded; `master_key` None: to be made.

    `retention_days` None: records are kept for good.
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
    shutdown_timeout_s: float
    retention_days: int | None
    log_level: str
    log_file: Path


def with_env_files(environ: Mapping[str, str], env_file: Path | None, folder: Path) -> dict[str, str]:
    """`environ` with what it does not set taken from the env file, or from the default ones in `folder`.

    Raises:
        SettingsError: a named file is missing or unreadable.
    """
    merged = dict(environ)
    for path in [env_file] if env_file else [folder / name for name in ENV_FILES]:
        if not path.is_file():
            if env_file:
                raise SettingsError(f"--env-file {path}: no such file. Name an existing one.")
            continue
        try:
            values = dotenv_values(path)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: cannot be read ({type(error).__name__}). Mend the file.") from None
        for name, value in values.items():
            if value is not None:
                merged.setdefault(name, value)
    return merged


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
    return Environment(
        master_key=_master_key(environ, yaml_master_key, is_demo),
        host=_host(environ),
        port=_integer(environ, "LITELLM_PORT", 0, 65_535),
        workers=_workers(environ),
        redis_url=_redis_url(environ),
        database_url=_text(environ, "SCALIX_DATABASE_URL") or f"sqlite:///{data_dir / 'scalix.db'}",
        data_dir=data_dir,
        is_development=is_development,
        is_debug=is_debug,
        max_body_bytes=_integer(environ, "SCALIX_MAX_BODY_MB", 1, 100) * 1_000_000,
        shutdown_timeout_s=float(_integer(environ, "SCALIX_SHUTDOWN_TIMEOUT_S", 1, 3_600)),
        retention_days=_retention_days(environ),
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
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise SettingsError(
                "REDIS_URL: its host or port is none. Write e.g. redis://host:6379/0."
            ) from None
        if parts.scheme not in ("redis", "rediss", "unix") or (parts.scheme != "unix" and not parts.hostname):
            raise SettingsError("REDIS_URL: must begin with redis://, rediss:// or unix://. Correct it.")
        return url
    if host:
        if any(c in host for c in "/ @?#"):
            raise SettingsError(f"REDIS_HOST: {shown(host)} is no host. Write its name, or set REDIS_URL.")
        password = environ.get("REDIS_PASSWORD") or ""
        secret = f":{quote(password, safe='', errors='surrogateescape')}@" if password else ""
        return f"redis://{secret}{host}:{_integer(environ, 'REDIS_PORT', 1, 65_535)}/0"
    return None


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
