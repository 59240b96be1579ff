"""The command of `bills`."""

import argparse

from scalix_callbacks.cli.admin.office import Answer, Office, Refused
from scalix_callbacks.cli.admin.told import table
from scalix_callbacks.core.bills import Bill, bill_object, bills_csv, parse_month
from scalix_callbacks.ledger.usage_bills import UnknownAccount, bills_page_of

_PAGE = 1_000
_COLUMNS = ("calls", "requests", "prompt_tokens", "completion_tokens", "price_usd", "price_unknown_calls")


def show(arguments: argparse.Namespace, office: Office) -> Answer:
    month = parse_month(arguments.month)
    if month[0] > office.now.date():
        raise Refused(f"The month {arguments.month} has not begun yet.")
    bills, after = list[Bill](), None
    while True:
        try:
            page, after = bills_page_of(office.sums, office.accounts, month, arguments.user, _PAGE, after)
        except UnknownAccount as error:
            raise Refused(str(error)) from None
        bills += page
        if after is None:
            break
    told = [bill_object(bill, arguments.month) for bill in bills]
    text = (
        bills_csv(bills, arguments.month).rstrip("\r\n") if arguments.csv else "\n\n".join(map(_text, told))
    )
    data = {"month": arguments.month, "bills": told}
    return Answer(data, text or f"Nobody used anything in {arguments.month}.")


def _text(bill: dict[str, object]) -> str:
    lines, total = bill["lines"], bill["total"]
    assert isinstance(lines, list) and isinstance(total, dict)
    rows = [(line["model"], line["tier"] or "-", *(_cell(line[name]) for name in _COLUMNS)) for line in lines]
    rows.append(("total", "", *(_cell(total[name]) for name in _COLUMNS)))
    head = ("MODEL", "TIER", *(name.upper().replace("_", " ") for name in _COLUMNS))
    return f"{bill['user_id']}, {bill['month']}\n{table(head, rows, '')}"


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
