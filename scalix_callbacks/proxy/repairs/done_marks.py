"""1.106.2: a chunk whose text holds `[DONE]` is taken for the end of a stream.

So a model that writes about event streams loses text, and a false `finish_reason` comes in its place.
"""

from typing import Any

from litellm.llms.base_llm.base_model_iterator import BaseModelResponseIterator

MARK = "[DONE]"

_original = BaseModelResponseIterator._handle_string_chunk


def install() -> None:
    """Only a line that is no JSON ends a stream. Done again, it changes nothing more."""
    BaseModelResponseIterator._handle_string_chunk = _handle_string_chunk


def _handle_string_chunk(self: BaseModelResponseIterator, str_line: str) -> Any:
    if isinstance(str_line, str) and MARK in str_line:
        told = self._string_to_dict_parser(str_line)
        if isinstance(told, dict) and told:
            return self.chunk_parser(chunk=told)
    return _original(self, str_line)
