"""The commands of `tier`."""

import argparse

from scalix_callbacks.cli.admin.office import Answer, Office, check_tier, moment_at
from scalix_callbacks.cli.admin.told import limit_text, table, tier_data, told_account


def change(arguments: argparse.Namespace, office: Office) -> Answer:
    check_tier(arguments.tier, office.tiers)
    account = office.accounts.set_tier(arguments.user, arguments.tier, moment_at(arguments.until, office.now))
    return told_account(f"The account {account.id} is on {account.tier} now.", account, office)


def list_all(arguments: argparse.Namespace, office: Office) -> Answer:
    tiers = [office.tiers[name] for name in office.tiers.names]
    rows = [
        (
            tier.name,
            ", ".join(map(limit_text, tier.limits)) or "none",
            ", ".join(tier.models) or "none",
            tier.upgrade_to or "-",
        )
        for tier in tiers
    ]
    text = table(("TIER", "LIMITS", "MODELS", "UPGRADE"), rows, "There are no tiers.")
    return Answer({"tiers": [tier_data(tier) for tier in tiers]}, text)
