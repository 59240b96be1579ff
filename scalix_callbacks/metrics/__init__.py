"""What is counted for Prometheus; summed over all workers of one launcher.

Every label has few values, all known when the worker starts: no user, no path, no status, and of models only
the names and patterns of the configuration. Whatever else comes is counted as `other`.
"""

from scalix_callbacks.metrics.calls import CallMetrics
from scalix_callbacks.metrics.labels import LabelValues, Names
from scalix_callbacks.metrics.requests import RequestMetrics
from scalix_callbacks.metrics.worker import WorkerMetrics
from scalix_callbacks.tallies.registry import Registry

_OVERHEAD_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """The metrics of this process.

    Args:
        shared_dir: as for `Registry`.

    Attributes:
        registry: shows them.
    """

    def __init__(self, shared_dir: str | None, names: Names | None = None) -> None:
        self.registry = Registry(shared_dir)
        values = LabelValues(names or Names())
        overhead = self.registry.times(
            "scalix_overhead_seconds",
            "What the pack takes itself, Redis included: until LiteLLM has a call (admit), and to settle it.",
            ("step",),
            _OVERHEAD_S,
            [("admit",), ("settle",)],
        )
        self.requests = RequestMetrics(self.registry, values, overhead)
        self.calls = CallMetrics(self.registry, values, overhead)
        self.worker = WorkerMetrics(self.registry, values.names)
