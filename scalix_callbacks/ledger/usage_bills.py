"""The bills of a month, from the sums of its records."""

from datetime import date
from typing import Protocol

from scalix_callbacks.core.bills import Bill, Line, bills_of
from scalix_callbacks.ledger.usage_sums import Row, Span, UsageSums


class UnknownAccount(LookupError):
    """Neither has it an account nor did it ever call; `str()` is the sentence that says so."""


class FindsAccounts(Protocol):
    """`Accounts`. Raises DatabaseError."""

    def find_account(self, account_id: str) -> object | None: ...


def bills_page_of(
    sums: UsageSums,
    accounts: FindsAccounts,
    month: tuple[date, date],
    user_id: str | None,
    limit: int,
    after: str | None,
) -> tuple[list[Bill], str | None]:
    """The bills of up to `limit` accounts by name, and the last name where there are more.

    Args:
        month: its first and its last day.
        user_id: whose alone; that bill has no lines where nothing was used.
        after: the last name of the page before.

    Raises:
        UnknownAccount: there is no such user.
        DatabaseError: the database fails.
    """
    span = Span(*month, user_id=user_id)
    if user_id is not None:
        found = bills_of(map(_line, sums.by_user_and_model(span, user_id, user_id)))
        if not found and accounts.find_account(user_id) is None and not sums.users(Span(user_id=user_id), 1):
            raise UnknownAccount(f"There is no account {user_id}: check the spelling.")
        return found or [Bill(user_id, ())], None
    users = sums.users(span, limit + 1, after)
    page = users[:limit]
    bills = bills_of(map(_line, sums.by_user_and_model(span, page[0], page[-1]))) if page else []
    return bills, page[-1] if len(users) > limit else None


def _line(row: Row) -> tuple[str, Line]:
    user_id, model, tier = row.group.values()
    return user_id or "", Line(model or "", tier, row.sums)
