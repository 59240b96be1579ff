"""Models that a tier offers and `scalix.prices` does not know, where what users pay is what bounds them."""

from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.pricing import PriceTable
from scalix_callbacks.core.tiers import Tier, TierTable, Unit
from scalix_callbacks.settings.errors import SettingsError


def check_priced(catalogue: Catalogue, tiers: TierTable, prices: PriceTable) -> None:
    """Refuses a model without a price in a tier with a limit in USD: no call of it would ever be answered.

    Of a pattern nobody knows which models there are; those without a price are refused call by call.

    Raises:
        SettingsError: names the tier, the model and the mend.
    """
    for tier in tiers.values():
        if not any(limit.unit is Unit.USD and not limit.is_shadow for limit in tier.limits):
            continue
        for name in _unpriced(catalogue, tier, prices):
            raise SettingsError(
                f"scalix.tiers.{tier.name}.limits: one is in USD, and {name} has no price, so that every call"
                " of it would be refused. Add it to scalix.prices (null where it is not to be called), or"
                " take it out of the tier."
            )


def unpriced_models(catalogue: Catalogue, tiers: TierTable, prices: PriceTable) -> tuple[str, ...]:
    """Models on offer without a price in tiers that are paid by use: nobody pays for them, unless meant so.

    Paid by use is a tier that limits neither requests nor tokens. Accounts with a budget cannot call them.
    """
    found: dict[str, None] = {}
    for tier in tiers.values():
        if not any(limit.unit is not Unit.USD and not limit.is_shadow for limit in tier.limits):
            found |= dict.fromkeys(_unpriced(catalogue, tier, prices))
    return tuple(
        name for name in found if (model := catalogue.find_listed(name)) is not None and model.is_ready
    )


def _unpriced(catalogue: Catalogue, tier: Tier, prices: PriceTable) -> list[str]:
    return [
        model.name
        for model in catalogue.models
        if not model.is_pattern and tier.permits(model.name) and not prices.names(model.name, tier.name)
    ]
