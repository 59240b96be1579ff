"""At what LiteLLM stumbled, told by where it was."""

import asyncio
import json
from typing import Any
from unittest.mock import MagicMock

import httpx
import litellm
import pytest
from litellm.llms.anthropic.pass_through.messages.transformation import AnthropicMessagesConfig
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.responses.streaming_iterator import ResponsesAPIStreamingIterator

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.proxy import raised_in
from scalix_callbacks.proxy.errors import categorise


def raised(read: Any) -> Exception:
    try:
        read()
    except Exception as error:  # whichever: that is what is asked here
        return error
    raise AssertionError("it was read")


class Answer:
    """Of a provider, with JSON that is no object."""

    status_code, text, headers = 200, "[]", {}  # type: ignore[var-annotated]  # nothing in them

    def json(self) -> Any:
        return json.loads(self.text)


def a_list() -> None:
    AnthropicMessagesConfig().transform_anthropic_messages_response("m", Answer(), None)  # type: ignore[arg-type]  # enough of one


def an_event_of_nothing() -> None:
    stream = httpx.Response(200, content=b"data: {}\n\n")
    logging = MagicMock(completion_start_time=1)
    events = ResponsesAPIStreamingIterator(stream, "m", OpenAIResponsesAPIConfig(), logging)
    asyncio.run(events._next_event())


@pytest.mark.parametrize("read", [a_list, an_event_of_nothing])
def test_an_answer_of_another_shape_is_its_providers_failure(read: Any) -> None:
    """LiteLLM raises what Python raises, which else would be a bug of ours."""
    error = raised(read)

    assert isinstance(error, TypeError | LookupError | ValueError | AttributeError)
    assert raised_in.at_an_answer(error)
    assert ErrorCategory.PROVIDER_ERROR is categorise(error)


def test_a_bug_of_our_own_is_none() -> None:
    """It came through no function of LiteLLM's."""
    error = raised(lambda: {}["x"])  # type: ignore[index]  # that is the bug

    assert ErrorCategory.INTERNAL is categorise(error)


QUOTED = (
    "litellm.APIConnectionError: AzureException APIConnectionError - Expecting value: line 1\n"
    "Traceback (most recent call last):\n"
    '  File "x.py", line 1, in __anext__\n'
    "{raised}\n\n\nLiteLLM: model group 'm' failed with the error above."
)


@pytest.mark.parametrize(
    ("last", "category"),
    [
        ("json.decoder.JSONDecodeError: Expecting value", ErrorCategory.PROVIDER_ERROR),
        ("AttributeError: 'list' object has no attribute 'get'", ErrorCategory.PROVIDER_ERROR),
        ("openai.APIError: something happened", ErrorCategory.PROVIDER_ERROR),
        ("httpx.ReadError", ErrorCategory.NETWORK_ERROR),
        ("openai.APIConnectionError: Connection error.", ErrorCategory.NETWORK_ERROR),
    ],
)
def test_of_a_stream_litellm_keeps_the_traceback_alone(last: str, category: ErrorCategory) -> None:
    """Its last line tells an answer that could not be read from a connection that broke."""
    error = litellm.APIConnectionError(QUOTED.format(raised=last), "azure", "m")

    assert category is categorise(error)


def test_an_error_that_came_with_200_is_an_answer() -> None:
    """LiteLLM makes a broken connection of it."""
    try:
        try:
            raise BaseLLMException(200, "{'message': 'no', 'type': 'server_error'}")
        except BaseLLMException:
            raise litellm.APIConnectionError("AnthropicException - no", "anthropic", "m")  # noqa: B904  # as LiteLLM does
    except litellm.APIConnectionError as error:
        assert ErrorCategory.PROVIDER_ERROR is categorise(error)
