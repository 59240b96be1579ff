"""What the limiters in memory share: accounts, requests, open calls, leases and the outbox of one process."""

from collections import OrderedDict
from dataclasses import dataclass, field

from scalix_callbacks.core.limits import Attempt, Counter
from scalix_callbacks.store.outbox import OutboxEntry

MAX_ACCOUNTS = 100_000
MAX_REQUESTS = 100_000
MAX_ENDED = 100_000


@dataclass(slots=True)
class Window:
    start_ms: int
    used: int = 0
    held: int = 0


@dataclass(slots=True)
class Request:
    """The attempts of one request; the windows it is held or counted in, by counter."""

    body_hash: str
    until_ms: int
    numbers: set[int] = field(default_factory=set)
    open: int = 0
    is_held: bool = False
    is_used: bool = False
    starts_ms: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Hold:
    """What a call holds on one counter, in the window that began at `start_ms`.

    `base` is charged when the call is given up; `charged` then was.
    """

    counter: Counter
    start_ms: int
    held: int
    base: int
    charged: int = 0


@dataclass(slots=True)
class OpenCall:
    account_id: str
    output_tokens: int | None
    attempt: Attempt | None
    request: Request | None
    holds: list[Hold]
    memo: str


BARRED = OpenCall("", None, None, None, [], "")
"""In place of a call that is over and can have no late end."""


class MemoryStore:
    """What the limiters of one process share. Bounded: of what is over, the oldest goes first."""

    def __init__(self) -> None:
        self.accounts: OrderedDict[str, dict[str, Window]] = OrderedDict()
        self.requests: OrderedDict[tuple[str, str], Request] = OrderedDict()
        self.open: dict[tuple[int, str], dict[str, OpenCall]] = {}
        self.leases_ms: dict[tuple[int, str], int] = {}
        self.ended: OrderedDict[str, tuple[float, OpenCall]] = OrderedDict()
        self.outbox: dict[tuple[int, str], OutboxEntry] = {}
        self.last_entry = 0

    def keep_bounds(self, now_ms: int) -> None:
        """Drops what is over, from the oldest on, while there is more than should be."""
        while len(self.accounts) > MAX_ACCOUNTS:
            account_id, windows = next(iter(self.accounts.items()))
            if any(window.held for window in windows.values()):
                self.accounts.move_to_end(account_id)  # open calls are few; they will be settled
                break
            del self.accounts[account_id]
        while len(self.requests) > MAX_REQUESTS:
            key, request = next(iter(self.requests.items()))
            if request.open:
                self.requests.move_to_end(key)
                break
            del self.requests[key]
        while len(self.ended) > MAX_ENDED:
            self.ended.popitem(last=False)
