"""What went wrong with the database, in one sentence that holds no password."""

import sqlite3

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_SECRET_OPTIONS = ("password", "sslpassword")
_MAX_DETAIL = 200


class DatabaseError(Exception):
    """The database cannot be used as asked. `str()` is one sentence for the operator, without a password."""


def database_error(error: SQLAlchemyError, url: URL) -> DatabaseError:
    """What the driver's `error` means for the operator of the database at `url`."""
    place = shown(url)
    if isinstance(error, PoolTimeoutError):
        return DatabaseError(f"All connections to the database {place} are busy: try again shortly.")
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        return DatabaseError(_sqlite_sentence(cause, place))
    if isinstance(cause, psycopg.Error):
        return DatabaseError(_postgresql_sentence(cause, place, detail(cause, url)))
    return DatabaseError(f"The database {place} failed with {type(cause or error).__name__}.")


def shown(url: URL) -> str:
    """`url` as messages may show it: no password, and no options, which may hold one too."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def holds_secret(text: str, url: URL) -> bool:
    """Whether `text` repeats a password of `url`."""
    secrets = [url.password, *(url.query.get(option) for option in _SECRET_OPTIONS)]
    return any(secret in text for secret in secrets if isinstance(secret, str) and secret)


def detail(error: BaseException, url: URL) -> str:
    """The first line of what the driver said, as a sentence's tail; empty when it repeats the password."""
    text = str(error)
    if not text.strip() or holds_secret(text, url):
        return ""
    return f" ({text.strip().splitlines()[0][:_MAX_DETAIL]})"


def _sqlite_sentence(error: sqlite3.Error, place: str) -> str:
    name = getattr(error, "sqlite_errorname", "")  # set by Python 3.11 on, for errors of SQLite itself
    match name.split("_")[1] if name.startswith("SQLITE_") else "":
        case "READONLY":
            return f"The database {place} is read-only: make the file and its folder writable for this user."
        case "NOTADB":
            return f"The file of {place} is not an SQLite database: name another file, or move this one away."
        case "CANTOPEN":
            return f"The database {place} cannot be opened: check that its folder exists and may be written."
        case "BUSY" | "LOCKED":
            return f"The database {place} is locked by another process: end that process, or try again."
        case "FULL":
            return f"The disk of the database {place} is full: free some space."
        case "CORRUPT":
            return f"The database {place} is damaged: restore it from a backup."
        case "CONSTRAINT":
            return f"The database {place} refused a row that contradicts another one: nothing was changed."
        case _:
            return f"The database {place} failed with {name or type(error).__name__}."


def _postgresql_sentence(error: psycopg.Error, place: str, said: str) -> str:
    match error.sqlstate:
        case None:  # while connecting libpq sets no state, not even for a wrong password
            return f"The database {place} cannot be reached or refuses the login: check URL and server{said}."
        case "25006":
            return f"The database {place} is read-only: name the primary server, not a replica."
        case "42501":
            return f"The user of the database {place} lacks a right: grant it{said}."
        case "55P03":
            return f"The database {place} is locked by another process: end that process, or try again."
        case "53100":
            return f"The disk of the database {place} is full: free some space."
        case state if state.startswith("08") or state.startswith("57P"):
            return f"The database {place} broke the connection: check the server{said}."
        case state if state.startswith("23"):
            return f"The database {place} refused a row that contradicts another one: nothing was changed."
        case state:
            return f"The database {place} failed with {type(error).__name__} ({state})."
