"""A client of a running gateway, with the words for what it expected and what came instead."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx

TIMEOUT_S = 120.0
MAX_TOLD = 300
QUESTION = "Say hello in five words."
OUTPUT_TOKENS = 16
"""Little, so that a test of real providers costs little."""


class Unexpected(Exception):
    """What came is not what was expected; `str()` says both."""

    def __init__(self, expected: str, got: object) -> None:
        super().__init__(f"expected {expected}, got {str(got)[:MAX_TOLD]}")


ODD_ANSWER = (LookupError, TypeError, ValueError, AttributeError)
"""What reading an answer raises that is put together as none that was thought of."""


@dataclass(frozen=True, slots=True)
class User:
    """A fresh account with a key of its own."""

    id: str
    key: str = field(repr=False)
    tier: str


class GatewayClient:
    """What a client can ask of the gateway behind `http`, whose base URL is the gateway's.

    Every method raises `Unexpected` when the gateway does not answer at all.
    """

    def __init__(self, http: httpx.Client, master_key: str) -> None:
        self._http = http
        self._master_key = master_key

    def obstacle(self) -> str | None:
        """Why the one at the address cannot be asked, a sentence with `{url}`; None: it can."""
        try:
            listed = self.ask("GET", "/v1/models", self._master_key)
        except Unexpected:
            return "No gateway answers at {url}: start one, or name another with --url."
        if listed.status_code != 200 and "x-scalix-request-id" not in listed.headers:
            return "What answers at {url} is no Scalix Gateway: name another address with --url."
        if listed.status_code == 401:
            return (
                "The gateway at {url} does not take this operator's key:"
                " set LITELLM_MASTER_KEY, or name its --data-dir."
            )
        return None

    def new_user(self, tier: str) -> User:
        """Made as an operator makes one; the key ends by itself after an hour."""
        return self.put_on(f"smoke-{secrets.token_hex(8)}", tier)

    def put_on(self, user_id: str, tier: str) -> User:
        """A key for an account that is on `tier` from now on, whether it existed or not."""
        asked = {"user_id": user_id, "tier": tier, "duration": "1h", "key_alias": "test client"}
        answer = self.ask("POST", "/key/generate", self._master_key, json=asked)
        made = answered(answer, "POST /key/generate to make a key")
        key = made.get("key")
        if not isinstance(key, str) or not key.startswith("scalix_") or made.get("tier") != tier:
            raise Unexpected(f"a key scalix_… on tier {tier}", sorted(made))
        return User(user_id, key, tier)

    def models(self, key: str | None = None) -> list[str]:
        """What `key` may use; None: all that can be served. Names, no patterns."""
        listed = answered(self.ask("GET", "/v1/models", key or self._master_key), "the list of models")
        return [model["id"] for model in listed.get("data", []) if "*" not in model["id"]]

    def model_for(self, user: User) -> str:
        """One that this user may use: the first of the user's own plan, or of any."""
        listed = self.models(user.key)
        if not listed:
            raise Unexpected(
                f"a model that a {user.tier} user can use", "none: set the key of a provider, or use --demo"
            )
        own = [name for name in listed if not name.startswith("free-")] if user.tier != "free" else []
        return (own or listed)[0]

    def account(self, user: User) -> dict[str, Any]:
        """GET /v1/user."""
        return answered(self.ask("GET", "/v1/user", user.key), "GET /v1/user")

    def chat(self, user: User, model: str, /, **fields: Any) -> httpx.Response:
        """One short question to `model`."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": OUTPUT_TOKENS,
        }
        return self.ask("POST", "/v1/chat/completions", user.key, json=body | fields)

    def ask(self, method: str, path: str, key: str | None, **more: Any) -> httpx.Response:
        """Any request, with `key` as its Bearer."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        try:
            return self._http.request(method, path, headers=headers, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unexpected(
                f"an answer to {method} {path.split('?')[0]}", f"none ({type(error).__name__})"
            ) from None


def answered(answer: httpx.Response, what: str) -> dict[str, Any]:
    """The JSON object of a good answer."""
    if answer.status_code != 200:
        raise Unexpected(f"{what} to be answered with 200", told(answer))
    return body_of(answer)


def body_of(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        raise Unexpected("a JSON answer", told(answer)) from None
    if not isinstance(body, dict):
        raise Unexpected("a JSON object", told(answer))
    return body


def told(answer: httpx.Response) -> str:
    """An answer in one line: its status, and the error it tells."""
    try:
        error = answer.json()["error"]
        said = f" {error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        said = f" {answer.text!r}" if answer.text else ""
    request_id = answer.headers.get("x-scalix-request-id")
    return f"{answer.status_code}{said[:200]}" + (f" (request {request_id})" if request_id else "")


def text_of(answer: dict[str, Any]) -> str:
    """What the model said."""
    try:
        text = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str) or not text:
        raise Unexpected("a text in choices[0].message.content", json.dumps(answer))
    return text
