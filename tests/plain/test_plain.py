"""The pack in a plain script: what it tracks is in the ledger, and counts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import scalix_callbacks
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.plain.costs import CostCalculator
from scalix_callbacks.plain.errors import ErrorHandler
from scalix_callbacks.plain.limits import RateLimiter
from scalix_callbacks.plain.usage import UsageTracker
from scalix_callbacks.plain.workplace import NoRedis, Workplace
from tests.redis_server import RedisServer
from tests.system.gateway_process import plain_environment

USAGE = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}


@pytest.fixture
def workplace(no_settings: None) -> Iterator[Workplace]:
    """Of a process that knows no settings; its database is new, and it has no Redis."""
    workplace = Workplace()
    yield workplace
    workplace.close()


def records(workplace: Workplace) -> list[dict[str, Any]]:
    return workplace.records.page()[0]


def test_what_is_tracked_is_in_the_ledger(workplace: Workplace) -> None:
    """And is what the account used today; what it cost is not known."""
    call_id = UsageTracker(workplace).track_usage(
        "ada", "gpt-4.1", USAGE, {"provider": "openai", "prompt": "Hi"}
    )
    [record] = records(workplace)
    told = UsageTracker(workplace).get_user_usage("ada")

    assert (call_id, "ada", "free", "gpt-4.1", "openai", 12, 34, None, 1) == tuple(
        record[name]
        for name in (
            *("call_id", "user_id", "tier", "model_used", "provider"),
            *("prompt_tokens", "completion_tokens", "price_usd", "requests_counted"),
        )
    )
    assert "Hi" not in json.dumps(record)
    assert {
        "user_id": "ada",
        "tier": "free",
        **{"requests_today": 1, "tokens_today": 46, "errors_today": 0, "cost_today": None},
        **{"requests_this_month": 1, "tokens_this_month": 46, "errors_this_month": 0},
        "cost_this_month": None,
    } == told
    assert 0 == UsageTracker(workplace).get_user_usage("bob")["requests_today"]


def test_a_cost_is_kept_to_the_nano_dollar(workplace: Workplace) -> None:
    """It is no request."""
    CostCalculator(workplace).track_cost("ada", "gpt-4.1", "0.000000001")
    CostCalculator(workplace).track_cost("ada", "gpt-4.1", Decimal("1.5"))
    told = UsageTracker(workplace).get_user_usage("ada")

    assert ("1.500000001", 0, 0) == (told["cost_today"], told["requests_today"], told["tokens_today"])


def test_a_cost_is_that_of_the_price_table(workplace: Workplace) -> None:
    """What users pay by the YAML, to the nano-dollar."""
    calculator = CostCalculator(workplace)
    used = {
        "prompt_tokens": 1_000,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 200},
    }

    assert [Decimal("0.0057"), Decimal("0.045"), Decimal(0)] == [
        calculator.calculate_cost(model, used) for model in ("gpt-4.1", "gpt-4", "free-gemini-flash")
    ]


def test_a_cost_without_a_price_is_that_of_litellms_map(workplace: Workplace) -> None:
    """What neither knows is None."""
    calculator = CostCalculator(workplace)
    used = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
    cost = calculator.calculate_cost("text-embedding-3-small", used)

    assert cost is not None and Decimal("0.01") < cost < Decimal(1)
    assert None is calculator.calculate_cost("nobody/knows", USAGE)


def test_an_error_is_counted_and_told(workplace: Workplace) -> None:
    """As the gateway would tell it, without what the provider said."""
    told = ErrorHandler(workplace).handle_error("ada", "gpt-4.1", TimeoutError("at 10.0.0.1"), None)
    named = ErrorHandler(workplace).handle_error("ada", "gpt-4.1", "OVERLOADED")
    kept = records(workplace)

    assert ("OVERLOADED", True) == (named["error"]["code"], named["error"]["retryable"])
    assert "10.0.0.1" not in json.dumps(told)
    assert [("error", told["error"]["code"], 0), ("error", "OVERLOADED", 0)] == [
        (record["outcome"], record["error_category"], record["requests_counted"]) for record in kept
    ]
    assert 2 == UsageTracker(workplace).get_user_usage("ada")["errors_today"]


def test_without_a_redis_limits_cannot_be_asked_for(workplace: Workplace) -> None:
    """One sentence says how to get one."""
    with pytest.raises(NoRedis, match="set REDIS_URL, or start the gateway"):
        RateLimiter(workplace).check_rate_limit("ada")


def test_what_is_tracked_counts_against_the_limits(
    workplace: Workplace, clean_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also beyond them; and the outbox brings no second record."""
    monkeypatch.setenv("REDIS_URL", clean_redis.url)
    before = RateLimiter(workplace).check_rate_limit("ada", 9_999)
    UsageTracker(workplace).track_usage(
        "ada", "free-flash", {"prompt_tokens": 9_000, "completion_tokens": 999}
    )
    after = RateLimiter(workplace).check_rate_limit("ada")
    too_many = RateLimiter(workplace).check_rate_limit("ada", 2)

    assert (True, None, 0) == (before["allowed"], before["retry_after_s"], before["usage"]["tokens_used"])
    assert (True, 1, 9_999) == (
        after["allowed"],
        after["usage"]["requests_today"],
        after["usage"]["tokens_used"],
    )
    assert not too_many["allowed"] and 0 < too_many["retry_after_s"] <= 86_400
    assert 1 == len(records(workplace))
    assert {"requests:3600", "requests:86400", "tokens:86400"} == set(records(workplace)[0]["windows"])


def test_what_is_spent_counts_against_the_accounts_budget(
    workplace: Workplace, clean_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does in the gateway, which asks the same counter."""
    monkeypatch.setenv("REDIS_URL", clean_redis.url)
    Accounts(workplace._engine).create_account("ada", "pro", None, 1_000_000_000, None)
    CostCalculator(workplace).track_cost("ada", "gpt-4.1", "0.25")
    within = RateLimiter(workplace).check_rate_limit("ada")
    CostCalculator(workplace).track_cost("ada", "gpt-4.1", "1.5")
    beyond = RateLimiter(workplace).check_rate_limit("ada")

    assert [("0.250000", "1.000000"), ("1.750000", "1.000000")] == [
        (each["used"], each["limit"])
        for told in (within, beyond)
        for each in told["limits"]
        if each["unit"] == "usd"
    ]
    assert (True, False) == (within["allowed"], beyond["allowed"])


def test_an_account_whose_tier_is_gone_has_the_lowest(workplace: Workplace) -> None:
    """As in the gateway: it is no reason to lose what was used."""
    Accounts(workplace._engine).create_account("ada", "gold", None, None, None)
    UsageTracker(workplace).track_usage("ada", "gpt-4.1", USAGE)

    assert "free" == records(workplace)[0]["tier"] == UsageTracker(workplace).get_user_usage("ada")["tier"]


@pytest.mark.parametrize(
    ("user_id", "model", "usage"),
    [
        *(("", "m", USAGE), ("a b", "m", USAGE), ("ada", "", USAGE), ("ada", "m\n", USAGE)),
        *(("ada", "m", {}), ("ada", "m", None), ("ada", "m", {"prompt_tokens": "many"})),
    ],
)
def test_what_cannot_be_tracked_is_told(
    workplace: Workplace, user_id: str, model: str, usage: dict[str, int]
) -> None:
    """By one sentence, and nothing is kept."""
    with pytest.raises(ValueError, match=r"\.$"):
        UsageTracker(workplace).track_usage(user_id, model, usage)

    assert [] == records(workplace)


@pytest.mark.parametrize("cost", ["much", -1, float("nan"), 10**9, None])
def test_what_is_no_cost_is_told(workplace: Workplace, cost: object) -> None:
    """It is an amount of USD."""
    with pytest.raises(ValueError, match="amount of USD"):
        CostCalculator(workplace).track_cost("ada", "gpt-4.1", cost)


SCRIPT = """
import sys
from scalix_callbacks import usage_tracker, cost_calculator, rate_limiter, error_handler
usage_tracker.track_usage("ada", "gpt-4.1", {"prompt_tokens": 1, "completion_tokens": 2}, {})
print(usage_tracker.get_user_usage("ada")["tokens_today"], "litellm" in sys.modules)
"""


def test_a_plain_script_needs_no_more_than_the_import(tmp_path: Path) -> None:
    """And does not wait for LiteLLM to be imported."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ("3 False\n", "") == (done.stdout, done.stderr)


def test_the_package_has_no_other_name() -> None:
    """A misspelt one is an ImportError, as everywhere."""
    with pytest.raises(AttributeError, match="usage_traker"):
        scalix_callbacks.usage_traker  # noqa: B018
