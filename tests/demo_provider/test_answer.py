"""What the model says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.demo_provider.answer import (
    ArgumentsToken,
    Choice,
    TextToken,
    ToolCallToken,
    in_sending_order,
    make_choices,
)
from scalix_callbacks.demo_provider.script import FinishReason, Script, ToolCall
from scalix_callbacks.demo_provider.tokens import count_tokens


def one(script: Script, max_tokens: int | None = None) -> Choice:
    return make_choices(script, 1, max_tokens)[0]


def test_the_default_answer_is_a_sentence_that_says_who_speaks() -> None:
    """A newcomer sees a whole, friendly answer and knows it is no real model."""
    choice = one(Script())

    text = (
        "Hello from the Scalix demo provider! This answer is made up on your own machine: "
        "no key and no network needed."
    )
    assert text == choice.text
    assert 24 == len(choice.tokens)
    assert FinishReason.STOP == choice.finish_reason


@given(st.integers(0, 400), st.integers(1, 16))
def test_every_length_is_met_and_no_token_follows_itself(tokens: int, count: int) -> None:
    """LiteLLM ends a stream that repeats one chunk 100 times; ours never repeats one."""
    for choice in make_choices(Script(tokens=tokens), count, None):
        assert tokens == len(choice.tokens)
        assert tokens == count_tokens(choice.text)
        assert all(one != other for one, other in zip(choice.tokens, choice.tokens[1:], strict=False))


def test_choices_differ() -> None:
    """Several choices can be told apart, and each says who speaks."""
    texts = [choice.text for choice in make_choices(Script(), 4, None)]

    assert 4 == len(set(texts))
    assert all("Scalix demo provider" in text for text in texts)


@pytest.mark.parametrize(
    ("script", "max_tokens", "text", "reason"),
    [
        (Script(text="One two three."), None, "One two three.", "stop"),
        (Script(text="One two three."), 4, "One two three.", "stop"),
        (Script(text="One two three."), 3, "One two three", "length"),
        (Script(text="One two three.", tokens=2), None, "One two", "stop"),
        (Script(text="ha", tokens=3), None, "hahaha", "stop"),
        (Script(text="", tokens=3), None, "", "stop"),
        (Script(tokens=2), None, "Hello from", "stop"),
        (Script(tokens=2), 1, "Hello", "length"),
        (Script(tokens=2, finish_reason=FinishReason.CONTENT_FILTER), 1, "Hello", "content_filter"),
    ],
)
def test_length_and_finish_reason(script: Script, max_tokens: int | None, text: str, reason: str) -> None:
    """An answer cut by the request ends with `length`, one that is just short with `stop`."""
    choice = one(script, max_tokens)

    assert (text, reason) == (choice.text, choice.finish_reason)


def test_a_tool_call_is_its_name_and_the_tokens_of_its_arguments() -> None:
    """Tool calls can be streamed and cut like text."""
    script = Script(text="Let me", tool_calls=(ToolCall("f", "{}"), ToolCall("g", "[1]", "call_7")))
    choice = one(script)

    expected = (
        TextToken("Let"),
        TextToken(" me"),
        ToolCallToken(0, "call_demo_0_0", "f"),
        ArgumentsToken(0, "{"),
        ArgumentsToken(0, "}"),
        ToolCallToken(1, "call_7", "g"),
        ArgumentsToken(1, "["),
        ArgumentsToken(1, "1"),
        ArgumentsToken(1, "]"),
    )
    assert expected == choice.tokens
    assert ["{}", "[1]"] == [call.arguments for call in choice.tool_calls]
    assert FinishReason.TOOL_CALLS == choice.finish_reason
    assert expected[:4] == one(script, 4).tokens
    assert FinishReason.LENGTH == one(script, 4).finish_reason


def test_choices_are_sent_in_turns() -> None:
    """Choices grow side by side, as from a real provider."""
    a, b, c = TextToken("a"), TextToken("b"), TextToken("c")
    choices = (Choice(0, (a, b), FinishReason.STOP), Choice(1, (c,), FinishReason.STOP))

    assert [(0, a), (1, c), (0, b)] == list(in_sending_order(choices))
