"""At what LiteLLM stumbled: the caller's request, or the provider's answer. Its exceptions do not say."""

import re
from traceback import walk_tb

MAX_FRAMES = 60


def at_a_request(error: BaseException) -> bool:
    """Whether it was raised while LiteLLM translated the caller's request for the provider."""
    return _came_through(error, _REQUEST_BUILDERS)


def at_an_answer(error: BaseException) -> bool:
    """Whether it was raised while LiteLLM translated what the provider had answered."""
    return _came_through(error, _ANSWER_READERS)


def quotes_an_answer(text: str) -> bool:
    """Whether it quotes the traceback of an unreadable answer; of a stream, LiteLLM keeps no more."""
    return _UNREADABLE.search(text) is not None


def _came_through(error: BaseException, functions: frozenset[str]) -> bool:
    frames = zip(range(MAX_FRAMES), walk_tb(error.__traceback__), strict=False)
    return any(frame.f_code.co_name in functions for _, (frame, _) in frames)


_REQUEST_BUILDERS = frozenset(
    {
        "_transform_messages",
        "_transform_request_body",
        "async_transform_request",
        "get_optional_params",
        "transform_request",
        "translate_completion_input_params_with_tool_mapping",
        "update_messages_with_model_file_ids",
        "validate_and_fix_openai_messages",
        "validate_and_fix_openai_tools",
    }
)
"""LiteLLM's functions that read a request; what fails in them is in the request."""
_ANSWER_READERS = frozenset(
    {
        "_next_event",
        "chunk_parser",
        "convert_to_text_completion_object",
        "transform_anthropic_messages_response",
        "transform_response",
        "transform_response_api_response",
        "transform_streaming_response",
    }
)
"""Those that read an answer; they stumble over one of another shape."""
_UNREADABLE = re.compile(
    r"^(?:[\w.]+\.)?(?:JSONDecode|Type|Value|Key|Index|Attribute|Validation|API)Error: ", re.MULTILINE
)
"""The last line of such a traceback. The SDK's APIError is an error that was told within a stream."""
