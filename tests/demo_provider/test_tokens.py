"""How tokens are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.demo_provider.tokens import count_tokens, split_tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        (" \n\t", 0),
        ("Hello, world!", 4),
        ("snake_case is 1", 3),
        ("a-b", 3),
        ("  spaced   out  ", 2),
        ("grüezi 你好", 2),
    ],
)
def test_words_and_marks_are_tokens(text: str, expected: int) -> None:
    """A word or a mark is a token, white space is none."""
    assert expected == count_tokens(text)


def test_a_text_splits_into_words_with_the_space_before_them() -> None:
    """As models do it, white space belongs to the word that follows."""
    assert ("Hello", ",", " world", "!  ") == split_tokens("Hello, world!  ")


@given(st.text())
def test_the_pieces_are_as_many_as_counted_and_join_to_the_text(text: str) -> None:
    """No text is lost in a stream, and usage counts exactly its chunks."""
    pieces = split_tokens(text)

    assert count_tokens(text) == len(pieces)
    assert (text if pieces else "") == "".join(pieces)


def test_a_megabyte_of_spaces_is_counted_in_no_time() -> None:
    """Counting takes time linear in the text: no prompt can hold the server up."""
    assert 1 == count_tokens(" " * 1_000_000 + "x")
    assert 1 == len(split_tokens(" " * 1_000_000 + "x"))
