"""`/scalix/admin/rollout`: features rolled out by the operator, as the command line does it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.ledger.rollout_desk import RolloutDesk
from scalix_callbacks.web.admin_body import Fields
from scalix_callbacks.web.own_routes import (
    NO_STORE,
    ReadsBody,
    allow,
    body_of,
    segments_of,
    translated,
    work_of,
)

_Answer = dict[str, Any]


class RolloutApi:
    """The routes, as one ASGI application; the edge lets only the operator through.

    Args:
        recent: all flags with how their users fare of late.
        changed: reads what holds now; told after a change, so that this worker has it at once.
    """

    def __init__(
        self,
        desk: RolloutDesk,
        recent: Callable[[], Awaitable[_Answer]],
        read_body: ReadsBody,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._recent = recent
        self._read_body = read_body
        self._changed = changed
        self._of_flag: Mapping[tuple[str, str], Callable[[str], _Answer]] = {
            ("POST", "pause"): desk.pause,
            ("POST", "resume"): desk.resume,
            ("POST", "kill"): desk.kill,
        }
        self._of_user: Mapping[tuple[str, str], Callable[[str, str], _Answer]] = {
            ("GET", ""): desk.validate,
            ("DELETE", ""): desk.release,
            ("POST", "migrate"): desk.migrate,
            ("POST", "rollback"): desk.roll_back_user,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        match segments_of(scope)[1:]:
            case []:
                allow(method, "GET")
                answer = await translated(self._recent())
            case [flag]:
                answer = await self._flag(method, flag, scope, receive)
            case [flag, "users", user, *rest] if len(rest) <= 1:
                work = work_of(self._of_user, method, "".join(rest))
                answer = await self._done(method, work, flag, user, scope=scope, receive=receive)
            case [flag, step]:
                one = work_of(self._of_flag, method, step)
                answer = await self._done(method, one, flag, scope=scope, receive=receive)
            case _:
                raise GatewayError(ErrorCategory.NOT_FOUND)
        await JSONResponse(answer, headers=NO_STORE)(scope, receive, send)

    async def _flag(self, method: str, flag: str, scope: Scope, receive: Receive) -> _Answer:
        allow(method, "GET", "PUT")
        if method == "GET":
            return await translated(asyncio.to_thread(self._desk.show, flag))
        body = await body_of(self._read_body, scope, receive)
        answer: _Answer = await translated(asyncio.to_thread(self._desk.set, flag, body))
        await translated(self._changed())
        return answer

    async def _done(
        self, method: str, work: Callable[..., _Answer], *names: str, scope: Scope, receive: Receive
    ) -> _Answer:
        if method != "GET":
            Fields(await body_of(self._read_body, scope, receive), ())
        answer: _Answer = await translated(asyncio.to_thread(work, *names))
        if method != "GET":
            await translated(self._changed())
        return answer
