"""What deploy/ gives nginx is right by nginx' own judgement, and says what the gateway says."""

import json
import re
from pathlib import Path

import pytest

from scalix_callbacks.cli.startup import KEEP_ALIVE_S
from scalix_callbacks.core.bodies import too_large
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, render
from scalix_callbacks.settings.variables import SETTINGS
from tests.deploy.nginx_server import FILES, Nginx

TEXT = (FILES / "scalix.conf").read_text()
PLAIN = (FILES / "scalix" / "plain.conf").read_text()


def value(name: str) -> str:
    found = re.findall(rf"^\s*{name} (.*);$", TEXT, re.MULTILINE)
    assert 1 == len(found), name
    return str(found[0])


def test_nginx_takes_the_files(tmp_path: Path) -> None:
    """As it judges itself, without a warning."""
    done = Nginx(tmp_path, ["127.0.0.1:4000", "127.0.0.1:4001"]).check()

    assert 0 == done.returncode, done.stderr
    # How many files may be open is the machine's.
    assert [] == [
        line for line in done.stderr.splitlines() if "warn" in line and "resource limit" not in line
    ]


def test_the_largest_body_is_the_gateways() -> None:
    """Neither refuses what the other would take; and no body is written to a disk."""
    largest = next(int(each.default or 0) for each in SETTINGS if each.name == "SCALIX_MAX_BODY_MB")

    assert str(largest * 1_000_000) == value("client_max_body_size") == value("client_body_buffer_size")


def test_nginx_is_the_first_to_give_up_an_idle_connection() -> None:
    """Else a request would now and then be sent into one that the gateway closes."""
    upstream = TEXT[TEXT.index("upstream scalix {") :]
    idle = re.search(r"keepalive_timeout (\d+)s;", upstream)

    assert idle is not None
    assert int(idle[1]) < KEEP_ALIVE_S


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, GatewayError(ErrorCategory.INVALID_REQUEST)),
        (403, GatewayError(ErrorCategory.PERMISSION_DENIED)),
        (413, too_large(10_000_000)),
        (503, GatewayError(ErrorCategory.SERVICE_UNAVAILABLE, retry_after_s=5)),
    ],
)
def test_its_own_errors_have_the_gateways_form(status: int, error: GatewayError) -> None:
    """The app shows a message and its buttons; a page of nginx would be a riddle."""
    bodies = re.findall(rf"return {status} '(.*)';", TEXT + PLAIN)
    assert bodies
    for body in bodies:
        said = json.loads(body.replace("\\'", "'"))["error"]

        assert {**render(error, None), "message": said["message"]} == said
        assert status == error.status
