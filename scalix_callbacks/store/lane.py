"""One connection for a worker's scripts: each is sent at once, and the answers come in the same order.

Taking a connection of the pool for each script and giving it back costs more than the script itself. Here
nobody waits for a connection, and scripts of one moment travel together.
"""

import asyncio
from collections import deque
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from scalix_callbacks.store.patience import Patience

MAX_WAITING = 10_000
"""Commands that have no answer yet; beyond that Redis counts as lost."""
CONNECT_S = 2.0
"""What opening the connection may take; whoever waits for it has less patience, and does not end it."""
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
        self._connecting: asyncio.Task[AbstractConnection] | None = None
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
        packed = pack_command(command)  # type: ignore[arg-type]  # typed as a tuple of one
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
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            self._give_up(self._connection, "The connection was closed.")
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _connected(self) -> AbstractConnection:
        # A task of its own: it takes more turns of a busy event loop than one call has patience for, and each
        # call would begin anew.
        connecting = self._connecting
        if connecting is None:
            connecting = self._connecting = asyncio.get_running_loop().create_task(self._connect())
            connecting.add_done_callback(_forget_failure)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if connecting.cancelled():
                raise RedisConnectionError("The connection was closed.") from None
            raise

    async def _connect(self) -> AbstractConnection:
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            async with Patience(CONNECT_S):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise RedisConnectionError("Redis does not take a connection.") from error
            raise
        finally:
            self._connecting = None
        self._connection = connection
        self._reader = asyncio.get_running_loop().create_task(self._read(connection))
        return connection

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


def _forget_failure(connecting: asyncio.Task[AbstractConnection]) -> None:
    """Whoever waited for it may have gone, and then nobody asks."""
    if not connecting.cancelled():
        connecting.exception()


async def _close(connection: AbstractConnection, reader: asyncio.Task[None] | None) -> None:
    if reader is not None:
        reader.cancel()
    await connection.disconnect(nowait=True)
