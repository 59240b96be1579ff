"""The commands of `limits`."""

import argparse
import asyncio

from scalix_callbacks.cli.admin.counters import GatewayCounters
from scalix_callbacks.cli.admin.office import Answer, Office, Refused
from scalix_callbacks.cli.admin.told import told_limits
from scalix_callbacks.ledger.audit import Action
from scalix_callbacks.store.errors import StoreLost


def show(arguments: argparse.Namespace, office: Office) -> Answer:
    return told_limits("", office.accounts.get_account(arguments.user), office)


def change(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.override_limits(arguments.user, arguments.limits)
    return told_limits(f"The account {account.id} has limits of its own now.", account, office)


def reset(arguments: argparse.Namespace, office: Office) -> Answer:
    if office.redis_url is None:
        raise Refused("No gateway runs here, so its Redis does not either: start it, or set REDIS_URL.")
    try:
        count = asyncio.run(GatewayCounters(office.redis_url).reset(arguments.user))
    except StoreLost:
        raise Refused("Redis does not answer: check REDIS_URL, and try again.") from None
    # After it: the log says what was done. Should it fail now, the command does, and may be repeated.
    office.accounts.note_access(Action.LIMITS_RESET, arguments.user, {"counters_reset": count})
    return Answer({"id": arguments.user, "counters_reset": count}, told_reset(arguments.user, count))


def told_reset(user: str, count: int) -> str:
    """Users without an account are counted, too, so that none is no mistake by itself."""
    if not count:
        return f"Nothing was counted for {user}, so nothing was reset: look at the spelling."
    return f"The account {user} has fresh windows: {count} counters were reset."


def clear(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.restore_limits(arguments.user, arguments.windows or None)
    return told_limits(f"The limits of the account {account.id} are changed.", account, office)
