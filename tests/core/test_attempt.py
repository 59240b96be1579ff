"""Which try of which request a call is, by what the app sends."""

import pytest

from scalix_callbacks.core.attempt import attempt_of
from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.routes import Endpoint

ASKED = Screened({"model": "m"}, "m", False, None)


@pytest.mark.parametrize(
    ("sent", "request_id", "number"),
    [("u-1:attempt-1", "u-1", 1), ("u-1:attempt-3", "u-1", 3), ("a:attempt-1:attempt-2", "a:attempt-1", 2)],
)
def test_the_apps_own_form_is_read(sent, request_id, number):
    """`uuid:attempt-N`, N from 1 to 3."""
    attempt = attempt_of(sent, Endpoint.CHAT, ASKED)

    assert attempt is not None
    assert (request_id, number) == (attempt.request, attempt.number)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "u-1",
        ":attempt-1",
        "u:attempt-0",
        "u:attempt-4",
        "u:attempt-01",
        "u:attempt-²",
        "u:attempt-",
    ],
)
def test_anything_else_is_a_request_of_its_own(sent):
    """No free ride by an odd number."""
    assert attempt_of(sent, Endpoint.CHAT, ASKED) is None


def test_another_body_is_another_request():
    """Also where only the files differ, which are not in the body, or the endpoint."""
    hashes = {
        attempt_of("u:attempt-1", endpoint, screened).body_hash  # type: ignore[union-attr]  # the form above
        for endpoint, screened in (
            (Endpoint.CHAT, ASKED),
            (Endpoint.MESSAGES, ASKED),
            (Endpoint.CHAT, Screened({"model": "n"}, "n", False, None)),
            (Endpoint.CHAT, Screened({"model": "m"}, "m", False, {"files": [{"path": "a", "content": "x"}]})),
            (Endpoint.CHAT, Screened({"model": "m"}, "m", False, {"files": [{"path": "a", "content": "y"}]})),
        )
    }

    assert 5 == len(hashes)
