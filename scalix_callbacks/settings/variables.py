"""Every environment variable there is, with its default, its unit and what it does."""

from dataclasses import dataclass


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
        "Redis to use (redis://, rediss:// or unix://, redis+cluster://host:port,host:port, or"
        " redis+sentinel://host:port,host:port/name); unset: an embedded one is started.",
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
    Setting(
        "SCALIX_ENV",
        "production",
        None,
        "production, or development (on this machine alone) for DEBUG_MODE and simulated failures.",
    ),
    Setting("SCALIX_MAX_BODY_MB", "10", "MB", "Largest request body; larger ones are refused with 413."),
    Setting(
        "SCALIX_MAX_ACTIVE_CALLS",
        "1000",
        "calls per worker",
        "How many calls whose answer has not begun a worker has with LiteLLM at once; others wait.",
    ),
    Setting(
        "SCALIX_MAX_WAITING_CALLS",
        "1000",
        "calls per worker",
        "How many calls wait for their turn; beyond that the lowest tier is refused first.",
    ),
    Setting(
        "SCALIX_SHUTDOWN_TIMEOUT_S",
        "60",
        "seconds",
        "How long a stop waits for calls in flight before it cuts them.",
    ),
    Setting(
        "SCALIX_READINESS_GRACE_S",
        "1",
        "seconds",
        "How long before that health says 503 while calls are still taken, for load balancers; 0: no time.",
    ),
    Setting(
        "SCALIX_RETENTION_DAYS",
        "400",
        "days",
        "How long records of single calls are kept, 31 at least; 0 keeps them for good.",
    ),
    Setting(
        "SCALIX_CACHE_MB",
        "64",
        "MB",
        "What cached answers may take of Redis, 32 at least; 0 caches none.",
    ),
    Setting(
        "SCALIX_TRACE_MB",
        "32",
        "MB",
        "What traces of requests may take of Redis, kept for a day at most; 0 keeps none.",
    ),
    Setting(
        "SCALIX_TRACE_PERCENT",
        "100",
        "%",
        "Of how many requests that went well the trace is kept; of all others it always is.",
    ),
    Setting(
        "SCALIX_ACCESS_LOG",
        "log",
        None,
        "Where each call gets its JSON line: log (with all others), off, or a file, rotated like the log.",
    ),
    Setting(
        "SCALIX_OTEL",
        "false",
        None,
        "true sends a span of each call by OpenTelemetry, as OTEL_EXPORTER_OTLP_ENDPOINT says; no bodies.",
    ),
    Setting(
        "SCALIX_TRUSTED_PROXIES",
        None,
        None,
        "Networks (CIDR) of proxies whose X-Forwarded-For is believed, with commas; unset: none.",
    ),
    Setting(
        "SCALIX_METRICS_NETWORKS",
        None,
        None,
        "Networks that may read /metrics without a key, e.g. 10.0.0.0/8,127.0.0.1; unset: none.",
    ),
    Setting(
        "SCALIX_ALERT_WEBHOOK",
        None,
        None,
        "Address that gets alerts as JSON with a text, as Slack's incoming webhooks take it; unset: none.",
    ),
    Setting(
        "SCALIX_ALERT_KEY_DAYS",
        "7",
        "days",
        "How long before its end a user's key is in the alerts; 0: never.",
    ),
    Setting(
        "DEBUG_MODE",
        "false",
        None,
        "true logs what the pack and LiteLLM decide, without bodies or keys; needs SCALIX_ENV=development.",
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
