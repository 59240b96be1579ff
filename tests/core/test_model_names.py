"""Models by their exact names, and what patterns have in common."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.catalogue import Catalogue, Deployment, Model
from scalix_callbacks.core.tiers import DEFAULT_TIERS, TierTable, matches_any, narrowed


def model(name: str) -> Model:
    return Model(name, (Deployment(name, f"openai/{name}", "model_list[0]"),))


CATALOGUE = Catalogue(
    tuple(map(model, ("gpt-4", "Llama 3 (local)", "anthropic/*", "anthropic/claude-*", "gemini/*")))
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4", "gpt-4"),
        ("Llama 3 (local)", "Llama 3 (local)"),
        ("anthropic/x", "anthropic/*"),
        ("anthropic/claude-x", "anthropic/claude-*"),
        ("gemini/models/gemini-2.5-pro", "gemini/*"),
        ("gemini/x:free", "gemini/*"),
        ("gemini/@cf/meta/llama-3.1-8b+fp8", "gemini/*"),
    ],
)
def test_a_name_finds_its_model(name: str, expected: str) -> None:
    """The exact name first, then the most specific pattern."""
    found = CATALOGUE.find(name)

    assert found is not None
    assert expected == found.name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt-4 ",
        " gpt-4",
        "GPT-4",
        "gpt-4,gpt-4",
        "gpt-4\n",
        "gpt‑4",
        "ｇｐｔ-4",
        "openai/gpt-4",
        "*",
        "gpt-*",
        "anthropic/*",
        "anthropic/",
        "anthropic",
        "anthropic//x",
        "anthropic/x/",
        "anthropic/../x",
        "anthropic/./x",
        "anthropic/%2e%2e/x",
        "anthropic/x?key=1",
        "gemini/veo:predictLongRunning?",
        "gemini/x#y",
        "gemini/x\\y",
        "gemini/x y",
        "gemini/x\u0000",
        "gemini/ｘ",
        "a" * 10_000,
    ],
)
def test_nothing_but_a_models_own_name_finds_it(name: str) -> None:
    """No look-alike, list, pattern or path: some providers are called at an address with the name in it."""
    assert CATALOGUE.find(name) is None


@pytest.mark.parametrize(
    ("names", "patterns", "expected"),
    [
        (("a", "b"), ("b", "a"), ("a", "b")),
        (("a", "b"), ("b",), ("b",)),
        (("a",), ("*",), ("a",)),
        (("x/*",), ("*",), ("x/*",)),
        (("x/*",), ("x/1", "y"), ("x/1",)),
        (("x/*",), ("x/a-*",), ("x/a-*",)),
        (("x/*", "x/a-*"), ("x/a-*",), ("x/a-*",)),
        (("a*",), ("*b",), ()),
        (("a",), (), ()),
        ((), ("a",), ()),
    ],
)
def test_of_two_patterns_the_narrower_is_common(
    names: tuple[str, ...], patterns: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """A key for one model of `x/*` is a key for that model."""
    assert expected == narrowed(names, patterns)


PATTERNS = st.lists(st.text(alphabet="ab*", max_size=4), max_size=4).map(tuple)


@given(PATTERNS, PATTERNS, st.text(alphabet="ab", max_size=5))
def test_what_is_common_is_in_both(names: tuple[str, ...], patterns: tuple[str, ...], name: str) -> None:
    """Narrowing never opens a model that one of the two does not have."""
    if matches_any(name, narrowed(names, patterns)):
        assert matches_any(name, names)
        assert matches_any(name, patterns)


@pytest.mark.parametrize(
    ("tier", "to", "expected"),
    [
        ("free", "pro", "https://scalix.world/pro"),
        ("free", "premium", "https://scalix.world/premium"),
        ("pro", "premium", "https://scalix.world/premium"),
    ],
)
def test_an_upgrade_leads_to_the_tier_that_is_needed(tier: str, to: str, expected: str) -> None:
    """A free user who asks for a premium model is sent to premium, not to pro."""
    table: TierTable = DEFAULT_TIERS

    assert expected == table.upgrade_url(table[tier], table[to])
