"""The commands of `keys`."""

import argparse
from collections.abc import Sequence

from scalix_callbacks.cli.admin.office import Answer, Office, Refused, check_tier, moment_at
from scalix_callbacks.cli.admin.told import key_data, key_table, shown_once
from scalix_callbacks.core.auto import AUTO


def create(arguments: argparse.Namespace, office: Office) -> Answer:
    if arguments.models is not None:
        _check_models(arguments.models, arguments.user, office)
    secret, key = office.accounts.create_key(
        arguments.user, arguments.name, arguments.models, moment_at(arguments.expires, office.now)
    )
    return shown_once(secret, key, office)


def list_all(arguments: argparse.Namespace, office: Office) -> Answer:
    keys = office.accounts.list_keys(arguments.user)
    return Answer({"keys": [key_data(key, office.now) for key in keys]}, key_table(keys, office.now))


def rotate(arguments: argparse.Namespace, office: Office) -> Answer:
    secret, key = office.accounts.rotate_key(arguments.key_id, arguments.overlap)
    return shown_once(secret, key, office)


def expire(arguments: argparse.Namespace, office: Office) -> Answer:
    ends_at = None if arguments.expires == "never" else moment_at(arguments.expires, office.now)
    key = office.accounts.expire_key(arguments.key_id, ends_at)
    data = key_data(key, office.now)
    return Answer(data, f"The key {key.id} of {key.account_id} ends at {data['expires_at'] or 'no time'}.")


def revoke(arguments: argparse.Namespace, office: Office) -> Answer:
    key = office.accounts.revoke_key(arguments.key_id)
    return Answer(key_data(key, office.now), f"Revoked the key {key.id} of {key.account_id}.")


def _check_models(models: Sequence[str], user: str, office: Office) -> None:
    account = office.accounts.find_account(user)
    if account is None:
        return  # create_key says so, and whether it is an id at all
    name = account.tier_at(office.now)
    check_tier(name, office.tiers)
    outside = [model for model in models if model != AUTO and not office.tiers[name].permits(model)]
    if outside:
        raise Refused(
            f"The tier {name} of {account.id} does not have {', '.join(map(repr, outside))}: "
            "leave them out, or set another tier first."
        )
