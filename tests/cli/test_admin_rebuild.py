"""`scalix_admin.py rebuild`: which records it looks at."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from scalix_callbacks.cli import admin
from scalix_callbacks.core.tiers import DAY_S
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.store.keys import counters_key
from tests.records import call_record
from tests.redis_server import RedisServer

CONFIG = "model_list: [{model_name: gpt-4, litellm_params: {model: openai/gpt-4, api_key: k}}]"


def test_a_budget_of_months_is_rebuilt_whole(
    tmp_path: Path, no_settings: None, clean_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was spent two months ago is still of its window."""
    monkeypatch.setenv("REDIS_URL", clean_redis.url)
    (tmp_path / "config.yaml").write_text(CONFIG)

    def run(*words: str) -> int:
        options = ("--data-dir", str(tmp_path / "data"), "--config", str(tmp_path / "config.yaml"))
        return admin.main([*options, *words])

    assert 0 == run("accounts", "create", "ada", "--max-budget", "5", "--window", "90d")
    spent_at = datetime.now(UTC) - timedelta(days=60)
    begun_at_ms = int(spent_at.timestamp() * 1_000)
    record = call_record(
        at=spent_at, price_nano_usd=3_000_000_000, windows={f"usd:{90 * DAY_S}": begun_at_ms}
    )
    engine = connect(f"sqlite:///{tmp_path / 'data' / 'scalix.db'}")
    UsageRecords(engine).insert([(record.to_json(), False)])
    engine.dispose()

    assert 0 == run("rebuild")

    with redis.Redis.from_url(clean_redis.url) as client:
        counters = client.hgetall(counters_key("ada"))
    assert {f"usd:{90 * DAY_S}": f"{begun_at_ms} 3000000000 0"} == {
        name.decode(): words.decode() for name, words in counters.items()
    }
