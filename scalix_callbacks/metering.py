"""The life of one admitted call: what it may use is held, what it used is settled, its record handed on."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from scalix_callbacks.core.attempt import attempt_of
from scalix_callbacks.core.auto import Choice, is_auto
from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.breaker import HasBreakers
from scalix_callbacks.core.budget import with_usd, would_refuse
from scalix_callbacks.core.caching import plan_of
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.call_told import denied_about
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.ended_call import record_of
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.estimate import prompt_tokens
from scalix_callbacks.core.features import dropped_header
from scalix_callbacks.core.figures import Figure, figures_of
from scalix_callbacks.core.limits import (
    Admitted,
    Ask,
    Attempt,
    Counter,
    Decision,
    Denied,
    Settled,
    Standing,
    counters_of,
)
from scalix_callbacks.core.output_limit import apply, output_ask
from scalix_callbacks.core.pricing import PriceTable, Rates, charged_nano_usd
from scalix_callbacks.core.record import CallRecord, Outcome, memo_of, unheard
from scalix_callbacks.core.refusal import refusal, unpriced
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.scalix_object import ModelSelection, scalix_object
from scalix_callbacks.core.tiers import StoreLost as OnStoreLost
from scalix_callbacks.core.tiers import Tier, TierTable
from scalix_callbacks.core.trace import Step
from scalix_callbacks.core.upgrade import upgrade_prompt
from scalix_callbacks.core.usage import NOTHING, UNKNOWN, Usage
from scalix_callbacks.ends import End
from scalix_callbacks.store.errors import StoreLost

STORE_RETRY_S = 5.0

_log = logging.getLogger("scalix.metering")


class Limiter(Protocol):
    """Where limits are held; raises StoreLost when it cannot tell."""

    async def admit(self, ask: Ask) -> Decision: ...

    async def release_unknown(self, ask: Ask, *, record: Mapping[str, Any]) -> None: ...

    async def release(self) -> None: ...


class LocalLimiter(Limiter, Protocol):
    """The same within this process, for as long as the other one is lost; nobody waits for it."""

    async def settle(
        self, ask: Ask, *, is_counted: bool, tokens: int, nano_usd: int, record: None
    ) -> Settled | None: ...


class SettlesCalls(Protocol):
    """`Ends`."""

    async def settle(self, end: End) -> Settled | None: ...


class KnowsAdrift(Protocol):
    """`Adrift`."""

    def add(self, ask: Ask, output_tokens: int | None) -> None: ...

    def ended(self, call_id: str) -> None: ...


class ChoosesModels(Protocol):
    """`AutoMode`."""

    def choose(
        self,
        name: str,
        tier: Tier | None,
        narrowed_to: tuple[str, ...] | None,
        *,
        prompt_tokens: int,
        is_stream: bool,
        at_s: float,
    ) -> Choice: ...

    def ended(
        self, call: Call, outcome: Outcome, *, category: ErrorCategory | None, model_used: str | None
    ) -> None: ...


class Meter:
    """Admits calls and settles each of them once, however it ends.

    Args:
        local: admits a worker's share of the limits while `limiter` is lost, for tiers that go on then.
        workers: among how many the limits are shared out then.
        adrift: is told of calls that go on without the store, and of their ends.
        keep: is given every record as it is settled, before the store is told.
        ended: is told of every call that ended.
        denied: is told of every call that a limit refused, and which.
        shadowed: is told of every admitted call that a limit in shadow would have refused, and which.
        settled: is told of every call that was settled, for how many nano-USD, and in how many seconds.
        chain_of: what may be tried after a model, for a caller.
        prices: what users pay.
        auto: chooses where a call leaves the model to us; None: nothing does.
        max_output_of: public model name → its own maximum of output tokens; None: not known.
        now_s: the clock, Unix time.
        elapsed: seconds that only grow.
    """

    def __init__(
        self,
        limiter: Limiter,
        local: LocalLimiter,
        ends: SettlesCalls,
        breaker: HasBreakers,
        tiers: TierTable,
        *,
        workers: int,
        adrift: KnowsAdrift,
        keep: Callable[[Mapping[str, Any]], None],
        ended: Callable[[Call, CallRecord, Usage], None],
        chain_of: Callable[[Caller, str], Sequence[str]],
        max_output_of: Callable[[str], int | None],
        prices: PriceTable | None = None,
        auto: ChoosesModels | None = None,
        denied: Callable[[Call, Counter], None] | None = None,
        shadowed: Callable[[Call, Counter], None] | None = None,
        settled: Callable[[Call, int, float], None] | None = None,
        now_s: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limiter = limiter
        self._local = local
        self._ends = ends
        self._breaker = breaker
        self._tiers = tiers
        self._workers = workers
        self._adrift = adrift
        self._keep = keep
        self._ended = ended
        self._chain_of = chain_of
        self._max_output_of = max_output_of
        self._prices = prices or PriceTable()
        self._auto = auto
        self._denied = denied
        self._shadowed = shadowed
        self._settled = settled
        self._now_s = now_s
        self._elapsed = elapsed
        self._open: dict[str, Call] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def admit(self, call: Call, endpoint: Endpoint, screened: Screened) -> dict[str, Any]:
        """Holds what the call may use. Returns its body, with the output limit it got.

        Raises:
            GatewayError: a limit refuses, the model has no price under a budget, auto mode finds no model for
                the prompt, or the store is lost.
        """
        tier = self._tier(call)
        call.headers |= dropped_header(screened)
        estimate = prompt_tokens(endpoint, screened.body, screened.options)
        # Of what the client sent: another try of its request may get another model.
        attempt = attempt_of(call.client_request_id, endpoint, screened)
        if is_auto(screened.model) and self._auto is not None:
            screened = self._chosen(self._auto, call, tier, screened, estimate)
        call.endpoint, call.model, call.is_stream = endpoint, screened.model, screened.is_stream
        call.rates = self._rates(call, screened.model)
        assert call.caller is not None
        plan = plan_of(
            call.caller,
            tier,
            endpoint,
            screened.body,
            field=screened.cache,
            header=call.cache_control,
        )
        asked = output_ask(endpoint, screened.body, tier, self._max_output_of(screened.model))
        ask = self._ask(call, tier, attempt, estimate, asked.total)
        decision = await self._decided(call, ask, tier)
        if isinstance(decision, Denied):
            assert tier is not None, "the operator's own calls are not limited"
            self._tell(call, tier, figures_of(decision.standings, decision.now_s), decision.now_s)
            call.note(Step.REFUSED, denied_about(decision))
            if self._denied is not None:
                self._denied(call, decision.by)
            raise refusal(decision, tier, self._tiers, prompt_tokens=estimate)
        call.ask, call.admission = ask, decision
        if self._shadowed is not None and call.local_ask is None:
            for counter in would_refuse(decision, ask, call.rates):
                self._shadowed(call, counter)
        # Kept answers lie in the store, which may be lost; and options may change what the model is asked.
        call.cache = None if call.local_ask is not None or screened.options else plan
        self._open[ask.call_id] = call
        call.note(Step.ADMITTED)
        applied = apply(endpoint, screened.body, asked, decision.output_tokens)
        call.headers |= applied.headers
        self._tell(call, tier, self._figures(call), decision.now_s)
        return applied.body

    def _chosen(
        self, auto: ChoosesModels, call: Call, tier: Tier | None, screened: Screened, estimate: int
    ) -> Screened:
        """The request as if it had named the model that auto mode chooses for it."""
        assert call.caller is not None
        call.choice = auto.choose(
            screened.model,
            tier,
            call.caller.models,
            prompt_tokens=estimate,
            is_stream=screened.is_stream,
            at_s=call.started_at_s,
        )
        call.note(Step.CHOSEN)
        model = call.choice.recommended
        return replace(screened, model=model, body={**screened.body, "model": model})

    async def _decided(self, call: Call, ask: Ask, tier: Tier | None) -> Decision:
        """What the store decides; or, where it is lost and the tier goes on without it, this worker."""
        breaker = self._breaker.of(ask.account_id)
        is_asked = breaker.permits(self._elapsed())
        if is_asked:
            try:
                decision = await self._limiter.admit(ask)
            except StoreLost:
                breaker.failed(self._elapsed())
            except asyncio.CancelledError:
                self._release_soon(ask)
                raise
            else:
                breaker.succeeded()
                return decision
        if tier is None or tier.on_store_lost is OnStoreLost.ADMIT:
            share = replace(ask, counters=tuple(self._share(counter) for counter in ask.counters))
            decision = await self._local.admit(share)
            if isinstance(decision, Admitted):
                # Should the lost admission have come through, the store finds out when it is told the end.
                call.local_ask = share
                self._adrift.add(ask, decision.output_tokens)
                return decision
        if is_asked:
            # Whether it was admitted is not known; should it have been, nothing may stay held.
            self._release_soon(ask)
        raise _store_lost()

    def _release_soon(self, ask: Ask) -> None:
        self._in_background(self._limiter.release_unknown(ask, record=unheard(ask.memo).to_json()))

    def _share(self, counter: Counter) -> Counter:
        # Limits in shadow are asked of the store alone.
        amount = None if counter.amount is None else counter.amount // self._workers
        return replace(counter, amount=amount, shadow=None)

    async def settle(
        self,
        call: Call,
        outcome: Outcome,
        usage: Usage | None = None,
        *,
        category: ErrorCategory | None = None,
        model_used: str | None = None,
        provider: str | None = None,
        provider_rates: Rates | None = None,
    ) -> None:
        """Ends a call: what it held is replaced by what it used. Only the first end of a call has an effect.

        Args:
            usage: of the provider, or estimated; None: nothing was used.
            provider_rates: what the provider charges; None: not known.
        """
        if call.ask is None or call.admission is None or call.is_ending:
            return
        call.is_ending = True
        began_s = self._elapsed()
        self._open.pop(call.ask.call_id, None)
        is_hit = call.cache is not None and call.cache.is_hit
        if is_hit:
            # No provider was asked, so nothing is charged, also where its client left early.
            outcome = outcome if outcome is Outcome.ERROR else Outcome.CACHED
            usage = provider = provider_rates = None
            model_used = self._cached_model(call, model_used)
        used = usage or (NOTHING if is_hit else UNKNOWN)
        answered = None if model_used is None or model_used == call.model else self._rates(call, model_used)
        call.price_nano_usd = charged_nano_usd(usage, call.rates, answered)
        nano_usd = call.price_nano_usd or 0
        is_counted = outcome is not Outcome.ERROR
        if call.local_ask is not None:
            self._adrift.ended(call.ask.call_id)
            here = await self._local.settle(
                call.local_ask,
                is_counted=is_counted,
                tokens=used.total_tokens,
                nano_usd=nano_usd,
                record=None,
            )
            # Of several attempts that went on without the store, one counts.
            is_counted = is_counted if here is None else here.is_counted
        made = record_of(
            call,
            outcome,
            used,
            is_counted=is_counted,
            category=category,
            model_used=model_used,
            provider=provider,
            provider_cost_nano_usd=None
            if usage is None or provider_rates is None
            else provider_rates.nano_usd(usage),
            now_s=self._now_s(),
        )
        call.record = record = made.to_json()
        self._keep(record)
        self._ended(call, made, used)
        if self._auto is not None:
            self._auto.ended(call, outcome, category=category, model_used=model_used)
        is_local = call.local_ask is not None
        call.settled = await self._ends.settle(
            End(call.ask, is_local, is_counted, used.total_tokens, nano_usd, record)
        )
        if call.settled is not None and call.settled.is_counted != is_counted:
            # Another attempt of its request counts.
            self._keep({**record, "requests_counted": int(call.settled.is_counted)})
        call.note(Step.SETTLED)
        self._tell(call, self._tier(call), self._figures(call), call.admission.now_s)
        if self._settled is not None:
            self._settled(call, nano_usd, self._elapsed() - began_s)

    def settle_soon(self, call: Call, outcome: Outcome, usage: Usage | None = None, **about: Any) -> None:
        """`settle` in the background, for a task that is being cancelled and may not wait."""
        if call.ask is None or call.is_ending:
            return
        self._in_background(self.settle(call, outcome, usage, **about))

    def scalix(self, call: Call, model_used: str | None) -> dict[str, Any]:
        """The `scalix` object of this call's answer."""
        assert call.caller is not None
        used = self._cached_model(call, model_used) or call.model or ""
        return scalix_object(
            tier=call.caller.tier,
            request_id=call.request_id,
            figures=call.figures,
            cost_nano_usd=call.price_nano_usd,
            upgrade=call.prompt,
            selection=self._selection(call, call.caller, used),
        )

    def _selection(self, call: Call, caller: Caller, used: str) -> ModelSelection:
        choice = call.choice
        if choice is None:
            options, reason = tuple(self._chain_of(caller, call.model or "")), "requested"
        else:
            options, reason = choice.fallback_options, choice.reason
        return ModelSelection(
            requested=call.model_requested,
            recommended=None if choice is None else choice.recommended,
            used=used,
            reason=reason if used == call.model else "fallback",
            fallback_options=options,
        )

    @staticmethod
    def _cached_model(call: Call, model: str | None) -> str | None:
        """Who made an answer that came from the cache; else `model`."""
        return call.cache.model_used or call.model if call.cache and call.cache.is_hit else model

    async def finish(self, timeout_s: float) -> None:
        """Ends what is still open, when the worker ends; waits for what goes on in the background.

        What the store has not heard of yet that it was refused, it is told once more: later nobody could.
        """
        for call in list(self._open.values()):
            assert call.ask is not None
            prompt_only = UNKNOWN.completed(prompt_tokens=call.ask.prompt_tokens, completion_tokens=0)
            self.settle_soon(call, Outcome.ABORTED, prompt_only)
        if self._background:
            await asyncio.wait(self._background, timeout=timeout_s)
        await self._limiter.release()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _ask(
        self, call: Call, tier: Tier | None, attempt: Attempt | None, estimate: int, output_tokens: int | None
    ) -> Ask:
        assert call.caller is not None and call.endpoint is not None
        counters = with_usd(counters_of(tier), call.rates)
        if counters is None:
            raise unpriced()
        prompt_nano_usd = None
        if call.rates is not None:
            prompt_nano_usd = call.rates.nano_usd(
                UNKNOWN.completed(prompt_tokens=estimate, completion_tokens=0)
            )
        call_id = uuid4().hex
        return Ask(
            call_id=call_id,
            account_id=call.caller.id,
            counters=counters,
            prompt_tokens=estimate,
            output_tokens=output_tokens,
            attempt=attempt,
            memo=memo_of(
                call_id=call_id,
                request_id=call.request_id,
                client_request_id=call.client_request_id,
                at=datetime.fromtimestamp(call.started_at_s, UTC),
                user_id=call.caller.id,
                tier=call.caller.tier,
                endpoint=call.endpoint,
                model_requested=call.model_requested,
                prompt_tokens=estimate,
                attempt=attempt.number if attempt else 1,
                stream=call.is_stream,
                price_nano_usd=prompt_nano_usd,
            ),
            prompt_nano_usd=prompt_nano_usd or 0,
            output_nano_usd=0 if call.rates is None else call.rates.output_nano_usd,
        )

    def _figures(self, call: Call) -> tuple[Figure, ...]:
        """What is left; nothing is told while the store is lost."""
        if call.admission is None or call.ask is None or call.local_ask is not None:
            return ()
        now_s = call.admission.now_s
        if call.settled is not None:
            return figures_of(_merged(call.admission.standings, call.settled.standings), now_s)
        return figures_of(
            call.admission.standings,
            now_s,
            own_tokens=call.ask.prompt_tokens,
            own_nano_usd=call.ask.prompt_nano_usd,
        )

    def _rates(self, call: Call, model: str) -> Rates | None:
        assert call.caller is not None
        return self._prices.rates(model, call.caller.tier, call.started_at_s)

    def _tell(self, call: Call, tier: Tier | None, figures: tuple[Figure, ...], now_s: float) -> None:
        call.figures, call.figures_at_s = figures, now_s
        call.prompt = None if tier is None else upgrade_prompt(tier, self._tiers, figures)

    def _tier(self, call: Call) -> Tier | None:
        return None if call.caller is None else call.caller.tier_in(self._tiers)


def _merged(admitted: Sequence[Standing], settled: Sequence[Standing]) -> list[Standing]:
    """The standings after settling; a counter that vanished with it has nothing used."""
    by_id = {standing.counter.id: standing for standing in settled}
    return [by_id.get(s.counter.id, Standing(s.counter, s.started_at_s, used=0, held=0)) for s in admitted]


def _store_lost() -> GatewayError:
    return GatewayError(
        ErrorCategory.SERVICE_UNAVAILABLE,
        "The gateway cannot check your limits right now. Try again in a moment.",
        retry_after_s=STORE_RETRY_S,
    )
