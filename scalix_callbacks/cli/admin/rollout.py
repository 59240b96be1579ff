"""The commands of `rollout`, and what can be typed after them."""

import argparse
from collections.abc import Callable
from typing import Any

from scalix_callbacks.cli.admin.office import Answer, Command, Office
from scalix_callbacks.cli.admin.told import table
from scalix_callbacks.core.rollout import MAX_DELAY_DAYS, MAX_SHARE, Group
from scalix_callbacks.ledger.accounts import utc_now
from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.rollout_desk import RolloutDesk
from scalix_callbacks.ledger.rollouts import Rollouts
from scalix_callbacks.ledger.usage_records import UsageRecords

AT_ONCE = "at-once"
_Add = Callable[[str, str, Command], argparse.ArgumentParser]


def add(action: _Add) -> None:
    """The actions, each with what it takes."""
    action("list", "Show all flags.", list_all)
    action("show", "Show a flag with its groups.", show).add_argument("flag", metavar="FLAG")
    setting = action("set", "Set how far and how fast a flag is rolled out.", change)
    setting.add_argument("flag", metavar="FLAG")
    setting.add_argument("--percent", type=_percent, metavar="N", help="of users, from now on; 0 to 100")
    setting.add_argument("--daily", type=_percent, metavar="N", help="how much more each day; 0 to 100")
    setting.add_argument(
        "--group",
        type=_group,
        action="append",
        metavar="GROUP=SHARE[/DAYS]",
        help=f"pro=50/7: half of the percentage, from day 7 on; new={AT_ONCE}; {', '.join(Group)}",
    )
    for name, about, command in (
        ("pause", "Let a flag stay as far as it is.", pause),
        ("resume", "Go on after a pause; begin anew after a kill or a rollback.", resume),
        ("kill", "Switch a flag off for everybody.", kill),
    ):
        action(name, about, command).add_argument("flag", metavar="FLAG")
    for name, about, command in (
        ("migrate", "Give a flag to a user, whatever the percentage.", migrate),
        ("validate", "Show what a user gets and why, and how its calls fare.", validate),
        ("rollback", "Take a flag from a user, whatever the percentage.", roll_back),
        ("release", "Let a user go by the percentage again.", release),
    ):
        added = action(name, about, command)
        added.add_argument("flag", metavar="FLAG")
        added.add_argument("user", metavar="USER", help="the account's id")


def list_all(arguments: argparse.Namespace, office: Office) -> Answer:
    data = _desk(office).listed()
    rows = [
        (each["flag"], each["state"], *(_of(each, name) for name in ("percent", "daily_percent")))
        for each in data["flags"]
    ]
    return Answer(data, table(("FLAG", "STATE", "PERCENT", "DAILY"), rows, "There are no flags."))


def show(arguments: argparse.Namespace, office: Office) -> Answer:
    return _told(_desk(office).show(arguments.flag))


def change(arguments: argparse.Namespace, office: Office) -> Answer:
    body: dict[str, Any] = {}
    if arguments.percent is not None:
        body["percent"] = arguments.percent
    if arguments.daily is not None:
        body["daily_percent"] = arguments.daily
    if arguments.group:
        body["groups"] = dict(arguments.group)
    return _told(_desk(office).set(arguments.flag, body))


def pause(arguments: argparse.Namespace, office: Office) -> Answer:
    return _told(_desk(office).pause(arguments.flag))


def resume(arguments: argparse.Namespace, office: Office) -> Answer:
    return _told(_desk(office).resume(arguments.flag))


def kill(arguments: argparse.Namespace, office: Office) -> Answer:
    return _told(_desk(office).kill(arguments.flag))


def migrate(arguments: argparse.Namespace, office: Office) -> Answer:
    return _of_user(_desk(office).migrate(arguments.flag, arguments.user))


def validate(arguments: argparse.Namespace, office: Office) -> Answer:
    return _of_user(_desk(office).validate(arguments.flag, arguments.user))


def roll_back(arguments: argparse.Namespace, office: Office) -> Answer:
    return _of_user(_desk(office).roll_back_user(arguments.flag, arguments.user))


def release(arguments: argparse.Namespace, office: Office) -> Answer:
    return _of_user(_desk(office).release(arguments.flag, arguments.user))


def _desk(office: Office) -> RolloutDesk:
    rollouts = Rollouts(office.database, office.rollout.flags, now=utc_now, actor=Actor.CLI)
    return RolloutDesk(
        rollouts,
        UsageRecords(office.database),
        office.rollout.triggers,
        lowest_tier=office.tiers.lowest.name,
        now=utc_now,
    )


def _told(data: dict[str, Any]) -> Answer:
    groups = data.get("groups", {})
    lines = [f"{name}: {_of(data, name)}" for name in data if name != "groups"]
    rows = [
        (
            name,
            f"{group['percent']:g} %",
            "all at once" if group["at_once"] else f"{group['share']} %",
            str(group["delay_days"]),
        )
        for name, group in groups.items()
    ]
    text = table(("GROUP", "HAVE IT", "SHARE", "FROM DAY"), rows, "")
    return Answer(data, "\n\n".join(filter(None, ("\n".join(lines), text))))


def _of_user(data: dict[str, Any]) -> Answer:
    calls = data["calls"]
    lines = [
        f"The flag {data['flag']} is {'on' if data['on'] else 'off'} for {data['user_id']}: {data['why']}"
    ]
    if calls is not None:
        well = {True: "they are well", False: "they are not well", None: "too few to tell"}[calls["well"]]
        share, p95_s = calls["error_percent"], calls["p95_s"]
        lines.append(
            f"Its calls since {calls['since']}: {calls['calls']}"
            + (f", {share:g} % failed" if share is not None else "")
            + (f", 95 in 100 within {p95_s:g} s" if p95_s is not None else "")
            + f"; {well}."
        )
    return Answer(data, "\n".join(lines))


def _of(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return "-" if value is None else str(value)


def _percent(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100):
        raise argparse.ArgumentTypeError("must be a whole number from 0 to 100")
    return int(text)


def _group(text: str) -> tuple[str, dict[str, Any]]:
    """`pro=50/7`"""
    name, _, pace = text.partition("=")
    share, _, days = pace.partition("/")
    if name not in [each.value for each in Group]:
        raise argparse.ArgumentTypeError(f"must begin with one of {', '.join(Group)}, such as pro=50/7")
    if pace == AT_ONCE:
        return name, {"at_once": True}
    numbers = [share] if not days else [share, days]
    if not all(each.isascii() and each.isdigit() and len(each) <= 4 for each in numbers):
        raise argparse.ArgumentTypeError(f"needs a share and may have a day, or {AT_ONCE}: pro=50/7")
    if int(share) > MAX_SHARE or int(days or 0) > MAX_DELAY_DAYS:
        raise argparse.ArgumentTypeError(
            f"has a share of at most {MAX_SHARE} and begins by day {MAX_DELAY_DAYS}"
        )
    return name, {"share": int(share), **({"delay_days": int(days)} if days else {})}
