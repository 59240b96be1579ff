"""Redis is away: paid tiers go on, nobody waits for ever; then every call is counted and recorded once."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, health, quiet, records, standing, user
from tests.system.gateway_process import GatewayProcess, wait_until


def redis_pid(gateway: GatewayProcess) -> int:
    return int(json.loads((gateway.data_dir / "launcher.json").read_text())["redis_pid"])


@contextmanager
def hung_redis(gateway: GatewayProcess) -> Iterator[None]:
    """It accepts connections, and answers nothing."""
    pid = redis_pid(gateway)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_pro_goes_on_while_redis_hangs(limited: GatewayProcess) -> None:
    """Free users get 503 at once; a pro user's calls are answered, without figures, and counted later."""
    _, free_key = user(limited)
    name, pro_key = user(limited, "pro")
    with limited.client(pro_key) as pro, limited.client(free_key) as free:
        pro.post(CHAT, json=ask())
        with hung_redis(limited):
            began = time.monotonic()
            refused = [free.post(CHAT, json=ask()) for _ in range(4)]
            answers = [pro.post(CHAT, json=ask(stream=i % 2 == 0)) for i in range(6)]
            took_s = time.monotonic() - began
            wait_until(lambda: health(limited)["redis"]["status"] == "down", 15)
            # Long enough that what waits is said several times, to a Redis that will read all of it.
            wait_until(lambda: time.monotonic() - began >= 5, 15)
        wait_until(lambda: health(limited)["status"] == "ok", 15)
    found = wait_until(lambda: len(rows := records(limited, name)) >= 7 and rows, 15)

    assert {(503, "SERVICE_UNAVAILABLE")} == {(a.status_code, a.json()["error"]["code"]) for a in refused}
    assert {"5"} == {answer.headers["retry-after"] for answer in refused}
    assert [200] * 6 == [answer.status_code for answer in answers]
    assert not [name for answer in answers for name in answer.headers if "ratelimit" in name]
    assert took_s < 15
    assert ["ok"] * 7 == [record["outcome"] for record in found]
    assert 7 == standing(limited, pro_key)["requests_this_hour"]
    assert 0 == standing(limited, free_key)["requests_this_hour"]


def test_a_killed_redis_loses_and_doubles_nothing(
    limited: GatewayProcess, provider: DemoProviderServer
) -> None:
    """kill -9 in the middle of a load: one record for every call the provider saw, and nothing held."""
    provider.reset()
    name, key = user(limited, "premium")

    def one(i: int) -> int:
        with limited.client(key) as client:
            slow = "[demo tokens=20 delay_per_token=0.05]" if i % 2 else "[demo tokens=5]"
            return client.post(CHAT, json=ask(slow, stream=i % 3 == 0, max_tokens=20)).status_code

    killed = redis_pid(limited)
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(one, i) for i in range(120)]
        wait_until(lambda: sum(call.done() for call in calls) >= 30, 60)
        os.kill(killed, signal.SIGKILL)
        statuses = [call.result() for call in calls]
    wait_until(lambda: redis_pid(limited) != killed, 15)
    quiet(limited)
    found = wait_until(lambda: len(rows := records(limited, name)) >= 120 and rows, 60)
    seen = provider.tally()["totals"]

    assert {200} == set(statuses)
    assert 120 == len(found) == len({record["call_id"] for record in found})
    assert {"ok"} == {record["outcome"] for record in found}
    for field in ("prompt_tokens", "completion_tokens"):
        assert seen[field] == sum(record[field] for record in found)
    assert 120 == standing(limited, key)["requests_this_hour"]
