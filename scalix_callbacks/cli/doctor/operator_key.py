"""Whether the operator's key is there, and whether others could have read it."""

from collections.abc import Iterator
from pathlib import Path

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, unknown, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.settings.environment import DEMO_MASTER_KEY, MIN_MASTER_KEY_LENGTH


def examine(subject: Subject) -> Iterator[Finding]:
    if subject.environment is None:
        yield unknown("master key")
    elif subject.environment.master_key == DEMO_MASTER_KEY:
        yield ok("master key", "The published one of the demo.")
    elif subject.environment.master_key is not None:
        yield ok("master key", "Set, and strong enough.")
    else:
        yield kept_in(subject.data_dir.master_key_file)


def kept_in(path: Path) -> Finding:
    """Of the file that keeps the key where none is set."""
    try:
        mode, key = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ok("master key", f"None is set: the first start makes one and keeps it in {path}.")
    except UnicodeDecodeError:
        mode, key = 0, ""
    except OSError as error:
        return broken(
            "master key",
            f"{path} cannot be read ({error.strerror}).",
            "Mend its permissions, or run this as the user who runs the gateway.",
        )
    if len(key) < MIN_MASTER_KEY_LENGTH or not key.isprintable() or " " in key:
        return broken(
            "master key",
            f"{path} holds no key.",
            "Remove the file to have one made, or set LITELLM_MASTER_KEY.",
        )
    if mode & 0o077:
        return warning(
            "master key",
            f"{path} has mode {mode & 0o777:04o}: others could have read the key.",
            "Remove the file and start again to have a new one made.",
        )
    return ok("master key", f"Kept in {path}.")
