"""Which of a request's headers LiteLLM sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.headers import for_litellm

CREDENTIALS = (
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "x-litellm-api-key",
    "ocp-apim-subscription-key",
    "x-scalix-key",
    "cookie",
    "proxy-authorization",
)
STEERING = (
    "x-litellm-call-id",
    "x-litellm-timeout",
    "x-litellm-tags",
    "x-litellm-spend-logs-metadata",
    "x-litellm-disable-callbacks",
    "anthropic-beta",
    "openai-organization",
    "x-user-id",
    "x-user-tier",
    "x-forwarded-for",
    "cache-control",
    "x-anything",
)


def names(sent: str, *, is_operator: bool) -> list[bytes]:
    return [
        name for name, _ in for_litellm([(sent.encode(), b"v")], is_operator=is_operator, content_length=None)
    ]


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("is_operator", [True, False])
def test_no_credential_goes_on(name: str, is_operator: bool) -> None:
    """Nobody's, in any case of letters: LiteLLM would pass some of them to a provider."""
    assert [] == names(name, is_operator=is_operator) + names(name.title(), is_operator=is_operator)


@pytest.mark.parametrize("name", STEERING)
def test_headers_that_steer_are_the_operators(name: str) -> None:
    """A user cannot set time-outs, tags or ids of LiteLLM by them."""
    assert [] == names(name, is_operator=False)
    assert [name.encode()] == names(name, is_operator=True)


@pytest.mark.parametrize(
    "name", ["accept", "accept-encoding", "user-agent", "anthropic-version", "traceparent"]
)
def test_what_an_answer_depends_on_goes_on(name: str) -> None:
    """The form of the answer is the client's choice."""
    assert [name.encode()] == names(name, is_operator=False)


@pytest.mark.parametrize("is_operator", [True, False])
def test_a_new_body_gets_its_own_type_and_length(is_operator: bool) -> None:
    """What was said of the body that was sent must not be said of the one that goes on.

    Of two types LiteLLM believes the first: one that says "form" would have it read another request.
    """
    sent = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"Content-Type", b"application/json"),
        (b"content-length", b"99"),
        (b"content-encoding", b"identity"),
        (b"transfer-encoding", b"chunked"),
    ]
    expected = [(b"content-type", b"application/json"), (b"content-length", b"7")]

    assert expected == for_litellm(sent, is_operator=is_operator, content_length=7)


def test_the_operators_untouched_body_keeps_its_headers() -> None:
    """An upload to one of LiteLLM's own routes is passed through as it is."""
    sent = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"99")]

    assert sent == for_litellm(sent, is_operator=True, content_length=None)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.binary(max_size=12))))
def test_nothing_is_invented(sent: list[tuple[bytes, bytes]]) -> None:
    """What goes on was sent."""
    assert set(for_litellm(sent, is_operator=False, content_length=None)) <= set(sent)
