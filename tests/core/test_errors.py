"""The table of errors, its one rendering, and the page that shows it."""

import pytest

from scalix_callbacks.cli.errors_page import PAGE, page_text
from scalix_callbacks.core.errors import (
    TABLE,
    Action,
    ErrorCategory,
    GatewayError,
    invalid,
    render,
    response_headers,
)

C = ErrorCategory
CONTRACT = {
    C.INVALID_API_KEY: 401,
    C.MODEL_NOT_IN_TIER: 403,
    C.RATE_LIMIT_EXCEEDED: 429,
    C.BUDGET_EXCEEDED: 402,
    C.PROMPT_TOO_LARGE: 413,
    C.REQUEST_TOO_LARGE: 413,
    C.INVALID_REQUEST: 400,
    C.MODEL_UNAVAILABLE: 503,
    C.MODEL_NOT_FOUND: 404,
    C.PROVIDER_RATE_LIMITED: 503,
    C.PROVIDER_AUTH: 502,
    C.PROVIDER_ERROR: 502,
    C.PROVIDER_TIMEOUT: 504,
    C.CONTEXT_WINDOW_EXCEEDED: 400,
    C.CONTENT_POLICY: 400,
    C.NETWORK_ERROR: 502,
    C.OVERLOADED: 503,
    C.SERVICE_UNAVAILABLE: 503,
    C.CONFLICT: 409,
    C.INTERNAL: 500,
}


def test_the_statuses_are_those_of_the_contract() -> None:
    """Spec E1; clients and dashboards depend on them."""
    assert CONTRACT == {category: TABLE[category].status for category in CONTRACT}


def test_every_category_has_a_row() -> None:
    """The table is closed, and its codes are its names."""
    assert set(ErrorCategory) == set(TABLE)
    assert [category.name for category in C] == [category.value for category in C]


@pytest.mark.parametrize("category", ErrorCategory)
def test_every_message_is_for_people(category: ErrorCategory) -> None:
    """A sentence with an end, a title without one."""
    kind = TABLE[category]

    assert kind.message.endswith(".")
    assert not kind.title.endswith(".")


def test_the_words_the_app_looks_for_are_there() -> None:
    """Its error box recognises two cases by their text."""
    assert "LiteLLM Virtual Key expected" in TABLE[C.INVALID_API_KEY].message
    assert "ExceededBudget:" in TABLE[C.BUDGET_EXCEEDED].message


def test_retryable_agrees_with_what_clients_do_by_the_status() -> None:
    """OpenAI's SDKs and the app retry 408, 409, 429 and 5xx; where we say no, a header tells them."""
    for category, kind in TABLE.items():
        told = response_headers(GatewayError(category)).get("x-should-retry")

        assert (None if kind.retryable else "false") == told


def test_the_body_has_every_field_of_the_contract() -> None:
    """Spec D3, with a limit and an upgrade."""
    limit = {"unit": "requests", "window_s": 3600, "limit": 10, "used": 10, "remaining": 0, "resets_at": "…Z"}
    error = GatewayError(
        C.RATE_LIMIT_EXCEEDED,
        "Rate limit exceeded. Please upgrade to Pro.",
        retry_after_s=59.2,
        upgrade_url="https://a.example/pro",
        limit=limit,
    )

    assert {
        "message": "Rate limit exceeded. Please upgrade to Pro.",
        "title": "Rate limit exceeded",
        "type": "rate_limit_error",
        "param": None,
        "code": "RATE_LIMIT_EXCEEDED",
        "category": "RATE_LIMIT_EXCEEDED",
        "retryable": True,
        "retry_after_s": 60,
        "request_id": "r-1",
        "actions": [
            {"label": "Upgrade", "action": "upgrade", "url": "https://a.example/pro"},
            {"label": "See usage", "action": "usage"},
            {"label": "Try again", "action": "retry"},
        ],
        "limit": limit,
    } == render(error, "r-1")


def test_an_upgrade_that_leads_nowhere_is_not_offered() -> None:
    """A button without an address would do nothing."""
    actions = [action["action"] for action in render(GatewayError(C.MODEL_NOT_IN_TIER), None)["actions"]]

    assert [Action.ALTERNATIVE] == actions


@pytest.mark.parametrize(
    ("retry_after_s", "expected"),
    [
        (None, {}),
        (0.05, {"retry-after": "1", "retry-after-ms": "50"}),
        (60, {"retry-after": "60", "retry-after-ms": "60000"}),
        (60.5, {"retry-after": "61", "retry-after-ms": "60500", "x-should-retry": "false"}),
    ],
)
def test_the_headers_say_when_to_come_back(retry_after_s: float | None, expected: dict[str, str]) -> None:
    """Rounded up; waits of more than a minute are not for automatic retries."""
    assert expected == response_headers(GatewayError(C.RATE_LIMIT_EXCEEDED, retry_after_s=retry_after_s))


def test_an_invalid_request_names_its_field() -> None:
    """The field as the client wrote it."""
    error = invalid("Send a number.", "temperature")

    assert (400, "Send a number.", "temperature") == (error.status, str(error), error.param)


def test_headers_of_an_error_are_its_own() -> None:
    """Two answers never share them."""
    given = {"x-a": "b"}
    error = GatewayError(C.INTERNAL, headers=given)
    response_headers(error)["x-c"] = "d"
    error.headers["x-e"] = "f"

    assert {"x-a": "b"} == given
    assert {"x-a": "b", "x-e": "f"} == response_headers(error)


@pytest.mark.parametrize("category", ErrorCategory)
def test_every_category_has_a_button(category: ErrorCategory) -> None:
    """One that does not depend on there being a higher plan."""
    actions = render(GatewayError(category), None)["actions"]

    assert actions
    assert all(action["label"] for action in actions)


@pytest.mark.parametrize("category", ErrorCategory)
def test_the_error_box_shows_each_message_whole(category: ErrorCategory) -> None:
    """It renders Markdown and cuts at `Fallbacks=`; HTML and unbalanced marks would swallow words."""
    message = TABLE[category].message

    assert not set("<>*_[]#|") & set(message)
    assert message.count("`") % 2 == 0
    assert "Fallbacks=" not in message


def test_who_is_to_report_a_request_id_is_shown_it() -> None:
    """The app shows its user the message alone; rendered twice, it still stands there once."""
    once = render(GatewayError(C.INTERNAL), "r-1")["message"]

    assert once.endswith(" Request id: `r-1`.")
    assert once == render(GatewayError(C.INTERNAL, once), "r-1")["message"]
    assert TABLE[C.INTERNAL].message == render(GatewayError(C.INTERNAL), None)["message"]


def test_what_no_waiting_helps_says_so_wherever_clients_look() -> None:
    """In the body, in the header, and by a button less."""
    error = GatewayError(C.MODEL_UNAVAILABLE, is_retryable=False)
    body = render(error, None)

    assert body["retryable"] is False
    assert ["alternative"] == [action["action"] for action in body["actions"]]
    assert {"x-should-retry": "false"} == response_headers(error)


def test_the_page_shows_the_table() -> None:
    """docs/errors.md is what the code says; `python -m scalix_callbacks.cli.errors_page` makes it so."""
    page = PAGE.read_text(encoding="utf-8")

    assert page_text(page) == page


def test_a_page_without_its_marks_is_left_alone() -> None:
    """Nothing is written over what somebody else wrote."""
    with pytest.raises(ValueError, match="marks around the table are missing"):
        page_text("# Errors")
