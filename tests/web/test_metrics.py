"""Who may read /metrics, and what the edge counts."""

from ipaddress import ip_network
from typing import Any

import pytest

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.metrics.labels import Names
from scalix_callbacks.web.edge import Edge
from scalix_callbacks.web.metrics import from_networks, metrics_page
from tests.metrics.support import read
from tests.web.conftest import MAX_BODY_BYTES, Site, stream

CHAT = {"model": "free-flash", "messages": [{"role": "user", "content": "Hello"}]}


def scope(client: str | None, **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": None if client is None else (client, 1234), "headers": named}


@pytest.mark.parametrize(
    ("client", "headers", "expected"),
    [
        ("10.1.2.3", {}, True),
        ("11.1.2.3", {}, False),
        ("::ffff:10.1.2.3", {}, True),
        ("fd00::1", {}, True),
        (None, {}, False),
        ("a-socket", {}, False),
        ("10.1.2.3", {"x_forwarded_for": "10.1.2.3"}, False),
        ("10.1.2.3", {"forwarded": "for=10.1.2.3"}, False),
    ],
)
def test_a_network_is_that_of_the_connection(
    client: str | None, headers: dict[str, str], expected: bool
) -> None:
    """What another proxy passed on may come from anybody."""
    comes = from_networks([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])

    assert expected is comes(scope(client, **headers))


def test_no_network_is_trusted_unless_it_is_named() -> None:
    """Not even the machine itself."""
    assert not from_networks([])(scope("127.0.0.1"))


@pytest.fixture
def metrics(site: Site) -> Metrics:
    """Of a site whose edge counts, and which trusts the machine itself."""
    metrics = Metrics(None, Names(tiers=("free", "pro", "premium")))
    own = {**site.edge._own, "/metrics": metrics_page(metrics.registry.page)}
    site.edge = Edge(
        site.inner,
        gateway=site.world.gateway,
        meter=site.world.meter,
        own=own,
        exists=site.inner.exists,
        max_body_bytes=MAX_BODY_BYTES,
        counts=metrics.requests,
        reads_metrics=from_networks([ip_network("127.0.0.1")]),
    )
    site.client._transport.app = site.edge  # type: ignore[attr-defined]
    return metrics


async def test_the_operator_and_trusted_networks_read_them(
    site: Site, metrics: Metrics, key: str, master_key: str
) -> None:
    """A user does not, wherever it comes from; nor does a wrong key."""
    answers = [await site.ask("GET", "/metrics", key=given) for given in (master_key, None, key, "sk-wrong")]

    assert [200, 200, 403, 401] == [answer.status_code for answer in answers]
    assert ErrorCategory.PERMISSION_DENIED == answers[2].json()["error"]["code"]
    assert answers[0].headers["content-type"].startswith("text/plain; version=")


async def test_other_pages_need_a_key_from_there_too(site: Site, metrics: Metrics) -> None:
    """Networks open the metrics alone."""
    assert 401 == (await site.ask("GET", "/scalix/admin/outbox")).status_code


async def test_the_edge_counts_every_request_for_a_model_once(site: Site, metrics: Metrics, key: str) -> None:
    """Answers, streams, refusals; health and other pages are none."""
    await site.ask("POST", "/v1/chat/completions", key=key, json=CHAT)
    site.inner.reply = stream(b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n")
    await site.ask("POST", "/chat/completions", key=key, json={**CHAT, "stream": True})
    await site.ask("POST", "/v1/chat/completions", key="sk-wrong", json=CHAT)
    await site.ask("POST", "/v1/embeddings", key=key, content=b"{")
    await site.ask("GET", "/v1/health")
    await site.ask("GET", "/never/heard/of/it", key=key)
    found = read(metrics)

    assert 2 == found["scalix_requests_total", "chat", "free"]
    assert 1 == found["scalix_requests_total", "chat", "unknown"]
    assert 1 == found["scalix_requests_total", "embeddings", "free"]
    assert 1 == found["scalix_errors_total", "INVALID_API_KEY"] == found["scalix_errors_total", "NOT_FOUND"]
    assert 1 == found["scalix_errors_total", "INVALID_REQUEST"]
    assert 3 == found["scalix_response_time_seconds_count", "chat"]
    assert 2 == found["scalix_overhead_seconds_count", "admit"]
    assert ("scalix_active_connections",) not in found


async def test_paths_and_statuses_make_no_series(site: Site, metrics: Metrics, key: str) -> None:
    """A scanner that asks for many addresses leaves no more than one that asks for one."""

    async def look(i: int) -> None:
        await site.ask("GET", f"/admin/{i}.php", key=key)
        await site.ask("POST", f"/v1/chat/completions?x={i}", key=key, json={**CHAT, "model": f"m-{i}"})

    await look(0)
    before = len(metrics.registry.exposition().splitlines())
    for i in range(50):
        await look(i)

    assert before == len(metrics.registry.exposition().splitlines())
