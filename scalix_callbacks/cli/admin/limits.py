"""The commands of `limits`."""

import argparse

from scalix_callbacks.cli.admin.office import Answer, Office
from scalix_callbacks.cli.admin.told import told_limits


def show(arguments: argparse.Namespace, office: Office) -> Answer:
    return told_limits("", office.accounts.get_account(arguments.user), office)


def change(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.override_limits(arguments.user, arguments.limits)
    return told_limits(f"The account {account.id} has limits of its own now.", account, office)


def clear(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.restore_limits(arguments.user, arguments.windows or None)
    return told_limits(f"The limits of the account {account.id} are changed.", account, office)
