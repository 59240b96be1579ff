"""What is taken from a stream as it passes: text, usage, and which event is the last."""

from types import SimpleNamespace

import pytest
from litellm.types.llms.openai import ResponsesAPIStreamEvents
from litellm.types.utils import (
    Delta,
    ModelResponseStream,
    StreamingChoices,
    TextChoices,
    TextCompletionResponse,
    Usage,
)
from pydantic import BaseModel

from scalix_callbacks.core.usage import Usage as Used
from scalix_callbacks.proxy.stream_reading import StreamReading, is_last_event

REPORT = Usage(prompt_tokens=7, completion_tokens=2, total_tokens=9)


def chunk(content: str | None = None, usage: Usage | None = None, **choice: object) -> ModelResponseStream:
    choices = [StreamingChoices(delta=Delta(content=content), **choice)]
    return ModelResponseStream(choices=choices, **({"usage": usage} if usage else {}))


def text_chunk(text: str | None, usage: Usage | None) -> TextCompletionResponse:
    made = TextCompletionResponse(choices=[TextChoices(text=text)])
    made.usage = usage
    return made


def test_what_is_reported_is_what_was_used():
    """The chunk that holds nothing else is kept back: ours, the last, tells it."""
    reading = StreamReading()
    passed = [reading.take(each) for each in (chunk("Hello"), chunk("", finish_reason="stop"))]

    assert None is reading.take(chunk(usage=REPORT))
    assert None not in passed
    assert Used(7, 2) == reading.usage(99)


def test_the_first_chunk_is_the_first_that_says_something():
    """An empty one may be of a model that failed behind it: another one answers."""
    reading = StreamReading()
    chunks = [chunk(), chunk("Hello"), chunk(" there"), chunk(usage=REPORT)]
    for each in chunks:
        reading.take(each)

    assert chunks[1] is reading.first


def test_usage_beside_text_is_taken_off():
    """Clients read one chunk with usage."""
    reading = StreamReading()
    passed = reading.take(chunk("Hello", usage=REPORT))

    assert "Hello" == passed.choices[0].delta.content
    assert None is passed.usage
    assert Used(7, 2) == reading.usage(99)


def test_zeros_in_a_text_completion_are_no_report():
    """LiteLLM puts them into every chunk when nobody asked for the usage."""
    reading = StreamReading()
    passed = reading.take(text_chunk("Hello", Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)))

    assert ("Hello", None) == (passed.choices[0].text, passed.usage)
    assert Used(99, 2, is_estimated=True) == reading.usage(99)


def test_what_litellm_counted_itself_is_an_estimate():
    """It ends a stream with usage even when its provider told none; the provider's chunks show it."""
    reading = StreamReading()
    reading.take(chunk(usage=REPORT))
    silent, telling = SimpleNamespace(chunks=[chunk("Hello")]), SimpleNamespace(chunks=[chunk(usage=REPORT)])

    assert Used(7, 2, is_estimated=True) == reading.usage(99, silent)
    assert Used(7, 2) == reading.usage(99, telling)
    assert Used(7, 2) == reading.usage(99, SimpleNamespace(chunks=[]))
    assert Used(7, 2) == reading.usage(99, object())


class Event(BaseModel):
    type: object


@pytest.mark.parametrize("kind", list(ResponsesAPIStreamEvents))
def test_the_last_event_is_known_by_litellms_own_name(kind):
    """Of all events that LiteLLM knows, two end a stream well; one that failed is raised by LiteLLM."""
    is_last = kind.value in ("response.completed", "response.incomplete")

    assert is_last == is_last_event(Event(type=kind)) == is_last_event(Event(type=kind.value))


def anthropic(*events: str) -> bytes:
    return "".join(f"event: x\ndata: {event}\n\n" for event in events).encode()


STARTED = '{"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1}}}'
SAID = '{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "one two three four"}}'
ENDED = '{"type": "message_delta", "usage": {"output_tokens": 200}}'


@pytest.mark.parametrize("step", [1, 7, 97, 10_000])
def test_events_cut_by_the_network_are_read_and_go_on_whole(step: int):
    """Anthropic's streams pass as the bytes that the network brings."""
    reading, whole = StreamReading(), anthropic(STARTED, SAID, SAID, ENDED)
    passed = [reading.take(whole[at : at + step]) for at in range(0, len(whole), step)]

    assert whole == b"".join(each for each in passed if each is not None)
    assert all(each.endswith(b"\n\n") for each in passed if each is not None)
    assert Used(25, 200) == reading.usage(99)


def test_what_is_no_whole_event_comes_last():
    reading = StreamReading()

    assert None is reading.take(ENDED.join(("data:", "")))
    assert f"data:{ENDED}".encode() == reading.rest()
    assert Used(99, 200, is_estimated=True) == reading.usage(99)


def test_a_cut_stream_counts_what_was_received_whatever_its_beginning_said():
    """Anthropic's first event tells one token of answer; others tell none."""
    reading = StreamReading()
    reading.take(anthropic(STARTED, SAID, SAID))

    assert Used(25, 9, is_estimated=True) == reading.usage(99, is_cut=True)
    reading.take(anthropic(ENDED))
    assert Used(25, 200, is_estimated=True) == reading.usage(99, is_cut=True)


@pytest.mark.parametrize("step", [5, 10_000])
def test_an_error_event_is_seen_and_kept_back(step: int):
    """It holds the provider's own words; what came before it goes on."""
    reading, begun = StreamReading(), anthropic(STARTED, SAID)
    whole = begun + anthropic('{"type": "error", "error": {"message": "Overloaded"}}')
    passed = [reading.take(whole[at : at + step]) for at in range(0, len(whole), step)]

    assert reading.has_failed
    assert begun == b"".join(each for each in passed if each is not None)


def test_an_event_without_an_end_is_not_kept():
    """Whatever a provider sends, this holds a bounded part of it; it goes on, unread."""
    reading = StreamReading()
    passed = [reading.take(b"x" * 900_000) for _ in range(3)]
    reading.take(b"\n\n" + anthropic(ENDED))

    assert [None, 1_800_000, None] == [each and len(each) for each in passed]
    assert 200 == reading.usage(99).completion_tokens


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        (["a\ud83d", "\ude00b"], ["a", "\U0001f600b"]),
        (["\ud83d", "", "\ude00"], ["", "", "\U0001f600"]),
        (["a\ud83d", "b"], ["a", "\ufffdb"]),
        (["\ude00b", "\ud83d\ude00", "c\ud83d"], ["\ufffdb", "\U0001f600", "c"]),
    ],
)
@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_a_character_cut_in_two_is_made_whole(sent: list[str], passed: list[str], field: str):
    """JSON lets a provider send half of it at a time; it was an error 500, for no UTF-8 holds a half."""
    reading = StreamReading()
    chunks = [ModelResponseStream(choices=[StreamingChoices(delta=Delta(**{field: text}))]) for text in sent]

    assert passed == [getattr(reading.take(each).choices[0].delta, field) for each in chunks]
    assert all(each.model_dump_json() for each in chunks)


def test_halves_of_each_choice_and_argument_find_each_other():
    """The answers of one request come in turn, and so do the calls of tools."""
    reading = StreamReading()

    def two(first: str, second: str) -> ModelResponseStream:
        tool = {"index": 0, "id": None, "type": "function", "function": {"name": None, "arguments": first}}
        deltas = (Delta(content=first), Delta(content=second), Delta(tool_calls=[tool]))
        return ModelResponseStream(choices=[StreamingChoices(index=i, delta=d) for i, d in enumerate(deltas)])

    reading.take(two("\ud83d", "x\ud83d"))
    choices = reading.take(two("\ude00", "\ude01")).choices

    assert ["\U0001f600", "\U0001f601"] == [each.delta.content for each in choices[:2]]
    assert "\U0001f600" == choices[2].delta.tool_calls[0].function.arguments
