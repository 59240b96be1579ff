"""Where the workers keep in common how well models answer of late: one small hash in Redis."""

from collections.abc import Mapping

from scalix_callbacks.core.model_health import ModelHealth, Seen, after, from_words, to_words
from scalix_callbacks.store import keys, lua
from scalix_callbacks.store.connection import TIMEOUT_S, Client

KEEP_S = 3_600
"""Without a call for so long nothing is known any more."""
MAX_MODELS = 1_000
MAX_ROUNDS = 4
"""How often a row is changed anew that others changed at the same time; beyond, what it was is lost."""


class RedisModelHealth:
    """The board of all workers."""

    def __init__(self, redis: Client, *, timeout_s: float = TIMEOUT_S) -> None:
        self._lua = lua.Lua(redis, timeout_s)

    async def share(self, seen: Mapping[str, Seen]) -> tuple[float, dict[str, ModelHealth]]:
        """Tells what calls have shown, and hears what all workers know.

        Returns:
            Redis' time, Unix time, and the row of each model.

        Raises:
            StoreLost: Redis did not answer in time; some of it may have been told.
        """
        now_s, _, words = await self._swap()
        left = dict(seen)
        for _ in range(MAX_ROUNDS):
            if not left:
                break
            changed = {
                name: to_words(after(from_words(words.get(name, "")), what, now_s))
                for name, what in left.items()
            }
            triples = [(name, words.get(name, ""), row) for name, row in changed.items()]
            now_s, taken, words = await self._swap(*triples)
            left = {name: left[name] for name, is_taken in zip(changed, taken, strict=True) if not is_taken}
        return now_s, {name: row for name, told in words.items() if (row := from_words(told)) is not None}

    async def _swap(self, *triples: tuple[str, str, str]) -> tuple[float, list[bool], dict[str, str]]:
        words = [word for triple in triples for word in triple]
        answer = await self._lua.run(
            lua.MODEL_HEALTH, (keys.MODEL_HEALTH_KEY,), KEEP_S * 1_000, MAX_MODELS, *words
        )
        now_ms, taken, *flat = (word.decode("utf-8", "replace") for word in answer)
        return (
            int(now_ms) / 1_000,
            [flag == "1" for flag in taken],
            dict(zip(flat[::2], flat[1::2], strict=True)),
        )
