"""A command line whose mistakes are told in one line."""

import argparse
from pathlib import Path
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


def filled(text: str) -> str:
    """For an option that needs a value; what stands for none is not understood."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("needs a value")
    return text


def filled_path(text: str) -> Path:
    return Path(filled(text))
