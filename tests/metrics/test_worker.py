"""What a worker tells of itself."""

from scalix_callbacks.metrics import Metrics
from scalix_callbacks.metrics.worker import State
from tests.metrics.support import NAMES, read


def test_the_state_of_a_worker_shows():
    """What is not known keeps what it was; a model nobody knows anything of is up."""
    metrics = Metrics(None, NAMES)
    metrics.worker.state(State(pending=7, models_up={"gpt-4": False}, resting={"gpt-4": 2}))
    metrics.worker.state(State(is_store_lost=True, redis_ping_s=0.25))
    found = read(metrics)

    assert (1, 7) == (found[("scalix_store_lost",)], found[("scalix_outbox_pending",)])
    assert 0.25 == found[("scalix_redis_ping_seconds",)]
    assert ("scalix_model_up", "gpt-4") not in found
    assert 1 == found["scalix_model_up", "gpt-5"] == found["scalix_model_up", "anthropic/*"]
    assert 2 == found["scalix_model_resting_deployments", "gpt-4"]


def test_a_worker_that_ended_well_says_so():
    """One that died never does."""
    metrics = Metrics(None)
    metrics.worker.started()
    before = read(metrics)
    metrics.worker.stopped()
    after = read(metrics)

    assert (1, 1) == (before[("scalix_workers",)], before[("scalix_worker_starts_total",)])
    assert 1 == after[("scalix_worker_stops_total",)]
    assert ("scalix_workers",) not in after
