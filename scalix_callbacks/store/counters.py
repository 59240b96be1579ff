"""Counters of accounts, read and made anew from records, while calls go on."""

from collections.abc import Mapping
from dataclasses import dataclass

from scalix_callbacks.store import keys, lua, words
from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.lua import Lua

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Used:
    """What records say of one counter: when its window began (Unix time, ms), and what was used in it."""

    started_at_ms: int
    amount: int


class RedisCounters:
    """For `rebuild`; an account's are reset by `store.limiter`.

    Every method raises `StoreLost` when Redis does not answer.
    """

    def __init__(self, redis: Client, timeout_s: float = TIMEOUT_S) -> None:
        self._redis = redis
        self._lua = Lua(redis, timeout_s)

    async def now_s(self) -> float:
        """Redis' own clock, Unix time."""
        seconds, microseconds = await self._lua.answer(self._redis.time())
        return int(seconds) + int(microseconds) / 1e6

    async def read(self, account_id: str) -> dict[str, str]:
        """The account's counters, id → words of the scripts; `restore` wants them back."""
        stored = await self._lua.answer(self._redis.hgetall(keys.counters_key(account_id)))
        return {_text(name): _text(row) for name, row in stored.items()}

    async def restore(
        self,
        account_id: str,
        seen: Mapping[str, str],
        used: Mapping[str, Used],
        *,
        now_s: float | None = None,
    ) -> bool:
        """Makes the counters what records say; all others of the account are as if nothing was used.

        Args:
            seen: what `read` gave before the records were read.

        Returns:
            False, and nothing is changed: a call came between, or records wait for the ledger.
        """
        rows: list[str | int] = []
        for name in {**seen, **used}:
            of = used.get(name, Used(0, 0))
            rows += [name, seen.get(name, ""), of.started_at_ms, words.exact(of.amount)]
        answer = await self._lua.run(
            lua.RESTORE,
            (keys.counters_key(account_id), keys.outbox_key(keys.shard_of(account_id))),
            words.milliseconds(now_s),
            *rows,
        )
        return bool(answer == b"done")


def _text(told: bytes | str) -> str:
    return told.decode() if isinstance(told, bytes) else told
