"""A small ledger for the tests of what reads it: two accounts, two models, two months."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.call import CALL_IN_SCOPE, Call
from scalix_callbacks.core.caller import OPERATOR, Caller
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.usage_records import UsageRecords
from tests.databases import make_tables
from tests.records import NOON, call_record

RECORD = call_record(
    call_id="c0",
    request_id="r0",
    prompt_tokens=100,
    completion_tokens=0,
    provider_cost_nano_usd=7,
    price_nano_usd=13_000_000_000,
    duration_ms=1_000,
)
CHEAP = {"model_requested": "flash", "model_used": "flash", "price_nano_usd": 500_000_000}
FELL_BACK = {"model_used": "flash", "price_nano_usd": None, "duration_ms": 1_600}
FAILED: dict[str, Any] = {
    **dict.fromkeys(("model_used", "price_nano_usd", "provider_cost_nano_usd", "prompt_tokens")),
    **{"completion_tokens": None, "requests_counted": 0, "outcome": Outcome.ERROR},
    "error_category": ErrorCategory.PROVIDER_ERROR,
}
RECORDS = (
    RECORD,
    replace(RECORD, call_id="c1", request_id="r1", at=NOON + timedelta(minutes=1), **CHEAP),
    replace(RECORD, call_id="c2", request_id="r2", at=NOON + timedelta(days=1), **FELL_BACK),
    replace(RECORD, call_id="c3", request_id="r3", at=NOON + timedelta(days=1, minutes=1), **FAILED),
    replace(RECORD, call_id="c4", request_id="r4", at=NOON + timedelta(days=1), user_id="bob", tier="free"),
)


@contextmanager
def ledger(folder: Path) -> Iterator[Engine]:
    """With RECORDS in it."""
    engine = connect(f"sqlite:///{folder / 'scalix.db'}")
    make_tables(engine)
    UsageRecords(engine).insert([(each.to_json(), False) for each in RECORDS])
    yield engine
    engine.dispose()


def break_database(folder: Path) -> None:
    """From now on every query fails, as after an accident with its file."""
    for part in folder.glob("scalix.db*"):
        part.write_bytes(b"no database" * 1_000)


async def get(page: ASGIApp, query: str = "", caller: Caller = OPERATOR) -> httpx.Response:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await page({**scope, CALL_IN_SCOPE: Call("r1", caller=caller)}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get(f"/?{query}")
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    return answer
