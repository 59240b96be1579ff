"""All that knows SQL: accounts, keys, usage records, audit, migrations."""
