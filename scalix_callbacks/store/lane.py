"""One connection for a worker's scripts: each is sent at once, and the answers come in the same order.

Taking a connection of the pool for each script and giving it back costs more than the script itself. Here
nobody waits for a connection, and scripts of one moment travel together.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

MAX_WAITING = 10_000
"""Commands that have no answer yet; beyond that Redis counts as lost."""
MAX_SILENCES = 4
"""When so many callers in a row stopped waiting and nobody got an answer, the connection is given up."""


class Lane:
    """Opens its connection when it is first needed, and again when it was lost.

    It has no time-outs: whoever stops waiting leaves the connection as it is, and the late answer is passed
    over.

    Args:
        pool: how to connect.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._connection: AbstractConnection | None = None
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._silences = 0
        self._reader: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def say(self, *command: str | int | bytes) -> Any:
        """What Redis answers.

        Raises:
            ResponseError: as Redis worded it.
            RedisError, OSError: the connection is lost; the command may have been carried out.
        """
        connection = self._connection or await self._connected()
        if len(self._waiting) >= MAX_WAITING:
            raise RedisConnectionError("Too many commands have no answer yet.")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        packed = _packed(command)
        # No await between these two: the order of the answers is that of the commands.
        self._waiting.append(answer)
        try:
            await connection.send_packed_command(packed, check_health=False)
            return await answer
        except asyncio.CancelledError:
            self._silences += 1
            if self._silences >= MAX_SILENCES:
                self._give_up(connection, "Redis owes too many answers.")
            raise

    async def aclose(self) -> None:
        """Ends the connection; what waits fails."""
        if self._connection is not None:
            self._give_up(self._connection, "The connection was closed.")
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _connected(self) -> AbstractConnection:
        async with self._connecting:
            if self._connection is None:
                connection = self._pool.connection_class(**self._pool.connection_kwargs)
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
                self._connection = connection
                self._reader = asyncio.get_running_loop().create_task(self._read(connection))
        return self._connection

    async def _read(self, connection: AbstractConnection) -> None:
        try:
            while True:
                try:
                    told = await connection.read_response()
                except ResponseError as error:
                    if not (answer := self._waiting.popleft()).done():
                        answer.set_exception(error)
                else:
                    if not (answer := self._waiting.popleft()).done():
                        answer.set_result(told)
                self._silences = 0
        except (RedisError, OSError, IndexError) as error:
            self._give_up(connection, f"The connection to Redis is lost ({type(error).__name__}).")

    def _give_up(self, connection: AbstractConnection, reason: str) -> None:
        if self._connection is not connection:
            return
        self._connection, self._silences = None, 0
        reader, self._reader = self._reader, None
        waiting, self._waiting = self._waiting, deque()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(RedisConnectionError(reason))
                answer.exception()  # whoever asked may have gone
        task = asyncio.get_running_loop().create_task(_close(connection, reader))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _packed(command: Sequence[str | int | bytes]) -> bytes:
    """`command` as it travels; redis-py's own, which takes more kinds of words, takes twice as long."""
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        told = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(told), told))
    return b"".join(parts)


async def _close(connection: AbstractConnection, reader: asyncio.Task[None] | None) -> None:
    if reader is not None:
        reader.cancel()
    await connection.disconnect(nowait=True)
