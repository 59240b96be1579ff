"""The commands of `accounts`."""

import argparse

from scalix_callbacks.cli.admin.office import Answer, Office, check_tier, moment_at
from scalix_callbacks.cli.admin.told import (
    account_cells,
    account_data,
    key_data,
    key_table,
    table,
    told_account,
    told_limits,
)


def create(arguments: argparse.Namespace, office: Office) -> Answer:
    check_tier(arguments.tier, office.tiers)
    account = office.accounts.create_account(
        arguments.user, arguments.tier, moment_at(arguments.until, office.now), arguments.max_budget
    )
    return told_account(f"Created the account {account.id}.", account, office)


def list_all(arguments: argparse.Namespace, office: Office) -> Answer:
    accounts = office.accounts.list_accounts(arguments.limit, arguments.after)
    following = accounts[-1].id if len(accounts) == arguments.limit else None
    rows = [account_cells(account, office.now) for account in accounts]
    text = table(("ACCOUNT", "TIER", "UNTIL", "BUDGET", "STATE", "CREATED"), rows, "There are no accounts.")
    if following is not None:
        text += f"\nMore: --after {following}"
    data = [account_data(account, office.now) for account in accounts]
    return Answer({"accounts": data, "next": following}, text)


def show(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.get_account(arguments.user)
    keys = office.accounts.list_keys(arguments.user)
    answer = told_account("", account, office)
    limits = told_limits("", account, office)
    data = answer.data | {
        "limit_overrides": limits.data["overrides"],
        "keys": [key_data(key, office.now) for key in keys],
    }
    return Answer(data, f"{answer.text}\n\n{limits.text}\n\n{key_table(keys, office.now)}")


def suspend(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.suspend(arguments.user)
    return told_account(f"Suspended the account {account.id}.", account, office)


def resume(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.resume(arguments.user)
    return told_account(f"Resumed the account {account.id}.", account, office)
