"""The operator's session: signed, ending, and not to be guessed."""

import pytest

from scalix_callbacks.web.page.session import (
    MAX_ADDRESSES,
    MAX_TRIES,
    SESSION_S,
    TRIES_WITHIN_S,
    Sessions,
    Tries,
    cookie,
)
from tests.clock import Clock

MASTER_KEY = "sk-master-f00d0123456789abcdef"
NOON_S = 1_896_091_200.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON_S)


def sessions(clock: Clock, master_key: str = MASTER_KEY, nonce: str = "n1") -> Sessions:
    return Sessions(master_key, now_s=clock, nonce=lambda: nonce)


def test_a_session_lasts_eight_hours(clock: Clock) -> None:
    """At any worker that knows the master key, and not a second longer."""
    value = sessions(clock).begin()
    clock.now_s += SESSION_S - 1
    known = sessions(clock).read(f"theme=dark; scalix_session={value}")
    clock.now_s += 1

    assert known is not None and NOON_S + 8 * 3_600 == known.ends_at_s
    assert sessions(clock).read(f"scalix_session={value}") is None


def test_another_master_key_ends_all_sessions(clock: Clock) -> None:
    """That is how an operator throws everybody out."""
    value = sessions(clock).begin()

    assert sessions(clock, MASTER_KEY + "2").read(f"scalix_session={value}") is None


def test_nothing_of_a_session_can_be_changed(clock: Clock) -> None:
    """Neither its end nor any other letter, wherever."""
    value = sessions(clock).begin()
    end, nonce, signature = value.split(".")
    changed = [
        f"{int(end) + 1}.{nonce}.{signature}",
        f"{end}.n2.{signature}",
        f"{end}.{nonce}.{'0' * 64}",
        f"{end}.{nonce}.",
        f"{end}.{nonce}",
        signature,
        "",
        "x" * 5_000,
        "..",
        "é.é.é",
    ]

    assert [None] * len(changed) == [sessions(clock).read(f"scalix_session={each}") for each in changed]
    assert [None] * 4 == [sessions(clock).read(each) for each in (None, "", "scalix_session", "a=b; ;;=")]


def test_the_token_against_forged_requests_is_of_one_session(clock: Clock) -> None:
    """And does not say anything of the cookie."""
    values = [sessions(clock, nonce=nonce).begin() for nonce in ("n1", "n2")]
    tokens = [known.csrf for value in values if (known := sessions(clock).read(f"scalix_session={value}"))]

    assert 2 == len(set(tokens))
    assert not any(token in value for token in tokens for value in values)


def test_the_cookie_is_for_the_browser_alone() -> None:
    """No script sees it, no other site sends it; over TLS it never leaves in the clear."""
    assert "scalix_session=v; Path=/scalix/; Max-Age=28800; HttpOnly; SameSite=Strict" == cookie(
        "v", is_secure=False
    )
    assert cookie("v", is_secure=True).endswith("; Secure")
    assert "Max-Age=0;" in cookie("", is_secure=False, lasts_s=0)


def test_an_address_has_so_many_tries() -> None:
    """Then it waits until the first of them is long enough ago; others do not."""
    clock = Clock(NOON_S)
    tries = Tries(clock)
    taken = [tries.take("192.0.2.1") for _ in range(MAX_TRIES)]
    clock.now_s += 60

    assert [None] * MAX_TRIES == taken
    assert TRIES_WITHIN_S - 60 == tries.take("192.0.2.1")
    assert tries.take("192.0.2.2") is None
    clock.now_s += TRIES_WITHIN_S - 60
    assert tries.take("192.0.2.1") is None


def test_a_success_is_no_try() -> None:
    """Who knows the key may log in as often as needed."""
    tries = Tries(Clock(NOON_S))
    for _ in range(3 * MAX_TRIES):
        assert tries.take("192.0.2.1") is None
        tries.forget("192.0.2.1")


def test_a_network_of_version_6_counts_as_one_address() -> None:
    """Anybody has 2^64 of those."""
    tries = Tries(Clock(NOON_S))
    for i in range(MAX_TRIES):
        tries.take(f"2001:db8::{i + 1:x}")

    assert tries.take("2001:db8::ffff") is not None
    assert tries.take("2001:db8:0:1::1") is None


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    """However many there are."""
    tries = Tries(Clock(NOON_S))
    for i in range(MAX_ADDRESSES + 50):
        tries.take(f"host-{i}")

    assert MAX_ADDRESSES == len(tries._tries)
