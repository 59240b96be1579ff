"""`cost_calculator`: what calls cost."""

from decimal import Decimal

from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.ledger.account_rules import check_account_id
from scalix_callbacks.plain.calls import call_record, nano_usd_of, usage_of
from scalix_callbacks.plain.workplace import Workplace


class CostCalculator:
    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def calculate_cost(self, model: str, usage: object) -> Decimal | None:
        """What a user pays, in USD: by the prices of the YAML (`scalix.prices`) for all tiers, and the
        defaults; without one by LiteLLM's cost map, as a provider charges. None: neither knows the model.

        Args:
            model: a public name of the configuration, or one of LiteLLM's.
            usage: as OpenAI's `usage`.

        Raises:
            ValueError: it tells no tokens.
        """
        used = usage_of(usage)
        settings = self._workplace.settings
        rates = settings.prices.rates(model, None, self._workplace.now.timestamp())
        if rates is not None:
            return Decimal(rates.nano_usd(used)) / NANO
        known = settings.catalogue.find(model)
        names = [deployment.model for deployment in known.deployments] if known else []
        costs = (_by_cost_map(name, used) for name in [*names, model])
        return next((cost for cost in costs if cost is not None), None)

    def track_cost(self, user_id: str, model: str, cost: object) -> str:
        """Keeps what an account is charged beyond its calls; returns the id of the record.

        Args:
            cost: USD, as a Decimal, a number or a decimal text.

        Raises:
            ValueError: an argument cannot be what it should be.
            DatabaseError: the database fails.
        """
        check_account_id(user_id)
        nano_usd = nano_usd_of(cost)
        at, tier = self._workplace.now, self._workplace.tier_of(user_id).name
        record = call_record(
            user_id, model, None, at=at, tier=tier, price_nano_usd=nano_usd, is_request=False
        )
        self._workplace.keep(record)
        return record.call_id


def _by_cost_map(model: str, usage: Usage) -> Decimal | None:
    import litellm  # seconds to import: only who asks for a cost waits for it

    try:
        prompt, completion = litellm.cost_per_token(
            model=model,
            prompt_tokens=usage.prompt_tokens or 0,
            completion_tokens=usage.completion_tokens or 0,
            cache_read_input_tokens=usage.cached_tokens or 0,
        )
    except Exception:  # it raises a bare Exception for a model it does not know
        return None
    return Decimal(str(prompt)) + Decimal(str(completion))
