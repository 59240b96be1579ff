"""What providers report, whatever their API calls it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.usage import MAX_TOKENS, UNKNOWN, Usage, parse_usage

OPENAI = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
}
RESPONSES = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 12},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}
ANTHROPIC = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 20,
    "output_tokens": 7,
}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (OPENAI, Usage(19, 10, 8, 4)),
        (RESPONSES, Usage(36, 87, 12, 64)),
        (ANTHROPIC, Usage(125, 7, 20, None, cache_written_tokens=100)),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8, 0)),
        ({"prompt_tokens": 8, "completion_tokens": None}, Usage(8, None)),
        ({"completion_tokens": 8}, Usage(None, 8)),
        ({"prompt_tokens": 8, "completion_tokens": 0}, Usage(8, 0)),
        ({"prompt_tokens": 8, "total_tokens": 3}, Usage(8, None)),
        # LiteLLM's form of Anthropic's: the prompt has the cache in it already.
        (
            {**ANTHROPIC, "prompt_tokens": 125, "completion_tokens": 7},
            Usage(125, 7, cache_written_tokens=100),
        ),
        ({**OPENAI, "prompt_tokens_details": None}, Usage(19, 10, None, 4)),
        ({**OPENAI, "completion_tokens_details": "many"}, Usage(19, 10, 8, None)),
    ],
)
def test_each_api_s_usage_is_understood(raw: dict[str, Any], expected: Usage) -> None:
    """OpenAI's three forms and Anthropic's; a figure that is missing stays unknown."""
    assert expected == parse_usage(raw)


@pytest.mark.parametrize("bad", [None, -1, "19", 1.5, True, [], {}, MAX_TOKENS + 1])
def test_what_is_no_number_of_tokens_is_not_there(bad: object) -> None:
    """A provider's mistake is not charged."""
    assert Usage(None, 10, 8, 4) == parse_usage({**OPENAI, "prompt_tokens": bad})
    assert Usage(5, 7, None, None) == parse_usage(
        {**ANTHROPIC, "cache_creation_input_tokens": bad, "cache_read_input_tokens": bad}
    )


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "usage",
        {},
        {"total_tokens": 12},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": None, "completion_tokens": "x"},
    ],
)
def test_no_usage_is_none(raw: object) -> None:
    """Also all zeros: some providers send them who do not count."""
    assert parse_usage(raw) is None


def test_what_was_not_reported_is_estimated_and_marked() -> None:
    """What was reported stays."""
    assert Usage(19, 5, 8, 4, is_estimated=True) == Usage(19, None, 8, 4).completed(
        prompt_tokens=7, completion_tokens=5
    )
    assert Usage(7, 10, is_estimated=True) == Usage(None, 10).completed(prompt_tokens=7, completion_tokens=5)
    assert Usage(7, 5, is_estimated=True) == UNKNOWN.completed(prompt_tokens=7, completion_tokens=5)


def test_a_full_report_is_not_touched_by_estimates() -> None:
    """The provider knows better, also when it says 0."""
    assert Usage(19, 0) == Usage(19, 0).completed(prompt_tokens=7, completion_tokens=5)


@pytest.mark.parametrize(
    ("usage", "expected"), [(Usage(19, 10, 8, 4), 29), (Usage(19, None), 19), (UNKNOWN, 0)]
)
def test_cached_and_reasoning_tokens_are_not_counted_twice(usage: Usage, expected: int) -> None:
    """They are parts of prompt and completion."""
    assert expected == usage.total_tokens


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*OPENAI, *ANTHROPIC, *RESPONSES]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*OPENAI, *RESPONSES, *ANTHROPIC]), json_values))
def test_whatever_a_provider_sends_is_read_without_harm(raw: dict[str, Any]) -> None:
    """No failure, and no figure below 0."""
    usage = parse_usage(raw)

    assert usage is None or 0 < usage.total_tokens
    assert usage is None or all(n is None or n >= 0 for n in (usage.prompt_tokens, usage.cached_tokens))
