"""What Alembic executes to run the steps, in the transaction that `upgrade.py` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
with context.begin_transaction():  # does nothing: the caller's transaction holds all steps
    context.run_migrations()
