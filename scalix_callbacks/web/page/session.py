"""The operator's session in a browser, a signed cookie that no server remembers; and tries to get one."""

import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie

COOKIE = "scalix_session"
SESSION_S = 8 * 3_600
MAX_TRIES = 10
TRIES_WITHIN_S = 300.0
MAX_ADDRESSES = 1_000
_MAX_COOKIE = 4_096


@dataclass(frozen=True, slots=True)
class Session:
    """`csrf` is what a request that changes something must carry in a header. `ends_at_s` is Unix time."""

    ends_at_s: int
    csrf: str


class Sessions:
    """Makes and checks sessions: `<end>.<nonce>.<HMAC>`, by a key derived from the master key.

    All workers that know the master key take them; with another master key all of them end.

    Args:
        now_s: the clock, Unix time.
        nonce: a fresh text of letters and digits.
    """

    def __init__(self, master_key: str, *, now_s: Callable[[], float], nonce: Callable[[], str]) -> None:
        self._key = _signed(master_key.encode(), "scalix status page sessions, version 1").encode()
        self._now_s = now_s
        self._nonce = nonce

    def begin(self) -> str:
        """The cookie's value."""
        what = f"{int(self._now_s()) + SESSION_S}.{self._nonce()}"
        return f"{what}.{_signed(self._key, 'session ' + what)}"

    def read(self, cookies: str | None) -> Session | None:
        """The session of a Cookie header; None: there is none, or it is over, or not ours."""
        value = _cookie(cookies)
        what, _, signature = value.rpartition(".")
        # Signature first: nothing of what a stranger wrote is looked at.
        if not hmac.compare_digest(_signed(self._key, "session " + what).encode(), signature.encode()):
            return None
        ends_at_s = int(what.partition(".")[0])
        if ends_at_s <= self._now_s():
            return None
        return Session(ends_at_s, _signed(self._key, "csrf " + what))


class Tries:
    """How often each network address tried to log in of late. Bounded: the longest quiet is forgotten first.

    Args:
        elapsed: seconds that only grow.
    """

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._tries: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, address: str) -> float | None:
        """Counts a try; how many seconds to wait when there were too many, else None."""
        of = _network(address)
        now = self._elapsed()
        began, count = self._tries.get(of, (now, 0))
        if now - began >= TRIES_WITHIN_S:
            began, count = now, 0
        if count >= MAX_TRIES:
            return began + TRIES_WITHIN_S - now
        self._tries[of] = (began, count + 1)
        self._tries.move_to_end(of)
        while len(self._tries) > MAX_ADDRESSES:
            self._tries.popitem(last=False)
        return None

    def forget(self, address: str) -> None:
        """After a success."""
        self._tries.pop(_network(address), None)


def cookie(value: str, *, is_secure: bool, lasts_s: int = SESSION_S) -> str:
    """The Set-Cookie header; `lasts_s` 0 takes the cookie away."""
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={value}; Path=/scalix/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}"


def _cookie(cookies: str | None) -> str:
    if not cookies or len(cookies) > _MAX_COOKIE:
        return ""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(cookies)
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _network(address: str) -> str:
    """Whoever has one IPv6 address has a whole /64 of them."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)


def _signed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), sha256).hexdigest()
