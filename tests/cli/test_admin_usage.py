"""Usage and bills on the operator's command line."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scalix_callbacks.cli import admin
from scalix_callbacks.cli.admin import command
from tests.web.used import ledger


@pytest.fixture
def folder(tmp_path: Path, no_settings: None) -> Path:
    """A data directory with a small ledger, of a process that knows no settings."""
    served = "{model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY}"
    (tmp_path / "config.yaml").write_text(
        f"model_list:\n  - model_name: free-gemini-flash\n    litellm_params: {served}\n"
    )
    (tmp_path / "data").mkdir(mode=0o700)
    with ledger(tmp_path / "data"):
        pass
    return tmp_path


def run(folder: Path, *words: str) -> int:
    return admin.main(["--data-dir", str(folder / "data"), "--config", str(folder / "config.yaml"), *words])


SPAN = ("--from", "2030-01-01", "--to", "2030-02-01")


def test_usage_is_shown_by_what_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table with its total, and as JSON."""
    assert 0 == run(folder, "usage", "show", "--by", "user,model", *SPAN)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert 0 == run(folder, "usage", "show", "--user", "ada", "--json", *SPAN)
    told = json.loads(capsys.readouterr().out)

    assert ["USER", "MODEL", "CALLS"] == lines[0][:3]
    assert [
        ["ada", "flash", "2", "2", "200", "0.500000", "1", "0.000000014"],
        ["ada", "gpt-4.1", "2", "1", "100", "13.000000", "1", "0.000000007"],
        ["bob", "gpt-4.1", "1", "1", "100", "13.000000", "0", "0.000000007"],
        ["total", "5", "4", "400", "26.500000", "2", "0.000000028"],
    ] == lines[1:]
    assert (["2030-01-31", "2030-02-01"], 4) == (
        [row["day"] for row in told["usage"]],
        told["total"]["calls"],
    )


def test_without_calls_usage_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the last 30 days, where none are named."""
    assert 0 == run(folder, "usage", "show", "--to", "2029-01-30")
    assert "Nothing was used from 2029-01-01 to 2029-01-30.\n" == capsys.readouterr().out


def test_bills_are_shown_by_account(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a line per model; a dash is a price that is not known."""
    _in_2030(monkeypatch)
    assert 0 == run(folder, "bills", "show", "2030-02")
    lines = capsys.readouterr().out.splitlines()
    assert 0 == run(folder, "bills", "show", "2030-02", "--user", "bob", "--json")
    told = json.loads(capsys.readouterr().out)

    assert ["ada, 2030-02", "", "bob, 2030-02"] == [line for line in lines if "," in line or not line]
    assert ["flash", "pro", "1", "1", "100", "0", "-", "1"] == lines[2].split()
    assert [("bob", "13.000000")] == [(bill["user_id"], bill["total"]["price_usd"]) for bill in told["bills"]]


def test_bills_as_csv(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To be piped into a file."""
    _in_2030(monkeypatch)
    assert 0 == run(folder, "bills", "show", "2030-01", "--csv")
    lines = capsys.readouterr().out.splitlines()

    assert "month,user_id,model" == lines[0][:19]
    assert [
        "2030-01,ada,flash,pro,1,1,100,0,0,0.500000,0",
        "2030-01,ada,gpt-4.1,pro,1,1,100,0,0,13.000000,0",
    ] == lines[1:]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("bills", "show", "2030-13"), 2, "must be a year and a month, such as 2026-11"),
        (("bills", "show", "9999-12"), 1, "The month 9999-12 has not begun yet.\n"),
        (("bills", "show", "2026-01", "--user", "nobody"), 1, "There is no account nobody: check"),
        (("usage", "show", "--by", "week"), 2, "must be of day, user, tier"),
        (("usage", "show", "--from", "x"), 2, "must be a day such as 2030-01-31"),
        (("usage", "show", "--from", "2030-01-02", "--to", "2030-01-01"), 1, "--from must not be"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    """And nothing else."""
    assert code == run(folder, *words)
    captured = capsys.readouterr()

    assert "" == captured.out
    assert said in captured.err


def _in_2030(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "utc_now", lambda: datetime(2030, 3, 1, tzinfo=UTC))
