"""Whether spans can be exported as the environment says."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from scalix_callbacks.settings.errors import SettingsError

SPANS_PROTOCOL = "http/protobuf"


def check_spans(environ: Mapping[str, str]) -> bool:
    """True.

    Raises:
        SettingsError: it is not said where they go, or they cannot go there.
    """
    address = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""
    try:
        is_one = urlsplit(address).scheme in ("http", "https") and bool(urlsplit(address).hostname)
    except ValueError:
        is_one = False
    if not is_one:  # not shown: it may hold a password
        raise SettingsError(
            "SCALIX_OTEL: OTEL_EXPORTER_OTLP_ENDPOINT must say where spans go, e.g. http://127.0.0.1:4318."
            " Set it, or leave SCALIX_OTEL out."
        )
    if environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", SPANS_PROTOCOL) != SPANS_PROTOCOL:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL: spans go by {SPANS_PROTOCOL} alone. Leave it out.")
    return True
