"""A fault run: clients at work while one part of the gateway after the other is killed or stopped."""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.postgresql_server import PostgresqlServer
from tests.soak.accidents import WORKERS, Gateway, befall
from tests.soak.callers import RETRIES, Callers
from tests.soak.plan import FALLBACK, TIMED_OUT, Fault, calls
from tests.soak.verdict import COSTS, PRICES, Evidence
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until

USERS = 3
AT_ONCE = 8
CALM_S = 3.0
"""Between two accidents, so that there are calls which nothing befell."""
SETTLED_WITHIN_S = 90.0


def run(
    folder: Path,
    seed: int,
    faults: Sequence[Fault],
    database: PostgresqlServer | None = None,
    tell: Callable[[str], object] = print,
) -> Evidence:
    """All that was to be seen, once everything has come to rest.

    Args:
        faults: what befalls the gateway, in this order.
        database: None: the gateway's own SQLite file.
    """
    with DemoProviderServer() as provider:
        config = _config(folder, provider)
        environment: dict[str, Any] = {} if database is None else {"SCALIX_DATABASE_URL": database.url}
        numbers = itertools.count(1)

        def start() -> GatewayProcess:
            # The data of the one before, and an output of its own.
            process = GatewayProcess(
                config, folder / "data", workers=WORKERS, SCALIX_SHUTDOWN_TIMEOUT_S="2", **environment
            )
            tell(f"the gateway is started for the {next(numbers)}. time")
            return process

        gateway = Gateway(start)
        users = [f"soak_{seed}_{number}" for number in range(USERS)]
        keys = [gateway.process.new_key(user_id=name, tier="premium", max_budget=1_000_000) for name in users]
        callers = Callers(provider, lambda: gateway.url, keys)
        troubles = []
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(lambda: asyncio.run(callers.run(calls(seed, USERS), AT_ONCE)))
            try:
                for fault in faults:
                    time.sleep(CALM_S)
                    since = time.monotonic()
                    befall(fault, gateway, database)
                    troubles.append((since, time.monotonic()))
                    tell(f"{fault}: {troubles[-1][1] - since:.0f} s; {len(callers.seen)} attempts so far")
                time.sleep(CALM_S)
            finally:
                callers.is_over = True
            load.result()
        evidence = _evidence(gateway.process, provider, users, keys, callers, troubles)
        assert gateway.process.stop() == 0
        return evidence


def _config(folder: Path, provider: DemoProviderServer) -> Path:
    entries = []
    for name, (of_input, of_output) in COSTS.items():
        params: dict[str, Any] = {
            "model": f"openai/{name}",
            "api_base": provider.base_url,
            "api_key": UPSTREAM_KEY,
            "input_cost_per_token": float(of_input),
            "output_cost_per_token": float(of_output),
        }
        if name == TIMED_OUT:
            params["timeout"] = 1
        entries.append({"model_name": name, "litellm_params": params})
    path = folder / "config.yaml"
    told = {
        "model_list": entries,
        "router_settings": {
            "num_retries": RETRIES,
            "disable_cooldowns": True,
            "fallbacks": [{model: [fallback]} for model, fallback in FALLBACK.items()],
        },
        "scalix": {
            "prices": [{"model": name, **price} for name, price in PRICES.items()],
            "tiers": {
                "premium": {
                    "limits": [
                        {"amount": 1_000_000, "unit": "requests", "window": "1d"},
                        {"amount": 1_000_000_000, "unit": "tokens", "window": "1d"},
                    ]
                }
            },
        },
    }
    path.write_text(yaml.safe_dump(told))
    return path


def _evidence(
    gateway: GatewayProcess,
    provider: DemoProviderServer,
    users: Sequence[str],
    keys: Sequence[str],
    callers: Callers,
    troubles: Sequence[tuple[float, float]],
) -> Evidence:
    with gateway.client() as operator:
        at_rest = {"pending": 0, "reservations_held": 0}
        wait_until(lambda: operator.get("/scalix/admin/outbox").json() == at_rest, SETTLED_WITHIN_S)
        records: list[Mapping[str, Any]] = []
        cursor = None
        while cursor is not None or not records:
            asked = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
            page = operator.get("/scalix/admin/ledger", params=asked).json()
            records += page["records"]
            cursor = page["next"]
            assert page["records"], "the ledger is empty"
        usage = operator.get("/scalix/admin/usage", params={"by": "user"}).json()["usage"]
    rolled_up = {
        row["user"]: {
            "requests": row["requests"],
            "tokens": row["total_tokens"],
            "spend": f"{row['price_usd'] or '0'}",
        }
        for row in usage
    }
    standing = {}
    for user, key in zip(users, keys, strict=True):
        with gateway.client(key) as client:
            used = client.get("/v1/user").json()["usage"]
            spend = client.get("/v1/user/budget").json()["spend_usd"]
        standing[user] = {"requests": used["requests_today"], "tokens": used["tokens_used"], "spend": spend}
    return Evidence(users, callers.seen, records, provider.calls(), standing, rolled_up, troubles)
