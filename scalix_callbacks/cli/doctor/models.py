"""What is on offer: which models have credentials, for which tiers, and what follows when one fails."""

from collections.abc import Iterator

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, unknown, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.cli.limit_words import limits_text
from scalix_callbacks.cli.unknown_models import unknown_models
from scalix_callbacks.core.catalogue import Catalogue, ChainKind, Model
from scalix_callbacks.core.tiers import Tier


def examine(subject: Subject) -> Iterator[Finding]:
    if subject.settings is None:
        yield unknown("models")
        return
    catalogue = subject.settings.catalogue
    yield from models(catalogue)
    for found, mend in unknown_models(subject.settings, subject.values):
        yield warning("models", found, mend)
    if unpriced := subject.settings.unpriced:
        yield prices(unpriced)
    for kind, chains in catalogue.chains.items():
        for name in chains:
            yield chain(catalogue, name, kind)
    for tier in subject.settings.tiers.values():
        yield of_tier(tier, catalogue)


def models(catalogue: Catalogue) -> Iterator[Finding]:
    """Those with credentials on one line, the others by what they lack."""
    ready = [_shown(model) for model in catalogue.models if model.is_ready]
    if ready:
        yield ok("models", f"With credentials: {', '.join(ready)}.")
    else:
        yield broken(
            "models",
            "None has credentials, so no call can be served.",
            "Set a provider's key, or try --demo.",
        )
    waiting: dict[str, list[str]] = {}
    for model in catalogue.models:
        if not model.is_ready:
            waiting.setdefault(" or ".join(model.missing), []).append(model.name)
    for missing, names in waiting.items():
        yield warning(
            "models",
            f"Not on offer without {missing}: {', '.join(names)}.",
            f"Set {missing}, or remove the models you do not want.",
        )


def prices(unpriced: tuple[str, ...]) -> Finding:
    """Of models in tiers that are paid by use."""
    return warning(
        "prices",
        f"None for {', '.join(unpriced)}: nobody pays for them, and accounts with a budget cannot call them.",
        "Add them to scalix.prices; 0 for what is free, null where it is meant so.",
    )


def chain(catalogue: Catalogue, name: str, kind: ChainKind = ChainKind.FAILED) -> Finding:
    """What follows when `name` fails."""
    following = catalogue.chain(name, kind)
    ready = [other for other in following if (model := catalogue.find(other)) and model.is_ready]
    model = catalogue.find(name)
    shown = f"{name} → {' → '.join(following)}"
    if model is None or not model.is_ready:
        return ok(kind.value, f"{shown}; not in use, for {name} has no credentials.")
    if not ready:
        return warning(
            kind.value,
            f"{shown}: nothing follows {name}, for the others have no credentials.",
            "Set a key for one of them, or remove the chain.",
        )
    without = [other for other in following if other not in ready]
    return ok(kind.value, f"{shown}; without credentials: {', '.join(without)}." if without else f"{shown}.")


def of_tier(tier: Tier, catalogue: Catalogue) -> Finding:
    """A tier in short."""
    permitted = [model for model in catalogue.models if tier.permits(model.name)]
    ready = sum(model.is_ready for model in permitted)
    found = f"{limits_text(tier)}; {ready} of {len(permitted)} models have credentials."
    if ready:
        return ok(f"tier {tier.name}", found)
    return warning(f"tier {tier.name}", found, "Set a key for one of its models, or give the tier others.")


def _shown(model: Model) -> str:
    lacking = list(dict.fromkeys(d.missing for d in model.deployments if d.missing is not None))
    if not lacking:
        return model.name
    ready = sum(deployment.is_ready for deployment in model.deployments)
    return f"{model.name} (by {ready} of {len(model.deployments)}, the others lack {', '.join(lacking)})"
