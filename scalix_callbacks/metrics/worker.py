"""What a worker tells of itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from scalix_callbacks.metrics.labels import Names
from scalix_callbacks.tallies.registry import Registry


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


class WorkerMetrics:
    """Its start and end, its alerts and rollbacks, and its state now and then."""

    def __init__(self, registry: Registry, names: Names) -> None:
        self._registry, self._names = registry, names
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
            [(flag,) for flag in names.flags],
        )
        self._starts = registry.tally("scalix_worker_starts", "Workers that started.", (), [()])
        self._stops = registry.tally("scalix_worker_stops", "Workers that ended as they should.", (), [()])
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
