"""What is counted about calls, for Prometheus; summed over all workers of one launcher."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.usage import Usage

OPERATOR = "operator"
_RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)


class Metrics:
    """The metrics of this process; every label has few values, and none is a user.

    Args:
        shared_dir: where the processes of one launcher keep their numbers (`PROMETHEUS_MULTIPROC_DIR`,
            which the library itself reads when it is imported); None: this process is alone.
    """

    def __init__(self, shared_dir: str | None) -> None:
        self._shared_dir = shared_dir
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "scalix_requests",
            "Calls that were admitted and ended.",
            ["user_type", "endpoint"],
            registry=self._registry,
        )
        self._outcomes = Counter("scalix_outcomes", "How they ended.", ["outcome"], registry=self._registry)
        self._estimates = Histogram(
            "scalix_prompt_estimate_ratio",
            "Estimated prompt tokens of a call, divided by those its provider reported.",
            ["endpoint"],
            buckets=_RATIOS,
            registry=self._registry,
        )
        self._without_store = Counter(
            "scalix_requests_without_store",
            "Calls that were admitted while Redis was lost.",
            ["user_type"],
            registry=self._registry,
        )
        self._store_lost = Gauge(
            "scalix_store_lost",
            "Workers that go on without Redis now.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._pending = Gauge(
            "scalix_outbox_pending",
            "Records on their way to the ledger.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )

    def ended(self, call: Call, outcome: Outcome, usage: Usage) -> None:
        """A call that was admitted is over.

        Args:
            usage: what it really used, or an estimate of it.
        """
        assert call.caller and call.endpoint and call.ask, "it was not admitted"
        user_type = call.caller.tier or OPERATOR
        self._requests.labels(user_type, call.endpoint.value).inc()
        self._outcomes.labels(outcome.value).inc()
        if call.local_ask is not None:
            self._without_store.labels(user_type).inc()
        if usage.prompt_tokens and not usage.is_estimated:
            self._estimates.labels(call.endpoint.value).observe(call.ask.prompt_tokens / usage.prompt_tokens)

    def state(self, *, is_store_lost: bool, pending: int | None) -> None:
        """How this worker stands; `pending` None: not known."""
        self._store_lost.set(is_store_lost)
        if pending is not None:
            self._pending.set(pending)

    def exposition(self) -> bytes:
        """All workers' numbers in Prometheus' text format."""
        if self._shared_dir is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._shared_dir)  # type: ignore[no-untyped-call]  # has no types
        return generate_latest(registry)
