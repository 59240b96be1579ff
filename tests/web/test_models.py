"""GET /v1/models, and one of them."""

import httpx
import openai
import pytest

from tests.web.conftest import Site
from tests.world import MASTER_KEY


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
async def test_the_list_is_openais_form(site: Site, key: str, path: str) -> None:
    """Every field that OpenAI's clients require."""
    answer = await site.ask("GET", path, key=key)
    expected = [
        {"id": "free-flash", "object": "model", "created": 0, "owned_by": "scalix"},
        {"id": "free-pro", "object": "model", "created": 0, "owned_by": "scalix"},
    ]

    assert (200, {"object": "list", "data": expected}) == (answer.status_code, answer.json())
    assert "free" == answer.headers["x-scalix-tier"]
    assert [] == site.inner.scopes


async def test_openais_sdk_reads_the_list(site: Site, key: str) -> None:
    """As its own type."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(site.edge))
    async with openai.AsyncOpenAI(api_key=key, base_url="http://gateway.example/v1", http_client=http) as sdk:
        listed = [model.id async for model in sdk.models.list()]
        one = await sdk.models.retrieve("free-pro")

    assert (["free-flash", "free-pro"], "free-pro") == (listed, one.id)


@pytest.mark.parametrize(
    ("tier", "name"),
    [("free", "free-flash"), ("pro", "gpt-4.1"), ("pro", "anthropic/claude-x"), ("pro", "anthropic/*")],
)
@pytest.mark.parametrize("prefix", ["/v1/models/", "/models/"])
async def test_one_model_that_may_be_used_is_shown(site: Site, tier: str, name: str, prefix: str) -> None:
    """By its name, also where a pattern of the list matches it."""
    answer = await site.ask("GET", prefix + name, key=site.world.key(tier=tier))

    assert (200, name) == (answer.status_code, answer.json()["id"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", (404, "MODEL_NOT_FOUND")),
        ("FREE-FLASH", (404, "MODEL_NOT_FOUND")),
        ("free-flash,gpt-4", (404, "MODEL_NOT_FOUND")),
        ("gpt-4", (403, "MODEL_NOT_IN_TIER")),
        ("free-unready", (503, "MODEL_UNAVAILABLE")),
    ],
)
async def test_one_that_may_not_be_used_is_refused_as_a_call_would_be(
    site: Site, key: str, name: str, expected: tuple[int, str]
) -> None:
    """The app learns why before it tries."""
    answer = await site.ask("GET", f"/v1/models/{name}", key=key)

    assert expected == (answer.status_code, answer.json()["error"]["code"])


async def test_the_operator_sees_all_that_can_be_served(site: Site) -> None:
    """And is told what is not there, though LiteLLM might route it."""
    answer = await site.ask("GET", "/v1/models", key=MASTER_KEY)
    missing = await site.ask("GET", "/v1/models/some-deployment-id", key=MASTER_KEY)

    assert {
        "free-flash",
        "free-pro",
        "scalix-engine",
        "gpt-4.1",
        "gpt-4",
        "claude-3-opus",
        "anthropic/*",
        "local/*",
    } == {entry["id"] for entry in answer.json()["data"]}
    assert 404 == missing.status_code


async def test_a_key_for_one_model_lists_that_one(site: Site) -> None:
    """Also of a provider that is configured as a whole."""
    narrowed = site.world.key(tier="pro", models=["anthropic/claude-x"])
    answer = await site.ask("GET", "/v1/models", key=narrowed)

    assert ["anthropic/claude-x"] == [entry["id"] for entry in answer.json()["data"]]


async def test_without_a_key_nothing_is_listed(site: Site) -> None:
    """401, in the app's words."""
    answer = await site.ask("GET", "/v1/models")

    assert 401 == answer.status_code
    assert "LiteLLM Virtual Key expected" in answer.json()["error"]["message"]
