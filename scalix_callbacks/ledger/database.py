"""The one door to the ledger's database: what callers outside and inside this package import."""

from scalix_callbacks.ledger.engine import connect, reading, writing
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.upgrade import SchemaState, migrate, schema_state

__all__ = ["DatabaseError", "SchemaState", "connect", "migrate", "reading", "schema_state", "writing"]
