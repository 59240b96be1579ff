"""The commands of `accounts`."""

import argparse
import asyncio
from itertools import chain

from scalix_callbacks.cli.admin.counters import GatewayCounters, forget_answers
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
from scalix_callbacks.erasing import Eraser
from scalix_callbacks.ledger.accounts import utc_now
from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.erasures import Erasures
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.retention import Retention
from scalix_callbacks.ledger.told import consent_data


def create(arguments: argparse.Namespace, office: Office) -> Answer:
    check_tier(arguments.tier, office.tiers)
    account = office.accounts.create_account(
        arguments.user,
        arguments.tier,
        moment_at(arguments.until, office.now),
        arguments.max_budget,
        None if arguments.window is None else int(arguments.window.total_seconds()),
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


def budget(arguments: argparse.Namespace, office: Office) -> Answer:
    if arguments.window is not None:
        window_s: int | None = int(arguments.window.total_seconds())
    elif arguments.amount is None:
        window_s = None
    else:
        window_s = office.accounts.get_account(arguments.user).budget_window_s  # it stays as it is
    account = office.accounts.set_budget(arguments.user, arguments.amount, window_s)
    return told_account(f"Set the budget of the account {account.id}.", account, office)


def consent(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.set_consent(arguments.user, arguments.consent == "yes")
    data = consent_data(account)
    given = f"since {data['consented_at']}" if data["consent"] else "no"
    return Answer(data, f"Consent of the account {account.id}: {given}.")


def export(arguments: argparse.Namespace, office: Office) -> Answer:
    pieces = Export(office.database, now=utc_now).pieces(arguments.user)
    return Answer({}, "", chain([next(pieces)], pieces))


def erase(arguments: argparse.Namespace, office: Office) -> Answer:
    async def nothing(_: float) -> None:
        """What is on its way is brought by the workers, and gets the pseudonym there."""

    erasures = Erasures(office.database, now=utc_now)
    retention = Retention(office.database, None, now=utc_now)

    async def forget(account_id: str) -> int:
        return await forget_answers(office.redis_url, account_id, office.tiers)

    counters = GatewayCounters(office.redis_url)
    eraser = Eraser(erasures, counters, nothing, retention, forget_answers=forget)
    erased = asyncio.run(eraser.erase(arguments.user, Actor.CLI))
    eraser.close()
    text = f"Erased {arguments.user}: {erased.records} records are those of {erased.pseudonym} now."
    if not erased.is_complete:
        text += " Its counters are removed when the gateway runs."
    return Answer(erased.to_json(arguments.user), text)


def suspend(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.suspend(arguments.user)
    return told_account(f"Suspended the account {account.id}.", account, office)


def resume(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.resume(arguments.user)
    return told_account(f"Resumed the account {account.id}.", account, office)
