"""`scalix.rollout` of the YAML, and the one sentence for each way to get it wrong."""

from typing import Any

import pytest

from scalix_callbacks.core.rollout import DEFAULT_FLAGS, DEFAULT_PACES, Flag, Group, Pace
from scalix_callbacks.core.rollout_evidence import Triggers
from scalix_callbacks.settings import SettingsError
from scalix_callbacks.settings.rollout_block import RolloutSettings, read_rollout
from scalix_callbacks.settings.tier_block import read_tiers


def read(rollout: Any) -> RolloutSettings:
    read_tiers({"rollout": rollout})  # which knows the block by name
    return read_rollout({"rollout": rollout})


def test_nothing_said_leaves_the_defaults() -> None:
    """Four flags, and the two triggers of the contract."""
    assert RolloutSettings() == read(None) == read({}) == read_rollout(None)
    assert DEFAULT_FLAGS == tuple(flag.name for flag in RolloutSettings().flags)
    assert Triggers(10.0, 5, 10.0, 10, 20, 60) == RolloutSettings().triggers


def test_what_is_said_holds() -> None:
    """Of a flag, a group and a trigger; the rest keeps its default."""
    said = {
        "flags": {
            "liteLLM": {"percent": 50, "groups": {"pro": {"share": 10}, "new": {"share": 100}}},
            "darkMode": {"daily_percent": 0, "groups": {"active": {"at_once": True}}},
        },
        "triggers": {"p95_s": 2.5, "min_calls": 5},
    }
    found = read(said)

    assert (*DEFAULT_FLAGS, "darkMode") == tuple(flag.name for flag in found.flags)
    lite = {**DEFAULT_PACES, Group.PRO: Pace(10, 7), Group.NEW: Pace(100)}
    assert Flag("liteLLM", 50, 10, lite) == found.flags[0]
    assert Pace(100, 2, at_once=True) == found.flags[-1].paces[Group.ACTIVE]
    assert Triggers(p95_s=2.5, min_calls=5) == found.triggers


@pytest.mark.parametrize(
    ("rollout", "told"),
    [
        ([], "scalix.rollout: must be a mapping of flags and triggers."),
        ({"flag": {}}, "scalix.rollout.flag: unknown key. Did you mean flags?"),
        ({"flags": ["liteLLM"]}, "scalix.rollout.flags: must be a mapping of flags"),
        ({"flags": {"lite llm": {}}}, "a flag's name is a letter and up to 39 letters, digits and _."),
        ({"flags": {7: {}}}, "a flag's name is a letter"),
        ({"flags": {"a" * 41: {}}}, "a flag's name is a letter"),
        ({"flags": {f"f{i}": None for i in range(17)}}, "scalix.rollout.flags: 21 flags, and at most 20"),
        ({"flags": {"f": 10}}, "scalix.rollout.flags.f: must be a mapping of percent"),
        ({"flags": {"f": {"percent": 101}}}, "flags.f.percent: 101 must be a whole number from 0 to 100."),
        ({"flags": {"f": {"percent": True}}}, "flags.f.percent: True must be a whole number"),
        ({"flags": {"f": {"daily_percent": -1}}}, "flags.f.daily_percent: -1 must be a whole number from 0"),
        ({"flags": {"f": {"groups": {"old": {}}}}}, "Name one of new, free, active, pro."),
        ({"flags": {"f": {"groups": {"pro": {"delay": 1}}}}}, "groups.pro.delay: unknown key."),
        ({"flags": {"f": {"groups": {"pro": {"share": 1.5}}}}}, "groups.pro.share: 1.5 must be a whole"),
        (
            {"flags": {"f": {"groups": {"pro": {"at_once": 1}}}}},
            "groups.pro.at_once: 1 must be true or false.",
        ),
        ({"triggers": {"minute_s": 0}}, "triggers.minute_s: 0 must be a whole number from 1 to 60."),
        ({"triggers": {"p95_s": float("nan")}}, "triggers.p95_s: nan must be a number from 0 to 600."),
        ({"triggers": {"error_minutes": "5"}}, "triggers.error_minutes: "),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(rollout: Any, told: str) -> None:
    """With its place and the mend."""
    with pytest.raises(SettingsError) as refused:
        read(rollout)

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
