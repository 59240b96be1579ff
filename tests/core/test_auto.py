"""Auto mode chooses among a caller's models, by what is known of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.auto import (
    AUTO_NAMES,
    AutoModels,
    Candidate,
    Choice,
    Weights,
    blended_usd_per_1m,
    choose,
    is_auto,
    permits_auto,
)
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.model_health import Latency, ModelHealth
from scalix_callbacks.core.pricing import Rates
from scalix_callbacks.core.tiers import DEFAULT_TIERS

NOON = 1_800_000_000.0
FREE, PRO, PREMIUM = DEFAULT_TIERS.values()
MODELS = AutoModels(
    tuple(
        map(
            Candidate, ("free-flash", "free-pro", "scalix-engine", "gpt-4.1", "gpt-5", "gpt-4", "claude-opus")
        )
    )
)


def row(latency_s: float | None = None, *, at_s: float = NOON, share: float = 0.0, is_down: bool = False):
    of = Latency(told_s=latency_s)
    return ModelHealth(at_s, failure_share=share, is_down=is_down, first=of, whole=of)


def chosen(*candidates: Candidate, **how: Any) -> Choice:
    how = {"health": {}, "prompt_tokens": 10, "is_stream": True, "now_s": NOON, **how}
    return choose("scalix/auto", candidates, **how)


def refused(**how: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        chosen(**how) if "candidates" not in how else chosen(*how.pop("candidates"), **how)
    return caught.value


# --- whose models -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tier", "key", "models"),
    [
        ("auto", FREE, None, ["free-flash", "free-pro"]),
        ("free-auto", PRO, None, ["free-flash", "free-pro"]),
        ("scalix/auto", PRO, None, ["free-flash", "free-pro", "scalix-engine", "gpt-4.1", "gpt-5"]),
        ("scalix/auto", PRO, ("gpt-*",), ["gpt-4.1", "gpt-5"]),
        ("scalix/auto", PRO, ("gpt-5", "scalix/auto"), ["gpt-5"]),
        ("auto", FREE, ("gpt-5",), []),
        ("free-auto", PRO, ("gpt-5",), []),
        # A key of auto modes alone may ask for these, and they choose among all its plan has.
        ("auto", FREE, ("auto",), ["free-flash", "free-pro"]),
        ("free-auto", FREE, ("auto",), []),
        ("auto", None, None, [candidate.name for candidate in MODELS.candidates]),
    ],
)
def test_a_caller_reaches_its_own_models(name, tier, key, models) -> None:
    """Those of the plan, and of them those its key is limited to."""
    assert models == [candidate.name for candidate in MODELS.of(name, tier, key)]


@given(
    st.sampled_from(AUTO_NAMES),
    st.sampled_from([FREE, PRO, PREMIUM]),
    st.none() | st.lists(st.sampled_from(["gpt-*", "free-*", "gpt-5", "auto", "*"]), max_size=3).map(tuple),
)
def test_no_choice_leaves_the_plan(name, tier, key) -> None:
    """Whatever the key names."""
    assert all(tier.permits(candidate.name) for candidate in MODELS.of(name, tier, key))


def test_who_has_which_auto_mode() -> None:
    """`auto` is everybody's; the others go by the plan's models."""
    assert [["auto", "free-auto"], list(AUTO_NAMES), list(AUTO_NAMES)] == [
        [name for name in AUTO_NAMES if permits_auto(name, tier)] for tier in (FREE, PRO, PREMIUM)
    ]
    assert not is_auto("scalix/auto2")


# --- which one --------------------------------------------------------------------------------------


def test_the_cheaper_and_the_quicker_go_first() -> None:
    """A model four times as dear must be more than four times as quick."""
    a, b = Candidate("a", usd_per_1m=1.0), Candidate("b", usd_per_1m=4.0)

    assert "a" == chosen(a, b).recommended
    assert "a" == chosen(a, b, health={"a": row(3.0), "b": row(1.0)}).recommended
    assert "b" == chosen(a, b, health={"a": row(6.0), "b": row(1.0)}).recommended


def test_weights_decide() -> None:
    """With none on the price, the quicker one goes first."""
    a, b = Candidate("a", usd_per_1m=1.0), Candidate("b", usd_per_1m=400.0)
    health = {"a": row(2.0), "b": row(1.0)}

    assert "b" == chosen(a, b, health=health, weights=Weights(price=0)).recommended


def test_ties_go_by_priority_and_then_by_the_known_order() -> None:
    """Highest priority; then gemini-2.5-flash, claude-sonnet-4, gpt-4.1; then the others by name."""
    names = ("b", "gpt-4.1", "a", "claude-sonnet-4", "gemini-2.5-flash")
    equal = [Candidate(name) for name in names]
    order = chosen(*equal)

    assert "gemini-2.5-flash" == order.recommended
    assert ("claude-sonnet-4", "gpt-4.1", "a") == order.fallback_options
    assert "z" == chosen(*equal, Candidate("z", priority=1)).recommended


def test_a_model_that_is_down_comes_last() -> None:
    """However cheap it is; and it is still there when all are."""
    a, b = Candidate("a", usd_per_1m=0.1), Candidate("b", usd_per_1m=50.0)
    down = row(0.1, is_down=True)
    choice = chosen(a, b, health={"a": down})

    assert ("b", ("a",)) == (choice.recommended, choice.fallback_options)
    assert "auto: the only model that answers of late" == choice.reason
    assert "a" == chosen(a, b, health={"a": down, "b": down}).recommended


def test_the_reason_says_by_what() -> None:
    """In words that an app can show."""
    a, b = Candidate("a", usd_per_1m=0.85), Candidate("b")

    assert "auto: the only model that fits" == chosen(a).reason
    assert (
        "auto: the best of 2 models by health, latency and price, about 1.2 s to an answer,"
        " 0.85 USD per million tokens" == chosen(a, b, health={"a": row(1.24)}, may_try=[]).reason
    )


def test_a_prompt_must_fit() -> None:
    """The best that reads it; a context nobody knows is none too small."""
    small = Candidate("small", context_tokens=100, usd_per_1m=0.1)
    large = Candidate("large", context_tokens=101, usd_per_1m=9.0)
    choice = chosen(small, large, prompt_tokens=101)

    assert ("large", ()) == (choice.recommended, choice.fallback_options)
    assert "small" == chosen(small, large, prompt_tokens=100).recommended
    assert "unknown" == chosen(small, Candidate("unknown"), prompt_tokens=10**9).recommended


def test_a_prompt_too_long_for_all_is_refused() -> None:
    """With what it is, what would fit, and what to do."""
    error = refused(candidates=[Candidate("a", 1_000), Candidate("b", 128_000)], prompt_tokens=200_000)

    assert (400, ErrorCategory.CONTEXT_WINDOW_EXCEEDED) == (error.status, error.category)
    assert "about 200,000 tokens" in error.message
    assert "read 128,000 at most. Shorten it" in error.message


def test_without_models_there_is_no_choice() -> None:
    """As for a model that is not set up."""
    assert (503, ErrorCategory.MODEL_UNAVAILABLE) == ((e := refused()).status, e.category)


# --- trying -----------------------------------------------------------------------------------------


def test_a_model_is_tried_again_when_it_is_due() -> None:
    """Ten seconds after its failure, by a call that has the others to fall back on; no sooner."""
    a, b = Candidate("a", usd_per_1m=1.0), Candidate("b", usd_per_1m=2.0)
    health = {"a": row(1.0, is_down=True), "b": row(1.0, at_s=NOON + 9)}
    early, due = (chosen(a, b, health=health, now_s=NOON + s) for s in (9.9, 10.0))

    assert (None, "b") == (early.tries, early.recommended)
    assert ("a", "a", ("b",)) == (due.tries, due.recommended, due.fallback_options)
    assert None is chosen(a, b, health=health, now_s=NOON + 10, may_try=["b"]).tries


def test_a_slow_model_is_looked_at_again() -> None:
    """Half a minute after its last call; but not one that would not be the best at its best."""
    a, b, dear = (Candidate(name, usd_per_1m=usd) for name, usd in (("a", 1.0), ("b", 2.0), ("dear", 9.0)))
    now_s = NOON + 30
    health = {"a": row(8.0), "b": row(1.0, at_s=now_s), "dear": row(8.0)}

    assert "b" == chosen(a, b, dear, health=health, now_s=now_s - 0.1).recommended
    assert "a" == chosen(a, b, dear, health=health, now_s=now_s).tries
    assert None is chosen(b, dear, health=health, now_s=now_s).tries


def test_a_new_model_is_tried_where_the_known_one_is_slow() -> None:
    """A quarter of a second is hoped of it; where nothing is known at all, nothing is tried."""
    a, b = Candidate("a", usd_per_1m=1.0), Candidate("b", usd_per_1m=2.0)

    assert "b" == chosen(a, b, health={"a": row(8.0)}).tries
    assert None is chosen(a, b, health={"a": row(0.4)}).tries
    assert None is chosen(a, b).tries


# --- whatever is known ------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", "gpt-4.1", "gemini-2.5-flash", "x/y"])
candidates = st.lists(
    st.builds(
        Candidate,
        names,
        st.none() | st.integers(1, 10**6),
        st.none() | st.floats(0, 1e4),
        st.integers(-3, 3),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda candidate: candidate.name,
)
rows = st.builds(
    lambda latency_s, at_s, share, is_down: row(latency_s, at_s=at_s, share=share, is_down=is_down),
    st.none() | st.floats(0, 1e4),
    st.floats(NOON - 100, NOON),
    st.floats(0, 1),
    st.booleans(),
)
healths = st.dictionaries(names, rows)
any_weights = st.builds(Weights, *[st.floats(0, 100)] * 3)


@given(candidates, healths, any_weights, st.integers(0, 2 * 10**6), st.booleans())
def test_what_is_chosen_fits_and_is_the_same_everywhere(models, health, weights, prompt, is_stream) -> None:
    """Each worker may have its models in another order; all that may be called read the prompt."""
    how = {"health": health, "weights": weights, "prompt_tokens": prompt, "is_stream": is_stream}
    fitting = {candidate.name for candidate in models if candidate.fits(prompt)}
    if not fitting:
        refusal = refused(candidates=models, **how)
        assert ErrorCategory.CONTEXT_WINDOW_EXCEEDED is refusal.category
        return
    choice = chosen(*models, **how)
    tried = [choice.recommended, *choice.fallback_options]

    assert choice == chosen(*reversed(models), **how)
    assert fitting >= set(tried)
    assert len(tried) == len(set(tried)) == min(len(fitting), 4)


@given(
    candidates, healths, any_weights, st.floats(0.1, 1e3), st.floats(0, 0.9), st.floats(0.01, 1e3), st.data()
)
def test_what_is_better_in_every_respect_is_preferred(
    models, health, weights, latency, share, usd, data
) -> None:
    """Healthier, quicker, cheaper and first in priority: never behind."""
    best = Candidate("best", None, usd, priority=5)
    worse = Candidate("worse", None, usd * data.draw(st.floats(1, 100)), priority=4)
    known = {
        **health,
        "best": row(latency, at_s=NOON, share=share),
        "worse": row(
            latency * data.draw(st.floats(1, 100)),
            at_s=NOON,
            share=min(share + data.draw(st.floats(0, 1)), 1.0),
            is_down=data.draw(st.booleans()),
        ),
    }
    choice = chosen(*models, best, worse, health=known, weights=weights, may_try=[])
    tried = [choice.recommended, *choice.fallback_options]

    assert "worse" not in tried or tried.index("best") < tried.index("worse")


@given(candidates, healths)
def test_a_model_that_is_down_is_left_alone_until_it_is_due(models, health) -> None:
    """Where any other is up."""
    choice = chosen(*models, health=health, prompt_tokens=0)
    down = {c.name for c in models if c.name in health and health[c.name].is_down}

    assert (
        choice.recommended not in down
        or {candidate.name for candidate in models} == down
        or health[choice.recommended].retry_at_s() <= NOON
    )


def test_a_price_is_blended() -> None:
    """Three tokens of prompt for each of the answer: (3 × 0.30 + 2.50) / 4 USD for a million."""
    rates = Rates(input=300 * 10**9, cached_input=0, output=2_500 * 10**9)

    assert pytest.approx(0.85) == blended_usd_per_1m(rates)
