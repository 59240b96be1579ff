"""What is sealed can be opened by who sealed it, there, and by nobody else."""

import pytest

from scalix_callbacks.store.sealing import Sealer

SECRET = "sk-master-f00d0123456789abcdef"
SEALER = Sealer(SECRET)


def test_what_is_sealed_can_be_opened() -> None:
    """By any worker with the operator's key."""
    sealed = SEALER.seal("own:ada", "place", b"the answer")

    assert b"the answer" == Sealer(SECRET).open("own:ada", "place", sealed)
    assert b"answer" not in sealed


def test_nothing_is_sealed_alike_twice() -> None:
    """Redis does not tell that two answers are the same."""
    assert SEALER.seal("s", "p", b"x") != SEALER.seal("s", "p", b"x")


@pytest.mark.parametrize(
    ("sealer", "scope", "place"),
    [(Sealer("another"), "s", "p"), (SEALER, "t", "p"), (SEALER, "s", "q"), (SEALER, "\ud800", "p")],
    ids=["key", "scope", "place", "scope that is no text"],
)
def test_elsewhere_it_is_as_if_it_were_not_there(sealer: Sealer, scope: str, place: str) -> None:
    """A rotated key, another user, an answer that was moved: none of it is an error."""
    assert sealer.open(scope, place, SEALER.seal("s", "p", b"x")) is None


@pytest.mark.parametrize("at", [0, 1, 13, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    """Of the version, the nonce, the text and its tag."""
    sealed = bytearray(SEALER.seal("s", "p", b"the answer"))
    sealed[at] ^= 1

    assert SEALER.open("s", "p", bytes(sealed)) is None


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + b"n" * 12, b"\x02" + b"n" * 40, b"plain text"])
def test_what_is_no_sealed_text_is_nothing(sealed: bytes) -> None:
    """Whoever wrote it."""
    assert SEALER.open("s", "p", sealed) is None
