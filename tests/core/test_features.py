"""What a tier lacks is dropped from a request, and said; nothing else is touched."""

import pytest

from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.features import dropped_header, within
from scalix_callbacks.core.tiers import DEFAULT_TIERS

FREE, PRO = DEFAULT_TIERS["free"], DEFAULT_TIERS["pro"]
BODY = {
    "model": "m",
    "messages": [],
    "reasoning_effort": "medium",
    "thinking": {"type": "enabled", "budget_tokens": 1000},
}
OPTIONS = {"files": [{"path": "a", "content": "x"}], "enable_lazy_edits": True, "enable_smart_context": True}


def screened(body=None, options=None):
    return Screened({"model": "m", **(body or {})}, "m", False, options)


def test_a_free_user_gets_the_answer_without_the_features():
    """The call goes on; the header names all three, once each, in order."""
    kept = within(screened(BODY, OPTIONS), FREE)

    assert {"model": "m", "messages": []} == kept.body
    assert {"files": OPTIONS["files"]} == kept.options
    assert {"x-scalix-features-dropped": "advanced_reasoning, lazy_edits, smart_context"} == dropped_header(
        kept
    )


@pytest.mark.parametrize("tier", [PRO, None])
def test_whoever_has_them_keeps_them(tier):
    """Pro has all three, the operator everything."""
    asked = screened(BODY, OPTIONS)

    assert asked == within(asked, tier)
    assert {} == dropped_header(within(asked, tier))


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"reasoning_effort": "none"}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({"reasoning": {"effort": "none"}}, None),
        ({}, {"enable_lazy_edits": False, "enable_smart_files_context": False}),
    ],
)
def test_what_switches_a_feature_off_is_kept(body, options):
    """It uses none; without `none` a model that reasons would reason, at the user's expense."""
    asked = screened(body, options)

    assert asked == within(asked, FREE)


def test_the_responses_form_counts_too():
    """`reasoning` is what the Responses API calls it."""
    kept = within(screened({"reasoning": {"effort": "high"}}), FREE)

    assert {"model": "m"} == kept.body
    assert ("advanced_reasoning",) == kept.dropped


def test_options_of_which_nothing_is_left_are_none():
    """As if they had not come."""
    assert within(screened({}, {"enable_lazy_edits": True}), FREE).options is None
