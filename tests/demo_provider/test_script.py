"""Scripts and their bounds."""

from typing import Any

import pytest

from scalix_callbacks.demo_provider.script import (
    Breakdown,
    BreakdownKind,
    FinishReason,
    Script,
    ScriptError,
    ToolCall,
    UsageOverride,
)


def test_a_script_is_read_from_json() -> None:
    """Every field can be set through the control API."""
    script = Script.from_json(
        {
            "delay_before_s": 1,
            "delay_per_token_s": 0.5,
            "tokens": 7,
            "text": "Hi",
            "report_usage": False,
            "usage": {"prompt_tokens": 5, "cached_tokens": 2},
            "status": 503,
            "error": {"error": {"message": "busy"}},
            "headers": {"retry-after": "3"},
            "fail_after_tokens": 1,
            "cut_after_tokens": 2,
            "hang_after_tokens": 3,
            "hang": True,
            "garbage": True,
            "finish_reason": "content_filter",
            "tool_calls": [{"name": "look_up", "arguments": '{"a": 1}', "id": "call_7"}],
        }
    )

    expected = Script(
        delay_before_s=1,
        delay_per_token_s=0.5,
        tokens=7,
        text="Hi",
        report_usage=False,
        usage=UsageOverride(prompt_tokens=5, cached_tokens=2),
        status=503,
        error={"error": {"message": "busy"}},
        headers={"retry-after": "3"},
        fail_after_tokens=1,
        cut_after_tokens=2,
        hang_after_tokens=3,
        hang=True,
        garbage=True,
        finish_reason=FinishReason.CONTENT_FILTER,
        tool_calls=(ToolCall("look_up", '{"a": 1}', "call_7"),),
    )
    assert expected == script


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "script must be an object"),
        ({"colour": 1}, "no field 'colour'"),
        ({"tokens": -1}, "tokens must be an integer"),
        ({"tokens": 100_001}, "tokens must be an integer from 0 to 100000"),
        ({"tokens": True}, "tokens must be an integer"),
        ({"tokens": "3"}, "tokens must be an integer"),
        ({"cut_after_tokens": 1.5}, "cut_after_tokens must be an integer"),
        ({"fail_after_tokens": -1}, "fail_after_tokens must be an integer"),
        ({"hang_after_tokens": []}, "hang_after_tokens must be an integer"),
        ({"delay_before_s": 3_601}, "delay_before_s must be from 0 to 3600 seconds"),
        ({"delay_before_s": None}, "delay_before_s must be a number"),
        ({"delay_before_s": True}, "delay_before_s must be a number"),
        ({"delay_per_token_s": -0.1}, "delay_per_token_s must be from 0 to 60 seconds"),
        ({"delay_per_token_s": float("nan")}, "delay_per_token_s must be from 0"),
        ({"text": 7}, "text must be a text"),
        ({"text": "x" * 200_001}, "text must be a text of at most 200000"),
        ({"report_usage": 1}, "report_usage must be true or false"),
        ({"hang": "yes"}, "hang must be true or false"),
        ({"garbage": None}, "garbage must be true or false"),
        ({"status": 302}, "status must be 200, or from 400 to 599"),
        ({"status": "503"}, "status must be"),
        ({"status": 600}, "status must be"),
        ({"error": "no"}, "error must be an object"),
        ({"usage": 3}, "usage must be an object"),
        ({"usage": {"tokens": 3}}, "usage has no field 'tokens'"),
        ({"usage": {"prompt_tokens": -3}}, "usage.prompt_tokens must be an integer"),
        ({"headers": []}, "headers must be an object"),
        ({"headers": {"bad name": "x"}}, "headers must have valid names"),
        ({"headers": {"Content-Length": "3"}}, "headers must have valid names"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers must have values"),
        ({"headers": {"x": 1}}, "headers must have values"),
        ({"headers": {f"x-{n}": "" for n in range(33)}}, "headers must be an object of at most 32"),
        ({"finish_reason": "tired"}, "finish_reason must be one of"),
        ({"finish_reason": 1}, "finish_reason must be one of"),
        ({"tool_calls": {}}, "tool_calls must be a list"),
        ({"tool_calls": ["x"]}, "tool_calls must be an object"),
        ({"tool_calls": [{}]}, "tool_calls.name is missing"),
        ({"tool_calls": [{"name": ""}]}, "tool_calls.name must not be empty"),
        ({"tool_calls": [{"name": "f", "arguments": {}}]}, "tool_calls.arguments must be a text"),
        ({"tool_calls": [{"name": "f"}] * 17}, "tool_calls must hold at most 16"),
    ],
)
def test_a_bad_script_is_refused_and_told_why(value: Any, complaint: str) -> None:
    """The message names the field and its bounds."""
    with pytest.raises(ScriptError) as refusal:
        Script.from_json(value)

    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script(), None),
        (Script(cut_after_tokens=3), Breakdown(3, BreakdownKind.CUT)),
        (
            Script(fail_after_tokens=4, cut_after_tokens=3, hang_after_tokens=2),
            Breakdown(2, BreakdownKind.HANG),
        ),
        (
            Script(fail_after_tokens=2, cut_after_tokens=2, hang_after_tokens=2),
            Breakdown(2, BreakdownKind.FAIL),
        ),
        (Script(cut_after_tokens=0, hang_after_tokens=0), Breakdown(0, BreakdownKind.CUT)),
    ],
)
def test_the_earliest_breakdown_wins(script: Script, expected: Breakdown | None) -> None:
    """An answer breaks down once, at the lowest count."""
    assert expected == script.breakdown
