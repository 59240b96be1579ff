"""The guided tour: one user's way from the free plan over its limit to pro, on a running gateway."""

import argparse
import secrets
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.one_line_parser import OneLineParser
from scalix_callbacks.cli.smoke_client import (
    ODD_ANSWER,
    GatewayClient,
    Unexpected,
    User,
    answered,
    body_of,
    text_of,
    told,
)
from scalix_callbacks.cli.smoke_command import FAILED, OK, run_command

MAX_CALLS = 200
"""A limit beyond that is not reached in a tour."""
_WIDTH = 100


def main(argv: Sequence[str] | None = None, *, http: httpx.Client | None = None) -> int:
    """Do what `argv` (default: the process's arguments) says.

    Args:
        http: asks in the place of a client made for the gateway that is found.

    Returns 0 when all went as told, 1 when something did not, 2 not understood.
    """
    parser = OneLineParser(
        prog="scalix_demo.py",
        description="Shows a running gateway from a user's side: free, limit, upgrade, pro.",
        allow_abbrev=False,
    )
    return run_command(parser, argv, http, _guide)


def _guide(_: argparse.Namespace, gateway: GatewayClient, console: Console) -> int:
    try:
        Tour(gateway, console.say).walk()
    except Unexpected as problem:
        console.fail(f"\nFAILED: {problem}.")
        return FAILED
    except ODD_ANSWER as problem:
        console.fail(f"\nFAILED: expected another form of answer, got {problem!r}.")
        return FAILED
    return OK


class Tour:
    """The stations in their order. Each raises `Unexpected` when the gateway does not do as told.

    Args:
        say: shows a line.
    """

    def __init__(self, gateway: GatewayClient, say: Callable[[str], None]) -> None:
        self._gateway = gateway
        self._say = say

    def walk(self) -> None:
        user_id = f"tour-{secrets.token_hex(4)}"
        free = self._arrive(user_id)
        model = self._gateway.model_for(free)
        self._ask_once(free, model)
        self._use_until_prompted(free, model)
        self._use_until_refused(free, model)
        pro = self._upgrade(user_id)
        self._go_on(pro)
        self._say(f"\nThat was the tour. {user_id}'s keys end by themselves within the hour.")

    def _arrive(self, user_id: str) -> User:
        self._title("A free user")
        user = self._gateway.put_on(user_id, "free")
        self._say(f"The operator made {user_id} a key on the free plan. What the app learns of it:")
        self._show_account(user)
        return user

    def _ask_once(self, user: User, model: str) -> None:
        self._title("The first question")
        answer = answered(self._gateway.chat(user, model), f"a question to {model}")
        self._say(f"{model} says:")
        self._quote(text_of(answer))
        self._say("And beside the answer:")
        self._show_left(_scalix(answer))

    def _use_until_prompted(self, user: User, model: str) -> None:
        self._title("80 % of the plan is used")
        for _ in range(MAX_CALLS):
            answer = self._gateway.chat(user, model)
            scalix = _scalix(answered(answer, f"a question to {model}"))
            if scalix.get("upgrade_prompt") is True:
                break
        else:
            raise Unexpected(f"a prompt to upgrade within {MAX_CALLS} calls", "none")
        self._show_left(scalix)
        self._say("From here on every answer prompts to upgrade:")
        self._quote(answer.headers.get("x-scalix-upgrade-prompt") or "scalix.upgrade_prompt: true")

    def _use_until_refused(self, user: User, model: str) -> None:
        self._title("The limit is reached")
        for _ in range(MAX_CALLS):
            answer = self._gateway.chat(user, model)
            if answer.status_code != 200:
                break
        else:
            raise Unexpected(f"a refusal within {MAX_CALLS} calls", "none")
        error = body_of(answer).get("error") or {}
        if answer.status_code != 429 or error.get("code") != "RATE_LIMIT_EXCEEDED":
            raise Unexpected("429 RATE_LIMIT_EXCEEDED", told(answer))
        self._say(f"The next call is refused: {answer.status_code} {error['code']}. What the app shows:")
        self._quote(f"{error.get('title')}\n{error.get('message')}")
        for action in error.get("actions", []):
            self._say(f"    [{action.get('label')}] {action.get('url', '')}".rstrip())
        self._say(f"The same request would be let through in {error.get('retry_after_s')} s.")

    def _upgrade(self, user_id: str) -> User:
        self._title("The upgrade")
        user = self._gateway.put_on(user_id, "pro")
        self._say(f"The operator put {user_id} on the pro plan. The app sees at once:")
        self._show_account(user)
        return user

    def _go_on(self, user: User) -> None:
        self._title("Pro")
        model = self._gateway.model_for(user)
        response = self._gateway.chat(user, model)
        answer = answered(response, f"a pro user's question to {model}")
        scalix = _scalix(answer)
        if scalix.get("tier") != "pro":
            raise Unexpected("an answer on tier pro", scalix.get("tier"))
        self._say(f"{model} says:")
        self._quote(text_of(answer))
        self._show_left(scalix)

    def _show_account(self, user: User) -> None:
        account = self._gateway.account(user)
        if account.get("tier") != user.tier:
            raise Unexpected(f"GET /v1/user to say tier {user.tier}", account.get("tier"))
        self._say(f"    plan       {account['tier']}")
        models = ", ".join(self._gateway.models(user.key))
        self._say(textwrap.fill(models, _WIDTH, initial_indent="    models     ", subsequent_indent=" " * 15))
        for limit in account.get("limits", []):
            window = _window(limit["window_s"])
            self._say(f"    {limit['unit']:<10} {limit['remaining']:,} of {limit['limit']:,} left {window}")

    def _show_left(self, scalix: Mapping[str, Any]) -> None:
        usage = scalix.get("usage") or {}
        for name in ("remaining_this_hour", "remaining_today", "remaining_tokens"):
            if usage.get(name) is not None:
                self._say(f"    {name:<20} {usage[name]:,}")

    def _title(self, text: str) -> None:
        self._say(f"\n--- {text} {'-' * (_WIDTH - len(text) - 5)}")

    def _quote(self, text: str) -> None:
        for line in text.splitlines():
            self._say(textwrap.fill(line, _WIDTH, initial_indent="  > ", subsequent_indent="  > "))


def _scalix(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    scalix = answer.get("scalix")
    if not isinstance(scalix, dict):
        raise Unexpected("an object scalix beside the answer", scalix)
    return scalix


def _window(window_s: int) -> str:
    return {3_600: "this hour", 86_400: "today"}.get(window_s, f"in {window_s} s")
