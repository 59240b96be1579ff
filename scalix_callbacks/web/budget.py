"""`GET /v1/user/info` and `/v1/user/budget`: what was spent, of what, and when it begins anew."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.budget import usd_counters
from scalix_callbacks.core.figures import Figure, figures_of, tightest
from scalix_callbacks.core.moments import iso_of
from scalix_callbacks.core.money import usd_text
from scalix_callbacks.core.scalix_object import limit_object
from scalix_callbacks.core.tiers import TierTable, Unit
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.own_routes import NO_STORE, caller_of
from scalix_callbacks.web.user import ReadsStandings, standings_lost

Body = Callable[[str, Sequence[Figure]], dict[str, Any]]


def info_page(tiers: TierTable, store: ReadsStandings) -> ASGIApp:
    """What the app shows as credits: numbers, as it reads them."""
    return _page(tiers, store, _info)


def budget_page(tiers: TierTable, store: ReadsStandings) -> ASGIApp:
    """Every budget that holds, in exact amounts."""
    return _page(tiers, store, _budget)


def _page(tiers: TierTable, store: ReadsStandings, body: Body) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        try:
            standings, now_s = await store.standings(caller.id, usd_counters(caller.tier_in(tiers)))
        except StoreLost:
            raise standings_lost() from None
        told = body(caller.id, figures_of(standings, now_s))
        await JSONResponse(told, headers=NO_STORE)(scope, receive, send)

    return app


def _info(user_id: str, figures: Sequence[Figure]) -> dict[str, Any]:
    figure, resets_at = _shown(figures)
    return {
        "user_info": {
            "spend": _number(figure.used),
            "max_budget": None if figure.limit is None else _number(figure.limit),
            "budget_reset_at": resets_at,
        }
    }


def _budget(user_id: str, figures: Sequence[Figure]) -> dict[str, Any]:
    figure, resets_at = _shown(figures)
    return {
        "user_id": user_id,
        "spend_usd": usd_text(figure.used),
        "max_budget_usd": None if figure.limit is None else usd_text(figure.limit),
        "remaining_usd": None if figure.remaining is None else usd_text(figure.remaining),
        "window_s": figure.window_s,
        "budget_reset_at": resets_at,
        "budgets": [limit_object(each) for each in figures if each.limit is not None],
    }


def _shown(figures: Sequence[Figure]) -> tuple[Figure, str | None]:
    """Of several budgets the one with the least left; and when it begins anew, where there is one."""
    figure = tightest(figures, Unit.USD)
    return (figures[0], None) if figure is None else (figure, iso_of(figure.resets_at_s))


def _number(nano_usd: int) -> float:
    # A JSON number, which the app computes with.
    return float(usd_text(nano_usd))
