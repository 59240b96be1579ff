"""Empty databases on today's schema, as fast as many tests need them."""

from collections.abc import Callable
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


def plan_of(engine: Engine, work: Callable[[], object]) -> str:
    """How the database goes about the first query of `work`, as if its tables were large."""
    statements: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    work()
    query, parameters = next(each for each in statements if each[0].startswith("SELECT"))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", parameters)
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")
            connection.exec_driver_sql("SET enable_bitmapscan = off")
            plan = connection.exec_driver_sql(f"EXPLAIN {query}", parameters)
        return " ".join(str(column) for row in plan for column in row)
