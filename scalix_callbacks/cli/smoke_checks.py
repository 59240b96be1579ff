"""What a running gateway promises its clients, each promise a check: spec B, C, D and E as seen from outside.

A check is a method `check_…` of a suite; its docstring is the line that people read.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import ceil
from typing import Any

import httpx

from scalix_callbacks.cli.smoke_client import (
    QUESTION,
    GatewayClient,
    Unexpected,
    User,
    answered,
    body_of,
    text_of,
    told,
)
from scalix_callbacks.cli.smoke_stream import Stream, read_stream

PROMPT_SHARE = 0.8
"""From here on answers prompt to upgrade (spec C6)."""
MAX_LIMIT = 100
"""A larger limit is not tried out: it would take too many calls."""
POINTLESS_WAIT_S = 60
_ERROR_FIELDS = (
    *("message", "title", "type", "param", "code", "category"),
    *("retryable", "retry_after_s", "request_id", "actions"),
)


class Suite:
    """Checks that share users, in the order they are written in."""

    def __init__(self, gateway: GatewayClient) -> None:
        self.gateway = gateway

    def checks(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """(what people read, what raises `Unexpected` when it is not so)."""
        for name, method in vars(type(self)).items():
            if name.startswith("check_"):
                yield method.__doc__, getattr(self, name)

    @cached_property
    def free(self) -> User:
        return self.gateway.new_user("free")

    @cached_property
    def free_model(self) -> str:
        return self.gateway.model_for(self.free)


class Free(Suite):
    @cached_property
    def answer(self) -> httpx.Response:
        return self.gateway.chat(self.free, self.free_model)

    @cached_property
    def next_answer(self) -> httpx.Response:
        _ = self.answer
        return self.gateway.chat(self.free, self.free_model)

    def check_answer(self) -> None:
        """a free user's question is answered"""
        text_of(answered(self.answer, "a chat completion"))

    def check_headers(self) -> None:
        """the answer's headers tell the tier, the request and what is left"""
        answered(self.answer, "a chat completion")
        _expect_headers(self.answer, self.free)
        left = _count(self.answer, "x-ratelimit-remaining-requests")
        limit = _count(self.answer, "x-ratelimit-limit-requests")
        _expect(left == limit - 1, f"{limit - 1} requests left after the first of {limit}", left)

    def check_body(self) -> None:
        """the answer's body tells the same under scalix"""
        scalix = _scalix(answered(self.answer, "a chat completion"), self.free)
        left = _count(self.answer, "x-ratelimit-remaining-requests")
        told_left = scalix["usage"].get("remaining_requests")
        _expect(told_left == left, f"scalix.usage.remaining_requests {left}, as in the header", told_left)
        request_id = self.answer.headers.get("x-scalix-request-id")
        _expect(scalix.get("request_id") == request_id, "the header's request id", scalix.get("request_id"))

    def check_count(self) -> None:
        """the next answer has one request less left"""
        answered(self.next_answer, "a second chat completion")
        before = _count(self.answer, "x-ratelimit-remaining-requests")
        after = _count(self.next_answer, "x-ratelimit-remaining-requests")
        _expect(after == before - 1, f"{before - 1} requests left", after)

    def check_account(self) -> None:
        """GET /v1/user tells the tier and the limits"""
        answered(self.next_answer, "a second chat completion")
        account = self.gateway.account(self.free)
        _expect(account.get("user_id") == self.free.id, self.free.id, account.get("user_id"))
        _expect(account.get("tier") == "free", "tier free", account.get("tier"))
        used = {limit["used"] for limit in account.get("limits", []) if limit.get("unit") == "requests"}
        _expect(used == {2}, "2 requests used of each limit", used or "no limit of requests")

    def check_other_plan(self) -> None:
        """a model of another plan is refused with the upgrade"""
        mine = self.gateway.models(self.free.key)
        model = next((name for name in self.gateway.models() if name not in mine), "gpt-4")
        error = _refused(self.gateway.chat(self.free, model), 403, "MODEL_NOT_IN_TIER", param="model")
        _expect_upgrade(error)


class Pro(Suite):
    @cached_property
    def pro(self) -> User:
        return self.gateway.new_user("pro")

    @cached_property
    def answer(self) -> httpx.Response:
        return self.gateway.chat(self.pro, self.gateway.model_for(self.pro))

    def check_answer(self) -> None:
        """a pro user's question is answered"""
        text_of(answered(self.answer, "a chat completion"))

    def check_tier(self) -> None:
        """headers and body tell the pro tier"""
        body = answered(self.answer, "a chat completion")
        _expect_headers(self.answer, self.pro)
        _scalix(body, self.pro)

    def check_models(self) -> None:
        """a pro user may use all that a free one may"""
        missing = {*self.gateway.models(self.free.key)} - {*self.gateway.models(self.pro.key)}
        _expect(not missing, "no model that only free users have", sorted(missing))

    def check_limits(self) -> None:
        """a pro user may use more than a free one"""
        free, pro = (_limits(self.gateway.account(user)) for user in (self.free, self.pro))
        less = {name: pro[name] for name in free.keys() & pro.keys() if pro[name] <= free[name]}
        _expect(free != pro and not less, f"limits above {free}", less or pro)

    def check_claims(self) -> None:
        """what a client says of itself does not change its tier"""
        claims = {"user": "scalix_pro_user", "metadata": {"tier": "pro"}}
        answer = self.gateway.chat(self.free, self.free_model, **claims)
        answered(answer, "a free user's chat completion that claims to be pro's")
        _expect_headers(answer, self.free)


class RateLimit(Suite):
    @cached_property
    def limit(self) -> int:
        """How many requests a free user has in the tightest window."""
        limits = self.gateway.account(self.free).get("limits", [])
        amounts = [limit["limit"] for limit in limits if limit.get("unit") == "requests"]
        _expect(bool(amounts), "a limit of requests for free users", "none")
        _expect(min(amounts) <= MAX_LIMIT, f"one of at most {MAX_LIMIT}, to try it out", min(amounts))
        return int(min(amounts))

    @cached_property
    def answers(self) -> list[httpx.Response]:
        """One user's answers up to the limit, and the first refusal."""
        answers = []
        for number in range(1, self.limit + 1):
            answer = self.gateway.chat(self.free, self.free_model)
            answered(answer, f"call {number} of {self.limit}")
            answers.append(answer)
        return [*answers, self.gateway.chat(self.free, self.free_model)]

    def check_amount(self) -> None:
        """a free user gets every request of the limit, and not one more"""
        _refused(self.answers[-1], 429, "RATE_LIMIT_EXCEEDED")

    def check_refusal(self) -> None:
        """the refusal says which limit it was and offers the upgrade"""
        error = _refused(self.answers[-1], 429, "RATE_LIMIT_EXCEEDED")
        begin = "Rate limit exceeded. Please upgrade to Pro"
        _expect(error["message"].startswith(begin), f"a message that begins {begin!r}", error["message"])
        _expect(error["retryable"] is True, "retryable true", error["retryable"])
        _expect_upgrade(error)
        limit = error.get("limit") or {}
        said = {name: limit.get(name) for name in ("unit", "limit", "remaining")}
        expected = {"unit": "requests", "limit": self.limit, "remaining": 0}
        _expect(said == expected, f"the limit {expected}", said)

    def check_wait(self) -> None:
        """the refusal says when to come back, and whether waiting makes sense"""
        refusal = self.answers[-1]
        error = _refused(refusal, 429, "RATE_LIMIT_EXCEEDED")
        wait_s, wait_ms = _count(refusal, "retry-after"), _count(refusal, "retry-after-ms")
        _expect(wait_s >= 1 and wait_s == ceil(wait_ms / 1000), f"retry-after {ceil(wait_ms / 1000)}", wait_s)
        _expect(error["retry_after_s"] == wait_s, f"retry_after_s {wait_s}", error["retry_after_s"])
        if wait_s > POINTLESS_WAIT_S:
            _expect_header(refusal, "x-should-retry", "false")

    def check_nothing_left(self) -> None:
        """the refusal's headers say that nothing is left"""
        _refused(self.answers[-1], 429, "RATE_LIMIT_EXCEEDED")
        _expect_header(self.answers[-1], "x-ratelimit-remaining-requests", "0")
        _expect_header(self.answers[-1], "x-scalix-tier", "free")

    def check_prompt(self) -> None:
        """from 80 % of the limit on answers prompt to upgrade, and not before"""
        first, at = self.answers[0], self.answers[ceil(self.limit * PROMPT_SHARE) - 1]
        prompts = [_scalix(body_of(answer), self.free).get("upgrade_prompt") for answer in (first, at)]
        expected = [self.limit == 1, True]
        _expect(prompts == expected, f"scalix.upgrade_prompt {expected} first and at 80 %", prompts)
        _expect("x-scalix-upgrade-prompt" in at.headers, "a header x-scalix-upgrade-prompt", "none")

    def check_others(self) -> None:
        """another user is not touched by that"""
        _ = self.answers
        answered(self.gateway.chat(self.gateway.new_user("free"), self.free_model), "another user's call")

    def check_at_once(self) -> None:
        """of twice as many calls at once exactly the limit's get through"""
        user, model, calls = self.gateway.new_user("free"), self.free_model, 2 * self.limit
        with ThreadPoolExecutor(min(calls, 50)) as threads:
            answers = list(threads.map(lambda _: self.gateway.chat(user, model), range(calls)))
        got = Counter(answer.status_code for answer in answers)
        expected = {200: self.limit, 429: calls - self.limit}
        _expect(got == expected, f"answers {expected}", dict(got))


class Streaming(Suite):
    @cached_property
    def stream(self) -> Stream:
        return read_stream(self.gateway.chat(self.free, self.free_model, stream=True))

    def check_end(self) -> None:
        """a stream is answered, and ends with [DONE]"""
        _expect(self.stream.is_done, "[DONE] as its last frame", self.stream.last_line)

    def check_chunks(self) -> None:
        """every chunk is one that strict clients can read"""
        bad = [chunk for chunk in self.stream.chunks if not isinstance(chunk.get("choices"), list)]
        _expect(not bad, "choices in every chunk", bad[:1])
        ids = {chunk.get("id") for chunk in self.stream.chunks}
        _expect(len(ids) == 1 and None not in ids, "one id on all chunks", ids)

    def check_text(self) -> None:
        """the chunks hold the text"""
        _expect(bool(self.stream.text), "a text", "none")

    def check_usage(self) -> None:
        """the last chunk alone holds the usage, and scalix beside it"""
        _expect_usage_chunk(self.stream, self.free)

    def check_usage_asked_for(self) -> None:
        """a client that asks for the usage gets no second one"""
        options = {"stream": True, "stream_options": {"include_usage": True}}
        _expect_usage_chunk(read_stream(self.gateway.chat(self.free, self.free_model, **options)), self.free)

    def check_headers(self) -> None:
        """a stream's headers tell the tier, the request and what is left"""
        _expect_headers(self.stream.answer, self.free)
        _count(self.stream.answer, "x-ratelimit-remaining-requests")


class Errors(Suite):
    def check_no_key(self) -> None:
        """a request without a key is refused"""
        error = _refused(self._chat(None), 401, "INVALID_API_KEY")
        words = "LiteLLM Virtual Key expected"
        _expect(words in error["message"], f"a message with {words!r}", error["message"])

    def check_unknown_key(self) -> None:
        """a key that does not exist is refused"""
        _refused(self._chat("scalix_" + "0" * 43), 401, "INVALID_API_KEY")

    def check_key_in_address(self) -> None:
        """a key in the address is refused"""
        answer = self.gateway.ask("GET", "/v1/models?api_key=scalix_" + "0" * 43, self.free.key)
        _refused(answer, 400, "INVALID_REQUEST")

    def check_broken_json(self) -> None:
        """a body that is no JSON is refused"""
        answer = self.gateway.ask(
            "POST",
            "/v1/chat/completions",
            self.free.key,
            content=b'{"model": ',
        )
        _refused(answer, 400, "INVALID_REQUEST")

    def check_wrong_type(self) -> None:
        """a field of a wrong type is named"""
        _refused(self._chat(self.free.key, messages="hello"), 400, "INVALID_REQUEST", param="messages")

    def check_missing_field(self) -> None:
        """a missing field is named"""
        answer = self.gateway.ask(
            "POST", "/v1/chat/completions", self.free.key, json={"model": self.free_model}
        )
        _refused(answer, 400, "INVALID_REQUEST", param="messages")

    def check_internal_field(self) -> None:
        """a field that would steer the gateway is refused by its name"""
        answer = self._chat(self.free.key, api_base="http://127.0.0.1:9")
        _refused(answer, 400, "INVALID_REQUEST", param="api_base")

    def check_unknown_model(self) -> None:
        """a model that does not exist is refused"""
        answer = self._chat(self.free.key, model="no-such-model")
        _refused(answer, 404, "MODEL_NOT_FOUND", param="model")

    def check_operators_route(self) -> None:
        """a user's key opens no operator's address"""
        answer = self.gateway.ask("POST", "/key/generate", self.free.key, json={"tier": "premium"})
        _refused(answer, 403, "PERMISSION_DENIED")

    def check_unknown_address(self) -> None:
        """an address that does not exist is said to be none"""
        _refused(self.gateway.ask("GET", "/v1/no-such-thing", self.free.key), 404, "NOT_FOUND")

    def check_wrong_method(self) -> None:
        """a wrong method is refused"""
        _refused(self.gateway.ask("DELETE", "/v1/models", self.free.key), 405, "METHOD_NOT_ALLOWED")

    def check_nothing_counted(self) -> None:
        """none of these refusals took a request"""
        used = {limit["used"] for limit in self.gateway.account(self.free).get("limits", [])}
        _expect(used <= {0}, "nothing used", used)

    def _chat(self, key: str | None, **fields: Any) -> httpx.Response:
        model = fields.pop("model", None) or self.free_model
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **fields}
        return self.gateway.ask("POST", "/v1/chat/completions", key, json=body)


SUITES: Mapping[str, type[Suite]] = {
    "free": Free,
    "pro": Pro,
    "rate-limit": RateLimit,
    "streaming": Streaming,
    "errors": Errors,
}


def _expect(is_so: bool, expected: str, got: object) -> None:
    if not is_so:
        raise Unexpected(expected, got)


def _expect_headers(answer: httpx.Response, user: User) -> None:
    _expect_header(answer, "x-scalix-tier", user.tier)
    _expect("x-scalix-request-id" in answer.headers, "a header x-scalix-request-id", "none")


def _expect_header(answer: httpx.Response, name: str, value: str) -> None:
    got = answer.headers.get(name)
    _expect(got == value, f"the header {name}: {value}", got)


def _expect_upgrade(error: Mapping[str, Any]) -> None:
    actions = [action for action in error["actions"] if action.get("action") == "upgrade"]
    has_url = any(str(action.get("url", "")).startswith("http") for action in actions)
    _expect(has_url, "an upgrade action with its url", error["actions"])


def _expect_usage_chunk(stream: Stream, user: User) -> None:
    with_usage = [chunk for chunk in stream.chunks if chunk.get("usage")]
    _expect(len(with_usage) == 1, "one chunk with usage", len(with_usage))
    last = stream.chunks[-1]
    _expect(last is with_usage[0] and last["choices"] == [], "it last, without choices", last)
    _expect(last["usage"].get("completion_tokens", 0) > 0, "tokens in the usage", last["usage"])
    _scalix(last, user)


def _count(answer: httpx.Response, header: str) -> int:
    value = answer.headers.get(header, "")
    _expect(value.isascii() and value.isdigit(), f"a whole number in the header {header}", value or "none")
    return int(value)


def _scalix(body: Mapping[str, Any], user: User) -> Mapping[str, Any]:
    scalix = body.get("scalix")
    is_whole = isinstance(scalix, dict) and isinstance(scalix.get("usage"), dict)
    if not isinstance(scalix, dict) or not is_whole:
        raise Unexpected("an object scalix with usage beside the answer", scalix)
    _expect(scalix.get("tier") == user.tier, f"scalix.tier {user.tier}", scalix.get("tier"))
    return scalix


def _limits(account: Mapping[str, Any]) -> dict[tuple[str, int], int]:
    return {(limit["unit"], limit["window_s"]): limit["limit"] for limit in account.get("limits", [])}


def _refused(answer: httpx.Response, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    """The error of a refusal, after checking that it has the one form there is (spec D3)."""
    _expect(answer.status_code == status, f"{status} {code}", told(answer))
    error = body_of(answer).get("error")
    if not isinstance(error, dict):
        raise Unexpected('{"error": {…}}', answer.text)
    missing = [name for name in _ERROR_FIELDS if name not in error]
    _expect(not missing, f"all fields of an error ({', '.join(_ERROR_FIELDS)})", f"none of {missing}")
    _expect(error["code"] == code == error["category"], f"code and category {code}", error["code"])
    _expect(param in (None, error["param"]), f"param {param}", error["param"])
    request_id = answer.headers.get("x-scalix-request-id")
    _expect(error["request_id"] == request_id, f"the request id {request_id}", error["request_id"])
    return error
