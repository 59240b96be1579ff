"""What an API key looks like, and what of it may be kept."""

import base64
import hashlib
import re

KEY_PREFIX = "scalix_"
MIN_RANDOM_BYTES = 32
MAX_RANDOM_BYTES = 96  # 128 characters of base64, the longest key `is_key_shaped` knows

_SHAPE = re.compile(r"scalix_[A-Za-z0-9_-]{32,128}")


def is_key_shaped(text: str) -> bool:
    """Whether `text` could be a key, so that it must be treated as a secret. Says nothing about validity."""
    return _SHAPE.fullmatch(text) is not None


def new_key(random_bytes: bytes) -> str:
    """The key made of 32 to 96 random bytes: `scalix_` and their URL-safe base64 without padding.

    Raises:
        ValueError: too few bytes to be hard to guess, or more than a key can hold.
    """
    if not MIN_RANDOM_BYTES <= len(random_bytes) <= MAX_RANDOM_BYTES:
        raise ValueError(f"A key is made of {MIN_RANDOM_BYTES} to {MAX_RANDOM_BYTES} random bytes.")
    return KEY_PREFIX + base64.urlsafe_b64encode(random_bytes).rstrip(b"=").decode("ascii")


def hash_key(key: str) -> str:
    """What is stored of a key: its SHA-256 in hex. Plain and fast, because a key holds 256 random bits.

    Any text has one, also what no key can be: a header may hold lone surrogates.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_hint(key: str) -> str:
    """What lists show of a key: `scalix_…abcd`. Of what is no key it shows nothing: `scalix_…`."""
    return f"{KEY_PREFIX}…{key[-4:] if is_key_shaped(key) else ''}"
