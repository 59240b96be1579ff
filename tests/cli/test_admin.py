"""The operator's command line, through `main` on a real database."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from scalix_callbacks.cli import admin
from scalix_callbacks.cli.admin import parser, traces
from scalix_callbacks.cli.admin.limits import told_reset
from scalix_callbacks.cli.admin.office import Office
from scalix_callbacks.cli.admin.told import usd_text
from scalix_callbacks.cli.admin.values import usd
from scalix_callbacks.core.keys import hash_key
from scalix_callbacks.core.tiers import Limit, Tier, TierTable, Unit
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import connect, writing
from scalix_callbacks.ledger.usage_sums import UsageSums
from tests.cli.test_launcher_locks import another_process

SCRIPT = Path(__file__).parents[2] / "scripts" / "scalix_admin.py"
CONFIG = """
model_list:
  - model_name: free-gemini-flash
    litellm_params: {model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY}
"""


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def data_dir(tmp_path: Path, no_settings: None) -> Path:
    """A data directory that does not exist yet, and a process that knows no settings."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "data"


@pytest.fixture
def run(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Types a command and returns what came of it."""

    def run(*words: str) -> Result:
        config = data_dir.parent / "config.yaml"
        code = admin.main(["--data-dir", str(data_dir), "--config", str(config), *words])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def refusal(result: Result) -> str:
    """The sentence of a refused command, after checking that it is all there is."""
    assert (1, "") == (result.code, result.out)
    assert re.fullmatch(r"[^\n]+\.\n", result.err)
    return result.err


def test_an_account_is_created_and_shown(run: Run) -> None:
    """What is created is what is shown, with money and moments as exact texts."""
    created = run(
        "accounts",
        "create",
        "ada",
        "--tier",
        "pro",
        "--until",
        "2090-01-31",
        "--max-budget",
        "12.5",
        "--json",
    )
    shown = run("accounts", "show", "ada", "--json")

    assert (0, "") == (created.code, created.err)
    assert {
        "id": "ada",
        "tier": "pro",
        "tier_set": "pro",
        "tier_until": "2090-01-31T00:00:00Z",
        "max_budget_usd": "12.50",
        "budget_window_s": None,
        "suspended_at": None,
        "created_at": created.json["created_at"],
        "consented_at": None,
    } == created.json
    assert created.json | {"limit_overrides": [], "keys": []} == shown.json
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", created.json["created_at"])


def test_an_account_needs_no_name(run: Run) -> None:
    """Without an id it gets a pseudonym, without a tier the free one."""
    created = run("accounts", "create", "--json")

    assert re.fullmatch("user_[0-9a-f]{32}", created.json["id"])
    assert ("free", None, None) == tuple(
        created.json[name] for name in ("tier", "tier_until", "max_budget_usd")
    )


def test_a_person_gets_text(run: Run) -> None:
    """Without --json every command answers in lines."""
    created = run("accounts", "create", "ada")
    shown = run("accounts", "show", "ada")

    assert created.out.startswith("Created the account ada.\nid: ada\ntier: free\n")
    assert "max_budget_usd: -\n" in shown.out
    assert shown.out.endswith("\n\nThere are no keys.\n")


def test_an_account_gets_limits_of_its_own(run: Run) -> None:
    """They stand over the tier's until they are cleared, one or all."""
    run("accounts", "create", "ada", "--tier", "pro")
    changed = run("limits", "set", "ada", "requests/1h=500", "tokens/1d=none", "usd/30d=12.50")
    shown = run("limits", "show", "ada", "--json").json
    account = run("accounts", "show", "ada", "--json").json
    cleared = run("limits", "clear", "ada", "tokens/1d", "usd/30d", "--json").json

    assert (
        "The account ada has limits of its own now.\n"
        "\n"
        "LIMIT                    FROM\n"
        "500 requests/1h          the account\n"
        "any number of tokens/1d  the account\n"
        "12.50 usd/30d            the account\n"
    ) == changed.out
    assert {
        "id": "ada",
        "tier": "pro",
        "limits": [
            {"unit": "requests", "window_s": 3_600, "limit": 500},
            {"unit": "usd", "window_s": 2_592_000, "limit": "12.50"},
        ],
        "overrides": [
            {"unit": "requests", "window_s": 3_600, "limit": 500},
            {"unit": "tokens", "window_s": 86_400, "limit": None},
            {"unit": "usd", "window_s": 2_592_000, "limit": "12.50"},
        ],
    } == shown
    assert shown["overrides"] == account["limit_overrides"]
    assert [
        {"unit": "requests", "window_s": 3_600, "limit": 500},
        {"unit": "tokens", "window_s": 86_400, "limit": 100_000},
    ] == cleared["limits"]
    assert run("limits", "clear", "ada").out.endswith(
        "LIMIT              FROM\n100 requests/1h    tier pro\n100,000 tokens/1d  tier pro\n"
    )


def test_an_account_gets_a_limit_in_shadow(run: Run) -> None:
    """It stands beside its tier's, and goes with it when that unit and window is cleared."""
    run("accounts", "create", "ada", "--tier", "pro")
    changed = run("limits", "set", "ada", "requests/1h=50:shadow", "usd/30d=1.50:shadow")
    told = run("limits", "show", "ada", "--json").json["overrides"]
    wrong = run("limits", "set", "ada", "requests/1h=50:ghost")
    cleared = run("limits", "clear", "ada", "requests/1h", "--json").json["overrides"]

    assert "100 requests/1h          tier pro" in changed.out
    assert "50 requests/1h (shadow)  the account" in changed.out
    usd = {"unit": "usd", "window_s": 2_592_000, "limit": "1.50", "shadow": True}
    assert [{"unit": "requests", "window_s": 3_600, "limit": 50, "shadow": True}, usd] == told
    assert "may end with :shadow" in wrong.err
    assert [usd] == cleared


def test_accounts_are_listed_by_page(run: Run) -> None:
    """The next page is named, and the last one says that there is none."""
    assert "There are no accounts.\n" == run("accounts", "list").out
    for name in ("cy", "ada", "bob"):
        run("accounts", "create", name)
    first = run("accounts", "list", "--limit", "2", "--json")
    second = run("accounts", "list", "--limit", "2", "--after", first.json["next"], "--json")
    text = run("accounts", "list", "--limit", "2").out.splitlines()

    assert ["ada", "bob"] == [account["id"] for account in first.json["accounts"]]
    assert (["cy"], None) == ([account["id"] for account in second.json["accounts"]], second.json["next"])
    assert ["ACCOUNT", "ada", "bob", "More:"] == [line.split()[0] for line in text]
    assert "More: --after bob" == text[-1]


def test_an_account_is_suspended_and_resumed(run: Run) -> None:
    """The list shows who is closed."""
    run("accounts", "create", "ada")
    suspended = run("accounts", "suspend", "ada", "--json")

    assert suspended.json["suspended_at"] is not None
    assert " suspended " in run("accounts", "list").out
    assert run("accounts", "resume", "ada", "--json").json["suspended_at"] is None
    assert run("accounts", "suspend", "ada").out.startswith("Suspended the account ada.\n")
    assert run("accounts", "resume", "ada").out.startswith("Resumed the account ada.\n")


def test_a_tier_is_set(run: Run) -> None:
    """For a time or for good."""
    run("accounts", "create", "ada")
    until = datetime.now(UTC) + timedelta(days=30)
    granted = run("tier", "set", "ada", "pro", "--until", "30d", "--json").json
    for_good = run("tier", "set", "ada", "premium", "--json").json

    assert "pro" == granted["tier"]
    assert timedelta(minutes=1) > abs(datetime.fromisoformat(granted["tier_until"]) - until)
    assert ("premium", None) == (for_good["tier"], for_good["tier_until"])
    assert run("tier", "set", "ada", "free").out.startswith("The account ada is on free now.\n")


def test_a_tier_that_has_ended_is_shown_as_free(run: Run, data_dir: Path) -> None:
    """The tier shown is the one that holds; the one once set stands beside it."""
    run("accounts", "create", "ada", "--tier", "pro", "--until", "1d")
    engine = connect(f"sqlite:///{data_dir / 'scalix.db'}")
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE accounts SET tier_until = '2020-01-01 00:00:00.000000'")
    engine.dispose()
    shown = run("accounts", "show", "ada", "--json").json

    assert ("free", "pro", "2020-01-01T00:00:00Z") == (shown["tier"], shown["tier_set"], shown["tier_until"])


def test_the_tiers_are_listed(run: Run) -> None:
    """Lowest first, with limits and models as configured."""
    listed = run("tier", "list", "--json").json["tiers"]
    text = run("tier", "list").out.splitlines()

    assert ["free", "pro", "premium"] == [tier["name"] for tier in listed]
    assert {
        "name": "free",
        "limits": [
            {"unit": "requests", "window_s": 3600, "limit": 10},
            {"unit": "requests", "window_s": 86400, "limit": 50},
            {"unit": "tokens", "window_s": 86400, "limit": 10000},
        ],
        "models": ["free-*"],
        "upgrade_to": "pro",
    } == listed[0]
    assert ["TIER", "LIMITS", "MODELS", "UPGRADE"] == text[0].split()
    assert "10 requests/1h, 50 requests/1d, 10,000 tokens/1d" in text[1]
    assert text[3].split() == ["premium", "none", "*", "-"]


def test_limits_of_money_are_told_in_usd(tmp_path: Path) -> None:
    """The table of tiers holds nano-USD; nobody has to count nine zeros."""
    tier = Tier("gold", ("*",), (Limit(1_500_000_000, Unit.USD, 90), Limit(0, Unit.REQUESTS, 120)))
    engine = connect(f"sqlite:///{tmp_path / 'x.db'}")
    office = Office(Accounts(engine), UsageSums(engine), TierTable((tier,)), datetime.now(UTC))
    arguments = parser.build().parse_args(["tier", "list"])
    answer = arguments.command(arguments, office)
    engine.dispose()

    assert "1.50 usd/90s, 0 requests/2m" in answer.text
    assert {"unit": "usd", "window_s": 90, "limit": "1.50"} == answer.data["tiers"][0]["limits"][0]


def test_a_key_is_shown_once(run: Run, data_dir: Path) -> None:
    """The secret is in the answer that creates it, and nowhere later."""
    run("accounts", "create", "ada", "--tier", "pro")
    text = run("keys", "create", "ada").out
    secret = text.splitlines()[0]
    later = [
        run("keys", "list", "ada"),
        run("keys", "list", "ada", "--json"),
        run("accounts", "show", "ada", "--json"),
    ]
    engine = connect(f"sqlite:///{data_dir / 'scalix.db'}")
    found = Accounts(engine).find_key(hash_key(secret))
    engine.dispose()

    assert re.fullmatch("scalix_[A-Za-z0-9_-]{43}", secret)
    assert "it is not shown again" in text
    assert found is not None
    assert ("ada", "pro") == (found.account.id, found.account.tier)
    assert not any(secret in result.out for result in later)


def test_a_key_has_what_was_asked_for(run: Run) -> None:
    """Name, models and end are in the answer and in the list."""
    run("accounts", "create", "ada", "--tier", "pro")
    created = run(
        *("keys", "create", "ada", "--name", "my laptop", "--models", "free-*, gpt-5"),
        *("--expires", "2090-01-31T18:00+01:00", "--json"),
    ).json
    secret = created.pop("key")

    assert [created] == run("keys", "list", "ada", "--json").json["keys"]
    assert [created] == run("accounts", "show", "ada", "--json").json["keys"]
    assert (
        "my laptop",
        ["free-*", "gpt-5"],
        "open",
        f"scalix_…{secret[-4:]}",
        "2090-01-31T17:00:00Z",
    ) == tuple(created[name] for name in ("name", "models", "state", "hint", "expires_at"))
    assert "my laptop" in run("keys", "list", "ada").out


@pytest.mark.parametrize("models", ["gpt-5", "free-gemini-flash,gpt-5", "*"])
def test_a_key_has_no_models_outside_its_tier(run: Run, models: str) -> None:
    """A list of models narrows a tier and never widens it."""
    run("accounts", "create", "ada")

    assert "The tier free of ada does not have" in refusal(run("keys", "create", "ada", "--models", models))
    assert [] == run("keys", "list", "ada", "--json").json["keys"]


def test_a_key_is_revoked(run: Run) -> None:
    """It stays in the list, as revoked."""
    run("accounts", "create", "ada")
    key = run("keys", "create", "ada", "--json").json
    revoked = run("keys", "revoke", key["id"], "--json").json

    assert ("revoked", True) == (revoked["state"], revoked["revoked_at"] is not None)
    assert f"Revoked the key {key['id']} of ada.\n" == run("keys", "revoke", key["id"]).out
    assert " revoked " in run("keys", "list", "ada").out


def test_a_key_is_rotated(run: Run) -> None:
    """The old key is closed, the new one shown once."""
    run("accounts", "create", "ada")
    old = run("keys", "create", "ada", "--name", "laptop", "--json").json
    new = run("keys", "rotate", old["id"], "--json").json
    states = {key["id"]: key["state"] for key in run("keys", "list", "ada", "--json").json["keys"]}

    assert {old["id"]: "revoked", new["id"]: "open"} == states
    assert (True, "laptop") == (new["key"] != old["key"], new["name"])
    assert "it is not shown again" in run("keys", "rotate", new["id"]).out


def test_a_key_that_has_ended_is_shown_so(run: Run, data_dir: Path) -> None:
    """Nobody has to compare dates to see why a key is refused."""
    run("accounts", "create", "ada")
    run("keys", "create", "ada", "--expires", "1mo")
    engine = connect(f"sqlite:///{data_dir / 'scalix.db'}")
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00.000000'")
    engine.dispose()

    assert ["expired"] == [key["state"] for key in run("keys", "list", "ada", "--json").json["keys"]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("accounts", "create", "ada"), "The account ada exists already"),
        (("accounts", "create", "a b"), "has no spaces"),
        (("accounts", "create", "operator"), "reserved"),
        (
            ("accounts", "create", "bob", "--tier", "gold"),
            "There is no tier 'gold': name one of free, pro, premium.",
        ),
        (("accounts", "create", "bob", "--until", "2020-01-01"), "The end of the tier is in the past"),
        (("accounts", "create", "bob", "--max-budget", "9000000.01"), "between 0 and 9,000,000 USD"),
        (("accounts", "list", "--after", "a b"), "has no spaces"),
        (("accounts", "show", "nobody"), "There is no account nobody"),
        (("accounts", "show", "\ud800"), "invisible characters"),
        (("accounts", "suspend", "nobody"), "There is no account nobody"),
        (("accounts", "resume", "nobody"), "There is no account nobody"),
        (("tier", "set", "nobody", "pro"), "There is no account nobody"),
        (("tier", "set", "ada", ""), "There is no tier ''"),
        (("tier", "set", "ada", "pro", "--until", "2020-01-01T00:00Z"), "in the past"),
        (("limits", "show", "nobody"), "There is no account nobody"),
        (("limits", "show", "scalix_" + "s3cret" * 6), "shaped like an API key"),
        (("limits", "set", "nobody", "requests/1h=1"), "There is no account nobody"),
        (("limits", "set", "ada", "requests/1h=1", "requests/60m=2"), "named twice"),
        (("limits", "set", "ada", "requests/400d=1"), "1 second to 366 days"),
        (("limits", "set", "ada", "tokens/1d=9007199254740992"), "from 0 to 2^53 - 1"),
        (("limits", "clear", "nobody"), "There is no account nobody"),
        (("keys", "create", "nobody"), "There is no account nobody"),
        (("keys", "create", "nobody", "--models", "gpt-5"), "There is no account nobody"),
        (("keys", "create", "ada", "--name", ""), "A key's name"),
        (("keys", "create", "ada", "--expires", "2020-01-01"), "The key's expiry is in the past"),
        (("keys", "list", "nobody"), "There is no account nobody"),
        (("keys", "revoke", "key_0000000000000000"), "There is no key key_0000000000000000"),
        (("keys", "revoke", "scalix_" + "s3cret" * 6), "use the key's id"),
        (("keys", "rotate", "key_1"), "A key's id is key_ and 16 hex digits"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run: Run, words: tuple[str, ...], expected: str) -> None:
    """Exit 1, nothing on stdout, the mend on stderr, and no secret repeated."""
    run("accounts", "create", "ada")
    sentence = refusal(run(*words))

    assert expected in sentence
    assert "s3cret" not in sentence


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "TOPIC"),
        (("accounts",), "ACTION"),
        (("accounts", "destroy"), "invalid choice"),
        (("accounts", "show"), "USER"),
        (("accounts", "list", "--limit", "0"), "whole number from 1 to 1000"),
        (("accounts", "list", "--limit", "1001"), "whole number from 1 to 1000"),
        (("accounts", "list", "--limit", "ten"), "whole number from 1 to 1000"),
        (("accounts", "create", "ada", "--max-budget", "-1"), "amount of USD"),
        (("limits", "set", "ada"), "LIMIT"),
        (("limits", "set", "ada", "requests/1h"), "needs an amount, or none"),
        (("limits", "set", "ada", "requests/1h=-1"), "needs an amount, or none"),
        (("limits", "set", "ada", "requests/1h=1.5"), "needs an amount, or none"),
        (("limits", "set", "ada", "usd/30d=ten"), "amount of USD"),
        (("limits", "set", "ada", "calls/1h=1"), "a slash and a window"),
        (("limits", "set", "ada", "requests=1"), "a slash and a window"),
        (("limits", "clear", "ada", "requests"), "a slash and a window"),
        (("accounts", "create", "ada", "--max-budget", "1e3"), "amount of USD"),
        (("accounts", "create", "ada", "--max-budget", "NaN"), "amount of USD"),
        (("accounts", "create", "ada", "--max-budget", "0.0000000001"), "up to 9 decimals"),
        (("accounts", "create", "ada", "--until", "tomorrow"), "must be a date"),
        (("accounts", "create", "ada", "--until", "0001-01-01T00:00+14:00"), "must be a date"),
        (("keys", "create", "ada", "--expires", "11y"), "must be a date"),
        (("keys", "create", "ada", "--models", "a,,b"), "commas between"),
        (("keys", "create", "ada", "--models", ""), "commas between"),
        (("keys", "revoke"), "KEY_ID"),
        (("acounts", "list"), "invalid choice: 'acounts'"),
        ((), "required: TOPIC"),
    ],
)
def test_what_cannot_be_understood_touches_nothing(
    run: Run, data_dir: Path, words: tuple[str, ...], expected: str
) -> None:
    """Exit 2, with what was expected and where help is in one line on stderr."""
    result = run(*words)

    assert (2, "") == (result.code, result.out)
    assert expected in result.err
    assert re.fullmatch(r"scalix_admin\.py[^\n]*: [^\n]+[^.]\. See --help\.\n", result.err)
    assert not data_dir.exists()


def test_help_is_no_error(run: Run, data_dir: Path) -> None:
    """--help prints and ends well, on each level."""
    for words in (("--help",), ("accounts", "--help"), ("keys", "create", "--help")):
        assert (0, True) == (run(*words).code, True)
    assert not data_dir.exists()


def test_options_may_stand_at_the_end(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the data lie can be said before the topic or after the action."""
    config = str(data_dir.parent / "config.yaml")
    before = admin.main(["--data-dir", str(data_dir), "--config", config, "accounts", "create", "ada"])
    after = admin.main(["accounts", "show", "ada", "--config", config, "--data-dir", str(data_dir)])
    capsys.readouterr()

    assert (0, 0) == (before, after)


def test_an_env_file_names_the_database(run: Run, data_dir: Path) -> None:
    """The tool works on the database the gateway works on."""
    data_dir.mkdir()
    env_file = data_dir / "gateway.env"
    env_file.write_text(f"SCALIX_DATABASE_URL=sqlite:///{data_dir / 'other.db'}\n")
    run("--env-file", str(env_file), "accounts", "create", "ada")

    assert (data_dir / "other.db").is_file()
    assert not (data_dir / "scalix.db").exists()


def test_a_wrong_setting_is_one_sentence(run: Run, data_dir: Path) -> None:
    """A missing file is named."""
    assert "missing.env" in refusal(run("--env-file", "missing.env", "accounts", "list"))


def test_a_data_directory_that_cannot_be_made_is_one_sentence(run: Run, data_dir: Path) -> None:
    """A file in its place is said."""
    data_dir.write_text("in the way")

    assert "cannot be made" in refusal(run("accounts", "list"))


def test_an_unreachable_database_is_one_sentence(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the password, and without making a data directory nobody needs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    monkeypatch.setenv("SCALIX_DATABASE_URL", f"postgresql://u:correct-horse@127.0.0.1:{port}/d")
    sentence = refusal(run("accounts", "list"))

    assert "cannot be reached" in sentence
    assert "correct-horse" not in sentence
    assert not data_dir.exists()


def test_a_command_closes_the_database(run: Run, data_dir: Path) -> None:
    """The write-ahead log is merged into the file, as SQLite does when the last one leaves."""
    run("accounts", "create", "ada")

    assert [path.name for path in data_dir.iterdir()] == ["scalix.db"]


def test_the_data_directory_is_private(run: Run, data_dir: Path) -> None:
    """Nobody else on the machine reads the accounts."""
    run("accounts", "list")

    assert 0o700 == data_dir.stat().st_mode & 0o777


@given(st.integers(0, 9_000_000 * 10**9))
def test_money_survives_being_written_and_read(nano_usd: int) -> None:
    """Every amount has one text, which means that amount again."""
    text = usd_text(nano_usd)

    assert text is not None
    assert nano_usd == usd(text)
    assert re.fullmatch(r"[0-9]+\.[0-9]{2,9}", text)


def test_the_script_runs_by_itself(data_dir: Path) -> None:
    """From any directory, also on a terminal that knows ASCII only."""
    config = str(data_dir.parent / "config.yaml")
    words = ("--data-dir", str(data_dir), "--config", config, "accounts", "create", "Ωmega")
    process = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        capture_output=True,
        text=True,
        cwd=data_dir.parent,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
        check=False,
    )

    assert (0, "") == (process.returncode, process.stderr)
    assert process.stdout.startswith("Created the account \\u03a9mega.\n")


def test_the_budget_and_consent_of_an_account(run: Run) -> None:
    """Set, and taken back."""
    run("accounts", "create", "ada")
    budgets = [run("accounts", "budget", "ada", amount, "--json").json for amount in ("12.5", "none")]
    agreed = [run("accounts", "consent", "ada", word, "--json").json["consent"] for word in ("yes", "no")]

    assert ["12.50", None] == [budget["max_budget_usd"] for budget in budgets]
    assert [True, False] == agreed


def test_a_key_is_rotated_with_an_overlap_and_expires(run: Run) -> None:
    """The old one goes on for the time given; `never` takes an end back."""
    run("accounts", "create", "ada")
    old = run("keys", "create", "ada", "--json").json
    run("keys", "rotate", old["id"], "--overlap", "1h")
    states = {key["id"]: key for key in run("keys", "list", "ada", "--json").json["keys"]}
    never = run("keys", "expire", old["id"], "never", "--json").json

    assert 2 == len(states)
    assert "open" == states[old["id"]]["state"]
    assert states[old["id"]]["expires_at"] is not None
    assert never["expires_at"] is None
    assert "at most 30 days" in refusal(run("keys", "rotate", old["id"], "--overlap", "31d"))


def test_the_audit_log_is_listed_and_verified(run: Run, data_dir: Path) -> None:
    """Whole at first; exit code 1 and the first bad entry once somebody wrote into it."""
    run("accounts", "create", "ada")
    run("tier", "set", "ada", "pro")
    listed = run("audit", "list", "--user", "ada", "--json").json["entries"]
    whole = run("audit", "verify")
    engine = connect(f"sqlite:///{data_dir / 'scalix.db'}")
    with writing(engine) as connection:
        connection.execute(text("DROP TRIGGER audit_log_no_update"))
        connection.execute(text("UPDATE audit_log SET actor = 'user' WHERE no = 1"))
    engine.dispose()
    broken = run("audit", "verify")

    assert [("cli", "account.tier"), ("cli", "account.create")] == [
        (entry["actor"], entry["action"]) for entry in listed
    ]
    assert (0, True) == (whole.code, "All 2 entries are as they were written" in whole.out)
    assert (1, True) == (broken.code, "Entry 1 is not as it was written" in broken.out)


def test_a_user_is_exported_and_erased(run: Run) -> None:
    """Without a running gateway the counters in Redis are left to it."""
    run("accounts", "create", "ada")
    exported = run("accounts", "export", "ada").json
    erased = run("accounts", "erase", "ada", "--json").json

    assert ("ada", "free") == (exported["user_id"], exported["account"]["tier"])
    assert ("ada", True, False) == (erased["user_id"], erased["erased"], erased["is_complete"])
    assert "There is no account ada" in refusal(run("accounts", "show", "ada"))
    assert "There is no account eve, and no record" in refusal(run("accounts", "erase", "eve"))
    assert "There is no account eve and no record" in refusal(run("accounts", "export", "eve"))


def test_fresh_windows_need_redis(run: Run) -> None:
    """One sentence when the gateway does not run."""
    assert "No gateway runs here" in refusal(run("limits", "reset", "ada"))
    assert [] == run("audit", "list", "--json").json["entries"]


def test_no_database_is_made_beside_the_one_of_a_running_gateway(run: Run, data_dir: Path) -> None:
    """Without its settings the tool would say that a key was revoked, which the gateway goes on taking."""
    data_dir.mkdir()
    with another_process("claim", data_dir / "launcher.lock"):
        refused = refusal(run("accounts", "create", "ada"))
        assert "SCALIX_DATABASE_URL or --env-file" in refused
        assert not (data_dir / "scalix.db").exists()

    assert 0 == run("accounts", "create", "ada").code
    with another_process("claim", data_dir / "launcher.lock"):
        assert 0 == run("accounts", "show", "ada").code


def test_a_budget_is_for_its_window(run: Run) -> None:
    """It stays while only the amount changes, and goes with the budget."""
    run("accounts", "create", "ada", "--max-budget", "5", "--window", "7d")
    windows = [
        run("accounts", "budget", "ada", *what, "--json").json["budget_window_s"]
        for what in (("6",), ("6", "--window", "1d"), ("7",), ("none",), ("8",))
    ]

    assert [604_800, 86_400, 86_400, None, None] == windows


def test_a_trace_needs_the_gateways_redis(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none runs, or none answers, that is said."""
    assert "No gateway runs here" in refusal(run("trace", "r1"))
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/at/all.sock")
    assert "Redis does not answer" in refusal(run("trace", "r1"))


def test_a_trace_is_told_for_people() -> None:
    """A line for each step: when, what, about what."""
    trace = {
        "request_id": "r1",
        "at": "2030",
        "outcome": "refused",
        "steps": [{"step": "received", "at_ms": 0.0}, {"step": "refused", "at_ms": 12.34, "limit": "x"}],
        "left_out": 2,
    }

    assert [
        "request r1  call –",
        "at 2030  outcome refused",
        "       0.0 ms  received",
        "      12.3 ms  refused        limit x",
        "2 more steps were left out.",
    ] == traces._text(trace).splitlines()


def test_fresh_windows_for_nobody_are_no_success() -> None:
    """A misspelled name has no counters."""
    assert "The account ada has fresh windows: 3 counters were reset." == told_reset("ada", 3)
    assert told_reset("adda", 0).startswith("Nothing was counted for adda, so nothing was reset:")


def test_whoever_reads_may_have_read_enough(run: Run, data_dir: Path) -> None:
    """`audit list | head -1` ends without a word."""
    run("accounts", "create", "ada")
    command = [sys.executable, str(SCRIPT), "--data-dir", str(data_dir), "audit", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()

        assert (b"", 0) == (process.stderr.read(), process.wait(timeout=60))


def test_an_answer_that_cannot_be_written_is_told(data_dir: Path) -> None:
    """A key that was shown nowhere is one to make again."""
    command = [sys.executable, str(SCRIPT), "--data-dir", str(data_dir), "accounts", "create", "ada"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)

    assert 1 == done.returncode
    assert "It is done, but its answer could not be written: No space left on device.\n" == done.stderr
