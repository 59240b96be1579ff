"""What answers tell the app beside the API's own fields: the `scalix` object and the account's page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.core.figures import Figure, tightest
from scalix_callbacks.core.moments import iso_of
from scalix_callbacks.core.money import usd_text
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Tier, Unit
from scalix_callbacks.core.upgrade import UpgradePrompt


@dataclass(frozen=True, slots=True)
class ModelSelection:
    """Which model answered, and why.

    Attributes:
        recommended: the one auto mode chose; None where the request named its model.
        used: None: none answered.
        fallback_options: those that may be tried after it, in order.
    """

    requested: str
    recommended: str | None
    used: str | None
    reason: str
    fallback_options: tuple[str, ...] = ()


def scalix_object(
    *,
    tier: str | None,
    request_id: str,
    figures: Sequence[Figure],
    cost_nano_usd: int | None,
    upgrade: UpgradePrompt | None,
    selection: ModelSelection,
) -> dict[str, Any]:
    """The `scalix` object of an answer (spec D2).

    Args:
        tier: None: the operator's own call.
        figures: with this call in them; empty while they are unknown.
        cost_nano_usd: of this call; None: not known.
    """
    return {
        "tier": tier,
        "request_id": request_id,
        "usage": usage_object(figures),
        "cost_usd": None if cost_nano_usd is None else usd_text(cost_nano_usd),
        **_upgrade(upgrade),
        "model_selection": {
            "requested": selection.requested,
            "recommended": selection.recommended,
            "used": selection.used,
            "reason": selection.reason,
            "fallback_options": list(selection.fallback_options),
        },
    }


def user_object(
    *, user_id: str, tier: Tier | None, figures: Sequence[Figure], upgrade: UpgradePrompt | None
) -> dict[str, Any]:
    """The body of `GET /v1/user` (spec H2); the operator itself has no tier, limits or features."""
    return {
        "user_id": user_id,
        "tier": tier.name if tier else None,
        "limits": [limit_object(figure) for figure in figures if figure.limit is not None],
        "usage": usage_object(figures),
        "features": sorted(feature.value for feature in (tier.features if tier else ())),
        **_upgrade(upgrade),
    }


def usage_object(figures: Sequence[Figure]) -> dict[str, Any]:
    """The account's counts; null is what is not limited, or not known."""
    by_id = {(figure.unit, figure.window_s): figure for figure in figures}
    hour, day = by_id.get((Unit.REQUESTS, HOUR_S)), by_id.get((Unit.REQUESTS, DAY_S))
    tokens_day = by_id.get((Unit.TOKENS, DAY_S))
    requests, tokens = tightest(figures, Unit.REQUESTS), tightest(figures, Unit.TOKENS)
    return {
        "requests_today": _used(day),
        "requests_this_hour": _used(hour),
        "tokens_used": _used(tokens_day),
        "remaining_requests": _remaining(requests),
        "remaining_today": _remaining(day),
        "remaining_this_hour": _remaining(hour),
        "remaining_tokens": _remaining(tokens),
        "resets_at": None if requests is None else iso_of(requests.resets_at_s),
    }


def limit_object(figure: Figure) -> dict[str, Any]:
    """One limit as errors and the account's page tell it; amounts of USD are decimal strings."""
    return {
        "unit": figure.unit.value,
        "window_s": figure.window_s,
        "limit": _amount(figure, figure.limit),
        "used": _amount(figure, figure.used),
        "remaining": _amount(figure, figure.remaining),
        "resets_at": iso_of(figure.resets_at_s),
    }


def _amount(figure: Figure, amount: int | None) -> int | str | None:
    return usd_text(amount) if figure.unit is Unit.USD and amount is not None else amount


def _used(figure: Figure | None) -> int | None:
    return None if figure is None else figure.used


def _remaining(figure: Figure | None) -> int | None:
    return None if figure is None else figure.remaining


def _upgrade(upgrade: UpgradePrompt | None) -> dict[str, Any]:
    if upgrade is None:
        return {"upgrade_prompt": False}
    return {"upgrade_prompt": True, "upgrade_message": upgrade.message}
