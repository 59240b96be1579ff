"""What the request log keeps."""

from scalix_callbacks.demo_provider.request_log import MAX_BYTES, LoggedRequest, RequestLog


def request(body: bytes) -> LoggedRequest:
    return LoggedRequest(at=0.0, method="POST", path="/v1/x", headers={"a": "b"}, body=body)


def test_the_last_fifty_requests_are_kept() -> None:
    """Older requests leave first."""
    log = RequestLog()
    for number in range(60):
        log.add(request(str(number).encode()))

    assert list(range(10, 60)) == [each.as_json()["body"] for each in log.newest_last()]


def test_large_bodies_leave_earlier() -> None:
    """The log never holds more than its bytes."""
    log = RequestLog()
    half = b"x" * (MAX_BYTES // 2)
    for body in (half, half, b"y"):
        log.add(request(body))

    assert [half, b"y"] == [each.body for each in log.newest_last()]


def test_a_body_that_is_no_json_is_shown_as_text() -> None:
    """Tests see what came, whatever it was."""
    expected = {"at": 0.0, "method": "POST", "path": "/v1/x", "headers": {"a": "b"}, "body": "{oops \ufffd"}
    assert expected == request(b"{oops \xff").as_json()
