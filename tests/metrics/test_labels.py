"""Labels have few values, and those that are known show from the start."""

from scalix_callbacks.core.caller import Caller, Role
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.limits import Counter
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import Unit
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.metrics.worker import State
from tests.metrics.support import NAMES, call, lines, record


def test_labels_do_not_grow_with_what_comes():
    """A thousand users, models, tiers, windows and providers make no more lines than one of each."""
    metrics = Metrics(None, NAMES)

    def all_sorts(i: int) -> None:
        someone = Caller(f"user-{i}", "free" if i % 2 else f"tier-{i}", Role.USER)
        asked = call(someone, model=f"anthropic/claude-{i}" if i % 3 else f"none-{i}")
        metrics.requests.answered(asked, Endpoint.CHAT, ErrorCategory.INTERNAL, 0.1)
        metrics.calls.denied(asked, Counter(Unit.TOKENS, 60 + i, 10))
        used = record(
            model_used=f"used-{i}",
            provider=f"p-{i}",
            stream=True,
            time_to_first_token_ms=i,
            price_nano_usd=1,
            provider_cost_nano_usd=1,
        )
        metrics.calls.ended(asked, used, Usage(1, 1))
        metrics.calls.budget_warned(asked)
        metrics.worker.state(State(models_up={f"m-{i}": False}, resting={f"m-{i}": 1}))

    for i in range(6):
        all_sorts(i)
    before = lines(metrics)
    for i in range(1_000):
        all_sorts(i)
    text = metrics.registry.exposition().decode()

    assert before == lines(metrics)
    assert not [word for word in ("user-", "none-", "claude", "tier-", "used-", "m-1") if word in text]


def test_every_category_and_tier_shows_from_the_start():
    """A rate over a counter that was not there before would miss its first step."""
    text = Metrics(None, NAMES).registry.exposition().decode()

    assert all(f'scalix_errors_total{{error_type="{category}"}} 0.0' in text for category in ErrorCategory)
    assert 'scalix_requests_total{endpoint="chat",user_type="pro"} 0.0' in text
