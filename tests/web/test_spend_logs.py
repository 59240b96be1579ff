"""The ledger as LiteLLM's clients read it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litellm.proxy._types import LiteLLM_SpendLogs
from sqlalchemy import Engine

from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.web import spend_logs as module
from scalix_callbacks.web.spend_logs import spend_logs
from tests.web.used import break_database, get, ledger


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with ledger(tmp_path) as engine:
        yield engine


async def read(engine: Engine, query: str = "") -> Any:
    return (await get(spend_logs(UsageRecords(engine), UsageSums(engine)), query)).json()


async def test_calls_of_a_user_come_newest_first(engine: Engine) -> None:
    """Under LiteLLM's names, with what the user is charged; null where that is not known."""
    told = await read(engine, "user_id=ada")

    assert [
        ("r3", "gpt-4.1", None, 0, "failure"),
        ("r2", "flash", None, 100, "success"),
        ("r1", "flash", 0.5, 100, "success"),
        ("r0", "gpt-4.1", 13.0, 100, "success"),
    ] == [(log["request_id"], log["model"], log["spend"], log["total_tokens"], log["status"]) for log in told]
    assert {"ada"} == {log["user"] for log in told}
    assert ("2030-01-31T12:00:00.000Z", "2030-01-31T12:00:01.000Z", 1_000) == (
        told[-1]["startTime"],
        told[-1]["endTime"],
        told[-1]["request_duration_ms"],
    )


async def test_each_log_is_one_of_litellms(engine: Engine) -> None:
    """LiteLLM's own class, which reads its JSON columns as text, takes it; no field of it is missing."""
    for log in await read(engine):
        text = {name: json.dumps(log[name]) for name in ("metadata", "request_tags")}
        LiteLLM_SpendLogs(**log | text)

    assert set() == set(LiteLLM_SpendLogs.model_fields) - set(log)


def test_every_endpoint_has_litellms_name() -> None:
    """A new one must be given one."""
    assert {*Endpoint} == set(module._CALL_TYPES)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("request_id=r1", ["r1"]),
        ("request_id=c2", ["r2"]),
        ("request_id=r1&user_id=bob", []),
        ("start_date=2030-02-01&end_date=2030-02-01&summarize=false&user_id=ada", ["r3", "r2"]),
        ("start_date=2030-02-01&user_id=bob", ["r4"]),
    ],
)
async def test_logs_are_found_as_asked(engine: Engine, query: str, expected: list[str]) -> None:
    """By request, or by days, both included."""
    assert expected == [log["request_id"] for log in await read(engine, query)]


async def test_days_are_summed(engine: Engine) -> None:
    """From the first with calls to the last that was asked for, as LiteLLM does."""
    assert [
        {
            "startTime": "2030-01-31",
            "spend": 13.5,
            "users": {"ada": 13.5},
            "models": {"flash": 0.5, "gpt-4.1": 13.0},
        },
        {
            "startTime": "2030-02-01",
            "spend": 13.0,
            "users": {"ada": 0.0, "bob": 13.0},
            "models": {"flash": 0.0, "gpt-4.1": 13.0},
        },
        {"startTime": "2030-02-02", "spend": 0, "users": {}, "models": {}},
    ] == await read(engine, "start_date=2030-01-01&end_date=2030-02-02")
    assert [] == await read(engine, "start_date=2031-01-01&end_date=2031-02-02")


async def test_a_long_list_says_that_it_is_cut(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the header LiteLLM uses."""
    monkeypatch.setattr(module, "MAX_LOGS", 2)
    answer = await get(spend_logs(UsageRecords(engine), UsageSums(engine)))

    assert (2, "true") == (len(answer.json()), answer.headers["x-litellm-spend-logs-truncated"])


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("start_date=x&end_date=2030-01-01", "start_date"),
        ("start_date=2030-01-02&end_date=2030-01-01", "start_date"),
        ("start_date=2030-01-01&end_date=2031-02-01", "start_date"),
        ("start_date=2030-01-01&end_date=2030-02-01&summarize=maybe", "summarize"),
        ("user_id=", "user_id"),
    ],
)
async def test_what_cannot_be_asked_is_told(engine: Engine, query: str, param: str) -> None:
    """With the field it is about."""
    with pytest.raises(GatewayError) as refusal:
        await read(engine, query)

    assert (400, param) == (refusal.value.status, refusal.value.param)


async def test_too_many_sums_are_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer has a bound."""
    monkeypatch.setattr(module, "MAX_SUMMARY_ROWS", 2)
    with pytest.raises(GatewayError, match="fewer days"):
        await read(engine, "start_date=2030-01-01&end_date=2030-02-02")


async def test_the_last_day_of_all_is_a_day(engine: Engine) -> None:
    """On which nobody called."""
    assert [] == await read(engine, "start_date=9999-12-31&end_date=9999-12-31&summarize=false")


async def test_a_database_that_is_away_is_said_so(tmp_path: Path, engine: Engine) -> None:
    """An empty list would be wrong."""
    engine.dispose()
    break_database(tmp_path)
    with pytest.raises(GatewayError) as refusal:
        await read(engine)

    assert 503 == refusal.value.status
