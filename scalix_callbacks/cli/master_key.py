"""The operator's key where none is set: made once, kept in the data directory."""

import os
import secrets
from pathlib import Path

from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.settings.environment import MIN_MASTER_KEY_LENGTH

_RANDOM_BYTES = 32


def kept_master_key(path: Path) -> str:
    """The key in `path`, which is made, readable by this user only, when it does not exist.

    Raises:
        StartError: the file cannot be read or written, or holds no key.
    """
    try:
        try:
            key = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return _make(path)
        path.chmod(0o600)
    except UnicodeDecodeError:
        key = ""
    except OSError as error:
        raise StartError(
            f"{path}: the master key cannot be read or written ({error.strerror}). Mend permissions or set"
            " LITELLM_MASTER_KEY."
        ) from None
    if len(key) < MIN_MASTER_KEY_LENGTH or not key.isprintable() or " " in key:
        raise StartError(
            f"{path}: holds no master key. Remove it to get a new one, or set LITELLM_MASTER_KEY."
        )
    return key


def _make(path: Path) -> str:
    key = f"sk-{secrets.token_urlsafe(_RANDOM_BYTES)}"
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return key
