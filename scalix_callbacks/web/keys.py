"""`POST /key/generate`: new keys for accounts, answered as LiteLLM does, from our own database."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from scalix_callbacks.core.auto import AUTO, is_auto
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.durations import parse_duration
from scalix_callbacks.core.errors import invalid
from scalix_callbacks.core.figures import window_name
from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.ledger.account_rules import MAX_BUDGET_NANO_USD, MAX_MODELS
from scalix_callbacks.ledger.accounts import Account, AccountError, Accounts
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.web.own_routes import NO_STORE, ReadsBody, body_of, unavailable


class KeyGenerator:
    """The route, as an ASGI application; the edge lets only the operator through.

    Args:
        changed: told after a key was made, so that this worker sees it at once.
        now: the clock, aware.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        tiers: TierTable,
        catalogue: Catalogue,
        read_body: ReadsBody,
        changed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._tiers = tiers
        self._catalogue = catalogue
        self._read_body = read_body
        self._changed = changed
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await body_of(self._read_body, scope, receive)
        try:
            answer = await asyncio.to_thread(self._generate, body)
        except AccountError as error:
            raise invalid(str(error)) from None
        except DatabaseError:
            raise unavailable("No key was made: the database does not answer.") from None
        self._changed()
        # The key is shown this once.
        await JSONResponse(answer, headers=NO_STORE)(scope, receive, send)

    def _generate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        user_id = _text(body, "user_id")
        models = self._models(body.get("models"))
        account = self._accounts.find_account(user_id) if user_id is not None else None
        given, default = self._tier(_text(body, "tier"), account, models)
        duration = _text(body, "duration")
        secret, key, account = self._accounts.issue_key(
            user_id,
            given,
            default,
            max_budget_nano_usd=_nano_usd(body.get("max_budget")),
            budget_window_s=_window_s(_text(body, "budget_duration")),
            name=_text(body, "key_alias"),
            models=models or None,
            expires_at=_expiry(duration, self._now()),
        )
        return {
            "key": secret,
            "key_name": key.hint,
            "key_alias": key.name,
            "token_id": key.id,
            "user_id": account.id,
            "tier": account.tier_at(self._now()),
            "models": list(key.models or ()),
            "max_budget": _usd(account.max_budget_nano_usd),
            "budget_duration": _window_name(account.budget_window_s),
            "duration": duration,
            "expires": key.expires_at.isoformat() if key.expires_at else None,
        }

    def _models(self, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if (
            not isinstance(value, list)
            or len(value) > MAX_MODELS
            or not all(isinstance(model, str) and model for model in value)
        ):
            raise invalid(f"models must be a list of at most {MAX_MODELS} model names.", param="models")
        for model in value:
            if not is_auto(model) and not self._catalogue.covers(model):
                raise invalid(
                    f"models names {model[:200]!r}, which this gateway does not have. GET /v1/models lists"
                    " all.",
                    param="models",
                )
        return tuple(dict.fromkeys(value))

    def _tier(
        self, named: str | None, account: Account | None, models: tuple[str, ...]
    ) -> tuple[str | None, str]:
        """The tier to set, if any, and the one of a new account."""
        if named is not None and named not in self._tiers:
            raise invalid(f"tier must be one of {', '.join(self._tiers.names)}.", param="tier")
        models = tuple(model for model in models if model != AUTO)  # which every tier has
        tier_name = named or (account.tier_at(self._now()) if account else None)
        if tier_name is None:
            lowest = self._tiers.lowest_covering(models)
            if lowest is None:
                raise invalid("models: no single tier has all of them. Name fewer.", param="models")
            return None, lowest.name
        tier = self._tiers.or_lowest(tier_name)
        outside = [model for model in models if not tier.permits(model)]
        if outside:
            raise invalid(
                f"models: tier {tier.name!r} does not have {', '.join(outside)[:300]}. Name a tier that has"
                " them, or leave them out.",
                param="models",
            )
        return named, tier.name


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise invalid(f"{name} must be a text.", param=name)
    return value


def _nano_usd(value: Any) -> int | None:
    """USD as a number or a text → nano-USD; money is never a float here."""
    if value is None:
        return None
    try:
        if not isinstance(value, int | float | str):
            raise ValueError
        nano = Decimal(str(value)) * NANO
        if not nano.is_finite() or not 0 <= nano <= MAX_BUDGET_NANO_USD:
            raise ValueError
    except (ArithmeticError, ValueError):
        most = MAX_BUDGET_NANO_USD // NANO
        raise invalid(f"max_budget must be an amount of USD from 0 to {most}.", param="max_budget") from None
    return int(nano)


def _usd(nano: int | None) -> float | None:
    # A JSON number, as LiteLLM's clients expect of this one field.
    return None if nano is None else float(Decimal(nano) / NANO)


def _window_s(duration: str | None) -> int | None:
    try:
        return None if duration is None else int(parse_duration(duration).total_seconds())
    except ValueError as error:
        raise invalid(f"budget_duration: {error}", param="budget_duration") from None


def _window_name(window_s: int | None) -> str | None:
    return None if window_s is None else window_name(window_s)


def _expiry(duration: str | None, now: datetime) -> datetime | None:
    if duration is None:
        return None
    try:
        return now + parse_duration(duration)
    except ValueError as error:
        raise invalid(f"duration: {error}", param="duration") from None
