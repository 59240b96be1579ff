"""The steps from an empty database to today's schema; Alembic finds them by this package's path."""
