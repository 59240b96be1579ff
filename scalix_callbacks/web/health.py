"""`/v1/health`: whether this worker can serve, from what it knows already; no provider is called."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

DATABASE_SILENCE_S = 60.0
"""Without SQL for longer, new and changed keys are not seen, and health says so."""


class State(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """What one worker knows of itself and what it depends on.

    Attributes:
        redis_ok: None: none is configured.
        database_silent_s: seconds since it last answered; None: it never did.
        ready_models, all_models: public models with credentials, and all.
        pending_records: on their way to the ledger, of all workers; None: Redis does not tell.
        waiting_ends: calls this worker ended that Redis has not heard of.
        is_draining: records reach the ledger.
    """

    is_stopping: bool
    redis_ok: bool | None
    database_silent_s: float | None
    ready_models: int
    all_models: int
    pending_records: int | None = 0
    waiting_ends: int = 0
    is_draining: bool = True

    @property
    def database(self) -> State:
        if self.database_silent_s is None:
            return State.DOWN
        return State.OK if self.database_silent_s <= DATABASE_SILENCE_S else State.DEGRADED

    @property
    def providers(self) -> State:
        return State.OK if self.ready_models else State.DOWN

    @property
    def redis(self) -> State | None:
        if self.redis_ok is None:
            return None
        return State.OK if self.redis_ok else State.DOWN

    @property
    def outbox(self) -> State:
        return State.DEGRADED if self.waiting_ends or not self.is_draining else State.OK

    @property
    def proxy(self) -> State:
        return State.DOWN if self.is_stopping else State.OK

    @property
    def overall(self) -> State:
        """DOWN when nobody can be served, DEGRADED when some cannot."""
        if State.DOWN in (self.proxy, self.database, self.providers):
            return State.DOWN
        parts = {self.proxy, self.database, self.providers, self.outbox, self.redis or State.OK}
        return State.OK if parts == {State.OK} else State.DEGRADED

    def to_json(self) -> dict[str, Any]:
        silent_s = self.database_silent_s
        return {
            "status": self.overall,
            "proxy": {"status": "stopping" if self.is_stopping else self.proxy},
            "redis": {"status": self.redis or "not configured"},
            "database": {
                "status": self.database,
                "last_answer_s_ago": None if silent_s is None else round(silent_s, 1),
            },
            "outbox": {
                "status": self.outbox,
                "pending_records": self.pending_records,
                "calls_waiting_for_redis": self.waiting_ends,
            },
            "providers": {
                "status": self.providers,
                "models_with_credentials": self.ready_models,
                "models": self.all_models,
            },
        }


def health_route(read: Callable[[], Health]) -> ASGIApp:
    """200 while someone can be served, else 503."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        health = read()
        status = 503 if health.overall is State.DOWN else 200
        headers = {"cache-control": "no-store"} | ({"retry-after": "5"} if status == 503 else {})
        await JSONResponse(health.to_json(), status, headers)(scope, receive, send)

    return app


async def alive(scope: Scope, receive: Receive, send: Send) -> None:
    """This worker runs, whatever it depends on."""
    await JSONResponse({"status": "alive"})(scope, receive, send)
