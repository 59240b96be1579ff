"""What the workers' metrics tell that no record can: refusals leave none."""

from collections import Counter, defaultdict
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from scalix_callbacks.core.errors import OF_MODELS, ErrorCategory

MAX_REFUSALS = 50
_TOLD_ELSEWHERE = {
    category.value
    for category in (
        *OF_MODELS,
        ErrorCategory.RATE_LIMIT_EXCEEDED,
        ErrorCategory.BUDGET_EXCEEDED,
        ErrorCategory.CLIENT_CLOSED,
    )
}
"""With its limit, or as a failure, which has a record; or nobody's business."""

_Sample = tuple[dict[str, str], float]


def live_figures(exposition: bytes) -> dict[str, Any]:
    """Of all workers of this launcher, since it started; `workers` None: nothing tells."""
    samples: dict[str, list[_Sample]] = defaultdict(list)
    for family in text_string_to_metric_families(exposition.decode()):
        for sample in family.samples:
            samples[sample.name].append((dict(sample.labels), sample.value))
    workers = [value for _, value in samples["scalix_workers"]]
    cache = {labels.get("result"): int(value) for labels, value in samples["scalix_cache_total"]}
    return {
        "workers": int(sum(workers)) if workers else None,
        "workers_without_store": int(sum(value for _, value in samples["scalix_store_lost"])),
        "calls_waiting": int(sum(value for _, value in samples["scalix_calls_waiting"])),
        "cache": {"hits": cache.get("hit", 0), "misses": cache.get("miss", 0)},
        "refusals": _refusals(samples["scalix_limits_refused_total"]),
        "shadow_refusals": _refusals(samples["scalix_shadow_refusals_total"]),
        "other_refusals": _other_refusals(samples["scalix_errors_by_model_total"]),
    }


def _refusals(samples: list[_Sample]) -> list[dict[str, Any]]:
    """By tier and limit, most first; those of limits in shadow were answered."""
    refusals: list[dict[str, Any]] = [
        {
            "tier": labels.get("user_type"),
            "unit": labels.get("unit"),
            "window_s": labels.get("window_s"),
            "count": int(count),
        }
        for labels, count in samples
        if count
    ]
    return sorted(refusals, key=lambda each: -each["count"])[:MAX_REFUSALS]


def _other_refusals(samples: list[_Sample]) -> list[dict[str, Any]]:
    """By tier and category, most first: keys, models, requests, and what the gateway could not take."""
    counts: Counter[tuple[str, str]] = Counter()
    for labels, count in samples:
        if (category := labels.get("error_type", "")) not in _TOLD_ELSEWHERE:
            counts[labels.get("user_type", ""), category] += int(count)
    return [
        {"tier": tier, "category": category, "count": count}
        for (tier, category), count in counts.most_common(MAX_REFUSALS)
        if count
    ]
