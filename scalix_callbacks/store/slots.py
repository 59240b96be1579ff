"""Which server of a cluster serves which slot, learned from the servers themselves."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from math import inf
from typing import Any

from redis.exceptions import ClusterDownError, RedisError

from scalix_callbacks.core.redis_address import SLOTS, ClusterAddress, Node
from scalix_callbacks.store.client import Client, client_of
from scalix_callbacks.store.patience import Patience

PAUSE_S = 0.25
"""Between two askings: a cluster that elects a new master is not helped by more."""
LINGER_S = 1.0
"""How long a server that serves nothing any more may still answer what it was asked."""

_log = logging.getLogger("scalix.store")


class Slots:
    """The servers of a cluster, by slot; asks anew in the background when somebody doubts what it knows.

    Args:
        timeout_s: how long one server may take to tell.
        shuffle: the order in which they are asked; one that is cut off from the others may tell old news.
    """

    def __init__(
        self,
        address: ClusterAddress,
        timeout_s: float,
        shuffle: Callable[[list[Node]], None] = random.shuffle,
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._shuffle = shuffle
        self._clients: dict[Node, Client] = {}
        self._by_slot: list[Node | None] = [None] * SLOTS
        self._masters: list[Node] = []
        self._others: set[Node] = set()
        self._doubted: Node | None = None
        self._asked_at_s: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_closing = False

    async def masters(self) -> list[Client]:
        """Of all servers that serve slots; one that failed of late comes last.

        Raises:
            ClusterDownError: none is known.
        """
        if not self._masters:
            await self._ask_now()
        if not self._masters:
            raise ClusterDownError("No server of the cluster tells which slots there are.")
        return [self._client(node) for node in self._masters]

    def node_at(self, slot: int) -> Node | None:
        """The server of `slot`, as far as is known; asks nobody."""
        return self._by_slot[slot]

    async def client_at(self, slot: int) -> Client:
        """Of the server of `slot`.

        Raises:
            ClusterDownError: nobody serves it.
        """
        node = self._by_slot[slot]
        if node is None:
            await self._ask_now()
            node = self._by_slot[slot]
        if node is None:
            raise ClusterDownError("A slot is served by nobody.")
        return self._clients.get(node) or self._client(node)

    def moved(self, slot: int, host: str, port: int, asked: Client) -> Client:
        """A server said where `slot` is now; the rest of what is known is in doubt."""
        node = self._place(host, port, asked)
        self._by_slot[slot] = node
        self.doubt(None)
        return self._client(node)

    def importing(self, host: str, port: int, asked: Client) -> Client:
        """Of the server that takes a slot over, as the one that was asked told."""
        return self._client(self._place(host, port, asked))

    def doubt(self, client: Client | None) -> None:
        """Something went wrong, with `client` if it is one: asks in the background, and that one last."""
        if client is not None:
            self._doubted = self._node_of(client)
            self._masters.sort(key=self._is_doubted)
        if self._asking is None and not self._is_closing:
            self._asking = self._begin(self._ask(max(0.0, PAUSE_S - self._since_asked_s())))

    async def aclose(self) -> None:
        """Ends all connections; what is asked meanwhile fails."""
        self._is_closing = True
        tasks = [task for task in (self._asking, *self._leaving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        clients, self._clients = self._clients, {}
        await asyncio.gather(*(client.aclose() for client in clients.values()), return_exceptions=True)

    def _client(self, node: Node) -> Client:
        if node not in self._clients:
            self._clients[node] = client_of(self._address.url_of(node))
        return self._clients[node]

    def _node_of(self, client: Client | None) -> Node | None:
        return next((node for node, each in self._clients.items() if each is client), None)

    def _place(self, host: str, port: int, asked: Client) -> Node:
        if host in ("", "?"):  # the same host as that of the server which says so
            node = self._node_of(asked)
            host = node.host if node is not None else self._address.nodes[0].host
        return Node(host, port)

    def _is_doubted(self, node: Node) -> bool:
        return node == self._doubted

    # --- asking ------------------------------------------------------------------------------

    async def _ask_now(self) -> None:
        """One asking for all that wait, which goes on when one of them leaves; none where one just failed."""
        if self._asking is None and (self._is_closing or self._since_asked_s() < PAUSE_S):
            return
        if self._asking is None:
            self._asking = self._begin(self._ask(0.0))
        await asyncio.shield(self._asking)

    def _since_asked_s(self) -> float:
        return inf if self._asked_at_s is None else asyncio.get_running_loop().time() - self._asked_at_s

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    async def _ask(self, pause_s: float) -> None:
        try:
            await asyncio.sleep(pause_s)
            for node in self._candidates():
                if await self._ask_one(node):
                    return
            _log.warning("No node of the Redis Cluster tells which slots it serves.")
        finally:
            self._asked_at_s = asyncio.get_running_loop().time()
            self._asking = None

    def _candidates(self) -> list[Node]:
        known = [*self._masters, *self._others]
        self._shuffle(known)
        first = [node for node in known if node != self._doubted]
        return list(dict.fromkeys([*first, *self._address.nodes, *known]))

    async def _ask_one(self, node: Node) -> bool:
        client = self._client(node)
        try:
            async with Patience(self._timeout_s):
                rows = await client.lane.say("CLUSTER", "SLOTS")
        except (RedisError, OSError, TimeoutError):
            rows = None
        if not rows:
            self._drop(set(self._clients) - {*self._masters, *self._by_slot})
            return False
        self._learn(rows, node)
        return True

    def _learn(self, rows: Sequence[Any], told_by: Node) -> None:
        by_slot: list[Node | None] = [None] * SLOTS
        masters: dict[Node, None] = {}
        others: set[Node] = set()
        for first, last, *servers in rows:
            told = list(_places(servers, told_by.host))
            if told:
                masters[told[0]] = None
                others.update(told[1:])
                by_slot[first : last + 1] = told[:1] * (last + 1 - first)
        self._by_slot, self._others = by_slot, others - masters.keys()
        self._masters = sorted(masters, key=self._is_doubted)
        self._drop(set(self._clients) - masters.keys())

    def _drop(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            task = self._begin(_leave(self._clients.pop(node)))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


def _places(servers: Iterable[Sequence[Any]], host_of_teller: str) -> Iterable[Node]:
    """Of one row of CLUSTER SLOTS: the master, then its replicas; an unknown host is that of the teller."""
    for host, port, *_ in servers:
        told = host.decode() if isinstance(host, bytes) else host
        if told != "?":
            yield Node(told or host_of_teller, int(port))


async def _leave(client: Client) -> None:
    try:
        await asyncio.sleep(LINGER_S)
    finally:
        await client.aclose()
