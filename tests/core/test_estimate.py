"""The guess at a prompt's tokens: near, never below its words, and cheap whatever is sent."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from scalix_callbacks.core.bodies import screen
from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.estimate import (
    ATTACHMENT_TOKENS,
    CALL_TOKENS,
    IMAGE_TOKENS,
    MAX_LOOKED_AT,
    MESSAGE_TOKENS,
    prompt_tokens,
    text_tokens,
)
from scalix_callbacks.core.routes import Endpoint

EMPTY_CHAT = CALL_TOKENS + MESSAGE_TOKENS
TEN_MB = 10_000_000
DATA_URL = "data:image/png;base64," + "A" * 100_000


def user(content: object, **more: object) -> dict[str, Any]:
    """A chat of one message."""
    return {"messages": [{"role": "user", "content": content, **more}]}


def chat(body: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> int:
    """What a chat counts beside its one message's frame."""
    return prompt_tokens(Endpoint.CHAT, body, options) - EMPTY_CHAT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("a" * 400, 100),
        ("a b c d", 4),
        ("  a  \n\t b  ", 3),  # 11 characters; two words
        ("a" + " " * 1_000 + "b", 251),  # a run of spaces parts two words, not a thousand
        ("мир", 2),  # 3 x 5/8
        ("中文字", 3),
        ("😀" * 8, 11),
        ("\ud800", 1),
        ("\u3000中\u3000中", 4),
        ("a\u00a0b", 2),
        ("a\u2003b\u2003c", 3),
        ("a\x1cb\x85c", 3),
    ],
)
def test_a_text_counts_by_its_length_and_its_words(text: str, expected: int) -> None:
    """Four ASCII characters, or one of Chinese, are a token; a word is at least one."""
    assert expected == text_tokens(text)


@given(st.text(alphabet=st.characters() | st.sampled_from(" \n\t\u00a0\u2003\u3000ab"), max_size=60))
def test_there_are_never_fewer_tokens_than_words(text: str) -> None:
    """In any script, with any white space."""
    assert len(text.split()) <= text_tokens(text)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_longer_text_never_counts_less_and_two_count_as_one(first: str, second: str) -> None:
    """To the rounding: nobody gains by cutting a text in parts, or loses much."""
    whole, parts = text_tokens(first + second), text_tokens(first) + text_tokens(second)

    assert max(text_tokens(first), text_tokens(second)) <= whole
    assert whole <= parts
    # Length adds up but for rounding; words that the cut makes of one, and the larger of two counts, do not.
    assert parts <= 2 * whole + 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a" * 40, 10),
        (None, 0),
        ([{"type": "text", "text": "a" * 40}], 10),
        ([{"type": "text", "text": "a" * 40}, {"type": "text", "text": "b" * 40}], 20),
        ([{"type": "image_url", "image_url": {"url": DATA_URL}}], IMAGE_TOKENS),
        ([{"type": "image_url", "image_url": {"url": "https://e.test/a.png"}}], IMAGE_TOKENS),
        ([{"type": "input_image", "image_url": DATA_URL}], IMAGE_TOKENS),
        ([{"type": "image", "source": {"type": "base64", "data": "A" * 100_000}}], IMAGE_TOKENS),
        ([{"type": "input_audio", "input_audio": {"data": "A" * 100_000}}], ATTACHMENT_TOKENS),
        ([{"type": "file", "file": {"file_data": "A" * 100_000}}], ATTACHMENT_TOKENS),
        ([{"type": "input_file", "file_data": "A" * 100_000}], ATTACHMENT_TOKENS),
        ([{"type": "video_url", "video_url": {"url": DATA_URL}}], ATTACHMENT_TOKENS),
        ([{"type": "document", "source": {"type": "base64", "data": "A" * 100_000}}], ATTACHMENT_TOKENS),
        # {"type":"text","data":"…"} is 25 characters and the text
        ([{"type": "document", "source": {"type": "text", "data": "a" * 99}}], 31),
        ([{"type": "refusal", "refusal": "a" * 40}], 10),
        ([{"type": "thinking", "thinking": "a" * 40, "signature": "A" * 9_999}], 10),
        ([{"type": "tool_use", "id": "x" * 99, "name": "read", "input": {"a": "b" * 31}}], 1 + 10),
        ([{"type": "tool_result", "tool_use_id": "abcd", "content": "a" * 40}], 1 + 10),
        (
            [{"type": "tool_result", "tool_use_id": "abcd", "content": [{"type": "text", "text": "a" * 40}]}],
            1 + 10,
        ),
        # An image does not hide the text beside it.
        ([{"type": "image_url", "text": "a" * 40}], IMAGE_TOKENS + 10),
        (["a" * 40], 10),
        # An unknown part counts by its JSON, without what a data URL holds: {"url":""}.
        ([{"type": "hologram", "x": {"url": DATA_URL}}], 3),
        # {"url":"…"} is 10 characters and the text
        ([{"type": "hologram", "x": {"url": "a" * 90}}], 25),
    ],
)
def test_each_kind_of_content_counts(content: object, expected: int) -> None:
    """Texts by length, pictures and attachments flat."""
    assert expected == chat(user(content))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"name": "anna"}, 1),
        ({"tool_call_id": "abcd"}, 1),
        # [{"function":{"arguments":"…"}}] is 31 characters and the text
        ({"tool_calls": [{"function": {"arguments": "a" * 9}}]}, 10),
        ({"reasoning_content": "a" * 40}, 10),
        ({"cache_control": {"type": "ephemeral"}}, 0),
    ],
)
def test_what_a_message_holds_beside_its_content_counts(more: dict[str, Any], expected: int) -> None:
    """Tool calls and names are part of the prompt; switches are not."""
    assert expected == chat(user("", **more))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("tools", [{"a": "b" * 30}], 10),  # [{"a":"…"}] is 10 characters
        ("functions", [{"a": "b" * 30}], 10),
        ("response_format", {"a": "b" * 32}, 10),
        ("system", "a" * 40, 10),
        ("system", [{"type": "text", "text": "a" * 40}], 10),
        ("prediction", {"type": "content", "content": "a" * 40}, 10),
        ("temperature", 0.123456789, 0),
        ("stop", ["a" * 1_000], 0),
    ],
)
def test_what_goes_with_the_messages_counts(field: str, value: object, expected: int) -> None:
    """Tools and schemas by the length of their JSON; sampling settings not at all."""
    added = chat({**user("abcd"), field: value}) - chat(user("abcd"))

    assert expected == added


def test_each_message_has_a_small_price() -> None:
    """Ten empty ones are not free."""
    body = {"messages": [{"role": "user", "content": ""}] * 10}

    assert CALL_TOKENS + 10 * MESSAGE_TOKENS == prompt_tokens(Endpoint.CHAT, body)


def test_the_apps_files_count() -> None:
    """In engine mode the user's code is only there."""
    files = [{"path": "a.py", "content": "x" * 400}, {"path": "b.py", "content": "y" * 40}]

    assert (4 + 1 + 100) + (4 + 1 + 10) == chat(user(""), {"files": files, "enable_lazy_edits": True})
    assert 0 == chat(user(""), {"enable_lazy_edits": True})


@pytest.mark.parametrize(
    ("endpoint", "body", "expected"),
    [
        (Endpoint.EMBEDDINGS, {"input": "a" * 40}, 10),
        (Endpoint.EMBEDDINGS, {"input": ["a" * 40, "b" * 40]}, 20),
        (Endpoint.EMBEDDINGS, {"input": [1, 2, 3]}, 3),
        (Endpoint.EMBEDDINGS, {"input": [[1, 2, 3], [4]]}, 4),
        (Endpoint.EMBEDDINGS, {}, 0),
        (Endpoint.COMPLETIONS, {"prompt": "a" * 40}, 10),
        (Endpoint.COMPLETIONS, {"prompt": ["a" * 40, "b" * 40]}, 20),
        (Endpoint.COMPLETIONS, {"prompt": "a" * 40, "suffix": "b" * 40}, 20),
        (Endpoint.RESPONSES, {"input": "a" * 40}, 3 + 10),
        (Endpoint.RESPONSES, {"input": "a" * 40, "instructions": "b" * 40}, 3 + 20),
        # {"format":"…"} is 13 characters
        (Endpoint.RESPONSES, {"input": "a" * 40, "text": {"format": "a" * 27}}, 3 + 20),
        (
            Endpoint.RESPONSES,
            {"input": [{"type": "message", "role": "user", "content": "a" * 40}]},
            3 + 4 + 10,
        ),
        (
            Endpoint.RESPONSES,
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a" * 40}]}]},
            3 + 4 + 10,
        ),
        (
            Endpoint.RESPONSES,
            {"input": [{"type": "function_call", "name": "read", "arguments": "a" * 40, "call_id": "abcd"}]},
            3 + 1 + 10 + 1,
        ),
        (
            Endpoint.RESPONSES,
            {"input": [{"type": "function_call_output", "call_id": "abcd", "output": "a" * 40}]},
            3 + 1 + 10,
        ),
        (
            Endpoint.RESPONSES,
            {
                "input": [
                    {
                        "type": "computer_call_output",
                        "call_id": "abcd",
                        "output": {"type": "computer_screenshot", "image_url": DATA_URL},
                    }
                ]
            },
            3 + 1 + 1_000,
        ),
        (
            Endpoint.RESPONSES,
            {"input": [{"type": "image_generation_call", "result": "A" * 9_999}]},
            3 + 1_000,
        ),
        (
            Endpoint.MESSAGES,
            {"system": "a" * 40, "messages": [{"role": "user", "content": "b" * 40}]},
            3 + 4 + 20,
        ),
    ],
)
def test_each_endpoint_s_prompt_counts(endpoint: Endpoint, body: dict[str, Any], expected: int) -> None:
    """Token ids exactly; a bare text has no frame."""
    assert expected == prompt_tokens(endpoint, body)


def cpu_seconds(work: Callable[[], object]) -> float:
    """What it takes of this thread's own time."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def yardstick() -> None:
    """Five million steps of Python: about 100 ms where the counts below take 30, slow machine or fast."""
    for _ in range(5_000_000):
        pass


HUGE: Mapping[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "prose": (user("lorem ipsum " * (TEN_MB // 12)), None),
    "letters": (user("a " * (TEN_MB // 2)), None),
    "spaces": (user(" " * TEN_MB), None),
    "Chinese": (user("中文" * (TEN_MB // 6)), None),
    "mixed": (user("中文 é a " * (TEN_MB // 12)), None),
    "a picture": (user([{"type": "image_url", "image_url": {"url": DATA_URL * 99}}]), None),
    "an unknown part": (user([{"type": "hologram", "x": {"url": DATA_URL * 99}}]), None),
    "many parts": (user([{"type": "text", "text": "a"}] * 240_000), None),
    "many messages": ({"messages": [{"role": "user", "content": "a" * 2_000}] * 5_000}, None),
    "tools": ({**user("a"), "tools": [{"type": "function", "x": [{"a": 1}] * 240_000}]}, None),
    "files": (user("a"), {"files": [{"path": "a", "content": "b"}] * 160_000}),
}


@pytest.mark.parametrize("name", HUGE)
def test_ten_megabytes_are_counted_in_no_time(name: str) -> None:
    """Whatever they are made of. A loop over ten million characters would take several times as long."""
    body, options = HUGE[name]
    taken = [cpu_seconds(lambda: prompt_tokens(Endpoint.CHAT, body, options)) for _ in range(3)]

    assert min(taken) < min(cpu_seconds(yardstick) for _ in range(3))


def test_beyond_a_bound_parts_count_by_their_json() -> None:
    """Many small parts cannot make the count slow, and do not become free."""
    many = [{"type": "text", "text": "abcd"}] * (MAX_LOOKED_AT + 1_000)
    # The message and the first 9,999 parts are looked at; 1,001 more are 30 characters each, with commas.
    by_json = (1_001 * 30 + 1 + 3) // 4

    assert MAX_LOOKED_AT - 1 + by_json == chat(user(many))


def test_deep_nesting_is_counted_without_end_of_stack() -> None:
    """The screen lets 64 levels through."""
    content: object = "a" * 40
    for _ in range(60):
        content = [{"type": "tool_result", "content": content}]

    assert chat(user(content)) >= 10


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=9) | st.sampled_from(["type", "text", "content", "source", "output", "role"]),
            inner,
        )
    ),
    max_leaves=12,
)
parts = st.builds(
    lambda more, text: {**more, "type": "text", "text": text},
    st.dictionaries(st.text(max_size=9), json_values),
    st.text(max_size=20),
) | st.builds(lambda kind, source: {"type": kind, "source": source}, st.text(max_size=9), json_values)
messages = st.builds(
    lambda content, more: {**more, "role": "assistant", "content": content, "tool_calls": [more]},
    st.none() | st.text(max_size=20) | st.lists(parts, min_size=1, max_size=3),
    st.dictionaries(st.text(max_size=9), json_values, max_size=3),
)
objects = st.dictionaries(st.text(max_size=9), json_values, max_size=3)


@given(
    st.sampled_from([Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.RESPONSES]),
    st.lists(messages, min_size=1, max_size=3),
    st.lists(objects, max_size=2),
    objects,
)
def test_whatever_the_screen_lets_through_is_counted(
    endpoint: Endpoint, given: list[Any], tools: list[Any], form: dict[str, Any]
) -> None:
    """No shape of body fails, none is free, and more messages never count less."""
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": given,
        "input": given,
        "tools": [{**tool, "type": "function"} for tool in tools],
        "response_format": form,
        "text": form,
    }
    try:
        screened = screen(endpoint, orjson.loads(orjson.dumps(body)), internal=()).body
    except GatewayError:
        reject()
    name = "input" if endpoint is Endpoint.RESPONSES else "messages"
    longer = {**screened, name: [*screened[name], {"role": "user", "content": "more"}]}

    counted = prompt_tokens(endpoint, screened)

    assert CALL_TOKENS + MESSAGE_TOKENS <= counted
    assert counted + MESSAGE_TOKENS + 1 == prompt_tokens(endpoint, longer)


def test_half_a_character_is_counted() -> None:
    """No JSON parser of ours lets it through; an internal caller might."""
    assert 0 < chat({**user("\ud800"), "tools": [{"name": "\ud800"}]})
