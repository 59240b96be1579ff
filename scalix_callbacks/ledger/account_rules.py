"""What an account and a key may be given; the sentence that refuses anything else.

AccountError            something about accounts is not as asked; nothing was changed
├── InvalidAccountId    this can be no account's id
├── InvalidValue        this can be no tier, date, budget, limit, name or list of models
├── AccountNotFound
├── AccountExists
└── KeyNotFound
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from scalix_callbacks.core.caller import OPERATOR_ID
from scalix_callbacks.core.keys import is_key_shaped
from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.tiers import MAX_AMOUNT, MAX_WINDOW_S, LimitOverride

MAX_ACCOUNT_ID_LENGTH = 128
MAX_NAME_LENGTH = 128
MAX_MODELS = 100
MAX_MODEL_LENGTH = 256
MAX_OVERRIDES = 20
MAX_OVERLAP = timedelta(days=30)
MAX_BUDGET_NANO_USD = 9_000_000 * NANO
"""Below 2^53: Redis scripts count budgets in doubles."""

_PSEUDONYM = re.compile(r"erased_[0-9a-f]{32}")


class AccountError(ValueError):
    """Something about accounts is not as asked, and nothing was changed; `str()` says the mend."""


class InvalidAccountId(AccountError):
    """This can be no account's id."""


class InvalidValue(AccountError):
    """This can be no tier, date, budget, limit, name or list of models."""


class AccountNotFound(AccountError):
    """There is no account of this id."""


class AccountExists(AccountError):
    """There is an account of this id already."""


class KeyNotFound(AccountError):
    """There is no key of this id."""


def check_account_id(account_id: str) -> None:
    """Raises InvalidAccountId unless `account_id` can be one. Never repeats it: it may be a secret."""
    if not 1 <= len(account_id) <= MAX_ACCOUNT_ID_LENGTH:
        raise InvalidAccountId(
            f"An account id has 1 to {MAX_ACCOUNT_ID_LENGTH} characters: use a shorter one."
        )
    if not _is_one_word(account_id):
        raise InvalidAccountId("An account id has no spaces and no invisible characters: leave them out.")
    if account_id == OPERATOR_ID:
        raise InvalidAccountId(
            f"The account id {OPERATOR_ID} is reserved for the master key: use another one."
        )
    if is_pseudonym(account_id):
        raise InvalidAccountId("This id stands for an account that was erased: use another one.")
    if is_key_shaped(account_id):
        raise InvalidAccountId("This is shaped like an API key, a secret: use the id of the account instead.")


def is_pseudonym(account_id: str) -> bool:
    """Whether `account_id` stands for somebody who was erased."""
    return _PSEUDONYM.fullmatch(account_id) is not None


def check_overlap(overlap: timedelta | None) -> None:
    """Raises InvalidValue unless `overlap` is None or a time for which a replaced key may go on."""
    if overlap is not None and not timedelta(0) < overlap <= MAX_OVERLAP:
        raise InvalidValue("An overlap is longer than nothing and at most 30 days: choose another one.")


def check_tier(tier: str) -> None:
    """Raises InvalidValue unless `tier` could name one. Which tiers there are is for the caller to know."""
    if not (1 <= len(tier) <= MAX_NAME_LENGTH and _is_one_word(tier)):
        raise InvalidValue("A tier's name is one word: name a tier of the configuration.")


def check_future(moment: datetime | None, now: datetime, what: str) -> None:
    """Raises InvalidValue unless `moment` is None or after `now`."""
    if moment is None:
        return
    if moment.tzinfo is None:
        raise InvalidValue(f"{what} needs a time zone: write it in UTC.")
    if moment <= now:
        raise InvalidValue(f"{what} is in the past: choose a later moment.")


def check_budget(nano_usd: int | None) -> None:
    """Raises InvalidValue unless `nano_usd` is None or an amount that counters can hold."""
    if nano_usd is not None and not 0 <= nano_usd <= MAX_BUDGET_NANO_USD:
        raise InvalidValue("A budget is between 0 and 9,000,000 USD: choose one, or none for no limit.")


def check_budget_window(window_s: int | None) -> None:
    """Raises InvalidValue unless `window_s` is None or a window that limits can have."""
    if window_s is not None and not 1 <= window_s <= MAX_WINDOW_S:
        raise InvalidValue(
            "A budget is for 1 second to 366 days: choose another window, or none for 30 days."
        )


def check_overrides(overrides: Sequence[LimitOverride]) -> None:
    """Raises InvalidValue unless these can all be limits of one account, each unit and window once."""
    if len(overrides) > MAX_OVERRIDES:
        raise InvalidValue(f"An account has at most {MAX_OVERRIDES} limits of its own: take some back first.")
    if len({(each.unit, each.window_s, each.is_shadow) for each in overrides}) < len(overrides):
        raise InvalidValue("A limit is named twice: name each unit and window once.")
    if not all(1 <= override.window_s <= MAX_WINDOW_S for override in overrides):
        raise InvalidValue("A limit's window is 1 second to 366 days: choose another one.")
    if not all(override.amount is None or 0 <= override.amount <= MAX_AMOUNT for override in overrides):
        raise InvalidValue("A limit is a number from 0 to 2^53 - 1, or none at all: choose another one.")


def check_name(name: str | None) -> None:
    """Raises InvalidValue unless `name` is None or one visible line."""
    if name is not None and not (1 <= len(name) <= MAX_NAME_LENGTH and name.isprintable() and name.strip()):
        raise InvalidValue(
            f"A key's name is one line of 1 to {MAX_NAME_LENGTH} characters: use a shorter one."
        )


def check_models(models: Sequence[str] | None) -> None:
    """Raises InvalidValue unless `models` is None or a list of names; an empty one would permit nothing."""
    if models is None:
        return
    if not 1 <= len(models) <= MAX_MODELS:
        raise InvalidValue(f"A key names 1 to {MAX_MODELS} models: leave the list out for all of the tier.")
    if not all(1 <= len(model) <= MAX_MODEL_LENGTH and _is_one_word(model) for model in models):
        raise InvalidValue("A model's name has no spaces and no invisible characters: leave them out.")


def _is_one_word(text: str) -> bool:
    return text.isprintable() and not any(map(str.isspace, text))
