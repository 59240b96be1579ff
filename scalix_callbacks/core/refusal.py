"""A refusal by a limit, in words a user can act on."""

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.figures import Figure, figures_of
from scalix_callbacks.core.limits import HELD_RETRY_S, Denied
from scalix_callbacks.core.scalix_object import limit_object
from scalix_callbacks.core.tiers import Tier, TierTable, Unit
from scalix_callbacks.core.upgrade import Upgrade, limit_words, upgrade_of


def refusal(denied: Denied, tier: Tier, tiers: TierTable, *, prompt_tokens: int) -> GatewayError:
    """What a refused call is answered.

    RATE_LIMIT_EXCEEDED for requests and tokens, and for whatever other calls of the account hold now;
    PROMPT_TOO_LARGE for what no waiting helps; BUDGET_EXCEEDED for USD.

    Args:
        prompt_tokens: the estimate the call was refused with.
    """
    figure = _figure_of(denied)
    upgrade = upgrade_of(tier, tiers)
    if denied.is_held:
        return _held(denied, figure)
    if denied.by.unit is Unit.USD:
        return _budget(denied, figure, upgrade)
    if denied.by.amount == 0:
        return _closed(figure, upgrade)
    if denied.by.unit is Unit.TOKENS and (denied.is_too_large or denied.retry_after_s is None):
        return _too_large(denied, figure, upgrade, prompt_tokens)
    return _rate_limit(denied, figure, upgrade, prompt_tokens)


def unpriced() -> GatewayError:
    """What a call is answered of which nobody knows what it costs, where a budget limits its account."""
    return GatewayError(
        ErrorCategory.BUDGET_EXCEEDED,
        "ExceededBudget: this model has no price on this gateway, so that no budget can pay for it. Choose"
        " another model, or ask the operator of this gateway to set its price.",
        param="model",
    )


def duration_words(seconds: float) -> str:
    """A wait as people say it, rounded up: `1 second`, `42 minutes`, `1 hour 5 minutes`, `3 days`."""
    whole = max(-(-round(seconds * 1_000) // 1_000), 1)
    if whole < 60:
        return _count(whole, "second")
    minutes = -(-whole // 60)
    if minutes < 60:
        return _count(minutes, "minute")
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{_count(hours, 'hour')} {_count(rest, 'minute')}" if rest else _count(hours, "hour")
    return _count(-(-minutes // (24 * 60)), "day")


def _held(denied: Denied, figure: Figure) -> GatewayError:
    what = "budget" if figure.unit is Unit.USD else figure.unit.value
    return GatewayError(
        ErrorCategory.RATE_LIMIT_EXCEEDED,
        f"Rate limit exceeded for the moment: other calls of yours that are still running hold the rest of"
        f" your {what} ({limit_words(figure)}). Retry shortly, when they have ended.",
        retry_after_s=HELD_RETRY_S if denied.retry_after_s is None else denied.retry_after_s,
        limit=limit_object(figure),
    )


def _rate_limit(denied: Denied, figure: Figure, upgrade: Upgrade | None, prompt_tokens: int) -> GatewayError:
    if figure.remaining and figure.unit is Unit.TOKENS:
        state = (
            f"You have {figure.remaining:,} of your {limit_words(figure)} left; this request needs more,"
            f" about {prompt_tokens:,} for its prompt and the rest for its answer."
        )
    else:
        state = f"You have used up your {limit_words(figure)}."
    wait = ""
    if denied.retry_after_s is not None:
        wait = f" The limit resets in {duration_words(denied.retry_after_s)}."
    return _error(
        ErrorCategory.RATE_LIMIT_EXCEEDED,
        f"{_opening(upgrade)} {state}{wait}{_offer(upgrade)}",
        figure,
        upgrade,
        retry_after_s=denied.retry_after_s,
    )


def _closed(figure: Figure, upgrade: Upgrade | None) -> GatewayError:
    return _error(
        ErrorCategory.RATE_LIMIT_EXCEEDED,
        f"{_opening(upgrade)} Your plan has no {figure.unit.value} at all, so that waiting does not help."
        f"{_offer(upgrade) or ' Ask the operator of this gateway.'}",
        figure,
        upgrade,
        is_retryable=False,
    )


def _too_large(denied: Denied, figure: Figure, upgrade: Upgrade | None, prompt_tokens: int) -> GatewayError:
    size = f"The prompt is about {prompt_tokens:,} tokens"
    if denied.is_too_large:
        state = f"{size}, more than your whole limit of {limit_words(figure)}."
    else:
        state = f"{size}, which leaves no room for an answer within your limit of {limit_words(figure)}."
    return _error(
        ErrorCategory.PROMPT_TOO_LARGE,
        f"{state} Shorten it and send it again.{_offer(upgrade)}",
        figure,
        upgrade,
    )


def _budget(denied: Denied, figure: Figure, upgrade: Upgrade | None) -> GatewayError:
    if figure.limit == 0:
        state = "this account has no budget. Raise it to make calls."
    elif denied.retry_after_s is None:
        state = (
            f"this request may cost more than your whole budget of {limit_words(figure)}."
            " Shorten it, ask for less output or raise the budget."
        )
    else:
        state = (
            f"your budget of {limit_words(figure)} is used up, or what is left is too little for this"
            f" request. Raise it, or wait: it resets in {duration_words(denied.retry_after_s)}."
        )
    return _error(
        ErrorCategory.BUDGET_EXCEEDED,
        f"ExceededBudget: {state}{_offer(upgrade)}",
        figure,
        upgrade,
        retry_after_s=denied.retry_after_s,
    )


def _error(
    category: ErrorCategory,
    message: str,
    figure: Figure,
    upgrade: Upgrade | None,
    *,
    retry_after_s: float | None = None,
    is_retryable: bool | None = None,
) -> GatewayError:
    return GatewayError(
        category,
        message,
        is_retryable=is_retryable,
        retry_after_s=retry_after_s,
        upgrade_url=None if upgrade is None else upgrade.url,
        limit=limit_object(figure),
    )


def _figure_of(denied: Denied) -> Figure:
    """Of the limit that refused; a standing the limiter left out has nothing used."""
    refused = (standing for standing in denied.standings if standing.counter.id == denied.by.id)
    figures = figures_of(refused, denied.now_s)
    unused = Figure(
        denied.by.unit, denied.by.window_s, denied.by.amount, 0, denied.now_s + denied.by.window_s
    )
    return next(iter(figures), unused)


def _opening(upgrade: Upgrade | None) -> str:
    # The desktop app's users know this sentence (spec D3).
    return (
        "Rate limit exceeded."
        if upgrade is None
        else f"Rate limit exceeded. Please upgrade to {upgrade.name}."
    )


def _offer(upgrade: Upgrade | None) -> str:
    return "" if upgrade is None or upgrade.url is None else f" {upgrade.link} for more."


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
