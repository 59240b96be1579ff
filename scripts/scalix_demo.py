#!/usr/bin/env python3
"""A guided tour of a running gateway: free, limit, upgrade, pro; --help says how."""

import sys

try:
    from scalix_callbacks.cli.tour import main
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing.name} is not installed for {sys.executable}."
        " Run this with .venv/bin/python, or install it as README.md says."
    )

if __name__ == "__main__":
    sys.exit(main())
