"""Which request headers go on to LiteLLM."""

from collections.abc import Iterable

_CREDENTIALS = frozenset(
    {
        b"authorization",
        b"api-key",
        b"x-api-key",
        b"x-goog-api-key",
        b"x-litellm-api-key",
        b"ocp-apim-subscription-key",
        b"x-scalix-key",
        b"cookie",
        b"proxy-authorization",
    }
)
_USERS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"anthropic-version",
        b"content-type",
        b"host",
        b"traceparent",
        b"tracestate",
        b"user-agent",
    }
)
"""Any other header steers LiteLLM (`x-litellm-…`), names a tenant, or might be passed to a provider."""
_OF_THE_BODY = frozenset({b"content-encoding", b"content-length", b"content-type", b"transfer-encoding"})


def for_litellm(
    headers: Iterable[tuple[bytes, bytes]], *, is_operator: bool, content_length: int | None
) -> list[tuple[bytes, bytes]]:
    """The headers LiteLLM sees: never a credential, and of a user's only what an answer depends on.

    Args:
        content_length: of the JSON body that goes on in place of the one sent; None: there is no new body.
    """
    kept = [
        (name, value)
        for name, value in headers
        if (name.lower() not in _CREDENTIALS if is_operator else name.lower() in _USERS)
        and not (content_length is not None and name.lower() in _OF_THE_BODY)
    ]
    if content_length is not None:
        # Never the type that was sent: LiteLLM reads a body as a form when one of several types says so.
        kept += [
            (b"content-type", b"application/json"),
            (b"content-length", str(content_length).encode()),
        ]
    return kept
