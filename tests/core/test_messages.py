"""What the messages of a chat may hold."""

from typing import Any

import pytest

from scalix_callbacks.core.messages import messages_problem

HELLO = {"role": "user", "content": "Hello"}


def parts(*content: dict[str, Any]) -> list[dict[str, Any]]:
    """One message of these."""
    return [{"role": "user", "content": [*content]}]


@pytest.mark.parametrize(
    "messages",
    [
        [HELLO],
        [{"role": "system", "content": "x"}, {"role": "developer", "content": "y"}],
        parts(
            {"type": "text", "text": "x"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            {"type": "image_url", "image_url": "https://example.com/x.png"},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
        ),
        # Anthropic's, whose values have other names; and what is to come.
        parts({"type": "image", "source": {"type": "base64", "data": "x"}}, {"type": "thinking"}),
        parts({"type": "tool_use", "id": "1", "name": "t", "input": {}}, {"type": "tool_result"}),
        [
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "content": "x"},
        ],
        [{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}],
        [{"role": "assistant", "tool_calls": None, "function_call": None}],
        [{"role": "function", "content": None, "name": "f"}],
        [{"role": "user", "content": "𝄞 ﷽ \u202e \u0000"}],
        [HELLO] * 5_000,
    ],
)
def test_what_clients_send_is_taken(messages: list[Any]) -> None:
    """OpenAI's and Anthropic's forms of it."""
    assert messages_problem(messages) is None


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (1, "objects"),
        (None, "objects"),
        ("Hello", "objects"),
        ({}, "a role"),
        ({"role": "root", "content": "x"}, "a role"),
        ({"role": ["user"], "content": "x"}, "a role"),
        ({"role": None, "content": "x"}, "a role"),
        ({"role": "user"}, "content is a text"),
        ({"role": "user", "content": None}, "content is a text"),
        ({"role": "user", "content": 1}, "content is a text"),
        ({"role": "user", "content": []}, "content is a text"),
        ({"role": "user", "content": {}}, "content is a text"),
        (parts("Hello")[0], "objects with a type"),  # type: ignore[arg-type]  # that is the mistake
        (parts({"text": "x"})[0], "objects with a type"),
        (parts({"type": 1})[0], "objects with a type"),
        (parts({"type": "text"})[0], "text hold a text"),
        (parts({"type": "text", "text": ["x"]})[0], "text hold a text"),
        (parts({"type": "image_url"})[0], "image_url hold an object with its url"),
        (parts({"type": "image_url", "image_url": 1})[0], "image_url hold"),
        (parts({"type": "image_url", "image_url": {}})[0], "image_url hold"),
        (parts({"type": "image_url", "image_url": {"url": None}})[0], "image_url hold"),
        (parts({"type": "input_audio", "input_audio": 1})[0], "input_audio hold an object"),
        (parts({"type": "file"})[0], "file hold an object"),
        (parts({"type": "image"})[0], "image have a source, an object"),
        (parts({"type": "document", "source": "x"})[0], "document have a source, an object"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls"),
        ({"role": "assistant", "tool_calls": ["x"]}, "tool_calls"),
        ({"role": "assistant", "tool_calls": [{"id": "1", "function": 1}]}, "tool_calls"),
        ({"role": "assistant", "content": "x", "function_call": 1}, "function_call"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(message: Any, told: str) -> None:
    """LiteLLM would stumble over it, or a provider, in words that help nobody."""
    problem = messages_problem([HELLO, message])

    assert problem is not None
    assert told in problem
    assert "entry 1" in problem


@pytest.mark.parametrize("value", [None, "Hello", {}, [], [HELLO] * 5_001])
def test_it_is_a_list_of_some(value: Any) -> None:
    """Of 5,000 at most."""
    assert "a list of 1 to 5000 messages" == messages_problem(value)
