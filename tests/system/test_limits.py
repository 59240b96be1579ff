"""Never over, never phantom: the tiers' limits, by the whole product, two workers and a provider's tally."""

import json
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, MODEL, ask, at_once, quiet, records, standing, user
from tests.system.gateway_process import GatewayProcess, wait_until


def test_forty_calls_at_once_are_ten(limited: GatewayProcess, provider: DemoProviderServer) -> None:
    """Exactly 10 answered, 30 refused with all an app needs to know; the provider saw 10."""
    provider.reset()
    _, key = user(limited)

    answers = at_once(limited, key, [ask() for _ in range(40)])
    refused = [answer for answer in answers if answer.status_code == 429]

    assert (10, 30) == (sum(answer.status_code == 200 for answer in answers), len(refused))
    assert 10 == len(provider.wait_for_calls(10))
    for answer in refused:
        error = answer.json()["error"]
        assert "RATE_LIMIT_EXCEEDED" == error["code"]
        assert error["message"].startswith("Rate limit exceeded. Please upgrade to Pro")
        assert "[Upgrade to Pro](https://scalix.world/pro)" in error["message"]
        assert "false" == answer.headers["x-should-retry"]
        assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
        assert "0" == answer.headers["x-ratelimit-remaining-requests-1h"]
    quiet(limited)


def test_failed_calls_give_everything_back(limited: GatewayProcess, provider: DemoProviderServer) -> None:
    """After 8 failures of the provider a user still has 10."""
    _, key = user(limited)
    failed = at_once(limited, key, [ask("[demo fail=500]") for _ in range(8)])
    quiet(limited)
    left = standing(limited, key)
    answers = at_once(limited, key, [ask() for _ in range(12)])

    assert {"PROVIDER_ERROR"} == {answer.json()["error"]["code"] for answer in failed}
    assert (10, 0) == (left["remaining_requests"], left["tokens_used"])
    assert 10 == sum(answer.status_code == 200 for answer in answers)


def test_the_tokens_of_a_day_are_never_exceeded(
    limited: GatewayProcess, provider: DemoProviderServer
) -> None:
    """Eight calls that ask for far too much: the provider never writes more than the day holds."""
    provider.reset()
    _, key = user(limited)
    at_once(limited, key, [ask("[demo tokens=60000]", max_tokens=65_535) for _ in range(8)])
    totals = provider.tally()["totals"]

    assert totals["prompt_tokens"] + totals["completion_tokens"] <= 10_000
    quiet(limited)


def test_a_single_call_gets_the_whole_day(limited: GatewayProcess, provider: DemoProviderServer) -> None:
    """It is clamped, not refused, and told so."""
    _, key = user(limited)
    with limited.client(key) as client:
        answer = client.post(CHAT, json=ask("[demo tokens=60000]", max_tokens=65_535))

    assert 200 == answer.status_code
    assert 9_000 < answer.json()["usage"]["completion_tokens"] < 10_000
    assert 9_000 < int(answer.headers["x-scalix-max-tokens-clamped"]) < 10_000


def test_a_prompt_above_the_limit_is_too_large(limited: GatewayProcess) -> None:
    """413, and no waiting helps."""
    _, key = user(limited)
    with limited.client(key) as client:
        answer = client.post(CHAT, json=ask("word " * 12_000))

    assert (413, "PROMPT_TOO_LARGE") == (answer.status_code, answer.json()["error"]["code"])
    assert answer.json()["error"]["retryable"] is False


def test_attempts_of_one_request_are_one_request(limited: GatewayProcess) -> None:
    """Three at once count once; the same number again, or another body, is no free ride."""
    _, key = user(limited)
    request = str(uuid.uuid4())
    slow = ask("[demo delay=0.5]")
    answers = at_once(
        limited, key, [slow] * 3, lambda i: {"x-scalix-request-id": f"{request}:attempt-{i + 1}"}
    )
    quiet(limited)
    once = standing(limited, key)["requests_this_hour"]
    again = str(uuid.uuid4())
    for _ in range(2):
        with limited.client(key, **{"x-scalix-request-id": f"{again}:attempt-1"}) as client:
            client.post(CHAT, json=ask())

    assert [200] * 3 == [answer.status_code for answer in answers]
    assert (1, 3) == (once, standing(limited, key)["requests_this_hour"])


def test_the_eighth_of_ten_brings_the_upgrade_prompt(limited: GatewayProcess) -> None:
    """From 80 % on, in the JSON answer and in a header."""
    _, key = user(limited)
    with limited.client(key) as client:
        answers = [client.post(CHAT, json=ask()) for _ in range(9)]

    assert [False] * 7 + [True] * 2 == [a.json()["scalix"]["upgrade_prompt"] for a in answers]
    assert "x-scalix-upgrade-prompt" not in answers[6].headers
    assert "Upgrade to Pro" in answers[7].headers["x-scalix-upgrade-prompt"]


def test_a_stream_ends_with_the_usage_and_what_is_left(limited: GatewayProcess) -> None:
    """One usage chunk, ours, whether or not it was asked for; OpenAI's SDK reads it."""
    _, key = user(limited)
    with openai.OpenAI(api_key=key, base_url=f"{limited.url}/v1", max_retries=0) as client:
        for options in ({}, {"stream_options": {"include_usage": True}}):
            chunks = list(
                client.chat.completions.create(
                    model=MODEL, messages=ask()["messages"], max_tokens=5, stream=True, **options
                )
            )

            assert [5] == [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
            assert [] == chunks[-1].choices
            assert "free" == chunks[-1].scalix["tier"]  # type: ignore[attr-defined]


def test_mixed_calls_leave_one_record_each(limited: GatewayProcess, provider: DemoProviderServer) -> None:
    """150 calls, a fifth hang-ups, a fifth failures: 90 ok, 30 aborted, 30 error, those ok to the token."""
    provider.reset()
    name, key = user(limited, "premium")

    def one(i: int) -> None:
        with limited.client(key) as client:
            if i % 5 == 0:
                client.post(CHAT, json=ask("[demo fail=500]"))
            elif i % 5 == 1:
                body = ask("[demo tokens=400 delay_per_token=0.05]", stream=True, max_tokens=400)
                with client.stream("POST", CHAT, json=body) as answer:
                    next(answer.iter_lines())
            else:
                client.post(CHAT, json=ask(f"number {i}", stream=i % 2 == 0))

    with ThreadPoolExecutor(15) as pool:
        list(pool.map(one, range(150)))
    found = records(limited, name)
    counts = {outcome: sum(r["outcome"] == outcome for r in found) for outcome in ("ok", "aborted", "error")}
    billed = [call for call in provider.tally()["calls"] if call["outcome"] == "ok"]

    assert {"ok": 90, "aborted": 30, "error": 30} == counts
    assert 150 == len({record["call_id"] for record in found})
    odd = [record for record in found if record["outcome"] == "ok" and record["estimated"]]
    assert [] == odd
    for field in ("prompt_tokens", "completion_tokens"):
        finished = sum(record[field] for record in found if record["outcome"] == "ok")
        assert sum(call[field] for call in billed) == finished
    assert 30 == sum(call["outcome"] == "hang_up" for call in provider.tally()["calls"])


def test_a_killed_worker_leaves_a_record_for_every_call(
    limited: GatewayProcess, provider: DemoProviderServer
) -> None:
    """kill -9 under load: within 45 s one record for each call the provider saw, nothing held."""
    provider.reset()
    name, key = user(limited, "premium")
    body = ask("[demo tokens=200 delay_per_token=0.02]", stream=True, max_tokens=200)

    def one(_: int) -> None:
        try:
            with limited.client(key) as client:
                client.post(CHAT, json=body)
        except httpx.HTTPError:
            pass  # its worker was killed

    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(one, i) for i in range(20)]
        provider.wait_for_in_flight(20)
        os.kill(json.loads((limited.data_dir / "launcher.json").read_text())["workers"][0], signal.SIGKILL)
        for call in calls:
            call.result()

    def all_recorded() -> list[dict[str, Any]] | None:
        with limited.client() as operator:
            found = operator.get("/scalix/admin/ledger", params={"user_id": name, "limit": 1000}).json()[
                "records"
            ]
            is_quiet = operator.get("/scalix/admin/outbox").json() == {"pending": 0, "reservations_held": 0}
        return found if is_quiet and len(found) >= 20 else None

    found = wait_until(all_recorded, 45)

    assert 20 == len({record["call_id"] for record in found}) == len(found)
    assert {"ok", "abandoned"} == {record["outcome"] for record in found}
    assert {None} == {r["completion_tokens"] for r in found if r["outcome"] == "abandoned"}


def test_the_ledger_is_the_operators(limited: GatewayProcess) -> None:
    """A user's key reads neither it nor the outbox."""
    _, key = user(limited)
    with limited.client(key) as client:
        statuses = {client.get(path).status_code for path in ("/scalix/admin/ledger", "/scalix/admin/outbox")}

    assert {403} == statuses


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"])
def test_every_endpoint_counts(limited: GatewayProcess, path: str) -> None:
    """Whatever spends money takes a request, and leaves a record."""
    name, key = user(limited)
    fields: dict[str, Any] = {
        "/v1/completions": {"prompt": "Hello", "max_tokens": 16},
        "/v1/embeddings": {"input": "Hello"},
        "/v1/responses": {"input": "Hello", "max_output_tokens": 16},
        "/v1/messages": {"messages": ask()["messages"], "max_tokens": 16},
    }
    with limited.client(key) as client:
        answer = client.post(path, json={"model": MODEL, **fields[path]})
    found = records(limited, name)

    assert 200 == answer.status_code, answer.text
    assert ("ok", 1) == (found[0]["outcome"], found[0]["requests_counted"])
    assert "9" == answer.headers["x-ratelimit-remaining-requests-1h"]


def test_metrics_are_summed_over_workers(limited: GatewayProcess) -> None:
    """Both workers served; the operator alone reads them, in a form Prometheus' parser reads."""
    _, key = user(limited, "premium")

    def served() -> float:
        with limited.client() as operator:
            text = operator.get("/metrics").text
        found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        labels = {"user_type": "premium", "endpoint": "embeddings"}
        return sum(s.value for s in found if (s.name, s.labels) == ("scalix_requests_total", labels))

    before = served()
    bodies = [{"model": MODEL, "input": "Hello"}] * 12
    at_once(limited, key, bodies, path="/v1/embeddings")

    assert before + 12 == served()
    with limited.client(key) as client:
        assert 403 == client.get("/metrics").status_code


def test_a_limit_in_shadow_reports_and_refuses_nothing(limited: GatewayProcess) -> None:
    """Two an hour in shadow: five are answered, three reported, and the user sees nothing of it."""
    name, key = user(limited)
    own = {"limits": [{"unit": "requests", "window_s": 3_600, "limit": 2, "shadow": True}]}
    with limited.client() as operator, limited.client(key) as client:
        assert 200 == operator.put(f"/scalix/admin/accounts/{name}/limits", json=own).status_code
        before = _shadow_refusals(limited)
        answers = at_once(limited, key, [ask() for _ in range(5)])
        quiet(limited)
        told = client.get("/v1/user").json()["limits"]

    assert [200] * 5 == [answer.status_code for answer in answers]
    assert {"10"} == {answer.headers["x-ratelimit-limit-requests-1h"] for answer in answers}
    assert 3 == _shadow_refusals(limited) - before
    assert [10, 50, 10_000] == [each["limit"] for each in told]


def _shadow_refusals(gateway: GatewayProcess) -> float:
    with gateway.client() as operator:
        families = text_string_to_metric_families(operator.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "scalix_shadow_refusals_total"
        )


def test_a_flag_lifts_no_limit(limited: GatewayProcess) -> None:
    """`rateLimiting` tells the app which of its own ways to go; who is without it is limited all the same."""
    name, key = user(limited)
    with limited.client() as operator:
        path = f"/scalix/admin/rollout/rateLimiting/users/{name}/rollback"
        assert 200 == operator.post(path).status_code
    with limited.client(key) as client:
        wait_until(lambda: not client.get("/v1/user").json()["flags"]["rateLimiting"])
        assert {"liteLLM", "rateLimiting"} < set(client.get("/v1/user").json()["flags"])
    answers = at_once(limited, key, [ask() for _ in range(12)])

    assert [10, 2] == [sum(each.status_code == status for each in answers) for status in (200, 429)]
