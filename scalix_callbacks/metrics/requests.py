"""What is counted about requests for a model, as the edge sees them."""

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.waits import wait_of
from scalix_callbacks.metrics.labels import LabelValues
from scalix_callbacks.tallies.registry import Registry
from scalix_callbacks.tallies.waiting import Labels, Times

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
_WAITS_S = (0.05, 0.25, 1.0, 2.0, 5.0, 10.0, 30.0)


class RequestMetrics:
    """Answered, refused, open and waiting ones.

    Args:
        overhead: what the pack takes itself, by step.
    """

    def __init__(self, registry: Registry, values: LabelValues, overhead: Times) -> None:
        self._registry, self._values, self._overhead = registry, values, overhead
        of_endpoints: list[Labels] = [(endpoint.value,) for endpoint in Endpoint]
        of_tiers: list[Labels] = [(tier,) for tier in values.names.tiers]
        self._requests = registry.tally(
            "scalix_requests",
            "Requests for a model that were answered, refusals and errors included.",
            ("user_type", "endpoint"),
            [(kind, endpoint.value) for kind in values.user_types for endpoint in Endpoint],
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
        self._overloaded = registry.tally(
            "scalix_overload_refused",
            "Calls that were refused because their turn did not come.",
            ("user_type",),
            of_tiers,
        )
        self._waits = registry.times(
            "scalix_overload_wait_seconds",
            "How long calls waited for their turn that got it; calls that need not wait are not counted.",
            ("user_type",),
            _WAITS_S,
            of_tiers,
        )
        self._waiting = registry.level(
            "scalix_calls_waiting", "Calls that wait for their turn.", ("user_type",), of_tiers
        )
        self._active = registry.level("scalix_active_connections", "Requests for a model that are open.")

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
            self._requests.add((self._values.user_type(call), endpoint.value))
            self._times.add((endpoint.value,), took_s)
            if (waited := wait_of(call, error, took_s)) is not None:
                self._answer_waits.add((endpoint.value,), waited)
        if error is not None:
            self._errors.add((error.value,))
            asked = "none" if call.asked_model is None else self._values.model(call.asked_model)
            self._errors_by_model.add((error.value, self._values.user_type(call), asked))
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
