"""Scripts by model name and by message."""

import pytest

from scalix_callbacks.demo_provider.directives import script_in_message, script_of_model
from scalix_callbacks.demo_provider.script import (
    FinishReason,
    Script,
    ScriptError,
    ToolCall,
    UsageOverride,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello", None),
        ("a [demonstration] of brackets", None),
        ("[demo]", Script()),
        ("Please [demo fail=503] now", Script(status=503)),
        ("[demo\nfail=429 retry_after=7]", Script(status=429, headers={"retry-after": "7"})),
        (
            "[demo tokens=50 delay_per_token=0.01 cut_after=3 hang_after=2 usage=off fail_after=4]",
            Script(
                tokens=50,
                delay_per_token_s=0.01,
                cut_after_tokens=3,
                hang_after_tokens=2,
                report_usage=False,
                fail_after_tokens=4,
            ),
        ),
        ("[demo delay=2 hang]", Script(delay_before_s=2, hang=True)),
        ("[demo hang=off garbage=on usage=on]", Script(garbage=True)),
        ("[demo finish=content_filter]", Script(finish_reason=FinishReason.CONTENT_FILTER)),
        ("[demo tag=call-7:attempt-1]", Script(tag="call-7:attempt-1")),
        ("[demo tool=get_weather]", Script(tool_calls=(ToolCall("get_weather"),))),
        (
            "[demo prompt_tokens=9 completion_tokens=8 cached_tokens=7 reasoning_tokens=6]",
            Script(
                usage=UsageOverride(prompt_tokens=9, completion_tokens=8, cached_tokens=7, reasoning_tokens=6)
            ),
        ),
    ],
)
def test_a_message_may_hold_a_script(text: str, expected: Script | None) -> None:
    """What stands in `[demo …]` is what the provider does."""
    assert expected == script_in_message(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[demo things]", "no key 'things'"),
        ("[demo fail]", "fail needs an integer"),
        ("[demo fail=200]", "fail needs a status from 400 to 599"),
        ("[demo fail=-1]", "fail needs an integer"),
        ("[demo tokens=many]", "tokens needs an integer"),
        ("[demo tokens=999999]", "tokens must be an integer from 0 to 100000"),
        ("[demo delay=nan]", "delay needs a number of seconds"),
        ("[demo delay=4000]", "delay_before_s must be from 0 to 3600"),
        ("[demo delay_per_token=1e9]", "delay_per_token needs a number"),
        ("[demo usage=maybe]", "usage is on or off"),
        ("[demo finish=tired]", "finish_reason must be one of"),
        ("[demo tag=]", "tag needs up to 100"),
        ("[demo tool=]", "tool needs the name of a function"),
        ("[demo fail=503", "must end with ]"),
        ("[demo " + " " * 600 + "]", "must end with ] within 500 characters"),
        ("[demo fail=503] [demo hang]", "one [demo …] directive"),
    ],
)
def test_a_bad_directive_says_why(text: str, complaint: str) -> None:
    """Who mistypes a directive learns which word is wrong."""
    with pytest.raises(ScriptError) as refusal:
        script_in_message(text)

    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("demo", Script()),
        ("gpt-4.1", Script()),
        ("demo-small", Script()),
        ("demo-fail-429", Script(status=429)),
        ("demo-fail-midstream", Script(fail_after_tokens=3, delay_per_token_s=0.05)),
        ("demo-hang", Script(hang=True)),
        ("demo-stall", Script(hang_after_tokens=3)),
        ("demo-cut", Script(cut_after_tokens=3, delay_per_token_s=0.05)),
        ("demo-garbage", Script(garbage=True)),
        ("demo-no-usage", Script(report_usage=False)),
        ("demo-long", Script(tokens=500)),
        ("demo-slow", Script(delay_before_s=0.5, delay_per_token_s=0.1)),
    ],
)
def test_a_model_name_may_choose_a_script(model: str, expected: Script) -> None:
    """A deployment of the demo can be made to fail by its name; other names answer normally."""
    assert expected == script_of_model(model)


@pytest.mark.parametrize(
    "model", ["demo-fail-", "demo-fail-often", "demo-fail-200", "demo-fail-4290000000000"]
)
def test_a_bad_failing_model_is_refused(model: str) -> None:
    """A mistyped failing model does not quietly succeed."""
    with pytest.raises(ScriptError, match="fail needs"):
        script_of_model(model)
