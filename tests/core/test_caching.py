"""Which answers may be kept, for whom, and what a request says of it."""

from dataclasses import replace
from typing import Any

import pytest

from scalix_callbacks.core.caching import (
    CachePlan,
    cache_problem,
    is_deterministic,
    plan_of,
    scopes_of,
)
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import DEFAULT_TIERS, CacheSharing, Tier

FREE = DEFAULT_TIERS["free"]
ADA, BOB = Caller("ada", "free", Role.USER), Caller("bob", "free", Role.USER)
BODY = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 0}


def plan(
    caller: Caller = ADA,
    tier: Tier | None = FREE,
    body: dict[str, Any] = BODY,
    field: dict[str, Any] | None = None,
    header: str | None = None,
) -> CachePlan | None:
    return plan_of(caller, tier, Endpoint.CHAT, body, field=field, header=header)


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_chat_and_completions_are_cached(endpoint: Endpoint) -> None:
    """The other endpoints' answers are not."""
    expected = endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS)

    assert expected == is_deterministic(endpoint, {"temperature": 0})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0}, True),
        ({"temperature": 0.0, "n": 1, "seed": 7, "stream": True}, True),
        ({"temperature": 0, "tools": []}, True),
        ({}, False),
        ({"temperature": None}, False),
        ({"temperature": 1e-9}, False),
        ({"temperature": False}, False),
        ({"temperature": 0, "n": 2}, False),
        ({"temperature": 0, "tools": [{"type": "function"}]}, False),
        ({"temperature": 0, "functions": [{}]}, False),
        ({"temperature": 0, "modalities": ["text", "audio"]}, False),
        ({"temperature": 0, "audio": {"voice": "x"}}, False),
    ],
)
def test_a_call_is_deterministic_by_what_it_says(fields: dict[str, Any], expected: bool) -> None:
    """Temperature 0 must be said; several answers, tools and audio differ each time."""
    assert expected == is_deterministic(Endpoint.CHAT, fields)


def test_the_scope_is_the_callers() -> None:
    """Nothing of the body changes it; a tier's users share only where the tier says so."""
    shared = replace(FREE, cache=CacheSharing.SHARED)
    body = {**BODY, "metadata": {"redis_namespace": "own:bob"}, "user": "bob"}
    plans = [plan(), plan(body=body), plan(BOB), plan(OPERATOR, None), plan(tier=shared), plan(BOB, shared)]

    assert ["own:ada", "own:ada", "own:bob", "own:operator", "tier:free", "tier:free"] == [
        each.scope for each in plans if each
    ]
    assert ["ada", "bob"] == [each.author for each in plans[-2:] if each]


def test_a_tier_without_a_cache_has_none() -> None:
    """Whatever its users ask."""
    off = replace(FREE, cache=CacheSharing.OFF)

    assert plan(tier=off, field={"ttl": 60}) is None


def test_another_question_is_another_request() -> None:
    """Any field tells them apart, also one that LiteLLM's own key leaves out; their order does not."""
    same = plan(body=dict(reversed(BODY.items())))
    others = [plan(body={**BODY, **more}) for more in ({"top_k": 3}, {"stream": True}, {"seed": 1})]
    requests = [each.request for each in (plan(), *others) if each]

    assert same is not None and same.request == requests[0]
    assert 4 == len(set(requests))


@pytest.mark.parametrize(
    ("field", "header", "expected"),
    [
        (None, None, (True, True, 3_600, None)),
        ({"no-cache": True}, None, (False, True, 3_600, None)),
        ({"no-store": True}, None, (True, False, 3_600, None)),
        ({"no-cache": False, "ttl": 60}, None, (True, True, 60, None)),
        (None, "no-cache", (False, True, 3_600, None)),
        (None, "No-Store, private", (True, False, 3_600, None)),
        (None, 'max-age="60"', (True, True, 3_600, 60)),
        (None, "max-age=0", (False, True, 3_600, 0)),
        (None, "only-if-cached,, =", (True, True, 3_600, None)),
        ({"no-cache": False}, "no-cache", (True, True, 3_600, None)),
        ({"ttl": 5}, "max-age=7", (True, True, 5, 7)),
    ],
)
def test_a_request_says_what_it_wants(
    field: dict[str, Any] | None, header: str | None, expected: tuple[Any, ...]
) -> None:
    """In the body or by `Cache-Control`; the body is the nearer one."""
    found = plan(field=field, header=header)

    assert found is not None
    assert expected == (found.reads, found.stores, found.ttl_s, found.max_age_s)


@pytest.mark.parametrize("header", ["no-store, no-cache", "no-store, max-age=0"])
def test_who_neither_reads_nor_keeps_has_no_plan(header: str) -> None:
    """Such a call does not come near the cache."""
    assert plan(header=header) is None


@pytest.mark.parametrize(
    "header", ["max-age=x", "max-age=", "max-age=-1", "max-age=1.5", "max-age=99999999999"]
)
def test_an_unreadable_age_is_refused(header: str) -> None:
    """400 that names the header."""
    with pytest.raises(GatewayError) as caught:
        plan(header=header)

    assert (ErrorCategory.INVALID_REQUEST, "cache-control") == (caught.value.category, caught.value.param)


@pytest.mark.parametrize(
    ("value", "is_right"),
    [
        ({}, True),
        ({"no-cache": True, "no-store": False, "ttl": 3_600}, True),
        ({"ttl": 1}, True),
        ({"ttl": 0}, False),
        ({"ttl": 3_601}, False),
        ({"ttl": 1.5}, False),
        ({"ttl": True}, False),
        ({"ttl": "60"}, False),
        ({"no-cache": 1}, False),
        ({"no-store": None}, False),
        ({"namespace": "x"}, False),
        ({"use-cache": True}, False),
        ({"s-maxage": 60}, False),
        ([], False),
        (True, False),
    ],
)
def test_the_field_has_three_names(value: Any, is_right: bool) -> None:
    """LiteLLM's others are not open to callers."""
    assert is_right == (cache_problem(value) is None)


def test_an_accounts_answers_lie_in_its_own_scope_and_its_tiers() -> None:
    """It may have had any of them."""
    assert ("own:ada", "tier:free", "tier:pro") == scopes_of("ada", ("free", "pro"))
