"""What the keys in Redis are called: one hash tag per shard, no raw ids."""

import re
from hashlib import sha256
from zlib import crc32

SHARDS = 64
"""Kept in Redis under `SHARDS_KEY`: with another number, accounts would be looked for elsewhere."""
PREFIX = "scalix:"
SHARDS_KEY = f"{PREFIX}shards"
COOLDOWNS_KEY = f"{PREFIX}cooldowns"
MODEL_HEALTH_KEY = f"{PREFIX}{{models}}:health"
_ROLLOUT = f"{PREFIX}{{rollout}}"
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


def answers_key(scope: str) -> str:
    """Of the cached answers in the shard of `scope`."""
    return f"{_tag(shard_of(scope))}:answers"


def answers_keys(scope: str) -> tuple[str, str, str]:
    """Of the cached answers in the shard of `scope`: themselves, their order, and who asked for each."""
    key = answers_key(scope)
    return key, f"{key}:order", f"{key}:authors"


def traces_keys(shard: int) -> tuple[str, str, str]:
    """Of the traces in a shard: themselves, their order, and what they are also found by."""
    key = f"{_tag(shard)}:traces"
    return key, f"{key}:order", f"{key}:names"


def alert_key(name: str) -> str:
    """Of an alert that somebody has told."""
    return f"{PREFIX}alert:{digest(name)}"


def rollout_turn_key() -> str:
    """Of the worker that judges rollouts for all."""
    return f"{_ROLLOUT}:turn"


def rollout_minute_key(flag: str, epoch: int, minute_s: int, minute: int) -> str:
    """Of what calls showed of a flag in one minute; all in one slot, so that one pipeline reaches them."""
    return f"{_ROLLOUT}:{flag}:{epoch}:{minute_s}:{minute}"


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
