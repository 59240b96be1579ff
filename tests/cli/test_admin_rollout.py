"""Rollouts on the operator's command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from scalix_callbacks.cli import admin

Told = tuple[int, str, str]


class Desk:
    """Types commands."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._options = ("--data-dir", str(folder / "data"), "--config", str(folder / "config.yaml"))
        self._capsys = capsys

    def __call__(self, *words: str) -> Told:
        code = admin.main([*self._options, *words])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def json(self, *words: str) -> Any:
        code, out, err = self("rollout", *words, "--json")
        assert (0, "") == (code, err)
        return json.loads(out)


@pytest.fixture
def desk(tmp_path: Path, no_settings: None, capsys: pytest.CaptureFixture[str]) -> Desk:
    """On a new database with the account ada; the process knows no settings."""
    served = "{model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY}"
    (tmp_path / "config.yaml").write_text(
        f"model_list:\n  - model_name: free-gemini-flash\n    litellm_params: {served}\n"
        "scalix: {rollout: {flags: {darkMode: {percent: 0}}}}\n"
    )
    desk = Desk(tmp_path, capsys)
    assert 0 == desk("accounts", "create", "ada")[0]
    return desk


def test_flags_are_listed_before_they_begin(desk: Desk) -> None:
    """Looking begins none."""
    told = desk.json("list")["flags"]

    assert [*["liteLLM", "legacyAISDK", "enhancedAnalytics", "rateLimiting"], "darkMode"] == [
        each["flag"] for each in told
    ]
    assert {"not begun"} == {each["state"] for each in told}
    assert "darkMode           not begun  -        -" in desk("rollout", "list")[1]
    assert "state: not begun" in desk("rollout", "show", "darkMode")[1]


def test_a_flag_is_led_through_its_life(desk: Desk) -> None:
    """Each step says what holds now."""
    assert 25 == desk.json("set", "darkMode", "--percent", "25", "--daily", "0")["percent"]
    groups = desk.json("set", "darkMode", "--group", "pro=40/0", "--group", "free=at-once")["groups"]
    assert (10.0, 100.0) == (groups["pro"]["percent"], groups["free"]["percent"])
    assert "pro     10 %     40 %         0" in desk("rollout", "show", "darkMode")[1]
    states = [desk.json(step, "darkMode")["state"] for step in ("pause", "resume", "kill", "resume")]

    assert ["paused", "running", "killed", "running"] == states
    assert 0 == desk.json("show", "darkMode")["percent"]


def test_a_user_is_led_through_it(desk: Desk) -> None:
    """The audit log has who did it."""
    texts = [desk("rollout", step, "darkMode", "ada")[1] for step in ("migrate", "validate", "rollback")]
    released = desk.json("release", "darkMode", "ada")
    log = json.loads(desk("audit", "list", "--json")[1])["entries"]

    assert "The flag darkMode is on for ada: The operator migrated this user." in texts[0]
    assert ": 0; too few to tell." in texts[1]
    assert "The flag darkMode is off for ada: The operator rolled this user back." in texts[2]
    assert (False, None) == (released["on"], released["decided"])
    assert [("cli", "rollout.user_release"), ("cli", "rollout.user_rollback")] == [
        (each["actor"], each["action"]) for each in log[:2]
    ]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("show", "no"), 1, "There is no flag 'no': name one of liteLLM, "),
        (("migrate", "liteLLM", "bob"), 1, "There is no account bob: check the spelling, or create it."),
        (("set", "liteLLM"), 1, "Name what is to be set: percent, daily_percent, groups."),
        (("set", "liteLLM", "--percent", "101"), 2, "must be a whole number from 0 to 100"),
        (("set", "liteLLM", "--group", "old=5"), 2, "must begin with one of new, free, active, pro"),
        (("set", "liteLLM", "--group", "pro=x"), 2, "needs a share and may have a day, or at-once"),
        (("set", "liteLLM", "--group", "pro=1001"), 2, "has a share of at most 1000"),
        (("set", "liteLLM", "--group", "pro=50"), 1, "The flag liteLLM has not begun: start the gateway"),
    ],
)
def test_what_cannot_be_is_said(desk: Desk, words: tuple[str, ...], code: int, told: str) -> None:
    """In one sentence."""
    found = desk("rollout", *words)

    assert code == found[0]
    assert told in found[2]
