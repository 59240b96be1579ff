"""What goes on in any order over a real Redis: the ground that such tests stand on."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from scalix_callbacks.store.connection import connect
from tests.redis_server import RedisServer

_T = TypeVar("_T")


class OverRedis(RuleBasedStateMachine):
    """Each example finds `server` empty; it ends with `close`."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.runner = asyncio.Runner()
        self.redis = connect(self.server.url)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(work)

    def close(self) -> None:
        self.run(self.redis.aclose())
        self.runner.close()


def try_out(machine: type[OverRedis], server: RedisServer) -> None:
    machine.server = server
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            # Not shrunk: that takes minutes, over a real Redis.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
