"""A client of a Redis Cluster: for each server one as for a stand-alone Redis, and the way to the right one.

redis-py's own cluster client says commands again by itself, and asks all servers anew, in the way of
whoever waits, when one of them fails. Here a command is sent once more only where a server told that it
did not carry it out (MOVED, ASK).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, ResponseError

from scalix_callbacks.core.redis_address import ClusterAddress, Node
from scalix_callbacks.store.client import Client, pool_of
from scalix_callbacks.store.patience import Patience
from scalix_callbacks.store.slots import Slots

MAX_REDIRECTIONS = 4
"""Of one command; beyond, the cluster is not at one with itself and counts as lost."""
SHARE_OF_PATIENCE = 0.8
"""What one server may take of the time for many, so that the answers of the others are heard."""

_OF_ONE_SERVER = frozenset(
    (
        "BGSAVE",
        "CLIENT",
        "CONFIG",
        "DBSIZE",
        "FLUSHALL",
        "FLUSHDB",
        "INFO",
        "KEYS",
        "RANDOMKEY",
        "SAVE",
        "SCAN",
    )
)
"""What has no key, and so no server: it would be sent to that of its first word."""
_SCRIPTED = frozenset({"EVAL", "EVALSHA"})
_T = TypeVar("_T")
_Words = Sequence[Any]


class ClusterClient(Client):
    """As a `Client` is used; every command touches one key, or keys of one slot.

    Args:
        timeout_s: the patience of whoever uses it.
    """

    def __init__(self, address: ClusterAddress, timeout_s: float) -> None:
        super().__init__(pool_of(address.url_of(address.nodes[0])))  # never connects
        self._timeout_s = timeout_s
        self._slots = Slots(address, timeout_s)
        self.lane = _Lanes(self._slots)

    def serves(self, key: str) -> Node | None:
        """Which server has the key, as far as is known; None: it is not."""
        return self._slots.node_at(int(key_slot(key.encode())))

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As redis-py's. PING asks every server, and TIME one of them.

        Raises:
            NotImplementedError: it is about one server, and there are many.
        """
        if args[0] in _OF_ONE_SERVER:
            raise NotImplementedError(f"{args[0]} is for one server of a cluster; connect to that one.")
        if args[0] == "PING":
            return all(await asyncio.gather(*(self._ask(each, args) for each in await self._slots.masters())))
        if args[0] == "TIME":
            return await self._ask((await self._slots.masters())[0], args)
        return await at_slot(self._slots, args, partial(_run, words=args, options=options), options=options)

    async def _ask(self, node: Client, words: _Words) -> Any:
        return await _doubting(self._slots, node, _run(node, words, {}))

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "ClusterPipeline":
        """Raises NotImplementedError for a transaction: it could touch one server only."""
        if transaction:
            raise NotImplementedError("A cluster has no transactions over several slots; use a script.")
        return ClusterPipeline(self, self._slots, self._timeout_s * SHARE_OF_PATIENCE)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self._slots.aclose()
        await super().aclose(close_connection_pool)


class ClusterPipeline(Pipeline):
    """Many commands, sent to each server in one go.

    All of them are carried out where they can be, whatever becomes of the others.
    """

    def __init__(self, client: ClusterClient, slots: Slots, timeout_s: float) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, False, None)
        self._client = client
        self._slots = slots
        self._timeout_s = timeout_s

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The answers in the order asked.

        Args:
            raise_on_error: False leaves each error in its place, also that of a server which is not there.
        """
        commands, self.command_stack = self.command_stack, []
        answers: list[Any] = [None] * len(commands)
        by_node: dict[Client, list[int]] = {}
        for i, (words, _) in enumerate(commands):
            try:
                by_node.setdefault(await self._slots.client_at(_slot(words)), []).append(i)
            except ClusterDownError as error:
                answers[i] = error
        parts = [(node, [commands[i] for i in places]) for node, places in by_node.items()]
        told = await asyncio.gather(*(self._part(node, part) for node, part in parts))
        for places, part in zip(by_node.values(), told, strict=True):
            for i, answer in zip(places, part, strict=True):
                answers[i] = answer
        for i, answer in enumerate(answers):
            if isinstance(answer, AskError):
                words, options = commands[i]
                answers[i] = await self._again(words, options)
        for answer in answers if raise_on_error else ():
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _part(self, node: Client, commands: Sequence[Any]) -> Sequence[Any]:
        pipeline = node.pipeline(transaction=False)
        for words, options in commands:
            pipeline.execute_command(*words, **options)
        try:
            async with Patience(self._timeout_s):
                return await _doubting(self._slots, node, pipeline.execute(raise_on_error=False))
        except (RedisError, OSError, TimeoutError) as error:
            return [error] * len(commands)

    async def _again(self, words: _Words, options: Mapping[str, Any]) -> Any:
        try:
            return await self._client.execute_command(*words, **options)
        except (RedisError, OSError) as error:
            return error


class _Lanes:
    """The lanes of all servers: each script goes to that of its keys."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    async def say(self, *command: str | int | bytes) -> Any:
        """As `Lane.say`."""
        return await at_slot(self._slots, command, lambda node: node.lane.say(*command))

    async def aclose(self) -> None:
        """Does nothing: each lane ends with its client."""


async def at_slot(
    slots: Slots,
    words: _Words,
    say: Callable[[Client], Awaitable[_T]],
    *,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """What the server of the words' key answers, followed to where it is.

    Raises:
        ClusterDownError: no server is the right one.
        RedisError, OSError: the server did not answer; the command may have been carried out.
    """
    slot = _slot(words)
    node = await slots.client_at(slot)
    for _ in range(MAX_REDIRECTIONS):
        try:
            return await _doubting(slots, node, say(node))
        except MovedError as moved:
            node = slots.moved(slot, moved.host, moved.port, node)
        except AskError as ask:
            node = slots.importing(ask.host, ask.port, node)
            say = partial(_asking, words, options or {})
    raise ClusterDownError("The servers send a command around between them.")


async def _run(node: Client, words: _Words, options: Mapping[str, Any]) -> Any:
    return await node.execute_command(*words, **options)  # type: ignore[no-untyped-call]  # redis-py's


async def _asking(words: _Words, options: Mapping[str, Any], node: Client) -> Any:
    """To a server that is taking a slot over: what follows ASKING, on one connection, it carries out."""
    pipeline = node.pipeline(transaction=False)
    pipeline.execute_command("ASKING")
    pipeline.execute_command(*words, **options)
    _, answer = await pipeline.execute(raise_on_error=False)
    if isinstance(answer, Exception):
        raise answer
    return answer


async def _doubting(slots: Slots, node: Client, answer: Awaitable[_T]) -> _T:
    """`answer`; when it does not come, or the waiting ended first, something may be wrong with `node`."""
    try:
        return await answer
    except (MovedError, AskError):
        raise
    except (RedisError, OSError, asyncio.CancelledError) as error:
        if _is_about_the_node(error):
            slots.doubt(node)
        raise


def _is_about_the_node(error: BaseException) -> bool:
    """Not about the command: a refusal with an error of its own comes from a server that works."""
    return isinstance(error, ClusterDownError) or not isinstance(error, ResponseError)


def _slot(words: _Words) -> int:
    key = words[3] if words[0] in _SCRIPTED else words[1]
    return int(key_slot(key if isinstance(key, bytes) else str(key).encode()))
