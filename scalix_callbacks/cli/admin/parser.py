"""What can be typed."""

import argparse
from collections.abc import Callable
from pathlib import Path

from scalix_callbacks.cli.admin import (
    accounts,
    audit,
    backup,
    bills,
    keys,
    limits,
    rebuild,
    rollout,
    tiers,
    traces,
    usage,
    values,
)
from scalix_callbacks.cli.admin.office import Command
from scalix_callbacks.cli.one_line_parser import OneLineParser
from scalix_callbacks.ledger.accounts import MAX_PAGE
from scalix_callbacks.ledger.identity import FALLBACK_TIER
from scalix_callbacks.ledger.usage_sums import Group


def build() -> argparse.ArgumentParser:
    everywhere = OneLineParser(add_help=False)
    _add_global_options(everywhere, argparse.SUPPRESS)
    everywhere.add_argument("--json", action="store_true", help="print JSON")

    parser = OneLineParser(
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
    create = account("create", "Create an account.", accounts.create)
    create.add_argument("user", nargs="?", metavar="USER", help="default: a new pseudonymous id")
    create.add_argument("--tier", default=FALLBACK_TIER, metavar="TIER", help="default: %(default)s")
    _add_moment(create, "--until", "when the tier ends and the account falls back to free")
    create.add_argument("--max-budget", type=values.usd, metavar="USD", help="e.g. 12.50; default: no budget")
    _add_window(create)
    listing = account("list", "List accounts by id.", accounts.list_all)
    listing.add_argument(
        "--limit", type=values.page, default=100, metavar="N", help=f"1 to {MAX_PAGE:,}, default 100"
    )
    listing.add_argument("--after", metavar="ID", help="the last id of the page before")
    _add_user(account("show", "Show an account with its keys.", accounts.show))
    _add_user(account("suspend", "Close an account until it is resumed.", accounts.suspend))
    _add_user(account("resume", "End a suspension.", accounts.resume))
    setting = account("budget", "Let an account spend this much.", accounts.budget)
    _add_user(setting)
    setting.add_argument("amount", type=values.usd_or_none, metavar="USD", help="e.g. 12.50; none: no budget")
    _add_window(setting)
    setting = account("consent", "Keep what its user agreed to.", accounts.consent)
    _add_user(setting)
    setting.add_argument("consent", choices=("yes", "no"))
    _add_user(account("export", "Print all that is kept about a user, as JSON.", accounts.export))
    _add_user(account("erase", "Erase a user for good; sums stay.", accounts.erase))

    tier = topic("tier", "What they may use.")
    setting = tier("set", "Put an account on a tier.", tiers.change)
    _add_user(setting)
    setting.add_argument("tier", metavar="TIER")
    _add_moment(setting, "--until", "when the tier ends; default: never")
    tier("list", "List the tiers of the configuration, lowest first.", tiers.list_all)

    limit = topic("limits", "How much they may use.")
    _add_user(limit("show", "Show what limits an account.", limits.show))
    setting = limit("set", "Give an account limits of its own, over its tier's.", limits.change)
    _add_user(setting)
    setting.add_argument(
        "limits",
        nargs="+",
        type=values.override,
        metavar="LIMIT",
        help="requests/1h=500, tokens/1d=none or usd/30d=12.50; requests/1h=500:shadow only reports",
    )
    clear = limit("clear", "Let the tier's limits hold again.", limits.clear)
    _add_user(clear)
    clear.add_argument(
        "windows", nargs="*", type=values.window, metavar="LIMIT", help="e.g. requests/1h; default: all"
    )

    _add_user(limit("reset", "Give an account fresh windows.", limits.reset))

    key = topic("keys", "What they call with.")
    create = key("create", "Create a key and show it, this once.", keys.create)
    _add_user(create)
    create.add_argument("--name", help="a word to know it by")
    create.add_argument(
        "--models", type=values.models, metavar="A,B", help="default: all of the account's tier"
    )
    _add_moment(create, "--expires", "when it ends; default: never")
    _add_user(key("list", "List an account's keys, newest first.", keys.list_all))
    rotate = key("rotate", "Revoke a key and show its successor, this once.", keys.rotate)
    rotate.add_argument("key_id", metavar="KEY_ID")
    rotate.add_argument(
        "--overlap", type=values.duration, metavar="TIME", help="how long the old one goes on, e.g. 1h"
    )
    expire = key("expire", "Let a key end at a time.", keys.expire)
    expire.add_argument("key_id", metavar="KEY_ID")
    expire.add_argument("expires", type=values.moment_or_never, metavar="DATE", help="as above, or never")
    revoke = key("revoke", "Close a key for good.", keys.revoke)
    revoke.add_argument("key_id", metavar="KEY_ID")

    used = topic("usage", "What they used.")("show", "Show sums of the ledger.", usage.show)
    used.add_argument(
        "--by", type=values.groups, default="day", metavar="A,B", help=f"{', '.join(Group)}; default: day"
    )
    used.add_argument("--from", dest="first", type=values.day, metavar="DATE", help="default: 30 days")
    used.add_argument("--to", dest="last", type=values.day, metavar="DATE", help="included; default: today")
    used.add_argument("--user", metavar="USER", help="of this account alone")
    used.add_argument("--tier", metavar="TIER", help="in this tier alone")
    used.add_argument("--model", metavar="MODEL", help="of this model alone")

    bill = topic("bills", "What they owe.")("show", "Show the bills of a month.", bills.show)
    bill.add_argument("month", type=values.month, metavar="MONTH", help="such as 2026-11")
    bill.add_argument("--user", metavar="USER", help="of this account alone")
    bill.add_argument("--csv", action="store_true", help="print CSV")

    rollout.add(topic("rollout", "Which features users have."))

    log = topic("audit", "Who changed what.")
    listing = log("list", "List entries, newest first.", audit.list_all)
    listing.add_argument("--user", metavar="USER", help="of this account; default: all")
    listing.add_argument(
        "--limit", type=values.page, default=100, metavar="N", help=f"1 to {MAX_PAGE:,}, default 100"
    )
    listing.add_argument(
        "--before", type=values.number, metavar="NO", help="the last number of the page before"
    )
    log("verify", "Find out whether the log was tampered with.", audit.verify)
    anew = "Make the counters anew from the ledger, after Redis was emptied or set back."
    again = topics.add_parser("rebuild", help=anew, description=anew, parents=[everywhere])
    again.set_defaults(command=rebuild.counters)
    what = "Show what happened to a request, step by step."
    traced = topics.add_parser("trace", help=what, description=what, parents=[everywhere], allow_abbrev=False)
    traced.add_argument(
        "id", metavar="ID", help="x-scalix-request-id of its answer, a call's id, or the client's"
    )
    traced.set_defaults(command=traces.show)
    for name, about, task in (
        ("backup", "Write a backup of the embedded Redis and SQLite into a new folder.", backup.make),
        ("restore", "Put a backup back into a data directory that has no data.", backup.restore),
    ):
        kept = topics.add_parser(
            name, help=about, description=about, parents=[everywhere], allow_abbrev=False
        )
        kept.set_defaults(task=task)
        kept.add_argument("folder", type=Path, metavar="DIR")
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


def _add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--window",
        type=values.duration,
        metavar="TIME",
        help="how long a budget is for, e.g. 7d; default: as it was, 30d at first",
    )


def _add_moment(parser: argparse.ArgumentParser, option: str, what: str) -> None:
    parser.add_argument(
        option,
        type=values.moment,
        metavar="DATE",
        help=f"{what}; 2030-01-31 (its begin in UTC), a time, or 30d from now",
    )
