"""The operator's command line over accounts, tiers and keys.

main            arguments → exit code; the only one that prints
├── _parser     what can be typed
├── _office     where the settings, the database and the clock come from
└── _accounts_create, _keys_revoke, …   one function per command: (arguments, office) → Answer
"""

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from scalix_callbacks.core.durations import parse_duration
from scalix_callbacks.core.tiers import Limit, LimitOverride, Tier, TierTable, Unit
from scalix_callbacks.ledger.account_rules import AccountError
from scalix_callbacks.ledger.accounts import MAX_PAGE, Accounts, utc_now
from scalix_callbacks.ledger.database import DatabaseError, connect, migrate
from scalix_callbacks.ledger.identity import FALLBACK_TIER, Account, ApiKey
from scalix_callbacks.settings import Settings, SettingsError, load

OK, REFUSED, USAGE = 0, 1, 2

_NANO = 10**9
_USD = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")


class Refused(Exception):
    """What was asked cannot be done; `str()` is the sentence that says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did, for a program and for a person."""

    data: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Office:
    """What a command works with."""

    accounts: Accounts
    tiers: TierTable
    now: datetime


Command = Callable[[argparse.Namespace, Office], Answer]


def main(argv: Sequence[str] | None = None) -> int:
    """Do what `argv` (default: the process's arguments) says.

    Returns 0 done, 1 refused with one sentence on stderr, 2 not understood.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as end:  # argparse has printed what is wrong, or the help
        return OK if not end.code else USAGE
    try:
        with _office(arguments) as office:
            command: Command = arguments.command
            answer = command(arguments, office)
    except (Refused, AccountError, DatabaseError, SettingsError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    if isinstance(sys.stdout, io.TextIOWrapper):  # a key shown once must not be lost to an odd terminal
        sys.stdout.reconfigure(errors="backslashreplace")
    print(json.dumps(answer.data, indent=2) if arguments.json else answer.text)
    return OK


@contextmanager
def _office(arguments: argparse.Namespace) -> Iterator[Office]:
    settings = _settings(arguments)
    if settings.database_url.startswith("sqlite"):
        _make_folder(settings.data_dir)
    engine = connect(settings.database_url)
    try:
        migrate(engine)
        yield Office(Accounts(engine), settings.tiers, utc_now())
    finally:
        engine.dispose()


def _settings(arguments: argparse.Namespace) -> Settings:
    overrides = {} if arguments.data_dir is None else {"SCALIX_DATA_DIR": str(arguments.data_dir)}
    return load(os.environ, config=arguments.config, env_file=arguments.env_file, overrides=overrides)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"The data directory {folder} cannot be made: {error.strerror}.") from error


# What can be typed


def _parser() -> argparse.ArgumentParser:
    everywhere = argparse.ArgumentParser(add_help=False)
    _add_global_options(everywhere, argparse.SUPPRESS)
    everywhere.add_argument("--json", action="store_true", help="print JSON")

    parser = argparse.ArgumentParser(
        prog="scalix_admin.py", description="Accounts, tiers and keys of a gateway.", allow_abbrev=False
    )
    _add_global_options(parser, None)
    topics = parser.add_subparsers(metavar="TOPIC", required=True)

    def topic(name: str, about: str) -> Callable[[str, str, Command], argparse.ArgumentParser]:
        commands = topics.add_parser(name, help=about, description=about, allow_abbrev=False)
        actions = commands.add_subparsers(metavar="ACTION", required=True)

        def action(name: str, about: str, command: Command) -> argparse.ArgumentParser:
            added = actions.add_parser(
                name, help=about, description=about, parents=[everywhere], allow_abbrev=False
            )
            added.set_defaults(command=command)
            return added

        return action

    account = topic("accounts", "Who may call.")
    create = account("create", "Create an account.", _accounts_create)
    create.add_argument("user", nargs="?", metavar="USER", help="default: a new pseudonymous id")
    create.add_argument("--tier", default=FALLBACK_TIER, metavar="TIER", help="default: %(default)s")
    _add_moment(create, "--until", "when the tier ends and the account falls back to free")
    create.add_argument("--max-budget", type=_usd, metavar="USD", help="e.g. 12.50; default: no budget")
    listing = account("list", "List accounts by id.", _accounts_list)
    listing.add_argument(
        "--limit", type=_page, default=100, metavar="N", help=f"1 to {MAX_PAGE:,}, default 100"
    )
    listing.add_argument("--after", metavar="ID", help="the last id of the page before")
    _add_user(account("show", "Show an account with its keys.", _accounts_show))
    _add_user(account("suspend", "Close an account until it is resumed.", _accounts_suspend))
    _add_user(account("resume", "End a suspension.", _accounts_resume))

    tier = topic("tier", "What they may use.")
    setting = tier("set", "Put an account on a tier.", _tier_set)
    _add_user(setting)
    setting.add_argument("tier", metavar="TIER")
    _add_moment(setting, "--until", "when the tier ends; default: never")
    tier("list", "List the tiers of the configuration, lowest first.", _tier_list)

    limit = topic("limits", "How much they may use.")
    _add_user(limit("show", "Show what limits an account.", _limits_show))
    setting = limit("set", "Give an account limits of its own, over its tier's.", _limits_set)
    _add_user(setting)
    setting.add_argument(
        "limits",
        nargs="+",
        type=_override,
        metavar="LIMIT",
        help="requests/1h=500, tokens/1d=none or usd/30d=12.50",
    )
    clear = limit("clear", "Let the tier's limits hold again.", _limits_clear)
    _add_user(clear)
    clear.add_argument(
        "windows", nargs="*", type=_window, metavar="LIMIT", help="e.g. requests/1h; default: all"
    )

    key = topic("keys", "What they call with.")
    create = key("create", "Create a key and show it, this once.", _keys_create)
    _add_user(create)
    create.add_argument("--name", help="a word to know it by")
    create.add_argument("--models", type=_models, metavar="A,B", help="default: all of the account's tier")
    _add_moment(create, "--expires", "when it ends; default: never")
    _add_user(key("list", "List an account's keys, newest first.", _keys_list))
    rotate = key("rotate", "Revoke a key and show its successor, this once.", _keys_rotate)
    rotate.add_argument("key_id", metavar="KEY_ID")
    revoke = key("revoke", "Close a key for good.", _keys_revoke)
    revoke.add_argument("key_id", metavar="KEY_ID")
    return parser


def _add_global_options(parser: argparse.ArgumentParser, default: str | None) -> None:
    """They stand before the topic or after the action; there, no default may overwrite what stood before."""
    for option, metavar, what in (
        ("--data-dir", "DIR", "directory of all that is kept"),
        ("--env-file", "FILE", "file of settings"),
        ("--config", "FILE", "the YAML of models and tiers"),
    ):
        parser.add_argument(option, type=Path, default=default, metavar=metavar, help=what)


def _add_user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", help="the account's id")


def _add_moment(parser: argparse.ArgumentParser, option: str, what: str) -> None:
    parser.add_argument(
        option,
        type=_moment,
        metavar="DATE",
        help=f"{what}; 2030-01-31 (its begin in UTC), a time, or 30d from now",
    )


def _moment(text: str) -> datetime | timedelta:
    try:
        return parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            "must be a date (2030-01-31), a time (2030-01-31T18:00Z) or a duration (30d, 1mo)"
        ) from None


def _usd(text: str) -> int:
    """In nano-USD."""
    if not _USD.fullmatch(text):
        raise argparse.ArgumentTypeError("must be an amount of USD with up to 9 decimals, such as 12.50")
    return int(Decimal(text).scaleb(9))


def _override(text: str) -> LimitOverride:
    """`requests/1h=500`"""
    name, _, value = text.partition("=")
    unit, window_s = _window(name)
    if value == "none":
        return LimitOverride(unit, window_s, None)
    if unit is Unit.USD:
        return LimitOverride(unit, window_s, _usd(value))
    if not (value.isascii() and value.isdigit() and len(value) <= 16):
        raise argparse.ArgumentTypeError("needs an amount, or none: requests/1h=500, tokens/1d=none")
    return LimitOverride(unit, window_s, int(value))


def _window(text: str) -> tuple[Unit, int]:
    """`requests/1h`"""
    unit, _, window = text.partition("/")
    try:
        return Unit(unit), int(parse_duration(window).total_seconds())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(Unit)}, a slash and a window, such as requests/1h"
        ) from None


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MAX_PAGE}")
    return int(text)


def _models(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError("must be names of models with commas between them")
    return names


# The commands


def _accounts_create(arguments: argparse.Namespace, office: Office) -> Answer:
    _check_tier(arguments.tier, office.tiers)
    account = office.accounts.create_account(
        arguments.user, arguments.tier, _at(arguments.until, office.now), arguments.max_budget
    )
    return _told(f"Created the account {account.id}.", account, office)


def _accounts_list(arguments: argparse.Namespace, office: Office) -> Answer:
    accounts = office.accounts.list_accounts(arguments.limit, arguments.after)
    following = accounts[-1].id if len(accounts) == arguments.limit else None
    rows = [_account_cells(account, office.now) for account in accounts]
    text = _table(("ACCOUNT", "TIER", "UNTIL", "BUDGET", "STATE", "CREATED"), rows, "There are no accounts.")
    if following is not None:
        text += f"\nMore: --after {following}"
    data = [_account_data(account, office.now) for account in accounts]
    return Answer({"accounts": data, "next": following}, text)


def _accounts_show(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.get_account(arguments.user)
    keys = office.accounts.list_keys(arguments.user)
    answer = _told("", account, office)
    limits = _limits_told("", account, office)
    data = answer.data | {
        "limit_overrides": limits.data["overrides"],
        "keys": [_key_data(key, office.now) for key in keys],
    }
    return Answer(data, f"{answer.text}\n\n{limits.text}\n\n{_key_table(keys, office.now)}")


def _accounts_suspend(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.suspend(arguments.user)
    return _told(f"Suspended the account {account.id}.", account, office)


def _accounts_resume(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.resume(arguments.user)
    return _told(f"Resumed the account {account.id}.", account, office)


def _tier_set(arguments: argparse.Namespace, office: Office) -> Answer:
    _check_tier(arguments.tier, office.tiers)
    account = office.accounts.set_tier(arguments.user, arguments.tier, _at(arguments.until, office.now))
    return _told(f"The account {account.id} is on {account.tier} now.", account, office)


def _tier_list(arguments: argparse.Namespace, office: Office) -> Answer:
    tiers = [office.tiers[name] for name in office.tiers.names]
    rows = [
        (
            tier.name,
            ", ".join(map(_limit_text, tier.limits)) or "none",
            ", ".join(tier.models) or "none",
            tier.upgrade_to or "-",
        )
        for tier in tiers
    ]
    text = _table(("TIER", "LIMITS", "MODELS", "UPGRADE"), rows, "There are no tiers.")
    return Answer({"tiers": [_tier_data(tier) for tier in tiers]}, text)


def _limits_show(arguments: argparse.Namespace, office: Office) -> Answer:
    return _limits_told("", office.accounts.get_account(arguments.user), office)


def _limits_set(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.override_limits(arguments.user, arguments.limits)
    return _limits_told(f"The account {account.id} has limits of its own now.", account, office)


def _limits_clear(arguments: argparse.Namespace, office: Office) -> Answer:
    account = office.accounts.restore_limits(arguments.user, arguments.windows or None)
    return _limits_told(f"The limits of the account {account.id} are changed.", account, office)


def _keys_create(arguments: argparse.Namespace, office: Office) -> Answer:
    if arguments.models is not None:
        _check_models(arguments.models, arguments.user, office)
    secret, key = office.accounts.create_key(
        arguments.user, arguments.name, arguments.models, _at(arguments.expires, office.now)
    )
    return _shown_once(secret, key, office)


def _keys_list(arguments: argparse.Namespace, office: Office) -> Answer:
    keys = office.accounts.list_keys(arguments.user)
    return Answer({"keys": [_key_data(key, office.now) for key in keys]}, _key_table(keys, office.now))


def _keys_rotate(arguments: argparse.Namespace, office: Office) -> Answer:
    secret, key = office.accounts.rotate_key(arguments.key_id)
    return _shown_once(secret, key, office)


def _keys_revoke(arguments: argparse.Namespace, office: Office) -> Answer:
    key = office.accounts.revoke_key(arguments.key_id)
    return Answer(_key_data(key, office.now), f"Revoked the key {key.id} of {key.account_id}.")


def _check_tier(name: str, tiers: TierTable) -> None:
    if name not in tiers:
        raise Refused(f"There is no tier {name!r}: name one of {', '.join(tiers.names)}.")


def _check_models(models: Sequence[str], user: str, office: Office) -> None:
    account = office.accounts.find_account(user)
    if account is None:
        return  # create_key says so, and whether it is an id at all
    name = account.tier_at(office.now)
    _check_tier(name, office.tiers)
    outside = [model for model in models if not office.tiers[name].permits(model)]
    if outside:
        raise Refused(
            f"The tier {name} of {account.id} does not have {', '.join(map(repr, outside))}: "
            "leave them out, or set another tier first."
        )


def _at(moment: datetime | timedelta | None, now: datetime) -> datetime | None:
    return now + moment if isinstance(moment, timedelta) else moment


# How things are told


def _told(sentence: str, account: Account, office: Office) -> Answer:
    data = _account_data(account, office.now)
    lines = [f"{name}: {'-' if value is None else value}" for name, value in data.items()]
    return Answer(data, "\n".join(filter(None, (sentence, *lines))))


def _limits_told(sentence: str, account: Account, office: Office) -> Answer:
    """What limits the account, each with where it comes from."""
    name = account.tier_at(office.now)
    _check_tier(name, office.tiers)
    tier = office.tiers[name]
    own = {(override.unit, override.window_s): override for override in account.limit_overrides}
    of_tier = [limit for limit in tier.limits if (limit.unit, limit.window_s) not in own]
    rows = [
        *((_limit_text(limit), f"tier {tier.name}") for limit in of_tier),
        *((_limit_text(override), "the account") for override in own.values()),
    ]
    data = {
        "id": account.id,
        "tier": tier.name,
        "limits": [_limit_data(limit) for limit in tier.overridden(account.limit_overrides).limits],
        "overrides": [_limit_data(override) for override in own.values()],
    }
    table = _table(("LIMIT", "FROM"), rows, "Nothing limits this account.")
    return Answer(data, "\n\n".join(filter(None, (sentence, table))))


def _shown_once(secret: str, key: ApiKey, office: Office) -> Answer:
    text = f"{secret}\n\nThis is the key {key.id} of {key.account_id}. Keep it now: it is not shown again."
    return Answer({"key": secret} | _key_data(key, office.now), text)


def _account_data(account: Account, now: datetime) -> dict[str, Any]:
    return {
        "id": account.id,
        "tier": account.tier_at(now),
        "tier_set": account.tier,
        "tier_until": _iso(account.tier_until),
        "max_budget_usd": _usd_text(account.max_budget_nano_usd),
        "suspended_at": _iso(account.suspended_at),
        "created_at": _iso(account.created_at),
    }


def _account_cells(account: Account, now: datetime) -> tuple[str, ...]:
    data = _account_data(account, now)
    state = "open" if account.suspended_at is None else "suspended"
    return (
        account.id,
        data["tier"],
        data["tier_until"] or "-",
        data["max_budget_usd"] or "-",
        state,
        data["created_at"],
    )


def _key_data(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "account_id": key.account_id,
        "hint": key.hint,
        "name": key.name,
        "models": None if key.models is None else list(key.models),
        "state": _key_state(key, now),
        "created_at": _iso(key.created_at),
        "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at),
    }


def _key_state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "open"


def _key_table(keys: Iterable[ApiKey], now: datetime) -> str:
    rows = [
        (
            key.id,
            key.hint,
            key.name or "-",
            _key_state(key, now),
            "all of the tier" if key.models is None else ", ".join(key.models),
            _iso(key.expires_at) or "-",
        )
        for key in keys
    ]
    return _table(("KEY", "HINT", "NAME", "STATE", "MODELS", "EXPIRES"), rows, "There are no keys.")


def _tier_data(tier: Tier) -> dict[str, Any]:
    return {
        "name": tier.name,
        "limits": [_limit_data(limit) for limit in tier.limits],
        "models": list(tier.models),
        "upgrade_to": tier.upgrade_to,
    }


def _limit_data(limit: Limit | LimitOverride) -> dict[str, Any]:
    return {
        "unit": limit.unit.value,
        "window_s": limit.window_s,
        "limit": _usd_text(limit.amount) if limit.unit is Unit.USD else limit.amount,
    }


def _limit_text(limit: Limit | LimitOverride) -> str:
    if limit.amount is None:
        amount = "any number of"
    else:
        amount = f"{_usd_text(limit.amount)}" if limit.unit is Unit.USD else f"{limit.amount:,}"
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        if limit.window_s % unit_s == 0:
            return f"{amount} {limit.unit.value}/{limit.window_s // unit_s}{unit}"
    raise AssertionError("every whole number is a multiple of 1")


def _usd_text(nano_usd: int | None) -> str | None:
    """Exact, with at least two decimals: `12.50`, `0.000000001`."""
    if nano_usd is None:
        return None
    whole, rest = divmod(nano_usd, _NANO)
    return f"{whole}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], if_empty: str) -> str:
    if not rows:
        return if_empty
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    )
    return "\n".join(map(str.rstrip, lines))
