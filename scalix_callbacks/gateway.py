"""The life of one call, as far as it is ours: who is calling, and what they may ask."""

import hmac
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from scalix_callbacks.core.bodies import Screened, screen
from scalix_callbacks.core.caller import OPERATOR, OPERATOR_ID, Caller, Role
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.claims import Claims
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.features import within
from scalix_callbacks.core.keys import KEY_PREFIX, hash_key, is_key_shaped
from scalix_callbacks.core.routes import Access, Endpoint, Route
from scalix_callbacks.core.tiers import Tier, TierTable, matches_any, narrowed
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.identity import Account, Identity

CLAIMABLE_TIERS = ("free", "pro", "premium")
"""What an operator's `X-User-Tier` may say."""
MAX_USER_ID = 128
STORE_RETRY_S = 5.0

_log = logging.getLogger("scalix.gateway")


class FindsCallers(Protocol):
    """Where accounts and keys are looked up; raises DatabaseError when it cannot tell."""

    async def find_key(self, key_hash: str) -> Identity | None: ...

    async def find_account(self, account_id: str) -> Account | None: ...


class Gateway:
    """Decides, for one request at a time, who it comes from and whether it may go on.

    Args:
        master_key: the operator's key.
        internal_fields: body fields that steer LiteLLM, beside those `core.bodies` knows.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        *,
        master_key: str,
        tiers: TierTable,
        catalogue: Catalogue,
        callers: FindsCallers,
        internal_fields: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._master_key = master_key.encode()
        self._tiers = tiers
        self._catalogue = catalogue
        self._callers = callers
        self._internal_fields = internal_fields
        self._now = now

    # --- who ---------------------------------------------------------------------------------

    async def identify(self, claims: Claims) -> Caller:
        """Whose credential this is.

        Raises:
            GatewayError: INVALID_API_KEY, ACCOUNT_SUSPENDED; SERVICE_UNAVAILABLE when it cannot be told.
        """
        if claims.credential is None:
            raise GatewayError(ErrorCategory.INVALID_API_KEY)
        if self.is_operators(claims):
            return OPERATOR
        return await self._holder_of(claims.credential)

    def is_operators(self, claims: Claims) -> bool:
        """Whether the credential is the master key; told without asking anyone."""
        # "surrogatepass": it may be any text; it must differ from the key, not fail to encode.
        credential = (claims.credential or "").encode("utf-8", "surrogatepass")
        return hmac.compare_digest(credential, self._master_key)

    async def act_for(self, claims: Claims, named_user: object) -> Caller:
        """Who the operator acts for: a user, or itself when it names none (spec B2).

        Args:
            named_user: the body's `user`, as parsed.

        Raises:
            GatewayError: INVALID_REQUEST for contradicting or impossible claims, else as `identify`.
        """
        if claims.user_tier is not None and claims.user_tier not in CLAIMABLE_TIERS:
            raise invalid(f"X-User-Tier must be one of {', '.join(CLAIMABLE_TIERS)}.", param="X-User-Tier")
        user = _user_id(named_user, claims.user_id)
        if claims.user_key is not None:
            holder = await self._holder_of(claims.user_key)
            if user is not None and is_key_shaped(user):
                user = (await self._holder_of(user)).id
            return replace(holder, recorded_user=user)
        if user is None:
            if claims.is_desktop_app:
                _log.warning(
                    "The master key was used by the desktop app without naming a user. It must never be"
                    " shipped in the app: give the app its users' keys."
                )
            return OPERATOR
        if is_key_shaped(user):
            return await self._holder_of(user)
        return await self._named(user, claims.user_tier)

    def check_access(self, caller: Caller, route: Route | None, *, exists: Callable[[], bool]) -> None:
        """Whether this caller may use this address.

        Args:
            route: None: not one of ours, so the operator's alone.
            exists: whether LiteLLM has it; asked only to choose between 403 and 404.

        Raises:
            GatewayError: PERMISSION_DENIED or NOT_FOUND.
        """
        if caller.is_operator or (route is not None and route.access is not Access.OPERATOR):
            return
        if route is None and not exists():
            raise GatewayError(ErrorCategory.NOT_FOUND)
        raise GatewayError(ErrorCategory.PERMISSION_DENIED)

    # --- what --------------------------------------------------------------------------------

    def admit_body(self, caller: Caller, endpoint: Endpoint, body: Mapping[str, Any]) -> Screened:
        """The body as it may go on to LiteLLM, without what the caller's tier lacks.

        Raises:
            GatewayError: INVALID_REQUEST, or as `check_model`.
        """
        screened = screen(endpoint, body, internal=self._internal_fields, keep_unknown=caller.is_operator)
        self.check_model(caller, screened.model)
        return within(screened, self.tier_of(caller))

    def check_model(self, caller: Caller, name: str) -> None:
        """Whether this caller may use this model, and whether it can be served.

        Raises:
            GatewayError: MODEL_NOT_FOUND, MODEL_NOT_IN_TIER, MODEL_UNAVAILABLE.
        """
        model = self._catalogue.find(name)
        if model is None:
            if caller.is_operator:
                return  # LiteLLM's own names, such as deployment ids, are open to the operator
            raise GatewayError(ErrorCategory.MODEL_NOT_FOUND, param="model")
        tier = self.tier_of(caller)
        if tier is not None and not tier.permits(name):
            raise self._not_in_tier(tier, name)
        if caller.models is not None and not matches_any(name, caller.models):
            raise GatewayError(
                ErrorCategory.MODEL_NOT_IN_TIER,
                "This key is limited to certain models, and this one is not among them."
                " GET /v1/models lists those it may use.",
                param="model",
            )
        if not model.is_ready:
            raise GatewayError(
                ErrorCategory.MODEL_UNAVAILABLE,
                "This model is not set up on this gateway. Choose another model; GET /v1/models lists"
                " those you may use.",
                param="model",
            )

    def has_model(self, name: str) -> bool:
        """Whether there is such a model, for whomever."""
        return self._catalogue.find(name) is not None

    def usable_chain(self, caller: Caller, name: str) -> tuple[str, ...]:
        """The models that may be tried when `name` fails, for this caller, in order."""
        return self._catalogue.usable_chain(name, self.tier_of(caller), caller.models)

    def listed_models(self, caller: Caller) -> tuple[str, ...]:
        """The public names this caller may use now; a pattern stands for all it matches.

        Where the tier or the key has only a part of what a pattern matches, that part is listed.
        """
        tier = self.tier_of(caller)
        names = tuple(model.name for model in self._catalogue.models if model.is_ready)
        if tier is not None:
            names = narrowed(names, tier.models)
        if caller.models is not None:
            names = narrowed(names, caller.models)
        return tuple(name for name in names if "*" in name or self._is_ready(name))

    def tier_of(self, caller: Caller) -> Tier | None:
        """The caller's tier; None for the operator, whom nothing limits."""
        return caller.tier_in(self._tiers)

    def _not_in_tier(self, tier: Tier, name: str) -> GatewayError:
        needed = self._tiers.next_permitting(name)
        order = self._tiers.names
        is_higher = needed is not None and order.index(needed.name) > order.index(tier.name)
        url = self._tiers.upgrade_url(tier, needed) if is_higher else None
        where = f"is part of the {needed.name.capitalize()} plan" if needed else "is part of no plan"
        offer = f" [Upgrade to {needed.name.capitalize()}]({url}) to use it." if needed and url else ""
        return GatewayError(
            ErrorCategory.MODEL_NOT_IN_TIER,
            f"This model {where}; you are on {tier.name.capitalize()}.{offer}"
            " GET /v1/models lists those you may use.",
            param="model",
            upgrade_url=url,
        )

    def _is_ready(self, name: str) -> bool:
        model = self._catalogue.find(name)
        return model is not None and model.is_ready

    async def _holder_of(self, credential: str) -> Caller:
        if not is_key_shaped(credential):
            raise GatewayError(ErrorCategory.INVALID_API_KEY)
        key_hash = hash_key(credential)
        try:
            identity = await self._callers.find_key(key_hash)
        except DatabaseError:
            raise _accounts_away() from None
        now = self._now()
        if (
            identity is None
            or identity.key.revoked_at is not None
            or (identity.key.expires_at is not None and identity.key.expires_at <= now)
        ):
            raise GatewayError(ErrorCategory.INVALID_API_KEY)
        return Caller(
            id=identity.account.id,
            tier=self._tier_name(identity.account, now),
            role=Role.USER,
            key_id=identity.key.id,
            key_hash=key_hash,
            models=identity.key.models,
            limit_overrides=identity.account.own_limits,
        )

    async def _named(self, user: str, claimed_tier: str | None) -> Caller:
        try:
            account = await self._callers.find_account(user)
        except DatabaseError:
            raise _accounts_away() from None
        if account is not None:
            tier = self._tier_name(account, self._now())
        else:
            tier = claimed_tier or ("pro" if user.startswith(KEY_PREFIX) else "free")
            if tier not in self._tiers:
                tier = self._lowest
        overrides = () if account is None else account.own_limits
        return Caller(id=user, tier=tier, role=Role.USER, limit_overrides=overrides)

    def _tier_name(self, account: Account, now: datetime) -> str:
        if account.suspended_at is not None:
            raise GatewayError(ErrorCategory.ACCOUNT_SUSPENDED)
        tier = account.tier_at(now)
        # A tier that has left the configuration must not give its accounts more than the least.
        return tier if tier in self._tiers else self._lowest

    @property
    def _lowest(self) -> str:
        return self._tiers.names[0]


def _user_id(in_body: object, in_header: str | None) -> str | None:
    """The one user an operator's request names; None when it names none."""
    if in_body is not None and not isinstance(in_body, str):
        raise invalid("user must be a text.", param="user")
    if in_body is not None and in_header is not None and in_body != in_header:
        raise invalid("user and X-User-ID name different users. Send one of them, or the same.", param="user")
    user = in_body if in_body is not None else in_header
    if user is None:
        return None
    if not 1 <= len(user) <= MAX_USER_ID or not user.isprintable() or " " in user or user == OPERATOR_ID:
        raise invalid(
            f"user must be 1 to {MAX_USER_ID} printable characters without spaces, and not {OPERATOR_ID!r}.",
            param="user",
        )
    return user


def _accounts_away() -> GatewayError:
    return GatewayError(
        ErrorCategory.SERVICE_UNAVAILABLE,
        "The gateway cannot check your key right now. Try again in a moment.",
        retry_after_s=STORE_RETRY_S,
    )
