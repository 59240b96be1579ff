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
from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.breaker import Breaker
from scalix_callbacks.core.budget import with_usd
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.ended_call import record_of
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.estimate import prompt_tokens
from scalix_callbacks.core.features import dropped_header
from scalix_callbacks.core.figures import Figure, figures_of
from scalix_callbacks.core.limits import (
    Admitted,
    Ask,
    Counter,
    Decision,
    Denied,
    Settled,
    Standing,
    counters_of,
)
from scalix_callbacks.core.output_limit import apply, output_ask
from scalix_callbacks.core.pricing import PriceTable, Rates, charged_nano_usd
from scalix_callbacks.core.record import Outcome, memo_of
from scalix_callbacks.core.refusal import refusal, unpriced
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.scalix_object import ModelSelection, scalix_object
from scalix_callbacks.core.tiers import StoreLost as OnStoreLost
from scalix_callbacks.core.tiers import Tier, TierTable
from scalix_callbacks.core.upgrade import upgrade_prompt
from scalix_callbacks.core.usage import UNKNOWN, Usage
from scalix_callbacks.ends import End
from scalix_callbacks.store.errors import StoreLost

STORE_RETRY_S = 5.0

_log = logging.getLogger("scalix.metering")


class Limiter(Protocol):
    """Where limits are held; raises StoreLost when it cannot tell."""

    async def admit(self, ask: Ask) -> Decision: ...

    async def release_unknown(self, ask: Ask) -> None: ...


class LocalLimiter(Limiter, Protocol):
    """The same within this process, for as long as the other one is lost."""

    async def settle(
        self, ask: Ask, *, is_counted: bool, tokens: int, nano_usd: int, record: None
    ) -> Settled | None: ...


class SettlesCalls(Protocol):
    """`Ends`."""

    async def settle(self, end: End) -> Settled | None: ...


class Meter:
    """Admits calls and settles each of them once, however it ends.

    Args:
        local: admits a worker's share of the limits while `limiter` is lost, for tiers that go on then.
        workers: among how many the limits are shared out then.
        keep: is given every record as it is settled, before the store is told.
        ended: is told of every call that ended.
        chain_of: what may be tried after a model, for a caller.
        prices: what users pay.
        max_output_of: public model name → its own maximum of output tokens; None: not known.
        now_s: the clock, Unix time.
        elapsed: seconds that only grow.
    """

    def __init__(
        self,
        limiter: Limiter,
        local: LocalLimiter,
        ends: SettlesCalls,
        breaker: Breaker,
        tiers: TierTable,
        *,
        workers: int,
        keep: Callable[[Mapping[str, Any]], None],
        ended: Callable[[Call, Outcome, Usage], None],
        chain_of: Callable[[Caller, str], Sequence[str]],
        max_output_of: Callable[[str], int | None],
        prices: PriceTable | None = None,
        now_s: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limiter = limiter
        self._local = local
        self._ends = ends
        self._breaker = breaker
        self._tiers = tiers
        self._workers = workers
        self._keep = keep
        self._ended = ended
        self._chain_of = chain_of
        self._max_output_of = max_output_of
        self._prices = prices or PriceTable()
        self._now_s = now_s
        self._elapsed = elapsed
        self._open: dict[str, Call] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def admit(self, call: Call, endpoint: Endpoint, screened: Screened) -> dict[str, Any]:
        """Holds what the call may use. Returns its body, with the output limit it got.

        Raises:
            GatewayError: a limit refuses, the model has no price under a budget, or the store is lost.
        """
        tier = self._tier(call)
        call.headers |= dropped_header(screened)
        call.endpoint, call.model, call.is_stream = endpoint, screened.model, screened.is_stream
        call.rates = self._rates(call, screened.model)
        asked = output_ask(endpoint, screened.body, tier, self._max_output_of(screened.model))
        estimate = prompt_tokens(endpoint, screened.body, screened.options)
        ask = self._ask(call, tier, screened, estimate, asked.total)
        decision = await self._decided(call, ask, tier)
        if isinstance(decision, Denied):
            assert tier is not None, "the operator's own calls are not limited"
            self._tell(call, tier, figures_of(decision.standings, decision.now_s), decision.now_s)
            raise refusal(decision, tier, self._tiers, prompt_tokens=estimate)
        call.ask, call.admission = ask, decision
        self._open[ask.call_id] = call
        applied = apply(endpoint, screened.body, asked, decision.output_tokens)
        call.headers |= applied.headers
        self._tell(call, tier, self._figures(call), decision.now_s)
        return applied.body

    async def _decided(self, call: Call, ask: Ask, tier: Tier | None) -> Decision:
        """What the store decides; or, where it is lost and the tier goes on without it, this worker."""
        is_asked = self._breaker.permits(self._elapsed())
        if is_asked:
            try:
                decision = await self._limiter.admit(ask)
            except StoreLost:
                self._breaker.failed(self._elapsed())
            except asyncio.CancelledError:
                self._in_background(self._limiter.release_unknown(ask))
                raise
            else:
                self._breaker.succeeded()
                return decision
        if tier is None or tier.on_store_lost is OnStoreLost.ADMIT:
            share = replace(ask, counters=tuple(self._share(counter) for counter in ask.counters))
            decision = await self._local.admit(share)
            if isinstance(decision, Admitted):
                # Should the lost admission have come through, the store finds out when it is told the end.
                call.local_ask = share
                return decision
        if is_asked:
            # Whether it was admitted is not known; should it have been, nothing may stay held.
            self._in_background(self._limiter.release_unknown(ask))
        raise _store_lost()

    def _share(self, counter: Counter) -> Counter:
        return counter if counter.amount is None else replace(counter, amount=counter.amount // self._workers)

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
        self._open.pop(call.ask.call_id, None)
        used = usage or UNKNOWN
        answered = None if model_used is None or model_used == call.model else self._rates(call, model_used)
        call.price_nano_usd = charged_nano_usd(usage, call.rates, answered)
        nano_usd = call.price_nano_usd or 0
        record = record_of(
            call,
            outcome,
            used,
            category=category,
            model_used=model_used,
            provider=provider,
            provider_cost_nano_usd=None
            if usage is None or provider_rates is None
            else provider_rates.nano_usd(usage),
            now_s=self._now_s(),
        ).to_json()
        is_counted = bool(record["requests_counted"])
        self._keep(record)
        self._ended(call, outcome, used)
        is_local = call.local_ask is not None
        if call.local_ask is not None:
            await self._local.settle(
                call.local_ask,
                is_counted=is_counted,
                tokens=used.total_tokens,
                nano_usd=nano_usd,
                record=None,
            )
        call.settled = await self._ends.settle(
            End(call.ask, is_local, is_counted, used.total_tokens, nano_usd, record)
        )
        if call.settled is not None and call.settled.is_counted != is_counted:
            # Another attempt of its request counts.
            self._keep({**record, "requests_counted": int(call.settled.is_counted)})
        self._tell(call, self._tier(call), self._figures(call), call.admission.now_s)

    def settle_soon(self, call: Call, outcome: Outcome, usage: Usage | None = None, **about: Any) -> None:
        """`settle` in the background, for a task that is being cancelled and may not wait."""
        if call.ask is None or call.is_ending:
            return
        self._in_background(self.settle(call, outcome, usage, **about))

    def scalix(self, call: Call, model_used: str | None) -> dict[str, Any]:
        """The `scalix` object of this call's answer."""
        assert call.caller is not None
        requested = call.model or ""
        used = model_used or requested
        return scalix_object(
            tier=call.caller.tier,
            request_id=call.request_id,
            figures=call.figures,
            cost_nano_usd=call.price_nano_usd,
            upgrade=call.prompt,
            selection=ModelSelection(
                requested=requested,
                recommended=None,
                used=used,
                reason="requested" if used == requested else "fallback",
                fallback_options=tuple(self._chain_of(call.caller, requested)),
            ),
        )

    async def finish(self, timeout_s: float) -> None:
        """Ends what is still open, when the worker ends; waits for what goes on in the background."""
        for call in list(self._open.values()):
            assert call.ask is not None
            prompt_only = UNKNOWN.completed(prompt_tokens=call.ask.prompt_tokens, completion_tokens=0)
            self.settle_soon(call, Outcome.ABORTED, prompt_only)
        if self._background:
            await asyncio.wait(self._background, timeout=timeout_s)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _ask(
        self, call: Call, tier: Tier | None, screened: Screened, estimate: int, output_tokens: int | None
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
        attempt = attempt_of(call.client_request_id, call.endpoint, screened)
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
                model_requested=screened.model,
                prompt_tokens=estimate,
                attempt=attempt.number if attempt else 1,
                stream=screened.is_stream,
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
