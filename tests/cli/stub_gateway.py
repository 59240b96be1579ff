"""A gateway as the specification has it, in one process and without a provider; it can break each promise."""

import json
import secrets
import threading
from dataclasses import dataclass
from math import ceil
from typing import Any

import httpx

MASTER_KEY = "sk-master-f00d0123456789abcdef"
LIMITS = {"free": 5, "pro": 50}
"""Requests per hour."""
MODELS = {"free": ["free-flash"], "pro": ["free-flash", "gpt-4.1"]}
ALL_MODELS = ["free-flash", "gpt-4.1", "gpt-4"]
ACTIONS = [
    {"label": "Upgrade", "action": "upgrade", "url": "https://scalix.world/pro"},
    {"label": "Try again", "action": "retry"},
]
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


@dataclass
class Account:
    tier: str
    used: int = 0


class StubGateway:
    """Answers requests; `broken` names the promises it breaks, each a word used below."""

    def __init__(self, *broken: str) -> None:
        self._broken = frozenset(broken)
        self._lock = threading.Lock()
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, str] = {}

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.answer), base_url="http://gateway.example")

    def answer(self, request: httpx.Request) -> httpx.Response:
        if "gone" in self._broken:
            raise httpx.ConnectError("refused", request=request)
        with self._lock:
            return self._answer(request, f"r{secrets.token_hex(4)}")

    def is_broken(self, promise: str) -> bool:
        return promise in self._broken

    def _answer(self, request: httpx.Request, request_id: str) -> httpx.Response:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        path = request.url.path
        if path == "/v1/health":
            return httpx.Response(200, json={"status": "ok"})
        if "api_key" in request.url.params and not self.is_broken("query key"):
            return self._refuse(request_id, 400, "INVALID_REQUEST", param="api_key")
        if key == MASTER_KEY:
            return self._operators(request, path)
        if path == "/key/generate" and key in self.keys:
            if self.is_broken("operators route"):
                return self._operators(request, path)
            return self._refuse(request_id, 403, "PERMISSION_DENIED")
        if key not in self.keys:
            words = "no" if self.is_broken("key words") else "LiteLLM Virtual Key expected"
            return self._refuse(request_id, 401, "INVALID_API_KEY", message=words)
        user_id = self.keys[key]
        match request.method, path:
            case "GET", "/v1/models":
                return httpx.Response(200, json=_listed(MODELS[self.accounts[user_id].tier]))
            case _, "/v1/models":
                return self._refuse(request_id, 405, "METHOD_NOT_ALLOWED")
            case "GET", "/v1/user":
                return httpx.Response(200, json=self._account(user_id))
            case "POST", "/v1/chat/completions":
                return self._chat(request, user_id, request_id)
        return self._refuse(request_id, 404, "NOT_FOUND")

    def _operators(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "/v1/models":
            return httpx.Response(200, json=_listed([*ALL_MODELS, "anthropic/*"]))
        asked = json.loads(request.content)
        user_id, key = asked.get("user_id", "somebody"), f"scalix_{secrets.token_urlsafe(32)}"
        self.accounts.setdefault(user_id, Account("free"))
        if not self.is_broken("upgrade"):
            self.accounts[user_id].tier = asked["tier"]
        self.keys[key] = user_id
        return httpx.Response(200, json={"key": key, "user_id": user_id, "tier": asked["tier"]})

    def _account(self, user_id: str) -> dict[str, Any]:
        account = self.accounts[user_id]
        amount = LIMITS["free" if self.is_broken("pro limits") else account.tier]
        limit = {"unit": "requests", "window_s": 3_600, "limit": amount, "used": account.used}
        limit |= {"remaining": max(amount - account.used, 0), "resets_at": "2030-01-31T13:00:00.000Z"}
        shown = "free" if self.is_broken("account tier") else account.tier
        limits = [] if self.is_broken("account limits") else [limit]
        return {"user_id": user_id, "tier": shown, "limits": limits, "features": []}

    def _chat(self, request: httpx.Request, user_id: str, request_id: str) -> httpx.Response:
        account = self.accounts[user_id]
        try:
            body = json.loads(request.content)
        except ValueError:
            return self._refuse(request_id, 400, "INVALID_REQUEST")
        if "api_base" in body and not self.is_broken("internal field"):
            return self._refuse(request_id, 400, "INVALID_REQUEST", param="api_base")
        if not isinstance(body.get("messages"), list):
            named = None if self.is_broken("param") else "messages"
            return self._refuse(request_id, 400, "INVALID_REQUEST", param=named)
        model = body["model"]
        if model not in ALL_MODELS:
            return self._refuse(request_id, 404, "MODEL_NOT_FOUND", param="model")
        if model not in MODELS[account.tier]:
            return self._refuse(request_id, 403, "MODEL_NOT_IN_TIER", param="model", actions=ACTIONS)
        if self.is_broken("claims") and body.get("metadata"):
            account.tier = "pro"
        amount = LIMITS[account.tier] + (1 if self.is_broken("one more") else 0)
        if account.used >= amount:
            return self._limit_reached(account, request_id)
        account.used += 0 if self.is_broken("count") and account.used else 1
        if self.is_broken("provider"):
            return self._refuse(request_id, 502, "PROVIDER_ERROR")
        return self._complete(account, request_id, is_stream=body.get("stream") is True)

    def _complete(self, account: Account, request_id: str, *, is_stream: bool) -> httpx.Response:
        amount = LIMITS[account.tier]
        left, is_near = amount - account.used, account.used >= ceil(0.8 * amount)
        if self.is_broken("prompt"):
            is_near = False
        headers = self._headers(account, request_id)
        if is_near:
            headers["x-scalix-upgrade-prompt"] = (
                "You have used 80 %. Upgrade to Pro: https://scalix.world/pro"
            )
        told_left = left + 1 if self.is_broken("body") else left
        usage = {"remaining_requests": told_left, "remaining_this_hour": told_left, "remaining_tokens": 9_000}
        scalix = {"tier": account.tier, "request_id": request_id, "usage": usage, "upgrade_prompt": is_near}
        if is_stream:
            return self._stream(scalix, headers)
        message = {"role": "assistant", "content": "" if self.is_broken("text") else "Hello from afar."}
        body: dict[str, Any] = {"id": "x", "choices": [{"message": message}], "usage": USAGE}
        if not self.is_broken("scalix"):
            body["scalix"] = scalix
        return httpx.Response(200, json=body, headers=headers)

    def _stream(self, scalix: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        chunks: list[dict[str, Any]] = [
            {"id": "x", "choices": [{"delta": {"role": "assistant", "content": ""}}]},
            {"id": "x", "choices": [{"delta": {"content": "Hel lo"}}]},
            {"id": "x", "choices": [], "usage": USAGE, "scalix": scalix},
        ]
        if self.is_broken("two usages"):
            chunks.insert(2, {"id": "x", "choices": [], "usage": USAGE})
        if self.is_broken("chunk without choices"):
            chunks.insert(1, {"id": "x"})
        if self.is_broken("ids"):
            chunks[0]["id"] = "y"
        if self.is_broken("stream text"):
            del chunks[1]
        if self.is_broken("stream error"):
            chunks = [*chunks[:2], {"error": {"code": "PROVIDER_ERROR"}}]
        frames = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
        if self.is_broken("named event"):
            frames.insert(1, "event: ping\ndata: {}\n\n")
        if not self.is_broken("done"):
            frames.append("data: [DONE]\n\n")
        kind = "application/json" if self.is_broken("stream type") else "text/event-stream; charset=utf-8"
        text = "".join([": keep-alive\n\n", *frames])
        return httpx.Response(200, content=text.encode(), headers={**headers, "content-type": kind})

    def _headers(self, account: Account, request_id: str) -> dict[str, str]:
        amount = LIMITS[account.tier]
        headers = {
            "x-scalix-tier": "free" if self.is_broken("tier header") else account.tier,
            "x-ratelimit-limit-requests": str(amount),
            "x-ratelimit-remaining-requests": str(max(amount - account.used, 0)),
        }
        if self.is_broken("headers"):
            headers = {"x-scalix-tier": account.tier}
        return headers if self.is_broken("request id") else {**headers, "x-scalix-request-id": request_id}

    def _limit_reached(self, account: Account, request_id: str) -> httpx.Response:
        if self.is_broken("limit code"):
            return self._refuse(request_id, 503, "OVERLOADED")
        amount = LIMITS[account.tier]
        limit = {"unit": "requests", "window_s": 3_600, "limit": amount, "used": amount, "remaining": 0}
        answer = self._refuse(
            request_id,
            429,
            "RATE_LIMIT_EXCEEDED",
            message="Rate limit exceeded. Please upgrade to Pro. [Upgrade](https://scalix.world/pro)",
            retryable=True,
            retry_after_s=3_541,
            actions=[] if self.is_broken("actions") else ACTIONS,
            limit={} if self.is_broken("limit") else limit,
        )
        answer.headers.update(self._headers(account, request_id))
        wait = {"retry-after": "0" if self.is_broken("wait") else "3541", "retry-after-ms": "3540200"}
        answer.headers.update(wait | {"x-should-retry": "false"})
        return answer

    def _refuse(self, request_id: str, status: int, code: str, **fields: Any) -> httpx.Response:
        error = {
            **{"message": "Correct it.", "title": "No", "type": "invalid_request_error", "param": None},
            **{"code": code, "category": code, "retryable": False, "retry_after_s": None},
            **{"request_id": request_id, "actions": []},
            **fields,
        }
        if self.is_broken("error form"):
            del error["title"]
        body = {"detail": "no"} if self.is_broken("error body") else {"error": error}
        return httpx.Response(status, json=body, headers={"x-scalix-request-id": request_id})


def _listed(names: list[str]) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}
