"""Models are found by their public names only, and chains keep to what a caller may reach."""

from scalix_callbacks.core.catalogue import Catalogue, ChainKind, Deployment, Model, escapes
from scalix_callbacks.core.tiers import DEFAULT_TIERS


def model(name: str, *missing: str | None) -> Model:
    deployments = tuple(Deployment(name, f"openai/{i}", f"model_list[{i}]", m) for i, m in enumerate(missing))
    return Model(name, deployments)


CATALOGUE = Catalogue(
    (
        model("free-a", None),
        model("free-b", "KEY"),
        model("gpt-4", None),
        model("openrouter/*", None),
        model("openrouter/x/*", None),
    ),
    {"gpt-4": ("free-b", "free-a", "openrouter/x/y"), "free-a": ("free-b", "gpt-4")},
)


def found(name: str) -> str | None:
    reached = CATALOGUE.find(name)
    return reached and reached.name


def test_the_most_exact_name_wins() -> None:
    """A name of its own, then the longest pattern."""
    assert "gpt-4" == found("gpt-4")
    assert "openrouter/x/*" == found("openrouter/x/y")
    assert "openrouter/*" == found("openrouter/y")


def test_what_is_counted_is_what_is_listed() -> None:
    """No text of a client becomes a label."""
    names = (
        "gpt-4",
        "openrouter/x/y",
        "openrouter/anything",
        "nonsense",
        "gpt-4,free-a",
        "openrouter/*",
    )

    assert ["gpt-4", "openrouter/x/*", "openrouter/*", None, None, None] == [
        CATALOGUE.listed_as(name) for name in names
    ]


def test_what_litellm_would_also_route_is_no_model() -> None:
    """Lists, patterns, bare provider names and other cases are not for callers."""
    for name in (
        "gpt-4,free-a",
        "openrouter/*",
        "*",
        "openai/0",
        "GPT-4",
        "",
        "openrouter/../x",
        "openrouter/x?y",
    ):
        assert found(name) is None, name


def test_a_model_is_ready_when_one_of_its_deployments_is() -> None:
    """What it lacks is told only as long as nothing serves it."""
    assert model("m", "A", None).is_ready
    assert () == model("m", "A", None).missing
    assert ("A", "B") == model("m", "A", "B", "A").missing


def test_a_chain_keeps_to_what_the_caller_may_reach() -> None:
    """Tier, narrowing and credentials each take out what they forbid."""
    free, premium = DEFAULT_TIERS["free"], DEFAULT_TIERS["premium"]

    assert ("free-a", "openrouter/x/y") == CATALOGUE.usable_chain("gpt-4", premium, None)
    assert ("free-a",) == CATALOGUE.usable_chain("gpt-4", premium, ("free-*",))
    assert ("free-a", "openrouter/x/y") == CATALOGUE.usable_chain("gpt-4", None, None)
    assert () == CATALOGUE.usable_chain("free-a", free, None)
    assert () == CATALOGUE.usable_chain("free-b", free, None)


def test_a_chain_for_long_prompts_keeps_to_it_too() -> None:
    """It is followed for nothing else, and nothing else for it."""
    too_long, declined = ChainKind.TOO_LONG, ChainKind.DECLINED
    special = {too_long: {"gpt-4": ("free-b", "free-a", "openrouter/x/y")}}
    catalogue = Catalogue(CATALOGUE.models, {}, special).all_ready()
    premium = DEFAULT_TIERS["premium"]

    assert special[too_long]["gpt-4"] == catalogue.usable_chain("gpt-4", premium, None, too_long)
    assert ("free-b", "free-a") == catalogue.usable_chain("gpt-4", premium, ("free-*",), too_long)
    assert () == catalogue.usable_chain("gpt-4", premium, None)
    assert () == catalogue.usable_chain("gpt-4", premium, None, declined)


def test_a_special_chain_out_of_a_tier_is_found() -> None:
    """As an ordinary one is."""
    catalogue = Catalogue(CATALOGUE.models, {}, {ChainKind.DECLINED: {"free-a": ("gpt-4",)}})

    assert {(ChainKind.DECLINED, "free-a", "gpt-4")} == {
        each[:3] for each in escapes(catalogue, DEFAULT_TIERS)
    }


def test_a_chain_out_of_a_tier_is_found() -> None:
    """Every tier that has the model must have its fallbacks."""
    kind = ChainKind.FAILED

    assert [(kind, "free-a", "gpt-4", "free"), (kind, "free-a", "gpt-4", "pro")] == escapes(
        CATALOGUE, DEFAULT_TIERS
    )


def test_the_demo_serves_everything() -> None:
    """Names and chains stay; only the lack of credentials is gone."""
    everything = CATALOGUE.all_ready()

    assert [m.name for m in CATALOGUE.models] == [m.name for m in everything.models]
    assert all(m.is_ready for m in everything.models)
    assert CATALOGUE.fallbacks == everything.fallbacks
