"""The answer cache of a running gateway: what is answered from it, to whom, and what is kept of it."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, records, standing, user
from tests.system.gateway_process import GatewayProcess, wait_until

HEADER = "x-scalix-cache"


def question(**fields: Any) -> dict[str, Any]:
    """One that nobody has asked before, and whose answer may be kept."""
    return ask(f"[demo tokens=5] {uuid.uuid4().hex}", temperature=0, **fields)


def until_hit(client: httpx.Client, body: dict[str, Any], path: str = CHAT, **headers: str) -> httpx.Response:
    """Asks until the answer, which is kept in the background, is there."""

    def hit() -> httpx.Response | None:
        answer = client.post(path, json=body, headers=headers)
        assert 200 == answer.status_code, answer.text
        return answer if answer.headers.get(HEADER) == "hit" else None

    found: httpx.Response = wait_until(hit, 10)
    return found


def frames(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert "[DONE]" == lines[-1]
    return [json.loads(line) for line in lines[:-1]]


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.fixture
def redis(limited: GatewayProcess) -> Iterator[Redis]:
    state = json.loads((limited.data_dir / "launcher.json").read_text())
    with Redis(unix_socket_path=state["redis_socket"]) as client:
        yield client


def test_an_answer_is_given_again(limited: GatewayProcess, provider: DemoProviderServer) -> None:
    """On every worker, word for word, without tokens and for nothing; the request counts and has a record."""
    provider.reset()
    name, key = user(limited)
    body = question()
    with limited.client(key) as client:
        first = client.post(CHAT, json=body)
        used = standing(limited, key)["tokens_used"]
        again = until_hit(client, body)
    # Connections of their own land on either worker.
    for _ in range(4):
        with limited.client(key) as other:
            assert "hit" == other.post(CHAT, json=body).headers[HEADER]
    asked = len(provider.tally()["calls"])
    told, kept = again.json(), records(limited, name)

    assert "miss" == first.headers[HEADER]
    assert first.json()["choices"] == told["choices"]
    assert {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0} == {
        field: told["usage"][field] for field in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    assert "0.000000" == told["scalix"]["cost_usd"]
    cached = [record for record in kept if record["outcome"] == "cached"]
    assert asked == len(kept) - len(cached)
    assert used * asked == standing(limited, key)["tokens_used"]
    assert len(kept) == standing(limited, key)["requests_this_hour"]
    assert {(0, 0, 1, "0.000000", None, None)} == {
        (
            record["prompt_tokens"],
            record["completion_tokens"],
            record["requests_counted"],
            record["price_usd"],
            record["provider_cost_usd"],
            record["provider"],
        )
        for record in cached
    }
    assert not [name for name in again.headers if name.startswith("x-litellm")]


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_a_stream_is_given_again_as_a_stream(limited: GatewayProcess, path: str) -> None:
    """The same text, one usage chunk, which is ours, and [DONE]."""
    name, key = user(limited, "premium")
    body = question(stream=True)
    if path != CHAT:
        body["prompt"] = body.pop("messages")[0]["content"]
    with limited.client(key) as client:
        first = client.post(path, json=body)
        again = until_hit(client, body, path)
    usage = [chunk["usage"] for chunk in frames(again) if chunk.get("usage")]

    assert "miss" == first.headers[HEADER]
    if path == CHAT:
        assert text_of(frames(first)) == text_of(frames(again)) != ""
    assert [0] == [told["total_tokens"] for told in usage]
    assert frames(again)[-1]["scalix"]["cost_usd"] == "0.000000"
    assert "cached" in {record["outcome"] for record in records(limited, name)}


CLAIMS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({}, {}),
    ({}, {"user": "VICTIM"}),
    ({}, {"metadata": {"redis_namespace": "VICTIM", "user_api_key_user_id": "VICTIM"}}),
    (
        {},
        {"metadata": {"tags": ["VICTIM"], "session_id": "VICTIM", "caching_groups": [["free-gemini-flash"]]}},
    ),
    ({}, {"litellm_metadata": {"redis_namespace": "VICTIM"}}),
    ({}, {"cache": {"namespace": "VICTIM"}}),
    ({}, {"cache": {"use-cache": True, "s-maxage": 3600}}),
    ({}, {"cache_key": "VICTIM"}),
    ({}, {"caching": True}),
    ({}, {"litellm_params": {"preset_cache_key": "VICTIM"}}),
    ({}, {"litellm_session_id": "VICTIM", "litellm_trace_id": "VICTIM"}),
    ({"x-user-id": "VICTIM", "x-user-tier": "premium"}, {}),
    ({"x-litellm-cache-key": "VICTIM", "x-litellm-tags": "VICTIM", "x-litellm-end-user-id": "VICTIM"}, {}),
    ({"x-litellm-session-id": "VICTIM", "x-litellm-trace-id": "VICTIM", "x-litellm-call-id": "VICTIM"}, {}),
    ({"x-scalix-request-id": "VICTIM", "x-scalix-session": "VICTIM", "x-litellm-customer-id": "VICTIM"}, {}),
    ({"cache-control": "max-age=3600, s-maxage=3600"}, {}),
]


def test_nobody_reads_anothers_answer(limited: GatewayProcess) -> None:
    """By no field and no header: each such request is a miss, or refused."""
    name, key = user(limited, "premium")
    body = question()
    with limited.client(key) as client:
        until_hit(client, body)
    said = []
    for headers, fields in CLAIMS:
        _, stranger = user(limited, "premium")
        claimed = json.loads(json.dumps([headers, fields]).replace("VICTIM", name))
        with limited.client(stranger, **claimed[0]) as client:
            answer = client.post(CHAT, json={**body, **claimed[1]})
        said.append((answer.status_code, answer.headers.get(HEADER)))

    assert set(said) <= {(200, "miss"), (400, None)}
    assert (200, "miss") == said[0]


def test_the_operator_for_a_user_reads_that_users_answers_alone(limited: GatewayProcess) -> None:
    """Not those of its own calls, nor of another it acts for."""
    body = question()
    with limited.client() as operator:
        hit = until_hit(operator, {**body, "user": "cached_ada"})
        other = operator.post(CHAT, json={**body, "user": "cached_bob"})
        own = operator.post(CHAT, json=body)

    assert ["miss", "miss"] == [other.headers[HEADER], own.headers[HEADER]]
    assert "x-litellm-cache-key" not in hit.headers


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.5},
        {"temperature": None},
        {"n": 2},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
    ],
    ids=["temperature", "no temperature", "two answers", "tools"],
)
def test_what_is_not_deterministic_is_never_cached(
    limited: GatewayProcess, provider: DemoProviderServer, fields: Any
) -> None:
    """Its provider is asked each time, and no header speaks of a cache."""
    _, key = user(limited, "premium")
    provider.reset()
    body = {**question(), **fields}
    with limited.client(key) as client:
        said = [client.post(CHAT, json=body).headers.get(HEADER) for _ in range(3)]

    assert [None] * 3 == said
    assert 3 == len(provider.tally()["calls"])


def test_nothing_of_the_cache_reaches_a_provider(
    limited: GatewayProcess, provider: DemoProviderServer
) -> None:
    """What steers the cache is no field of the request that leaves the gateway."""
    _, key = user(limited, "premium")
    provider.reset()
    with limited.client(key) as client:
        client.post(CHAT, json=question(cache={"ttl": 60, "no-cache": True}))
        client.post(CHAT, json=ask(cache={"ttl": 60}))
    sent = {field for call in provider.tally()["calls"] for field in call["request_keys"]}

    assert {"temperature"} <= sent <= {"model", "messages", "max_tokens", "temperature", "stream"}


@pytest.mark.parametrize("way", ["header", "body"])
def test_a_request_opts_out_and_refreshes(
    limited: GatewayProcess, provider: DemoProviderServer, way: str
) -> None:
    """`no-store` keeps nothing, `no-cache` asks the provider and keeps its answer anew."""

    def said(client: httpx.Client, *directives: str) -> str | None:
        if way == "header":
            answer = client.post(CHAT, json=body, headers={"cache-control": ", ".join(directives)})
        else:
            answer = client.post(CHAT, json={**body, "cache": dict.fromkeys(directives, True)})
        return answer.headers.get(HEADER)

    _, key = user(limited, "premium")
    body = question()
    with limited.client(key) as client:
        assert ["miss"] * 3 == [said(client, "no-store") for _ in range(3)]
        assert [None] * 2 == [said(client, "no-store", "no-cache") for _ in range(2)]
        until_hit(client, body)
        provider.reset()
        assert "miss" == said(client, "no-cache")
        assert 1 == len(provider.tally()["calls"])
        assert "hit" == said(client)


def test_an_answer_is_given_again_for_as_long_as_asked(limited: GatewayProcess) -> None:
    """`ttl` bounds its life, `max-age` how old it may be."""
    _, key = user(limited, "premium")
    body = question(cache={"ttl": 1})
    with limited.client(key) as client:
        until_hit(client, body)
        wait_until(lambda: "miss" == client.post(CHAT, json={**body, "cache": {}}).headers[HEADER], 10)
        until_hit(client, body)
        young = client.post(CHAT, json=body, headers={"cache-control": "max-age=0"})

    assert "miss" == young.headers[HEADER]


@pytest.mark.parametrize(
    "cache", [{"ttl": 0}, {"ttl": 3601}, {"ttl": True}, {"no-cache": 1}, {"namespace": "x"}, [], "no-cache"]
)
def test_a_wrong_wish_is_refused_by_name(limited: GatewayProcess, cache: Any) -> None:
    """400 that says what it must be."""
    _, key = user(limited)
    with limited.client(key) as client:
        answer = client.post(CHAT, json=question(cache=cache))

    assert (400, "cache") == (answer.status_code, answer.json()["error"]["param"])


def test_redis_holds_no_word_of_it(limited: GatewayProcess, redis: Redis) -> None:
    """Neither prompt nor answer, nor whose they are; every key has an end."""
    name, key = user(limited, "premium")
    body = question()
    with limited.client(key) as client:
        answer = until_hit(client, body)
    words = [
        body["messages"][0]["content"][-32:],
        answer.json()["choices"][0]["message"]["content"],
        name,
        "choices",
    ]
    found = [found for found in redis.scan_iter("scalix:*:answers*")]
    held = b"".join(
        b"".join(redis.hgetall(key).values())
        if redis.type(key) == b"hash"
        else b"".join(redis.zrange(key, 0, -1))
        for key in found
    )

    assert found and held
    assert [] == [word for word in words if word.encode() in held]
    assert all(0 < redis.pttl(key) <= 3_600_000 for key in found)


def test_who_is_erased_leaves_no_answer(limited: GatewayProcess, redis: Redis) -> None:
    """What was cached for it is gone; others' answers stay."""
    (_, key), (_, other) = user(limited, "premium"), user(limited, "premium")
    mine, theirs = question(), question()
    with limited.client(key) as client, limited.client(other) as neighbour:
        until_hit(client, mine)
        until_hit(neighbour, theirs)
        before = sum(redis.zcard(found) for found in redis.scan_iter("scalix:*:answers:order"))
        client.delete("/v1/user")
        after = sum(redis.zcard(found) for found in redis.scan_iter("scalix:*:answers:order"))
        assert "hit" == neighbour.post(CHAT, json=theirs).headers[HEADER]

    assert before - 1 == after


def test_a_failed_or_cut_stream_is_not_kept(limited: GatewayProcess) -> None:
    """The next one is asked anew."""
    _, key = user(limited, "premium")
    failing = ask(
        f"[demo tokens=20 fail_after=4] {uuid.uuid4().hex}", temperature=0, stream=True, max_tokens=20
    )
    slow = ask(
        f"[demo tokens=40 delay_per_token=0.05] {uuid.uuid4().hex}", temperature=0, stream=True, max_tokens=40
    )
    with limited.client(key) as client:
        for _ in range(2):
            client.post(CHAT, json=failing)
        with client.stream("POST", CHAT, json=slow) as answer:
            next(answer.iter_lines())
        said = [client.post(CHAT, json=body).headers.get(HEADER) for body in (failing, slow)]

    assert "hit" not in said


def test_hits_are_counted(limited: GatewayProcess) -> None:
    """`scalix_cache_total` of /metrics, by its two results."""
    _, key = user(limited, "premium")
    with limited.client(key) as client:
        until_hit(client, question())
    with limited.client() as operator:
        told = operator.get("/metrics").text

    assert 'scalix_cache_total{result="hit"}' in told
    assert 'scalix_cache_total{result="miss"}' in told
