"""What our own routes have in common: whom they answer, what they read, and how they say what fails."""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

from starlette.types import Receive, Scope

from scalix_callbacks.core.bodies import parse_body
from scalix_callbacks.core.call import CALL_IN_SCOPE
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.ledger.account_rules import AccountError, AccountExists, AccountNotFound, KeyNotFound
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.store.errors import StoreLost

NO_STORE = {"cache-control": "no-store"}
RETRY_S = 5.0
_T = TypeVar("_T")


class ReadsBody(Protocol):
    """Reads a bounded body: `web.edge`'s own."""

    async def __call__(self, scope: Scope, receive: Receive) -> bytes: ...


def caller_of(scope: Scope) -> Caller:
    """Whomever the request is for."""
    caller: Caller = scope[CALL_IN_SCOPE].caller
    return caller


def peer_of(scope: Scope) -> str | None:
    """The address of who holds the connection; None: not known, such as on a unix socket."""
    client = scope.get("client")
    return None if not client else str(client[0])


def segments_of(scope: Scope) -> list[str]:
    """Of the address, below `/scalix/admin/`; told apart before they are decoded: ids may hold slashes."""
    raw = scope.get("raw_path") or scope["path"].encode("latin-1", "replace")
    path = bytes(raw).partition(b"?")[0].decode("latin-1")
    return [unquote(each) for each in path.split("/")[3:]]


def work_of(works: Mapping[tuple[str, str], _T], method: str, name: str) -> _T:
    """What is to be done, of `works` by method and name.

    Raises:
        GatewayError: NOT_FOUND, or METHOD_NOT_ALLOWED where there is something of that name.
    """
    if (work := works.get((method, name))) is not None:
        return work
    if allowed := sorted(of for of, known in works if known == name):
        allow(method, *allowed)
    raise GatewayError(ErrorCategory.NOT_FOUND)


def allow(method: str, *methods: str) -> None:
    """Raises GatewayError: METHOD_NOT_ALLOWED, for any other than `methods`."""
    if method not in methods:
        raise GatewayError(ErrorCategory.METHOD_NOT_ALLOWED, headers={"allow": ", ".join(methods)})


async def body_of(read_body: ReadsBody, scope: Scope, receive: Receive) -> Mapping[str, Any]:
    """The fields of the body; none where it is empty."""
    raw = await read_body(scope, receive)
    return parse_body(raw) if raw.strip() else {}


async def translated(work: Awaitable[_T]) -> _T:
    """What `work` gives; what it refuses as an error of our form."""
    try:
        return await work
    except (AccountNotFound, KeyNotFound) as error:
        raise GatewayError(ErrorCategory.NOT_FOUND, str(error)) from None
    except AccountExists as error:
        raise GatewayError(ErrorCategory.CONFLICT, str(error)) from None
    except AccountError as error:
        raise invalid(str(error)) from None
    except DatabaseError:
        raise unavailable("The database does not answer.") from None
    except StoreLost:
        raise unavailable("Redis does not answer.") from None


def unavailable(message: str) -> GatewayError:
    return GatewayError(
        ErrorCategory.SERVICE_UNAVAILABLE, f"{message} Try again in a moment.", retry_after_s=RETRY_S
    )
