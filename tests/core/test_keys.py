"""Keys: their shape, and what may be kept and shown of them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.keys import hash_key, is_key_shaped, key_hint, new_key

RANDOM = bytes(range(32))
KEY = "scalix_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_a_key_is_the_prefix_and_its_random_bytes() -> None:
    """The same random bytes make the same key: nothing else goes into it."""
    assert KEY == new_key(RANDOM)


@given(st.binary(min_size=32, max_size=96))
def test_every_new_key_is_key_shaped(random_bytes: bytes) -> None:
    """What the gateway makes it also recognises."""
    assert is_key_shaped(new_key(random_bytes))


@given(st.binary(min_size=32, max_size=96), st.binary(min_size=32, max_size=96))
def test_two_random_values_make_two_keys(one: bytes, other: bytes) -> None:
    """No randomness is lost on the way to the key."""
    assert (one == other) == (new_key(one) == new_key(other))


@pytest.mark.parametrize("length", [0, 31, 97])
def test_a_key_needs_32_to_96_random_bytes(length: int) -> None:
    """A key that could be guessed, or is too long to be recognised, is not made."""
    with pytest.raises(ValueError, match="32 to 96 random bytes"):
        new_key(bytes(length))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scalix_" + "a" * 31, False),
        ("scalix_" + "a" * 32, True),
        ("scalix_" + "aZ9-_" * 20, True),
        ("scalix_" + "a" * 128, True),
        ("scalix_" + "a" * 129, False),
        ("scalix_pro_user_456", False),
        ("Scalix_" + "a" * 32, False),
        (" scalix_" + "a" * 32, False),
        ("scalix_" + "a" * 32 + "\n", False),
        ("scalix_" + "a" * 31 + "ä", False),
        ("sk-" + "a" * 40, False),
        ("", False),
    ],
)
def test_what_is_shaped_like_a_key(text: str, expected: bool) -> None:
    """A user name that begins like a key is not taken for one."""
    assert expected == is_key_shaped(text)


def test_a_key_is_stored_as_its_sha_256() -> None:
    """The hash is the plain one, so that other tools can compute it (`printf abc | sha256sum`)."""
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" == hash_key("abc")


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_has_a_hash(text: str) -> None:
    """Whatever a client sends as a key can be looked up."""
    assert re.fullmatch("[0-9a-f]{64}", hash_key(text))


def test_a_hint_shows_the_last_four_characters() -> None:
    """Enough to tell keys apart in a list."""
    assert "scalix_…0eHw" == key_hint("scalix_" + "a" * 40 + "0eHw")


@pytest.mark.parametrize("text", ["", "abc", "scalix_short", "sk-1234567890"])
def test_a_hint_shows_nothing_of_what_is_no_key(text: str) -> None:
    """Four characters of a short password would be most of it."""
    assert "scalix_…" == key_hint(text)
