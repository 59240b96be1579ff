"""Characters that a provider cut in two."""

import litellm
import orjson
from litellm.types.utils import Choices, Message

from scalix_callbacks.proxy.halves import mend_answer


def test_a_whole_answer_holds_no_half_of_a_character():
    """LiteLLM's object, down to the arguments of a tool."""
    tool = {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": "\ud83d"}'}}
    message = Message(content="a\ud83d b", tool_calls=[tool], reasoning_content="\ud83d\ude00")
    answer = litellm.ModelResponse(choices=[Choices(message=message)])
    mend_answer(answer)
    told = orjson.loads(answer.model_dump_json())["choices"][0]["message"]

    assert "a\ufffd b" == told["content"]
    assert "\U0001f600" == told["reasoning_content"]
    assert '{"a": "\ufffd"}' == told["tool_calls"][0]["function"]["arguments"]


def test_an_answer_in_anthropics_form_holds_none_either():
    """It is a dict; what is no text stays as it is."""
    answer = {
        "content": [{"type": "text", "text": "\ude00"}, "\ud83d"],
        "usage": {"input_tokens": 7},
        "stop": None,
    }
    mend_answer(answer)

    content = [{"type": "text", "text": "\ufffd"}, "\ufffd"]
    assert {"content": content, "usage": {"input_tokens": 7}, "stop": None} == answer
