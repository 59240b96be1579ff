"""A command line whose mistakes are told in one line."""

import argparse
from typing import NoReturn

from scalix_callbacks.core.redact import Redactor


class OneLineParser(argparse.ArgumentParser):
    """Says what is not understood and where help is, without the usage; its subparsers do the same.

    A key among what was typed is not repeated.
    """

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        told = Redactor(())(" ".join(message.split()).rstrip("."))
        self.exit(2, f"{self.prog}: {told}. See --help.\n")
