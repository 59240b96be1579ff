"""An answer that holds the mark by which streams end."""

import json

import pytest
from litellm.llms.openai.chat.gpt_transformation import OpenAIChatCompletionStreamingHandler

from scalix_callbacks.proxy.repairs import done_marks


def line(content: str) -> str:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return "data: " + json.dumps({"id": "x", "created": 1, "model": "m", "choices": [choice]})


def stream() -> OpenAIChatCompletionStreamingHandler:
    return OpenAIChatCompletionStreamingHandler(iter(()), sync_stream=False)


@pytest.mark.parametrize("text", ["[DONE]", "data: [DONE]\n\n", "Streams end with `[DONE]`."])
def test_a_text_that_holds_the_mark_is_passed_on(text: str):
    """It was lost, and the stream seemed to end there."""
    done_marks.install()

    assert text == stream()._handle_string_chunk(str_line=line(text)).choices[0].delta.content


@pytest.mark.parametrize("end", ["data: [DONE]", "data:[DONE]", "[DONE]"])
def test_the_mark_alone_ends_a_stream(end: str):
    """As it did."""
    done_marks.install()

    assert stream()._handle_string_chunk(str_line=end)["is_finished"]


def test_litellm_still_loses_such_a_text():
    """When it does not any more, this repair can go."""
    assert "" == done_marks._original(stream(), line("[DONE]"))["text"]
