"""Secrets are masked, whatever stands around them, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.keys import new_key
from scalix_callbacks.core.redact import _SHAPES, MASK, MIN_SECRET_LENGTH, Redactor

KEY = new_key(bytes(range(32)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sk-abcdefghijkl", "[redacted]"),
        ("key=sk-proj-abc_def-ghijkl,", "key=[redacted],"),
        (f"'{KEY}'", "'[redacted]'"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstu", "[redacted]"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer [redacted]"),
        ("authorization: bearer abcdefgh12345", "authorization: bearer [redacted]"),
        ("redis://user:hunter22@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("redis://:hunter22@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("redis://:hunt@er22@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end", "token [redacted] end"),
    ],
)
def test_what_is_shaped_like_a_credential_is_masked(text: str, shown: str) -> None:
    """Also those nobody told us of."""
    assert shown == Redactor([])(text)


@pytest.mark.parametrize(
    "text",
    [
        "scalix_response_time_seconds",
        "scalix_callbacks.plugin",
        "task-management-system",
        "disk-usage-of-the-server",
        "https://a.example/v1/models",
        "12:30:59@home",
        "",
    ],
)
def test_words_stay(text: str) -> None:
    """A log that masks names of metrics and modules is of no use."""
    assert text == Redactor([])(text)


def test_short_secrets_are_words() -> None:
    """Masking every `abc` would hide nothing and spoil the log."""
    redact = Redactor(["a" * (MIN_SECRET_LENGTH - 1), ""])

    assert "aaaaaaaaaa" == redact("aaaaaaaaaa")


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    """No end of it is left standing."""
    assert f"<{MASK}>" == Redactor(["secret", "secret-and-more"])("<secret-and-more>")


@given(st.lists(st.text(min_size=MIN_SECRET_LENGTH), max_size=5), st.text(), st.text())
def test_no_known_secret_is_ever_shown(secrets: list[str], before: str, after: str) -> None:
    """Whatever characters it is made of."""
    redact = Redactor(secrets)
    for secret in secrets:
        shown = redact(f"{before}{secret}{after}")

        assert secret not in shown.replace(MASK, "") or secret in MASK


@given(st.text("sk-AIzaeyJscalix_BearER:/@.abcdefgh 0123456789", max_size=80))
def test_looking_for_words_first_hides_no_less(text: str) -> None:
    """The quick look only spares the slow one where it would find nothing."""
    assert _SHAPES.sub(MASK, text) == Redactor([])(text)
