"""Whatever happens in whatever order: the scripts on a real Redis do what the plain model says.

The model and the scripts answer alike to every call; beside that the promises are checked on their own:
never over, never phantom, a refusal changes no byte, the promised retry is exact, a call settles once.
"""

from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from scalix_callbacks.core.limits import Admitted, Ask, Attempt, Counter, Decision, Denied, Standing
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import RedisLimiter
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore
from tests.contract.machine import OverRedis, try_out
from tests.contract.world import NOON, PATIENCE_S, abandoned
from tests.redis_server import RedisServer, left_behind

WORKERS = ("one", "two", "three")
ACCOUNTS = ("ada", "ben")
PLANS = (
    (
        Counter(Unit.REQUESTS, HOUR_S, 2),
        Counter(Unit.REQUESTS, DAY_S, 4),
        Counter(Unit.TOKENS, DAY_S, 1_000),
    ),
    (
        Counter(Unit.REQUESTS, HOUR_S, 3, shadow=1),
        Counter(Unit.REQUESTS, DAY_S, None, shadow=2),
        Counter(Unit.TOKENS, HOUR_S, 700),
        Counter(Unit.TOKENS, DAY_S, 2_000),
        Counter(Unit.USD, DAY_S, 1_001),
    ),
    (Counter(Unit.REQUESTS, HOUR_S, None), Counter(Unit.TOKENS, DAY_S, None, shadow=600)),
)
STEPS_S = (1.0, 11.0, 300.0, 599.0, 1_800.0, 3_599.0, 3_600.0, 40_000.0, 86_400.0)
ATTEMPTS = st.builds(
    Attempt,
    st.sampled_from(["r", "r", "s"]),
    st.sampled_from([1, 2, 3, 1, 2, 3, 0, 4]),
    st.sampled_from(["body", "body", "body", "other body"]),
)


class Lockstep(OverRedis):
    def __init__(self) -> None:
        super().__init__()
        store = MemoryStore()
        self.real = {
            name: RedisLimiter(self.redis, name, abandoned, timeout_s=PATIENCE_S) for name in WORKERS
        }
        self.model = {name: MemoryLimiter(store, name, abandoned) for name in WORKERS}
        self.calls: dict[str, tuple[Ask, str]] = {}
        self.open: set[str] = set()
        self.barred: set[str] = set()
        self.ticks = 0
        self.clock_s = NOON
        self.is_calm = False  # no window ends
        self.entries: list[tuple[str, bool, bool]] = []
        self.charged: dict[str, tuple[int, int, int]] = {}  # requests, tokens, nano-USD; by call

    @initialize(is_calm=st.booleans())
    def begin(self, is_calm: bool) -> None:
        self.is_calm = is_calm

    # --- what happens ------------------------------------------------------------------------

    @rule(
        worker=st.sampled_from(WORKERS),
        account=st.sampled_from(ACCOUNTS),
        counters=st.sampled_from(PLANS),
        prompt=st.sampled_from([0, 1, 90, 300, 744, 745, 1_001]),
        output=st.sampled_from([None, 0, 100, 256, 600, 5_000]),
        price=st.sampled_from([(0, 0), (700, 0), (100, 3), (6_000, 1)]),
        attempt=st.one_of(st.none(), *[ATTEMPTS] * 2),
        probe=st.booleans(),
    )
    def admit(
        self,
        worker: str,
        account: str,
        counters: tuple[Counter, ...],
        prompt: int,
        output: int | None,
        price: tuple[int, int],
        attempt: Attempt | None,
        probe: bool,
    ) -> None:
        self._ask(worker, account, counters, prompt, output, price, attempt, probe)

    def _ask(
        self,
        worker: str,
        account: str,
        counters: tuple[Counter, ...],
        prompt: int,
        output: int | None,
        price: tuple[int, int],
        attempt: Attempt | None,
        probe: bool,
    ) -> None:
        if self.is_calm and attempt is not None:
            # One request under two plans counts under both of them: more than the sums below know.
            counters = PLANS[ord(attempt.request) % 2]
        call = f"call-{len(self.calls)}"
        ask = Ask(call, account, counters, prompt, output, attempt, {"call_id": call, "list": []}, *price)
        decision = self._admit(ask, worker)
        probe = probe and not self.is_calm  # it looks past the end of windows
        if isinstance(decision, Denied) and probe and decision.retry_after_s is not None:
            self._check_promise(ask, worker, decision)

    @rule(
        worker=st.sampled_from(WORKERS),
        prompt=st.sampled_from([1, 90]),
        output=st.sampled_from([None, 0, 100, 400]),
        price=st.sampled_from([(0, 0), (100, 1)]),
        counters=st.sampled_from(PLANS[:2]),
        attempt=st.none() | ATTEMPTS,
        probe=st.booleans(),
    )
    def admit_another(
        self,
        worker: str,
        prompt: int,
        output: int | None,
        price: tuple[int, int],
        counters: tuple[Counter, ...],
        attempt: Attempt | None,
        probe: bool,
    ) -> None:
        """Much of it is for one account, and small enough for several at once."""
        self._ask(worker, ACCOUNTS[0], counters, prompt, output, price, attempt, probe)

    @rule(data=st.data(), tokens=st.sampled_from([0, 1, 150, 1_200]), usd=st.sampled_from([0, 40, 9_000]))
    def settle(self, data: st.DataObject, tokens: int, usd: int) -> None:
        """Any call there ever was: open, settled before, or given up."""
        if self.calls:
            self._settle(data.draw(st.sampled_from(sorted(self.calls))), True, tokens, usd)

    @rule(data=st.data())
    def settle_an_open_one(self, data: st.DataObject) -> None:
        if self.open:
            self._settle(data.draw(st.sampled_from(sorted(self.open))), True, 120, 300)

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        if self.open:
            self._settle(data.draw(st.sampled_from(sorted(self.open))), False, 0, 0)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Its user was refused, for its admission got no answer; it may have been given up meanwhile."""
        if self.open:
            call = data.draw(st.sampled_from(sorted(self.open)))
            ask, worker = self.calls[call]
            refused = {"call_id": call, "outcome": "refused"}
            for _ in range(2):
                now_s = self._now_s()
                self.run(self.real[worker].release_unknown(ask, record=refused, now_s=now_s))
                self.run(self.model[worker].release_unknown(ask, record=refused, now_s=now_s))
            assert not self._settle(call, True, 5, 5)
            self.barred.add(call)

    @rule(data=st.data())
    def admission_comes_late(self, data: st.DataObject) -> None:
        """By a connection that was given up: after what followed it, or while its call goes on."""
        if self.open or self.barred:
            call = data.draw(st.sampled_from(sorted(self.open | self.barred)))
            ask, worker = self.calls[call]
            now_s, before = self._now_s(), self._dump()
            try:
                real = self.run(self.real[worker].admit(ask, now_s=now_s))
            except StoreLost:
                with pytest.raises(StoreLost):
                    self.run(self.model[worker].admit(ask, now_s=now_s))
                assert before == self._dump()
            else:
                assert self.run(self.model[worker].admit(ask, now_s=now_s)) == real
                assert call not in self.barred

    @precondition(lambda self: not self.is_calm)  # the sums below know nothing of it
    @rule(account=st.sampled_from(ACCOUNTS))
    def reset(self, account: str) -> None:
        assert self.run(self.model["one"].reset(account)) == self.run(self.real["one"].reset(account))

    @rule(
        account=st.sampled_from(ACCOUNTS),
        counters=st.sampled_from(PLANS),
        tokens=st.sampled_from([0, 400, 3_000]),
        worker=st.sampled_from(WORKERS),
    )
    def drain(self, account: str, counters: tuple[Counter, ...], tokens: int, worker: str) -> None:
        """A call that went on without the store, said twice."""
        call = f"call-{len(self.calls)}"
        self.calls[call] = (Ask(call, account, counters, 10, None, None, {"call_id": call}), worker)
        self._drain(call, tokens)

    @rule(data=st.data(), tokens=st.sampled_from([0, 150, 1_200]))
    def drain_an_admitted_one(self, data: st.DataObject, tokens: int) -> None:
        """The answer to its admission was lost: it may be open, or given up meanwhile."""
        if self.open:
            self._drain(data.draw(st.sampled_from(sorted(self.open))), tokens)

    def _drain(self, call: str, tokens: int) -> None:
        ask, worker = self.calls[call]
        told = []
        for _ in range(2):
            now_s = self._now_s()
            args: dict[str, Any] = {"is_counted": True, "tokens": tokens, "nano_usd": 7, "now_s": now_s}
            settled = self.run(self.real[worker].drain(ask, record={"call_id": call}, **args))
            assert self.run(self.model[worker].drain(ask, record={"call_id": call}, **args)) == settled
            told.append(settled)

        first, again = told
        assert first is not None and again is None
        self.open.discard(call)
        self.barred.add(call)
        self.charged[call] = (int(first.is_counted), tokens, 7)

    @rule(worker=st.sampled_from(WORKERS))
    def renew(self, worker: str) -> None:
        now_s = self._now_s()
        self.run(self.real[worker].renew(now_s=now_s))
        self.run(self.model[worker].renew(now_s=now_s))

    @rule(worker=st.sampled_from(WORKERS))
    def reap(self, worker: str) -> None:
        now_s = self._now_s()
        reaped = self.run(self.real[worker].reap(now_s=now_s))
        assert self.run(self.model[worker].reap(now_s=now_s)) == reaped
        self._drain_outbox()

    @rule()
    def leases_lapse(self) -> None:
        self.clock_s += 20.0

    @precondition(lambda self: not self.is_calm)
    @rule(step_s=st.sampled_from(STEPS_S))
    def time_goes_on(self, step_s: float) -> None:
        self.clock_s += step_s

    @precondition(lambda self: not self.is_calm)
    @rule(step_s=st.sampled_from(STEPS_S))
    def the_clock_is_set_back(self, step_s: float) -> None:
        self.clock_s -= step_s

    # --- what must hold ----------------------------------------------------------------------

    @invariant()
    def both_stand_alike(self) -> None:
        now_s = self._now_s()
        for account in ACCOUNTS:
            for counters in PLANS:
                real = self.run(self.real["one"].standings(account, counters, now_s=now_s))
                assert self.run(self.model["one"].standings(account, counters, now_s=now_s)) == real

    def teardown(self) -> None:
        try:
            held = self.run(self.real["one"].reservations_held())
            assert self.run(self.model["one"].reservations_held()) == held
            for call in sorted(self.calls):
                self._settle(call, True, 1, 1)
            for call in sorted(self.calls):
                assert not self._settle(call, True, 1, 1), "settled twice"
            self._drain_outbox()
            assert [] == left_behind(self.server.client)
            self._check_sums()
            # Each call is in the ledger once, and once more when it was given up and came back.
            calls = [call for call, _, is_late in self.entries if not is_late]
            assert len(set(calls)) == len(calls)
            late = {call: is_counted for call, is_counted, is_late in self.entries if is_late}
            assert len(late) == sum(is_late for _, _, is_late in self.entries)
            # Or when another attempt of its request counts, which its worker could not know.
            assert not any(late[call] for call in late.keys() - set(calls))
        finally:
            self.close()

    def _admit(self, ask: Ask, worker: str, at: float | None = None) -> Decision:
        self.calls[ask.call_id] = (ask, worker)
        now_s = self._now_s() if at is None else at
        before = self._dump()
        own = self._own_standings(ask, now_s)
        decision = self.run(self.real[worker].admit(ask, now_s=now_s))
        note(f"{ask.call_id} -> {decision}")
        assert self.run(self.model[worker].admit(ask, now_s=now_s)) == decision
        if isinstance(decision, Denied):
            assert before == self._dump(), "a refusal changed something"
            return decision
        assert before != self._dump()
        self.open.add(ask.call_id)
        for was, standing in zip(own, decision.standings, strict=True):
            if standing.counter.amount is not None and standing.held > was.held:
                assert standing.used + standing.held <= standing.counter.amount, "over"
        return decision

    def _own_standings(self, ask: Ask, now_s: float) -> tuple[Standing, ...]:
        return self.run(self.real["one"].standings(ask.account_id, ask.counters, now_s=now_s))

    def _check_promise(self, ask: Ask, worker: str, denied: Denied) -> None:
        """Refused 1 ms before the promised moment, admitted at it; but for tokens that others still hold."""
        if denied.is_held:
            return
        assert denied.retry_after_s is not None
        promised_s = denied.now_s + denied.retry_after_s

        assert isinstance(self._admit(ask, worker, promised_s - 0.001), Denied)
        then = self._admit(ask, worker, promised_s)
        assert isinstance(then, Admitted) or then.is_held
        if isinstance(then, Admitted):
            self._settle(ask.call_id, False, 0, 0)

    def _settle(self, call: str, is_counted: bool, tokens: int, nano_usd: int) -> bool:
        ask, worker = self.calls[call]
        now_s = self._now_s()
        args: dict[str, Any] = {"is_counted": is_counted, "tokens": tokens, "nano_usd": nano_usd}
        before = self._dump()
        real = self.run(self.real[worker].settle(ask, record={"call_id": call}, now_s=now_s, **args))
        model = self.run(self.model[worker].settle(ask, record={"call_id": call}, now_s=now_s, **args))
        assert model == real
        self.open.discard(call)
        if real is None:
            assert before == self._dump(), "settling twice changed something"
            return False
        self.charged[call] = (int(real.is_counted), tokens, nano_usd)
        return True

    def _check_sums(self) -> None:
        """Never phantom: while no window ended, what is used is what was settled, to the token."""
        if not self.is_calm:
            return
        expected: dict[tuple[str, str], int] = {}
        for call, (requests, tokens, nano_usd) in self.charged.items():
            ask, _ = self.calls[call]
            amounts = {Unit.REQUESTS: requests, Unit.TOKENS: tokens, Unit.USD: nano_usd}
            for counter in ask.counters:
                key = (ask.account_id, counter.id)
                expected[key] = expected.get(key, 0) + amounts[counter.unit]
        counters = {counter.id: counter for plan in PLANS for counter in plan}.values()
        for account in ACCOUNTS:
            for standing in self.run(
                self.real["one"].standings(account, tuple(counters), now_s=self._now_s())
            ):
                assert expected.get((account, standing.counter.id), 0) == standing.used

    def _drain_outbox(self) -> None:
        entries = self.run(self.real["one"].read_outbox(1_000))
        model = self.run(self.model["one"].read_outbox(1_000))
        told = [(entry.record["call_id"], entry.is_counted, entry.is_late) for entry in entries]
        as_told = [(e.record, e.is_counted, e.is_late) for e in entries]
        for entry in model:
            as_told.remove((entry.record, entry.is_counted, entry.is_late))
        assert [] == as_told
        self.run(self.real["one"].acknowledge(entries))
        self.run(self.model["one"].acknowledge(model))
        self.entries += told

    def _dump(self) -> dict[bytes, object]:
        """All that is stored. Not DUMP: a hash being rehashed changes its bytes and nothing else."""
        keys = sorted(self.server.client.keys("*"))
        pipeline = self.server.client.pipeline(transaction=False)
        for key in keys:
            match key.split(b":")[2:3]:
                case [b"used" | b"open"]:
                    pipeline.hgetall(key)
                case [b"leases"]:
                    pipeline.zrange(key, 0, -1, withscores=True)
                case [b"outbox"]:
                    pipeline.xrange(key)
                case _:
                    pipeline.get(key)
        return dict(zip(keys, pipeline.execute(), strict=True))

    def _now_s(self) -> float:
        """Never the same moment twice: two windows of one counter that begin in the same ms are told apart
        by nothing, and a clock set back by the millisecond is not what this is about."""
        self.ticks += 1
        return self.clock_s + self.ticks % 997 / 1_000


def test_the_scripts_do_what_the_model_says(own_redis: RedisServer) -> None:
    """Calls, failures, deaths, returns and clocks that step, in any order, over several workers."""
    try_out(Lockstep, own_redis)
