"""What a request's headers and query say of its sender."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.claims import Claims, Sender, read_claims, refuse_query_credentials
from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.routes import find_route

CHAT = find_route("/v1/chat/completions")
MESSAGES = find_route("/v1/messages")
KEY = "scalix_" + "k" * 43


def claims(**headers: str) -> Claims:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return read_claims(raw, CHAT)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {KEY}", KEY),
        (f"bearer {KEY}", KEY),
        (f"BEARER   {KEY}  ", KEY),
        (KEY, None),
        (f"Basic {KEY}", None),
        (f"Bearer{KEY}", None),
        (f"Bearer\t{KEY}", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        ("Bearer a b", "a b"),
        ("Bearer " + "x" * 4_089, "x" * 4_089),
        ("Bearer " + "x" * 4_090, None),
        ("Bearer \xff\xfe", "\xff\xfe"),
    ],
)
def test_a_credential_is_a_bearer_token(header: str, expected: str | None) -> None:
    """One scheme, in any case of letters, bounded in length."""
    assert Claims(credential=expected) == claims(authorization=header)


def test_without_headers_nothing_is_claimed() -> None:
    """Nobody in particular."""
    assert Claims() == read_claims([], None)


def test_lists_of_cache_control_are_one_list() -> None:
    """A proxy on the way may add one."""
    raw = [(b"cache-control", b"no-cache"), (b"cache-control", b" max-age=5")]

    assert "no-cache, max-age=5" == read_claims(raw, CHAT).cache_control


def test_every_claim_is_read() -> None:
    """What an operator's backend may say of its user, and what the app says of itself."""
    expected = Claims(
        credential="c",
        user_key=KEY,
        user_id="ada",
        user_tier="pro",
        is_desktop_app=True,
        client_request_id="7:attempt-1",
        cache_control="no-cache",
        sender=Sender("desktop-app"),
    )
    read = claims(
        authorization="Bearer c",
        x_scalix_key=KEY,
        x_user_id="ada",
        x_user_tier="pro",
        x_scalix_client="desktop-app",
        x_scalix_request_id="7:attempt-1",
        cache_control="no-cache",
    )

    assert expected == read


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "x-api-key",
        "x-scalix-key",
        "x-user-id",
        "x-user-tier",
        "x-scalix-client",
        "x-scalix-request-id",
    ],
)
def test_a_header_that_decides_something_stands_once(name: str) -> None:
    """Two of them could be read differently by each who reads; even equal ones are refused."""
    with pytest.raises(GatewayError) as refused:
        read_claims([(name.encode(), b"Bearer x"), (name.lower().encode(), b"Bearer x")], CHAT)

    assert (400, name.lower()) == (refused.value.status, refused.value.param)
    assert f"The header {name.lower()} stands twice. Send it once." == refused.value.message


def test_other_headers_may_stand_twice() -> None:
    """HTTP allows it, and they decide nothing."""
    assert Claims() == read_claims([(b"accept", b"a"), (b"accept", b"b"), (b"x-custom", b"c")] * 2, CHAT)


def test_anthropics_header_counts_on_its_own_route_alone() -> None:
    """Its SDK sends no other."""
    headers = [(b"x-api-key", KEY.encode())]

    assert Claims(credential=KEY) == read_claims(headers, MESSAGES)
    assert Claims() == read_claims(headers, CHAT)
    assert Claims() == read_claims(headers, None)


def test_the_authorization_header_goes_before_anthropics() -> None:
    """Two different keys: the one that counts everywhere counts here, too."""
    headers = [(b"x-api-key", b"other"), (b"authorization", f"Bearer {KEY}".encode())]

    assert Claims(credential=KEY) == read_claims(headers, MESSAGES)


@pytest.mark.parametrize(
    "name", ["api-key", "x-litellm-api-key", "x-goog-api-key", "cookie", "proxy-authorization"]
)
def test_no_other_header_is_a_credential(name: str) -> None:
    """LiteLLM would take a key from several; here one place counts."""
    assert Claims() == read_claims([(name.encode(), f"Bearer {KEY}".encode())], MESSAGES)


@pytest.mark.parametrize(
    ("raw", "expected"), [("zoë".encode(), "zoë"), ("zoë".encode("latin-1"), "zoë"), (b"", ""), (b" a ", "a")]
)
def test_a_users_name_may_hold_any_letters(raw: bytes, expected: str) -> None:
    """Backends send UTF-8, some of them Latin-1."""
    assert Claims(user_id=expected) == read_claims([(b"x-user-id", raw)], CHAT)


@pytest.mark.parametrize(("sent", "expected"), [("x" * 300, "x" * 128), ("", None), (" ", None)])
def test_the_clients_request_id_is_bounded(sent: str, expected: str | None) -> None:
    """It is kept with records, where room is not endless."""
    assert Claims(client_request_id=expected) == claims(x_scalix_request_id=sent)


def test_only_the_desktop_app_is_the_desktop_app() -> None:
    """The word is compared as it stands."""
    assert not claims(x_scalix_client="Desktop-App").is_desktop_app


@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"x-user-id", b"x-api-key", b"x"]), st.binary()))
)
def test_any_bytes_are_claims_or_a_refusal(headers: list[tuple[bytes, bytes]]) -> None:
    """Headers hold whatever a client likes."""
    try:
        assert isinstance(read_claims(headers, MESSAGES), Claims)
    except GatewayError as error:
        assert 400 == error.status


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "x"),
        ("api_key", ""),
        ("API_KEY", "x"),
        ("api-key", "x"),
        ("apiKey", "x"),
        ("token", "x"),
        ("access_token", "x"),
        ("Authorization", "x"),
        ("x-api-key", "x"),
        ("x-scalix-key", "x"),
        (" key ", "x"),
        ("anything", KEY),
        ("anything", f" {KEY} "),
        ("anything", "sk-1234"),
        ("anything", "Bearer abc"),
        ("anything", "bearer abc"),
    ],
)
def test_a_credential_in_the_query_is_refused_and_not_repeated(name: str, value: str) -> None:
    """Addresses are kept in logs everywhere on the way; the message says what to do now."""
    with pytest.raises(GatewayError) as refused:
        refuse_query_credentials([("page", "1"), (name, value)])

    assert 400 == refused.value.status
    assert "replace this key" in refused.value.message
    assert KEY not in refused.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", "scalix_pro_user_456"),
        ("limit", "10"),
        ("keyword", "x"),
        ("beta", "true"),
        ("max_tokens", "5"),
        ("since", "2026-01-01T00:00:00Z"),
        ("task", "ask-me"),
    ],
)
def test_an_honest_query_is_let_through(name: str, value: str) -> None:
    """Accounts may be named `scalix_…`: only what has a key's full shape is taken for one."""
    refuse_query_credentials([(name, value)])


def test_the_end_of_a_forwarded_for_is_kept() -> None:
    """Proxies add to its end, or a header of their own; what a client wrote stands before."""
    raw = [(b"x-forwarded-for", b"1.1.1.1, " * 100), (b"x-forwarded-for", b"203.0.113.7")]
    told = read_claims(raw, CHAT).forwarded_for

    assert told is not None
    assert (512, True) == (len(told), told.endswith(",203.0.113.7"))


def test_what_a_program_says_of_itself_is_cleaned_and_decides_nothing() -> None:
    """Bounded, one word, no key; sent twice, the first holds."""
    read = read_claims(
        [
            (b"x-scalix-client", b"my app\x1b[31m"),
            (b"x-scalix-version", b"v" * 1_000),
            (b"x-scalix-session", KEY.encode()),
            (b"x-scalix-version", b"2"),
        ],
        None,
    )

    assert Sender("myapp31m", "v" * 64, None) == read.sender


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0c1e-77:attempt-2", "0c1e-77:attempt-2"),
        (f"{KEY}:attempt-2", "[redacted]:attempt-2"),
        (f"{'x' * 110} {KEY}", f"{'x' * 110} [redacted]"),
        ("scalix_pro_user_456:attempt-1", "scalix_pro_user_456:attempt-1"),
    ],
)
def test_no_key_is_kept_as_the_id_of_a_request(sent: str, kept: str) -> None:
    """The ledger, its export and the status page have that id as the client wrote it."""
    assert kept == read_claims([(b"x-scalix-request-id", sent.encode())], CHAT).client_request_id


def test_a_simulation_sent_twice_is_no_known_one() -> None:
    """It is told so in development, and nobody reads it elsewhere."""
    read = read_claims([(b"x-scalix-simulate", b"network"), (b"x-scalix-simulate", b"server")], None)

    assert "network,server" == read.simulate
