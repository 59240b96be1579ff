"""The output limit: read from any of its names, written to one, and thinking goes with it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.output_limit import Applied, OutputAsk, apply, output_ask
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import DEFAULT_TIERS, Tier

FREE, PREMIUM = DEFAULT_TIERS["free"], DEFAULT_TIERS["premium"]
CAPPED = Tier("capped", ("*",), default_output_tokens=500, max_output_tokens=1_000)
CAPPED_ONLY = Tier("capped", ("*",), max_output_tokens=1_000)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100}, 100),
        ({"max_output_tokens": 100}, 100),
        ({"max_tokens": 300, "max_completion_tokens": 100, "max_output_tokens": 200}, 100),
        ({"max_tokens": None, "max_completion_tokens": 100}, 100),
    ],
)
def test_the_smallest_of_its_names_holds(body: dict[str, Any], expected: int) -> None:
    """Three names, one thing."""
    assert OutputAsk(expected, 1, expected) == output_ask(Endpoint.CHAT, body, FREE)


@pytest.mark.parametrize("bad", ["9", 0, -5, True, 1.5, [], None])
def test_what_is_no_limit_names_none(bad: object) -> None:
    """The operator's own body is not screened as strictly."""
    assert OutputAsk(750, 1, None) == output_ask(Endpoint.CHAT, {"max_tokens": bad, "n": bad}, FREE)


@pytest.mark.parametrize(
    ("tier", "named", "model_max", "expected"),
    [
        (FREE, None, None, OutputAsk(750)),
        (FREE, None, 500, OutputAsk(500)),
        (FREE, 65_535, None, OutputAsk(65_535, named=65_535)),
        (FREE, 65_535, 8_192, OutputAsk(8_192, named=65_535)),
        (CAPPED, None, None, OutputAsk(500)),
        (CAPPED, 5_000, None, OutputAsk(1_000, named=5_000)),
        (CAPPED_ONLY, None, 4_000, OutputAsk(1_000)),
        (PREMIUM, None, None, OutputAsk(None, is_open=True)),
        (PREMIUM, None, 8_192, OutputAsk(8_192, is_open=True)),
        (PREMIUM, 9_000, 8_192, OutputAsk(8_192, named=9_000)),
        (None, None, 8_192, OutputAsk(8_192, is_open=True)),
        (None, 7, None, OutputAsk(7, named=7)),
    ],
)
def test_the_tier_and_the_model_limit_what_is_asked(
    tier: Tier | None, named: int | None, model_max: int | None, expected: OutputAsk
) -> None:
    """The tier's default where nothing is named; its cap and the model's own maximum always."""
    assert expected == output_ask(Endpoint.CHAT, {"max_tokens": named}, tier, model_max)


@pytest.mark.parametrize(
    ("endpoint", "body", "choices"),
    [
        (Endpoint.CHAT, {"n": 3}, 3),
        (Endpoint.CHAT, {"n": 3, "prompt": ["a", "b"]}, 3),
        (Endpoint.COMPLETIONS, {"prompt": "a"}, 1),
        (Endpoint.COMPLETIONS, {"prompt": ["a", "b"]}, 2),
        (Endpoint.COMPLETIONS, {"prompt": ["a", "b"], "n": 3}, 6),
        (Endpoint.COMPLETIONS, {"prompt": [1, 2, 3]}, 1),
        (Endpoint.COMPLETIONS, {"prompt": [[1, 2], [3]]}, 2),
        (Endpoint.COMPLETIONS, {"prompt": []}, 1),
        (Endpoint.RESPONSES, {"n": 3}, 1),
        (Endpoint.MESSAGES, {"n": 3}, 1),
    ],
)
def test_every_choice_counts(endpoint: Endpoint, body: dict[str, Any], choices: int) -> None:
    """`n` answers to each of several prompts."""
    ask = output_ask(endpoint, {**body, "max_tokens": 100}, FREE)

    assert choices == ask.choices
    assert 100 * choices == ask.total


def test_embeddings_have_no_output() -> None:
    """Nothing is held, nothing is written."""
    ask = output_ask(Endpoint.EMBEDDINGS, {"input": "a"}, FREE)

    assert 0 == ask.total
    assert Applied({"input": "a"}) == apply(Endpoint.EMBEDDINGS, {"input": "a"}, ask, 0)


def applied(
    endpoint: Endpoint, body: dict[str, Any], tier: Tier | None, left: int, model_max: int | None = None
) -> Applied:
    """What becomes of a body where `left` tokens are left."""
    before = repr(body)
    ask = output_ask(endpoint, body, tier, model_max)
    result = apply(endpoint, body, ask, None if ask.total is None else min(ask.total, left))

    assert before == repr(body)
    return result


@pytest.mark.parametrize(
    ("endpoint", "body", "expected"),
    [
        (Endpoint.CHAT, {"max_tokens": 900}, Applied({"max_tokens": 400}, 400)),
        (Endpoint.CHAT, {"max_completion_tokens": 900}, Applied({"max_completion_tokens": 400}, 400)),
        # OpenAI's chat does not know this name.
        (Endpoint.CHAT, {"max_output_tokens": 900}, Applied({"max_tokens": 400}, 400)),
        (
            Endpoint.CHAT,
            {"max_tokens": 900, "max_completion_tokens": 300},
            Applied({"max_completion_tokens": 300}),
        ),
        (Endpoint.CHAT, {"max_tokens": 400}, Applied({"max_tokens": 400})),
        (Endpoint.CHAT, {}, Applied({"max_tokens": 400}, 400)),
        (Endpoint.CHAT, {"max_tokens": 300, "n": 2}, Applied({"n": 2, "max_tokens": 200}, 200)),
        (Endpoint.CHAT, {"max_tokens": 300, "n": 3}, Applied({"n": 3, "max_tokens": 133}, 133)),
        (Endpoint.COMPLETIONS, {"max_tokens": 900}, Applied({"max_tokens": 400}, 400)),
        (
            Endpoint.COMPLETIONS,
            {"max_tokens": 900, "prompt": ["a", "b"]},
            Applied({"prompt": ["a", "b"], "max_tokens": 200}, 200),
        ),
        (Endpoint.RESPONSES, {"max_output_tokens": 900}, Applied({"max_output_tokens": 400}, 400)),
        (Endpoint.RESPONSES, {}, Applied({"max_output_tokens": 400}, 400)),
        (Endpoint.MESSAGES, {"max_tokens": 900}, Applied({"max_tokens": 400}, 400)),
    ],
)
def test_a_limit_is_lowered_to_what_is_left(
    endpoint: Endpoint, body: dict[str, Any], expected: Applied
) -> None:
    """Under the client's own name for it, where the endpoint knows that name; 400 tokens are left."""
    assert expected == applied(endpoint, body, FREE, 400)


def test_the_tier_s_default_is_written_and_is_no_clamp() -> None:
    """The client named nothing that could be lowered."""
    assert Applied({"max_tokens": 750}) == applied(Endpoint.CHAT, {}, FREE, 10_000)
    assert Applied({"max_tokens": 1_000}) == applied(Endpoint.CHAT, {}, CAPPED_ONLY, 10_000)


def test_a_cap_of_tier_or_model_is_a_clamp() -> None:
    """The client asked for more."""
    assert Applied({"max_tokens": 1_000}, 1_000) == applied(
        Endpoint.CHAT, {"max_tokens": 1_001}, CAPPED, 10_000
    )
    assert Applied({"max_tokens": 8_192}, 8_192) == applied(
        Endpoint.CHAT, {"max_tokens": 65_535}, PREMIUM, 100_000, 8_192
    )


def test_an_open_ask_is_written_only_when_it_is_lowered() -> None:
    """Some providers charge by the limit that is named."""
    assert Applied({}) == applied(Endpoint.CHAT, {}, PREMIUM, 100_000)
    assert Applied({}) == applied(Endpoint.CHAT, {}, PREMIUM, 100_000, 8_192)
    assert Applied({"max_tokens": 5_000}, 5_000) == applied(Endpoint.CHAT, {}, PREMIUM, 5_000, 8_192)


def test_the_clamp_is_said_in_a_header() -> None:
    """With the new value."""
    assert {"x-scalix-max-tokens-clamped": "400"} == Applied({}, 400).headers
    assert {} == Applied({}).headers


THINKING = {"type": "enabled", "include_thoughts": True, "budget_tokens": 4_000}


@pytest.mark.parametrize(
    ("budget", "left", "expected"),
    [
        (4_000, 8_000, 4_000),
        (4_000, 4_256, 4_000),
        (4_000, 4_255, 3_999),
        (4_000, 1_280, 1_024),
        (4_000, 1_279, None),
        (4_000, 300, None),
        (1_000, 1_279, 1_000),
        (1_000, 1_200, None),
        (-1, 300, -1),
    ],
)
def test_thinking_is_lowered_with_the_limit(budget: int, left: int, expected: int | None) -> None:
    """It leaves 256 tokens for the answer; fewer than 1,024 of it are none. -1 leaves it to the model."""
    body = {"max_tokens": 16_000, "thinking": {**THINKING, "budget_tokens": budget}}
    changed = applied(Endpoint.MESSAGES, body, PREMIUM, left, left).body

    assert left == changed["max_tokens"]
    assert (None if expected is None else {**THINKING, "budget_tokens": expected}) == changed.get("thinking")


def test_thinking_also_fits_a_limit_the_client_did_not_name() -> None:
    """A free user's 750 tokens leave no room to think."""
    assert {"max_tokens": 750} == applied(Endpoint.CHAT, {"thinking": THINKING}, FREE, 10_000).body


def test_the_client_s_own_numbers_are_left_alone() -> None:
    """What was not lowered is between the client and the provider."""
    body = {"max_tokens": 4_100, "thinking": THINKING}

    assert Applied(body) == applied(Endpoint.CHAT, body, PREMIUM, 10_000)


@pytest.mark.parametrize("thinking", [{"type": "adaptive"}, {"type": "disabled"}, "much", None])
def test_thinking_without_a_budget_stays(thinking: object) -> None:
    """There is nothing to lower."""
    body = {"max_tokens": 4_100, "thinking": thinking}

    assert {"max_tokens": 300, "thinking": thinking} == applied(Endpoint.CHAT, body, PREMIUM, 300, 300).body


@given(
    st.sampled_from([Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.RESPONSES, Endpoint.MESSAGES]),
    st.dictionaries(
        st.sampled_from(["max_tokens", "max_completion_tokens", "max_output_tokens"]), st.integers(1, 10**7)
    ),
    st.integers(1, 8),
    st.integers(256, 10**6),
    st.sampled_from([FREE, CAPPED, CAPPED_ONLY, PREMIUM]),
    st.none() | st.integers(1, 10**6),
    st.none() | st.integers(-1, 10**6),
)
def test_no_body_asks_for_more_than_was_admitted(
    endpoint: Endpoint,
    limits: dict[str, int],
    n: int,
    left: int,
    tier: Tier,
    model_max: int | None,
    budget: int | None,
) -> None:
    """Whatever was named: all choices together stay within what is held."""
    body = {**limits, "n": n, "thinking": {"type": "enabled", "budget_tokens": budget}}
    ask = output_ask(endpoint, body, tier, model_max)
    admitted = None if ask.total is None else min(ask.total, left)
    result = apply(endpoint, body, ask, admitted)
    named = [value for name, value in result.body.items() if name.startswith("max_")]

    assert len(named) <= 1
    for limit in named:
        assert admitted is not None
        assert 1 <= limit and limit * ask.choices <= admitted
        assert limit <= min([*limits.values(), *([model_max] if model_max else [])], default=10**7)
    assert (admitted is None or ask.is_open) or named
    if result.clamped_to is not None:
        assert [result.clamped_to] == named
        assert limits or ask.is_open or result.clamped_to < (ask.per_choice or 0)
