"""What the keys in Redis are called: one hash tag per shard, no raw ids."""

import re
from hashlib import sha256
from zlib import crc32

SHARDS = 64
"""Kept in Redis under `SHARDS_KEY`: with another number, accounts would be looked for elsewhere."""
PREFIX = "scalix:"
SHARDS_KEY = f"{PREFIX}shards"
_DIGEST_LETTERS = 24
_WORKER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def shard_of(account_id: str) -> int:
    """Which shard holds all there is of an account."""
    return crc32(_bytes(account_id)) % SHARDS


def counters_key(account_id: str) -> str:
    return f"{_tag(shard_of(account_id))}:used:{digest(account_id)}"


def request_key(account_id: str, request: str) -> str:
    """Of the attempts of one request, by the client's id of it."""
    # The length keeps ("a", "bc") and ("ab", "c") apart.
    return f"{_tag(shard_of(account_id))}:request:{digest(f'{len(account_id)}:{account_id}{request}')}"


def open_calls_key(shard: int, worker_id: str) -> str:
    return f"{_tag(shard)}:open:{worker_id}"


def ended_key(shard: int, call_id: str) -> str:
    """Of a call that ended out of order."""
    return f"{_tag(shard)}:ended:{digest(call_id)}"


def leases_key(shard: int) -> str:
    return f"{_tag(shard)}:leases"


def outbox_key(shard: int) -> str:
    return f"{_tag(shard)}:outbox"


def check_worker_id(worker_id: str) -> str:
    """`worker_id` as it is, when it can be part of a key.

    Raises:
        ValueError: it cannot.
    """
    if not _WORKER_ID.fullmatch(worker_id):
        raise ValueError("A worker id has 1 to 64 letters, digits, dots, dashes or underscores.")
    return worker_id


def digest(text: str) -> str:
    """A short name for any text: one word, hard to find two of."""
    return sha256(_bytes(text)).hexdigest()[:_DIGEST_LETTERS]


def _tag(shard: int) -> str:
    return f"{PREFIX}{{s{shard:02}}}"


def _bytes(text: str) -> bytes:
    # "surrogatepass": ids may be any text a client sent.
    return text.encode("utf-8", "surrogatepass")
