"""What a whole answer used, reported or estimated, in the forms of all endpoints."""

import litellm
import pytest
from litellm.types.llms.openai import ResponsesAPIResponse
from litellm.types.utils import (
    ChatCompletionMessageToolCall,
    Choices,
    EmbeddingResponse,
    Function,
    Message,
    TextChoices,
    TextCompletionResponse,
)

from scalix_callbacks.core.usage import Usage
from scalix_callbacks.proxy.whole_reading import is_answer, tell_estimated, usage_of

ZEROS = litellm.Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
SAID = "word " * 100


def chat(message: Message, usage: litellm.Usage = ZEROS) -> litellm.ModelResponse:
    return litellm.ModelResponse(choices=[Choices(message=message)], usage=usage)


def responses(output: list[object]) -> ResponsesAPIResponse:
    return ResponsesAPIResponse(id="resp_1", created_at=1, output=output, usage=None)  # type: ignore[arg-type]  # dicts do


def test_a_report_is_taken_as_it_is():
    """And left alone in the answer."""
    answer = chat(Message(content=SAID), litellm.Usage(prompt_tokens=7, completion_tokens=2, total_tokens=9))
    used = usage_of(answer, 99)
    tell_estimated(answer, used)

    assert Usage(7, 2) == used
    assert 9 == answer.usage.total_tokens


@pytest.mark.parametrize(
    "answer",
    [
        chat(Message(content=SAID)),
        chat(Message(content=None, reasoning_content=SAID)),
        chat(
            Message(
                content=None,
                tool_calls=[ChatCompletionMessageToolCall(function=Function(name="write", arguments=SAID))],
            )
        ),
        TextCompletionResponse(choices=[TextChoices(text=SAID)]),
        responses([{"type": "message", "content": [{"type": "output_text", "text": SAID}]}]),
        responses([{"type": "function_call", "name": "write", "arguments": SAID}]),
        {"content": [{"type": "text", "text": SAID}]},
        {"content": [{"type": "thinking", "thinking": SAID}]},
        {"content": [{"type": "tool_use", "name": "write", "input": {"text": SAID}}]},
    ],
)
def test_without_a_report_the_text_is_counted(answer):
    """All that a model said, thought or called costs; the prompt is what was estimated before."""
    used = usage_of(answer, 99)

    assert (99, True) == (used.prompt_tokens, used.is_estimated)
    assert used.completion_tokens is not None
    assert 100 <= used.completion_tokens <= 200


def test_embeddings_have_no_completion():
    """Whether or not they report a usage."""
    reported = EmbeddingResponse(usage=litellm.Usage(prompt_tokens=5, total_tokens=5))

    assert Usage(5, 0) == usage_of(reported, 99)
    assert Usage(99, 0, is_estimated=True) == usage_of(EmbeddingResponse(usage=ZEROS), 99)


def test_an_estimate_is_told_in_the_place_of_zeros():
    """The answer and the record say the same."""
    answer, message = chat(Message(content=SAID)), {"usage": {"input_tokens": 0, "output_tokens": 0}}
    for each in (answer, message, {"usage": None}):
        tell_estimated(each, Usage(3, 4, is_estimated=True))

    assert (3, 4, 7) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        answer.usage.total_tokens,
    )
    assert {"input_tokens": 3, "output_tokens": 4} == message["usage"]


TOLD = litellm.Usage(prompt_tokens=7, completion_tokens=0, total_tokens=7)


@pytest.mark.parametrize(
    "answer",
    [
        chat(Message(content="Hello")),
        chat(Message(content=""), TOLD),
        litellm.ModelResponse(choices=[Choices(message=Message(content=""), finish_reason="content_filter")]),
        TextCompletionResponse(choices=[TextChoices(text="Hello")]),
        responses([{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]),
        {"type": "message", "content": [{"type": "text", "text": "Hello"}]},
        {"type": "message", "content": [], "usage": {"input_tokens": 7, "output_tokens": 0}},
        {"type": "message", "content": [], "stop_reason": "refusal"},
    ],
)
def test_an_answer_is_one(answer):
    """A word, why there is none, or that something was used for it."""
    assert is_answer(answer)


def failed() -> ResponsesAPIResponse:
    said = responses([{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}])
    said.error = {"code": "server_error", "message": "no"}
    return said


@pytest.mark.parametrize(
    "answer",
    [
        chat(Message(content="")),
        chat(Message(content=None)),
        litellm.ModelResponse(choices=[]),
        TextCompletionResponse(choices=[TextChoices(text="")]),
        responses([]),
        responses([{"type": "message", "content": []}]),
        failed(),
        {},
        {"result": "Hello"},
        {"content": "Hello", "usage": {"input_tokens": 7, "output_tokens": 2}},
        {"type": "message", "content": []},
        {"type": "message", "content": [], "stop_reason": "end_turn"},
        {"type": "error", "error": {"message": "no"}},
    ],
)
def test_whatever_json_a_provider_sends_is_none(answer):
    """LiteLLM makes an answer of each of these."""
    assert not is_answer(answer)
