"""The life of one call, as far as it is ours: who is calling, and what they may ask."""

import hmac
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from scalix_callbacks.context import Contexts
from scalix_callbacks.core.auto import AUTO_NAMES, AutoModels, is_auto, no_candidates, permits_auto
from scalix_callbacks.core.bodies import Screened, screen
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import OPERATOR, OPERATOR_ID, Caller, Role
from scalix_callbacks.core.catalogue import Catalogue, ChainKind
from scalix_callbacks.core.claims import Claims
from scalix_callbacks.core.context.options import takes_options, upstream_name
from scalix_callbacks.core.context.request import CONTEXT_HEADER
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.features import within
from scalix_callbacks.core.keys import KEY_PREFIX, hash_key, is_key_shaped
from scalix_callbacks.core.policy import Policy, policy_of
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


class Watches(Protocol):
    """What is noticed for the audit log; costs no I/O and raises nothing."""

    def used(self, caller: Caller, peer: str | None, forwarded_for: str | None = None) -> None: ...

    def refused(self, account_id: str, policy: Policy) -> None: ...


class Gateway:
    """Decides, for one request at a time, who it comes from and whether it may go on.

    Args:
        master_key: the operator's key.
        internal_fields: body fields that steer LiteLLM, beside those `core.bodies` knows.
        now: the clock, in UTC.
        auto: what auto mode may choose from.
        contexts: makes files part of prompts.
        watch: is told where keys come from and what policies refuse; None: nobody is.
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
        auto: AutoModels | None = None,
        contexts: Contexts | None = None,
        watch: Watches | None = None,
    ) -> None:
        self._master_key = master_key.encode()
        self._tiers = tiers
        self._catalogue = catalogue
        self._callers = callers
        self._internal_fields = internal_fields
        self._now = now
        self._auto = auto or AutoModels()
        self._contexts = contexts or Contexts()
        self._watch = watch

    # --- who ---------------------------------------------------------------------------------

    async def identify(self, claims: Claims, peer: str | None = None) -> Caller:
        """Whose credential this is.

        Args:
            peer: the address at the other end of the connection.

        Raises:
            GatewayError: INVALID_API_KEY, ACCOUNT_SUSPENDED; SERVICE_UNAVAILABLE when it cannot be told.
        """
        if claims.credential is None:
            raise GatewayError(ErrorCategory.INVALID_API_KEY)
        caller = OPERATOR if self.is_operators(claims) else await self._holder_of(claims.credential)
        if self._watch is not None:
            self._watch.used(caller, peer, claims.forwarded_for)
        return caller

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
        self._refused(caller.id, Policy.PERMISSION_DENIED)
        raise GatewayError(ErrorCategory.PERMISSION_DENIED)

    # --- what --------------------------------------------------------------------------------

    def admit_body(self, caller: Caller, endpoint: Endpoint, body: Mapping[str, Any]) -> Screened:
        """The body as it may go on to LiteLLM, without what the caller's tier lacks.

        Raises:
            GatewayError: INVALID_REQUEST, or as `check_model`.
        """
        try:
            screened = screen(endpoint, body, internal=self._internal_fields, keep_unknown=caller.is_operator)
            if is_auto(screened.model) and endpoint is Endpoint.EMBEDDINGS:
                raise invalid("Auto mode chooses among chat models. Name an embedding model.", param="model")
            self.check_model(caller, screened.model)
        except GatewayError as error:
            if (policy := policy_of(error)) is not None:
                self._refused(caller.id, policy)
            raise
        return within(screened, self.tier_of(caller))

    async def with_context(self, call: Call, caller: Caller, route: Route, screened: Screened) -> Screened:
        """The request with its files in the prompt, where the engine is asked; elsewhere without its options.

        Raises:
            GatewayError: INVALID_REQUEST or REQUEST_TOO_LARGE for files that cannot be taken.
        """
        if not takes_options(route, screened.model):
            return replace(screened, options=None)
        screened, call.engine = await self._contexts.added(screened)
        call.engine.upstream_model = self._upstream_of(caller, route, screened.model)
        if call.engine.header is not None:
            call.headers[CONTEXT_HEADER] = call.engine.header
        return screened

    def _upstream_of(self, caller: Caller, route: Route, name: str) -> str | None:
        """The upstream engine's form of a model, where there is one that this caller may reach."""
        upstream, tier = upstream_name(route, name), self.tier_of(caller)
        if upstream is None or not self._contexts.has_upstream or not self._is_ready(upstream):
            return None
        if tier is not None and not tier.permits(upstream):
            return None
        return upstream if caller.models is None or matches_any(upstream, caller.models) else None

    def check_model(self, caller: Caller, name: str) -> None:
        """Whether this caller may use this model, and whether it can be served.

        Raises:
            GatewayError: MODEL_NOT_FOUND, MODEL_NOT_IN_TIER, MODEL_UNAVAILABLE.
        """
        if is_auto(name):
            self._check_auto(caller, name)
            return
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
                is_retryable=False,
            )

    def has_model(self, name: str) -> bool:
        """Whether there is such a model, for whomever."""
        return is_auto(name) or self._catalogue.find(name) is not None

    def usable_chain(self, caller: Caller, name: str, kind: ChainKind = ChainKind.FAILED) -> tuple[str, ...]:
        """The models that may be tried when `name` fails, for this caller, in order."""
        return self._catalogue.usable_chain(name, self.tier_of(caller), caller.models, kind)

    def fallback_options(self, caller: Caller, name: str) -> tuple[str, ...]:
        """All that may be tried after `name`, whatever is wrong with it: the ordinary chain first."""
        chains = (self.usable_chain(caller, name, kind) for kind in ChainKind)
        return tuple(dict.fromkeys(other for chain in chains for other in chain))

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
        autos = (
            name
            for name in AUTO_NAMES
            if permits_auto(name, tier) and self._auto.of(name, tier, caller.models)
        )
        return (*(name for name in names if "*" in name or self._is_ready(name)), *autos)

    def tier_of(self, caller: Caller) -> Tier | None:
        """The caller's tier; None for the operator, whom nothing limits."""
        return caller.tier_in(self._tiers)

    def _check_auto(self, caller: Caller, name: str) -> None:
        tier = self.tier_of(caller)
        if tier is not None and not permits_auto(name, tier):
            raise self._not_in_tier(tier, name)
        if not self._auto.of(name, tier, caller.models):
            raise no_candidates()

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
        if identity is None:
            raise GatewayError(ErrorCategory.INVALID_API_KEY)
        now = self._now()
        is_expired = identity.key.expires_at is not None and identity.key.expires_at <= now
        if identity.key.revoked_at is not None or is_expired:
            is_revoked = identity.key.revoked_at is not None
            self._refused(identity.account.id, Policy.KEY_REVOKED if is_revoked else Policy.KEY_EXPIRED)
            raise GatewayError(ErrorCategory.INVALID_API_KEY)
        return Caller(
            id=identity.account.id,
            tier=self._tier_name(identity.account, now),
            role=Role.USER,
            key_id=identity.key.id,
            key_hash=key_hash,
            models=identity.key.models,
            limit_overrides=identity.account.own_limits,
            created_at_s=identity.account.created_at.timestamp(),
        )

    async def _named(self, user: str, claimed_tier: str | None) -> Caller:
        try:
            account = await self._callers.find_account(user)
        except DatabaseError:
            raise _accounts_away() from None
        if account is not None:
            tier = self._tier_name(account, self._now())
        else:
            claimed = claimed_tier or ("pro" if user.startswith(KEY_PREFIX) else "free")
            tier = self._tiers.or_lowest(claimed).name
        overrides = () if account is None else account.own_limits
        created_at_s = None if account is None else account.created_at.timestamp()
        return Caller(
            id=user, tier=tier, role=Role.USER, limit_overrides=overrides, created_at_s=created_at_s
        )

    def _tier_name(self, account: Account, now: datetime) -> str:
        if account.suspended_at is not None:
            self._refused(account.id, Policy.ACCOUNT_SUSPENDED)
            raise GatewayError(ErrorCategory.ACCOUNT_SUSPENDED)
        return self._tiers.or_lowest(account.tier_at(now)).name

    def _refused(self, account_id: str, policy: Policy) -> None:
        if self._watch is not None:
            self._watch.refused(account_id, policy)


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
