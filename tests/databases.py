"""Empty databases on today's schema, as fast as many tests need them."""

from typing import Any

from sqlalchemy import Engine, event

from scalix_callbacks.ledger.database import migrate
from scalix_callbacks.ledger.engine import migrating

_done: dict[str, list[tuple[str, Any]]] = {}


def make_tables(engine: Engine) -> None:
    """Does to an empty database what `migrate` did to the first one of its kind in this process."""
    if (known := _done.get(engine.dialect.name)) is not None:
        with migrating(engine) as connection:
            for statement, parameters in known:
                connection.exec_driver_sql(statement, parameters)
        return
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.split(maxsplit=1)[0].upper() in ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE"):
            seen.append((statement, parameters or None))

    event.listen(engine, "before_cursor_execute", note)
    try:
        migrate(engine)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    _done[engine.dialect.name] = seen
