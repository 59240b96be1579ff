"""The tour shows the whole way, and stops where the gateway does not go it."""

import pytest

from scalix_callbacks.cli import tour
from tests.cli.stub_gateway import MASTER_KEY, StubGateway

STATIONS = [
    "A free user",
    "The first question",
    "80 % of the plan is used",
    "The limit is reached",
    "The upgrade",
    "Pro",
]


@pytest.fixture(autouse=True)
def nowhere(no_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without settings, and a process that knows the operator's key alone."""
    monkeypatch.setenv("LITELLM_MASTER_KEY", MASTER_KEY)


def stations(out: str) -> list[str]:
    return [line.strip("- ") for line in out.splitlines() if line.startswith("---")]


def test_the_tour_goes_from_free_to_pro(capsys: pytest.CaptureFixture[str]) -> None:
    """Six stations; what the app would show is quoted as it came."""
    gateway = StubGateway()

    assert 0 == tour.main([], http=gateway.client())
    captured = capsys.readouterr()
    assert ("", STATIONS) == (captured.err, stations(captured.out))
    for shown in (
        "    plan       free\n    models     free-flash\n    requests   5 of 5 left this hour\n",
        "free-flash says:\n  > Hello from afar.\n",
        "    remaining_this_hour  4\n    remaining_tokens     9,000\n",
        "  > You have used 80 %. Upgrade to Pro: https://scalix.world/pro\n",
        "The next call is refused: 429 RATE_LIMIT_EXCEEDED. What the app shows:\n",
        "    [Upgrade] https://scalix.world/pro\n    [Try again]\n",
        "The same request would be let through in 3541 s.\n",
        "    plan       pro\n    models     free-flash, gpt-4.1\n    requests   45 of 50 left this hour\n",
        "gpt-4.1 says:\n",
    ):
        assert shown in captured.out
    assert not any(key in captured.out for key in [*gateway.keys, MASTER_KEY])
    assert all(len(line) <= 100 for line in captured.out.splitlines())


def test_the_tour_can_be_taken_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Each time by another user."""
    gateway = StubGateway()

    assert [0, 0] == [tour.main([], http=gateway.client()) for _ in range(2)]
    assert 2 == len(gateway.accounts)


@pytest.mark.parametrize(
    ("promise", "last_station", "said"),
    [
        ("account tier", "The upgrade", "expected GET /v1/user to say tier pro, got free."),
        ("text", "The first question", "expected a text in choices[0].message.content, got {"),
        ("provider", "The first question", "to be answered with 200, got 502 PROVIDER_ERROR: Correct it."),
        ("scalix", "The first question", "expected an object scalix beside the answer, got None."),
        ("prompt", "80 % of the plan is used", "to be answered with 200, got 429 RATE_LIMIT_EXCEEDED"),
        ("limit code", "The limit is reached", "expected 429 RATE_LIMIT_EXCEEDED, got 503 OVERLOADED"),
        ("count", "80 % of the plan is used", "expected a prompt to upgrade within 200 calls, got none."),
        ("upgrade", "The upgrade", "expected GET /v1/user to say tier pro, got free."),
        ("error body", "The limit is reached", "expected 429 RATE_LIMIT_EXCEEDED, got 429"),
    ],
)
def test_the_tour_stops_where_the_gateway_does(
    promise: str, last_station: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was expected there and what came."""
    assert 1 == tour.main([], http=StubGateway(promise).client())
    captured = capsys.readouterr()
    assert last_station == stations(captured.out)[-1]
    assert captured.err.startswith("\nFAILED: ")
    assert said in captured.err


def test_a_gateway_that_is_not_there_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first station."""
    assert 1 == tour.main([], http=StubGateway("gone").client())
    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith("No gateway answers at http://127.0.0.1:4000: start one")


def test_what_is_not_understood_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that says where help is, and with a code of its own."""
    assert 2 == tour.main(["surplus"])
    assert "scalix_demo.py: unrecognized arguments: surplus. See --help.\n" == capsys.readouterr().err
