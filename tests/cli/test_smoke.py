"""The smoke test finds what is broken, and nothing else."""

from pathlib import Path

import httpx
import pytest

from scalix_callbacks.cli import smoke
from scalix_callbacks.cli.smoke_checks import SUITES
from tests.cli.stub_gateway import MASTER_KEY, StubGateway

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.fixture
def key(no_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MASTER_KEY", MASTER_KEY)


def run(gateway: StubGateway, *words: str) -> int:
    return smoke.main(words, http=gateway.client())


def failures(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of failed checks, without what follows their sentence."""
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED")]


@pytest.mark.usefixtures("key")
def test_a_sound_gateway_passes(capsys: pytest.CaptureFixture[str]) -> None:
    """Every check has its line, and the end says how many there were."""
    gateway = StubGateway()

    assert 0 == run(gateway)
    lines = capsys.readouterr().out.splitlines()
    checks = [check for suite in SUITES.values() for check in vars(suite) if check.startswith("check_")]
    assert len(checks) == len([line for line in lines if line.startswith("ok ")])
    assert f"{len(checks)} ok, 0 failed." == lines[-1]
    assert lines[1].startswith("ok      free: a free user's question is answered (")


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("suite", SUITES)
def test_each_suite_runs_alone_and_again(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With accounts of its own each time; no key of it is shown."""
    gateway = StubGateway()

    assert [0, 0] == [run(gateway, "--test", suite), run(gateway, "--test", suite)]
    out = capsys.readouterr().out
    assert {suite} == {line.split()[1][:-1] for line in out.splitlines() if line.startswith("ok ")}
    assert not any(key in out for key in [*gateway.keys, MASTER_KEY])


BROKEN = {
    # promise: (suite, sentences of the checks that find it broken)
    "text": ("free", ["a free user's question is answered"]),
    "headers": (
        "free",
        [
            "the answer's headers tell the tier, the request and what is left",
            "the answer's body tells the same under scalix",
            "the next answer has one request less left",
        ],
    ),
    "request id": (
        "free",
        [
            "the answer's headers tell the tier, the request and what is left",
            "the answer's body tells the same under scalix",
        ],
    ),
    "body": ("free", ["the answer's body tells the same under scalix"]),
    "scalix": ("free", ["the answer's body tells the same under scalix"]),
    "count": (
        "free",
        ["the next answer has one request less left", "GET /v1/user tells the tier and the limits"],
    ),
    "account limits": ("free", ["GET /v1/user tells the tier and the limits"]),
    "tier header": ("pro", ["headers and body tell the pro tier"]),
    "pro limits": ("pro", ["a pro user may use more than a free one"]),
    "claims": ("pro", ["what a client says of itself does not change its tier"]),
    "one more": (
        "rate-limit",
        [
            "a free user gets every request of the limit, and not one more",
            "the refusal says which limit it was and offers the upgrade",
            "the refusal says when to come back, and whether waiting makes sense",
            "the refusal's headers say that nothing is left",
            "of twice as many calls at once exactly the limit's get through",
        ],
    ),
    "actions": ("rate-limit", ["the refusal says which limit it was and offers the upgrade"]),
    "limit": ("rate-limit", ["the refusal says which limit it was and offers the upgrade"]),
    "wait": ("rate-limit", ["the refusal says when to come back, and whether waiting makes sense"]),
    "prompt": ("rate-limit", ["from 80 % of the limit on answers prompt to upgrade, and not before"]),
    "done": ("streaming", ["a stream is answered, and ends with [DONE]"]),
    "ids": ("streaming", ["every chunk is one that strict clients can read"]),
    "chunk without choices": ("streaming", ["every chunk is one that strict clients can read"]),
    "stream text": ("streaming", ["the chunks hold the text"]),
    "two usages": (
        "streaming",
        [
            "the last chunk alone holds the usage, and scalix beside it",
            "a client that asks for the usage gets no second one",
        ],
    ),
    "key words": ("errors", ["a request without a key is refused"]),
    "query key": ("errors", ["a key in the address is refused"]),
    "param": ("errors", ["a field of a wrong type is named", "a missing field is named"]),
    "internal field": (
        "errors",
        [
            "a field that would steer the gateway is refused by its name",
            "none of these refusals took a request",
        ],
    ),
    "operators route": ("errors", ["a user's key opens no operator's address"]),
}


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_promise_is_found(promise: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the checks that are there for it, and by no other; the rest of the suite still runs."""
    suite, sentences = BROKEN[promise]
    code = run(StubGateway(promise), "--test", suite)
    found = failures(capsys)

    assert 1 == code
    assert len(sentences) == len(found), found
    for sentence, line in zip(sentences, found, strict=True):
        assert line.startswith(f"FAILED  {suite}: {sentence}: expected ")
        assert ", got " in line


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("promise", "suite"),
    [
        ("provider", "free"),
        ("provider", "streaming"),
        ("stream type", "streaming"),
        ("named event", "streaming"),
        ("stream error", "streaming"),
        ("error form", "errors"),
        ("error body", "errors"),
        ("limit code", "rate-limit"),
    ],
)
def test_what_breaks_all_is_told_by_all(promise: str, suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each check says what came, and none ends the run."""
    code = run(StubGateway(promise), "--test", suite)
    lines = capsys.readouterr().out.splitlines()

    assert 1 == code
    assert 3 <= len([line for line in lines if line.startswith("FAILED")])
    assert len([line for line in lines if line.startswith(("FAILED", "ok "))]) == len(
        [check for check in vars(SUITES[suite]) if check.startswith("check_")]
    )


@pytest.mark.usefixtures("key")
def test_a_failure_says_what_came(capsys: pytest.CaptureFixture[str]) -> None:
    """Enough to look it up: status, code, message and request id."""
    run(StubGateway("provider"), "--test", "free")
    [line, *_] = failures(capsys)

    assert line.startswith(
        "FAILED  free: a free user's question is answered:"
        " expected a chat completion to be answered with 200,"
        " got 502 PROVIDER_ERROR: Correct it. (request r"
    )


@pytest.mark.usefixtures("key")
def test_an_answer_of_another_form_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever answers at that address: no traceback."""

    def anything(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [{}], "limits": [3], "key": "scalix_x", "tier": "free"})

    code = smoke.main(
        [], http=httpx.Client(transport=httpx.MockTransport(anything), base_url="http://gateway.example")
    )
    captured = capsys.readouterr()

    assert (1, "") == (code, captured.err)
    assert " 0 failed" not in captured.out


@pytest.mark.usefixtures("key")
def test_a_gateway_that_is_not_there_is_said_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Not by every check."""
    code = run(StubGateway("gone"), "--url", "http://gateway.example:4000")
    captured = capsys.readouterr()

    assert (1, "") == (code, captured.out)
    assert (
        "No gateway answers at http://gateway.example:4000: start one, or name another with --url.\n"
        == captured.err
    )


@pytest.mark.usefixtures("key")
def test_a_wrong_key_is_said_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Not by every check."""
    code = run(StubGateway(), "--master-key", "sk-wrong")
    captured = capsys.readouterr()

    assert (1, "") == (code, captured.out)
    assert captured.err.startswith("The gateway at http://127.0.0.1:4000 does not take this operator's key:")
    assert "sk-wrong" not in captured.err


@pytest.mark.usefixtures("key")
def test_a_stranger_at_the_address_is_said_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever else may listen on that port."""
    stranger = httpx.MockTransport(lambda request: httpx.Response(404, text="Not found"))
    code = smoke.main([], http=httpx.Client(transport=stranger, base_url="http://gateway.example"))
    captured = capsys.readouterr()

    assert (1, "") == (code, captured.out)
    assert "What answers at http://127.0.0.1:4000 is no Scalix Gateway: name another" in captured.err


def test_without_a_gateway_and_a_key_it_says_how_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer has started none."""
    assert 1 == smoke.main([])
    assert capsys.readouterr().err.startswith("No gateway runs on .scalix: start one (--demo needs no key),")


def test_without_a_key_it_says_where_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot make accounts then."""
    assert 1 == smoke.main(["--url", "http://gateway.example"])
    assert (
        "There is no operator's key: set LITELLM_MASTER_KEY, or name the gateway's --data-dir.\n"
        == capsys.readouterr().err
    )


@pytest.mark.usefixtures("key")
def test_what_is_no_address_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With how one looks."""
    assert 2 == smoke.main(["--url", "http://127.0.0.1:port"])
    assert "--url is no address" in capsys.readouterr().err
    assert 2 == smoke.main(["--url", "127.0.0.1:4000"])
    assert "--url is no address: write one such as http://127.0.0.1:4000." in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--test", "nothing"], ["--nonsense"], ["surplus"]])
def test_what_is_not_understood_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that says where help is, and with a code of its own."""
    assert 2 == smoke.main(words)

    told = capsys.readouterr().err
    assert told.startswith("test_scalix_litellm.py: ") and told.endswith(". See --help.\n")
    assert 1 == len(told.splitlines())


def test_a_key_beside_a_misspelled_option_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """What is told may stand in the log of a pipeline."""
    assert 2 == smoke.main(["--master-kye", "sk-secret-0123456789"])
    assert "unrecognized arguments: --master-kye [redacted]. See --help." in capsys.readouterr().err


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """It names the suites."""
    assert 0 == smoke.main(["--help"])
    assert "{free,pro,rate-limit,streaming,errors,all}" in capsys.readouterr().out


# Which gateway, and which key


def bearer_of(*words: str) -> str:
    """With which operator's key the gateway was asked."""
    asked: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500)

    smoke.main(
        ["--test", "free", *words],
        http=httpx.Client(transport=httpx.MockTransport(note), base_url="http://x"),
    )
    return asked[0].headers["authorization"]


@pytest.mark.parametrize(
    ("words", "environment", "file", "kept", "expected"),
    [
        (["--master-key", "sk-typed"], "sk-set", "sk-file", "sk-kept", "sk-typed"),
        ([], "sk-set", "sk-file", "sk-kept", "sk-set"),
        ([], None, "sk-file", "sk-kept", "sk-file"),
        ([], None, None, "sk-kept", "sk-kept"),
    ],
)
def test_the_nearest_key_holds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environment: str | None,
    file: str | None,
    kept: str,
    expected: str,
) -> None:
    """The option, the environment, the settings' file, the one the launcher made."""
    (tmp_path / ".scalix").mkdir()
    (tmp_path / ".scalix" / "master_key").write_text(f"{kept}\n")
    if file is not None:
        (tmp_path / "scalix_config.env").write_text(f"LITELLM_MASTER_KEY={file}\n")
    if environment is not None:
        monkeypatch.setenv("LITELLM_MASTER_KEY", environment)

    assert f"Bearer {expected}" == bearer_of(*words)


def test_another_data_directory_may_be_named(tmp_path: Path) -> None:
    """Its key is taken then."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "master_key").write_text("sk-elsewhere\n")

    assert "Bearer sk-elsewhere" == bearer_of("--data-dir", "elsewhere")
