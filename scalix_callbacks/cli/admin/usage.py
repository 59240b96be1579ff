"""The command of `usage`."""

import argparse
from datetime import date, timedelta

from scalix_callbacks.cli.admin.office import Answer, Office, Refused
from scalix_callbacks.cli.admin.told import table
from scalix_callbacks.core.usage_sums import row_object, sums_object
from scalix_callbacks.ledger.usage_sums import MAX_PAGE, Row, Span

DEFAULT_DAYS = 30
_COLUMNS = ("calls", "requests", "total_tokens", "price_usd", "price_unknown_calls", "provider_cost_usd")


def show(arguments: argparse.Namespace, office: Office) -> Answer:
    last = arguments.last or office.now.date()
    first = arguments.first or max(last, date.min + timedelta(days=DEFAULT_DAYS)) - timedelta(
        DEFAULT_DAYS - 1
    )
    if first > last:
        raise Refused("--from must not be after --to.")
    span = Span(first, last, user_id=arguments.user, tier=arguments.tier, model=arguments.model)
    rows, cursor = list[Row](), None
    while True:
        page, cursor = office.sums.page(span, arguments.by, MAX_PAGE, cursor)
        rows += page
        if cursor is None:
            break
    total = sums_object(office.sums.total(span), with_provider=True)
    told = [row_object(row.group, row.sums, with_provider=True) for row in rows]
    data = {"from": first.isoformat(), "to": last.isoformat(), "usage": told, "total": total}
    names = tuple(group.value for group in arguments.by)
    cells = [tuple(_cell(row[name]) for name in (*names, *_COLUMNS)) for row in told]
    cells.append((*("total", *[""] * len(names))[: len(names)], *(_cell(total[name]) for name in _COLUMNS)))
    head = tuple(name.upper().replace("_", " ") for name in (*names, *_COLUMNS))
    return Answer(data, table(head, cells if rows else [], f"Nothing was used from {first} to {last}."))


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
