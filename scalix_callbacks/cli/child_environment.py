"""What the children find in their environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from scalix_callbacks.core.redis_address import MANY_SCHEMES
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.spans import SPANS_PROTOCOL

LITELLM_DATABASES = ("DATABASE_URL", "DIRECT_URL", "DATABASE_URL_READ_REPLICA")
"""LiteLLM would want Prisma for any of them."""

QUIET: Mapping[str, str] = {
    # Any other mode reads a .env of its own, after --env-file and into every worker.
    "LITELLM_MODE": "PRODUCTION",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "NO_OPENAPI": "True",
    "DISABLE_ADMIN_UI": "True",
    "LITELLM_TELEMETRY": "False",
    # Of OpenTelemetry: another implementation, and events, which would not pass by `proxy.spans`.
    "LITELLM_OTEL_V2": "False",
    "LITELLM_OTEL_INTEGRATION_ENABLE_EVENTS": "False",
}
STAY_HOME: Mapping[str, str] = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
}
"""Keeps LiteLLM from fetching lists from the network; who sets one otherwise wants that."""

FAST: Mapping[str, str] = {
    # OpenAI's own SDK makes objects of every chunk, for LiteLLM to make others of them.
    "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER": "true",
    # Of one worker to one provider it keeps 500 connections, and what comes then waits in silence until a
    # stream ends. How many calls there may be is ours to say.
    "AIOHTTP_CONNECTOR_LIMIT": "100000",
    "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "100000",
}
"""What holds LiteLLM up without need; who sets one otherwise wants that."""

STEADY: Mapping[str, str] = {
    # A model's only deployment rests once this many calls within a minute all failed, so that its fallbacks
    # answer at once; LiteLLM would ask a dead one a thousand times. (It counts a call once, not each try.) Of
    # one that fails three in ten, three in a row are common; six are not.
    "SINGLE_DEPLOYMENT_TRAFFIC_FAILURE_THRESHOLD": "6",
}
"""How LiteLLM's router judges; who sets one otherwise wants that."""

SPANS: Mapping[str, str] = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": SPANS_PROTOCOL,  # LiteLLM would print them
    "OTEL_SERVICE_NAME": "scalix-gateway",
}
"""Where spans are exported; who sets one otherwise wants that."""

_PLAIN = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV")
_PLAIN_PREFIXES = ("LC_", "LD_", "PYTHON", "COVERAGE_")


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What any program needs, and no secret: for the children that serve no provider."""
    return {
        name: value for name, value in environ.items() if name in _PLAIN or name.startswith(_PLAIN_PREFIXES)
    }


def litellm_environment(values: Mapping[str, str]) -> dict[str, str]:
    """`values` made fit for any process that imports LiteLLM."""
    kept = {name: value for name, value in values.items() if name not in LITELLM_DATABASES}
    return {**STAY_HOME, **FAST, **STEADY, **kept, **QUIET}


def worker_environment(
    values: Mapping[str, str],
    settings: Settings,
    *,
    master_key: str,
    redis_url: str,
    metrics_dir: Path,
    host: str,
    port: int,
) -> dict[str, str]:
    """All that a worker finds, but for SCALIX_DEMO_URL.

    Args:
        values: the environment with the env files' values.
        metrics_dir: where the workers of one launcher share their metrics.
        host, port: as really bound.
    """
    environment = litellm_environment(values)
    environment.pop("SCALIX_DEMO_URL", None)
    if redis_url.startswith(MANY_SCHEMES):
        environment.pop("REDIS_URL", None)  # LiteLLM reads no such address, and would say so in the log
    environment |= {
        "LITELLM_MASTER_KEY": master_key,
        "CONFIG_FILE_PATH": str(settings.config_path),
        "SCALIX_DATA_DIR": str(settings.data_dir),
        "SCALIX_DATABASE_URL": settings.database_url,
        # Not REDIS_URL: LiteLLM would use it unasked, and one of its scripts (INCRBYFLOAT) crashes the
        # embedded 6.2.14. What the operator set as REDIS_URL stays, for a YAML that names it.
        "SCALIX_REDIS_URL": redis_url,
        "SCALIX_LAUNCHER_PID": str(os.getpid()),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir),
        "PYTHONFAULTHANDLER": "1",  # a crash in compiled code says where it was
        "LITELLM_HOST": host,
        "LITELLM_PORT": str(port),
        "LITELLM_MAX_WORKERS": str(settings.environment.workers),
        "LITELLM_LOG": "DEBUG" if settings.environment.is_debug else settings.environment.log_level,
        "LITELLM_LOG_FILE": str(settings.environment.log_file),
        # LiteLLM's lists hold characters that an ASCII locale cannot write.
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    if settings.environment.exports_spans:
        environment = {**SPANS, **environment}
    return environment


def replace_environment(environment: Mapping[str, str]) -> None:
    """Makes `environment` this process's own, which its workers inherit."""
    os.environ.clear()
    os.environ.update(environment)
