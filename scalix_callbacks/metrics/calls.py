"""What is counted about calls, as the meter sees them."""

from scalix_callbacks.core import limits
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import OF_MODELS
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.metrics.labels import OTHER, LabelValues
from scalix_callbacks.tallies.registry import Registry
from scalix_callbacks.tallies.waiting import Times

_RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)
_MODEL_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_NANO = 1e-9


class CallMetrics:
    """How limits took them, and how those ended that were admitted.

    Args:
        overhead: what the pack takes itself, by step.
    """

    def __init__(self, registry: Registry, values: LabelValues, overhead: Times) -> None:
        self._registry, self._values, self._overhead = registry, values, overhead
        names = values.names
        self._limits = frozenset(names.limits)
        self._shadow_limits = frozenset(names.shadow_limits)
        self._refused = registry.tally(
            "scalix_limits_refused",
            "Calls that a limit refused.",
            ("user_type", "unit", "window_s"),
            [(tier, unit.value, str(window_s)) for tier, unit, window_s in names.limits],
        )
        self._shadow_refusals = registry.tally(
            "scalix_shadow_refusals",
            "Calls that were admitted and that a limit in shadow would have refused.",
            ("user_type", "unit", "window_s"),
            [(tier, unit.value, str(window_s)) for tier, unit, window_s in names.shadow_limits],
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
            [(model, result) for model in names.models for result in ("ok", "failed")],
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
            [(kind,) for kind in values.user_types],
        )

    def denied(self, call: Call, by: limits.Counter) -> None:
        """A limit has refused a call."""
        user_type = self._values.user_type(call)
        is_known = (user_type, by.unit, by.window_s) in self._limits
        self._refused.add((user_type, by.unit.value, str(by.window_s) if is_known else OTHER))
        self._registry.due()

    def shadowed(self, call: Call, by: limits.Counter) -> None:
        """A limit in shadow would have refused a call."""
        user_type = self._values.user_type(call)
        is_known = (user_type, by.unit, by.window_s) in self._shadow_limits
        self._shadow_refusals.add((user_type, by.unit.value, str(by.window_s) if is_known else OTHER))

    def ended(self, call: Call, record: CallRecord, usage: Usage) -> None:
        """A call that was admitted is over.

        Args:
            usage: what it really used, or an estimate of it.
        """
        assert call.endpoint and call.ask, "it was not admitted"
        user_type = self._values.user_type(call)
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
        asked = self._values.model(call.model or "")
        used = asked if record.model_used is None else self._values.model(record.model_used)
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
        self._budgets.add((self._values.user_type(call),))
        self._registry.due()
