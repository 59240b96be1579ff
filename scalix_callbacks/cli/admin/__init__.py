"""The operator's command line over accounts, tiers, limits and keys.

command         arguments → exit code; the only one that prints, and opens the database
├── parser      what can be typed; values: its words
├── accounts, tiers, limits, keys, usage, bills, audit, rebuild   one function per command:
│                (arguments, office) → Answer
├── counters    the gateway's Redis
├── office      what a command works with
└── told        how things are told, to a program and to a person
"""

from scalix_callbacks.cli.admin.command import main

__all__ = ["main"]
