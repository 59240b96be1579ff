"""`GET /v1/user`: who the app's user is, what is left, and what the plan has."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.figures import Figure, figures_of
from scalix_callbacks.core.limits import Counter, Standing, counters_of
from scalix_callbacks.core.scalix_object import usage_object, user_object
from scalix_callbacks.core.tiers import Feature, Tier, TierTable
from scalix_callbacks.core.upgrade import upgrade_prompt
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.own_routes import NO_STORE, caller_of, unavailable


class ReadsStandings(Protocol):
    """Where an account's counters stand, and the store's clock (Unix time). Raises StoreLost.

    A counter of a window that has not begun stands at 0 and would begin now.
    """

    async def standings(
        self, account_id: str, counters: Sequence[Counter]
    ) -> tuple[Sequence[Standing], float]: ...


def user_page(
    tiers: TierTable,
    store: ReadsStandings,
    flags_of: Callable[[Caller], Mapping[str, bool]],
) -> ASGIApp:
    """Of whomever the request is for. Asking takes no request of any limit.

    Args:
        flags_of: every flag of rollouts for a caller; costs no I/O.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        tier = caller.tier_in(tiers)
        try:
            standings, now_s = await store.standings(caller.id, counters_of(tier))
        except StoreLost:
            raise standings_lost() from None
        body = _body(caller, tier, tiers, figures_of(standings, now_s))
        body["flags"] = dict(flags_of(caller))
        await JSONResponse(body, headers=NO_STORE)(scope, receive, send)

    return app


def standings_lost() -> GatewayError:
    """What is answered while the store does not tell what is left."""
    return unavailable("What is left of your plan cannot be told right now.")


def _body(caller: Caller, tier: Tier | None, tiers: TierTable, figures: Sequence[Figure]) -> dict[str, Any]:
    if tier is not None:
        prompt = upgrade_prompt(tier, tiers, figures)
        return user_object(user_id=caller.id, tier=tier, figures=figures, upgrade=prompt)
    # The operator's own calls are counted, and nothing limits them.
    return {
        "user_id": caller.id,
        "tier": None,
        "limits": [],
        "usage": usage_object(figures),
        "features": sorted(feature.value for feature in Feature),
        "upgrade_prompt": False,
    }
