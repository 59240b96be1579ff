"""What is counted about calls, for Prometheus; summed over all workers of one launcher.

Every label has few values, all known when the worker starts: no user, no path, no status, and of models only
the names and patterns of the configuration. Whatever else comes is counted as `other`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from scalix_callbacks.core import limits
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import OF_MODELS, ErrorCategory
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import Unit
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.core.waits import wait_of
from scalix_callbacks.tallies.registry import Registry
from scalix_callbacks.tallies.waiting import Labels

OPERATOR = "operator"
NOBODY = "unknown"
"""The user type of a request without a valid key."""
OTHER = "other"
_RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
_MODEL_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_WAITS_S = (0.05, 0.25, 1.0, 2.0, 5.0, 10.0, 30.0)
_OVERHEAD_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
_NANO = 1e-9


@dataclass(frozen=True, slots=True)
class Names:
    """Which label values there may be beside `other`.

    Attributes:
        limits: what the tiers limit, as (tier, unit, window in seconds).
        shadow_limits: what they limit in shadow, likewise.
        flags: of rollouts.
        listed_as: a model's name → the name or pattern it is configured as; None: it is not.
    """

    tiers: Collection[str] = ()
    limits: Collection[tuple[str, Unit, int]] = ()
    shadow_limits: Collection[tuple[str, Unit, int]] = ()
    models: Collection[str] = ()
    flags: Collection[str] = ()
    listed_as: Callable[[str], str | None] = lambda name: None


@dataclass(frozen=True, slots=True)
class State:
    """How one worker stands, and what it knows of what it depends on; None: not known.

    Attributes:
        pending: records in the outbox.
        waiting_ends: calls that ended and Redis has not heard of.
        models_up: of the models auto mode knows, whether it holds them for well.
        resting: deployments in cooldown, by model.
    """

    is_store_lost: bool = False
    is_ledger_failing: bool = False
    pending: int | None = None
    waiting_ends: int = 0
    kept_records: int = 0
    redis_ping_s: float | None = None
    database_silent_s: float | None = None
    models_up: Mapping[str, bool] | None = None
    resting: Mapping[str, int] | None = None


class Metrics:
    """The metrics of this process.

    Args:
        shared_dir: where the processes of one launcher keep their numbers (`PROMETHEUS_MULTIPROC_DIR`,
            which the library itself reads when it is imported); None: this process is alone.
    """

    def __init__(self, shared_dir: str | None, names: Names | None = None) -> None:
        self._registry = registry = Registry(shared_dir)
        self.page, self.exposition, self.write = registry.page, registry.exposition, registry.write
        self._names = names or Names()
        self._tiers = frozenset(self._names.tiers)
        self._limits = frozenset(self._names.limits)
        self._shadow_limits = frozenset(self._names.shadow_limits)
        self._model = lru_cache(maxsize=1_000)(self._find_model)
        types = [*self._names.tiers, OPERATOR, NOBODY]
        endpoints = [endpoint.value for endpoint in Endpoint]
        of_endpoints: list[Labels] = [(endpoint,) for endpoint in endpoints]
        self._requests = registry.tally(
            "scalix_requests",
            "Requests for a model that were answered, refusals and errors included.",
            ("user_type", "endpoint"),
            [(kind, endpoint) for kind in types for endpoint in endpoints],
        )
        self._times = registry.times(
            "scalix_response_time_seconds",
            "From the arrival of a request for a model to the end of its answer.",
            ("endpoint",),
            _SECONDS,
            of_endpoints,
        )
        self._answer_waits = registry.times(
            "scalix_wait_seconds",
            "How long clients waited for an answer: the first piece of a stream, the whole of another.",
            ("endpoint",),
            _SECONDS,
            of_endpoints,
        )
        self._errors = registry.tally(
            "scalix_errors",
            "Errors that were answered, by category.",
            ("error_type",),
            [(category.value,) for category in ErrorCategory],
        )
        self._errors_by_model = registry.tally(
            "scalix_errors_by_model",
            "The same, by who asked and the model that was asked for.",
            ("error_type", "user_type", "model"),
        )
        self._refused = registry.tally(
            "scalix_limits_refused",
            "Calls that a limit refused.",
            ("user_type", "unit", "window_s"),
            [(tier, unit.value, str(window_s)) for tier, unit, window_s in self._names.limits],
        )
        self._shadow_refusals = registry.tally(
            "scalix_shadow_refusals",
            "Calls that were admitted and that a limit in shadow would have refused.",
            ("user_type", "unit", "window_s"),
            [(tier, unit.value, str(window_s)) for tier, unit, window_s in self._names.shadow_limits],
        )
        self._outcomes = registry.tally(
            "scalix_outcomes", "How admitted calls ended.", ("outcome",), [(each.value,) for each in Outcome]
        )
        self._tokens = registry.tally("scalix_tokens", "Tokens of ended calls.", ("user_type", "kind"))
        self._cost = registry.tally(
            "scalix_provider_cost_usd", "What providers charge, as far as it is known.", ("model",)
        )
        self._price = registry.tally("scalix_price_usd", "What users pay.", ("user_type",))
        self._model_calls = registry.tally(
            "scalix_model_calls",
            "Calls by model: answered by it, or failed there, also where a fallback answered.",
            ("model", "result"),
            [(model, result) for model in self._names.models for result in ("ok", "failed")],
        )
        self._model_times = registry.times(
            "scalix_model_response_seconds", "Whole calls that a model answered.", ("model",), _MODEL_SECONDS
        )
        self._first_tokens = registry.times(
            "scalix_time_to_first_token_seconds",
            "From the arrival of a request to the first piece from its model.",
            ("model",),
            _MODEL_SECONDS,
        )
        self._overhead = registry.times(
            "scalix_overhead_seconds",
            "What the pack takes itself, Redis included: until LiteLLM has a call (admit), and to settle it.",
            ("step",),
            _OVERHEAD_S,
            [("admit",), ("settle",)],
        )
        self._cache = registry.tally(
            "scalix_cache",
            "Calls that the answer cache may answer, and whether it did.",
            ("result",),
            [("hit",), ("miss",)],
        )
        self._estimates = registry.times(
            "scalix_prompt_estimate_ratio",
            "Estimated prompt tokens of a call, divided by those its provider reported.",
            ("endpoint",),
            _RATIOS,
        )
        self._without_store = registry.tally(
            "scalix_requests_without_store", "Calls that were admitted while Redis was lost.", ("user_type",)
        )
        self._budgets = registry.tally(
            "scalix_budget_warnings",
            "Budgets of which 80 % were used up.",
            ("user_type",),
            [(kind,) for kind in types],
        )
        self._alerts = registry.tally(
            "scalix_alerts",
            "Alerts for the webhook, and what became of them.",
            ("result",),
            [("sent",), ("failed",), ("dropped",)],
        )
        self._rollbacks = registry.tally(
            "scalix_rollbacks",
            "Flags that were taken back because calls failed or were slow.",
            ("flag",),
            [(flag,) for flag in self._names.flags],
        )
        self._overloaded = registry.tally(
            "scalix_overload_refused",
            "Calls that were refused because their turn did not come.",
            ("user_type",),
            [(tier,) for tier in self._names.tiers],
        )
        self._waits = registry.times(
            "scalix_overload_wait_seconds",
            "How long calls waited for their turn that got it; calls that need not wait are not counted.",
            ("user_type",),
            _WAITS_S,
            [(tier,) for tier in self._names.tiers],
        )
        self._waiting = registry.level(
            "scalix_calls_waiting",
            "Calls that wait for their turn.",
            ("user_type",),
            [(tier,) for tier in self._names.tiers],
        )
        self._starts = registry.tally("scalix_worker_starts", "Workers that started.", (), [()])
        self._stops = registry.tally("scalix_worker_stops", "Workers that ended as they should.", (), [()])
        self._active = registry.level("scalix_active_connections", "Requests for a model that are open.")
        self._workers = registry.gauge("scalix_workers", "Workers that serve.")
        self._store_lost = registry.gauge("scalix_store_lost", "Workers that go on without Redis now.")
        self._ledger_failing = registry.gauge(
            "scalix_ledger_failing", "Workers that cannot bring records to the ledger now."
        )
        self._pending = registry.gauge(
            "scalix_outbox_pending", "Records on their way to the ledger.", "livemax"
        )
        self._ends = registry.gauge("scalix_waiting_ends", "Ended calls that Redis has not heard of.")
        self._kept = registry.gauge("scalix_kept_records", "Records that workers keep until SQL has them.")
        self._ping = registry.gauge(
            "scalix_redis_ping_seconds",
            "The last ping to Redis, of the worker where it took longest.",
            "livemax",
        )
        self._silence = registry.gauge(
            "scalix_database_silent_seconds", "Since the database last answered a worker.", "livemax"
        )
        self._up = registry.gauge(
            "scalix_model_up", "0: auto mode holds the model for down.", "livemin", ("model",)
        )
        self._resting = registry.gauge(
            "scalix_model_resting_deployments", "Deployments in cooldown.", "livemax", ("model",)
        )

    # --- requests, as the edge sees them -------------------------------------------------------

    def opened(self) -> None:
        """A request for a model has come in."""
        self._active.add()
        self._registry.due()

    def closed(self) -> None:
        """It is over, however it ended."""
        self._active.add(count=-1)
        self._registry.due()

    def answered(
        self, call: Call, endpoint: Endpoint | None, error: ErrorCategory | None, took_s: float
    ) -> None:
        """A request is answered, as far as it will be.

        Args:
            endpoint: None: no request for a model; only its error is counted.
        """
        if endpoint is not None:
            self._requests.add((self._user_type(call), endpoint.value))
            self._times.add((endpoint.value,), took_s)
            if (waited := wait_of(call, error, took_s)) is not None:
                self._answer_waits.add((endpoint.value,), waited)
        if error is not None:
            self._errors.add((error.value,))
            asked = "none" if call.asked_model is None else self._model(call.asked_model)
            self._errors_by_model.add((error.value, self._user_type(call), asked))
        self._registry.due()

    def began_to_wait(self, tier: str) -> None:
        """A call must wait for its turn."""
        self._waiting.add((tier,))
        self._registry.due()

    def ended_waiting(self, tier: str, took_s: float, *, is_let_in: bool) -> None:
        """It waits no longer."""
        self._waiting.add((tier,), -1)
        if is_let_in:
            self._waits.add((tier,), took_s)
        self._registry.due()

    def overloaded(self, tier: str) -> None:
        """A call was refused because its turn did not come."""
        self._overloaded.add((tier,))
        self._registry.due()

    def passed_on(self, took_s: float) -> None:
        """The pack has done its part before LiteLLM gets a call."""
        self._overhead.add(("admit",), took_s)

    # --- calls, as the meter sees them ---------------------------------------------------------

    def denied(self, call: Call, by: limits.Counter) -> None:
        """A limit has refused a call."""
        user_type = self._user_type(call)
        is_known = (user_type, by.unit, by.window_s) in self._limits
        self._refused.add((user_type, by.unit.value, str(by.window_s) if is_known else OTHER))
        self._registry.due()

    def shadowed(self, call: Call, by: limits.Counter) -> None:
        """A limit in shadow would have refused a call."""
        user_type = self._user_type(call)
        is_known = (user_type, by.unit, by.window_s) in self._shadow_limits
        self._shadow_refusals.add((user_type, by.unit.value, str(by.window_s) if is_known else OTHER))

    def ended(self, call: Call, record: CallRecord, usage: Usage) -> None:
        """A call that was admitted is over.

        Args:
            usage: what it really used, or an estimate of it.
        """
        assert call.endpoint and call.ask, "it was not admitted"
        user_type = self._user_type(call)
        self._outcomes.add((record.outcome.value,))
        for kind, count in (
            ("prompt", record.prompt_tokens),
            ("completion", record.completion_tokens),
            ("cached", record.cached_tokens),
        ):
            if count:
                self._tokens.add((user_type, kind), count)
        if record.price_nano_usd:
            self._price.add((user_type,), record.price_nano_usd * _NANO)
        self._of_model(call, record)
        if call.cache is not None:
            self._cache.add(("hit" if call.cache.is_hit else "miss",))
        if call.local_ask is not None:
            self._without_store.add((user_type,))
        if usage.prompt_tokens and not usage.is_estimated:
            self._estimates.add((call.endpoint.value,), call.ask.prompt_tokens / usage.prompt_tokens)
        self._registry.due()

    def _of_model(self, call: Call, record: CallRecord) -> None:
        asked = self._model(call.model or "")
        used = asked if record.model_used is None else self._model(record.model_used)
        if record.provider_cost_nano_usd:
            self._cost.add((used,), record.provider_cost_nano_usd * _NANO)
        match record.outcome:
            case Outcome.OK:
                if used != asked:
                    self._model_calls.add((asked, "failed"))
                elif record.duration_ms is not None:
                    self._model_times.add((used,), record.duration_ms / 1_000)
                self._model_calls.add((used, "ok"))
            case Outcome.ERROR if record.error_category in OF_MODELS:
                self._model_calls.add((asked, "failed"))
            case _:
                pass
        if (
            record.stream
            and record.time_to_first_token_ms is not None
            and record.outcome is not Outcome.CACHED
        ):
            self._first_tokens.add((used,), record.time_to_first_token_ms / 1_000)

    def settled(self, took_s: float) -> None:
        """A call has been settled, or is left to be."""
        self._overhead.add(("settle",), took_s)

    def budget_warned(self, call: Call) -> None:
        """With this call its account has used 80 % of a budget."""
        self._budgets.add((self._user_type(call),))
        self._registry.due()

    # --- the worker --------------------------------------------------------------------------

    def alerted(self, result: str) -> None:
        """`sent`, `failed` or `dropped`."""
        self._alerts.add((result,))
        self._registry.due()

    def rolled_back(self, flag: str) -> None:
        """This worker has taken a flag back."""
        self._rollbacks.add((flag,))
        self._registry.due()

    def started(self) -> None:
        self._workers.set(1)
        self._starts.add()
        self._registry.write()

    def stopped(self) -> None:
        """The end as it should be; a worker that died never says so."""
        self._stops.add()
        self._registry.write()
        self._workers.set(0)

    def state(self, state: State) -> None:
        """How this worker stands; what is not known keeps what it was."""
        self._store_lost.set(state.is_store_lost)
        self._ledger_failing.set(state.is_ledger_failing)
        self._ends.set(state.waiting_ends)
        self._kept.set(state.kept_records)
        if state.pending is not None:
            self._pending.set(state.pending)
        if state.redis_ping_s is not None:
            self._ping.set(state.redis_ping_s)
        if state.database_silent_s is not None:
            self._silence.set(state.database_silent_s)
        for model in self._names.models:
            if state.models_up is not None:
                self._up.labels(model).set(state.models_up.get(model, True))
            if state.resting is not None:
                self._resting.labels(model).set(state.resting.get(model, 0))

    # --- labels ------------------------------------------------------------------------------

    def _user_type(self, call: Call) -> str:
        if call.caller is None:
            return NOBODY
        tier = call.caller.tier
        if tier is None:
            return OPERATOR
        return tier if tier in self._tiers else OTHER

    def _find_model(self, name: str) -> str:
        return self._names.listed_as(name) or OTHER
