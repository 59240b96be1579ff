"""The control API under /_demo."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scalix_callbacks.demo_provider.errors import BadRequest, error_body
from scalix_callbacks.demo_provider.model_request import read_object
from scalix_callbacks.demo_provider.provider import Provider
from scalix_callbacks.demo_provider.script import Script, ScriptError
from scalix_callbacks.demo_provider.script_queue import QueuedScript

_ORDER_KEYS = ("script", "times", "model", "match")


def control_routes(provider: Provider) -> list[Route]:
    """Health, scripts, tally and requests of `provider`; none of them asks for a key."""
    control = _Control(provider)
    return [
        Route("/_demo/health", control.health, methods=["GET"]),
        Route("/_demo/script", control.list_scripts, methods=["GET"]),
        Route("/_demo/script", control.add_script, methods=["POST"]),
        Route("/_demo/script", control.reset_scripts, methods=["DELETE"]),
        Route("/_demo/tally", control.show_tally, methods=["GET"]),
        Route("/_demo/tally", control.reset_tally, methods=["DELETE"]),
        Route("/_demo/requests", control.show_requests, methods=["GET"]),
        Route("/_demo/requests", control.reset_requests, methods=["DELETE"]),
    ]


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


class _Control:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def health(self, request: Request) -> Response:
        return json_response({"status": "ok", "in_flight": self._provider.in_flight})

    async def list_scripts(self, request: Request) -> Response:
        waiting = [
            {"script": asdict(queued.script), "times": left, "model": queued.model, "match": queued.match}
            for queued, left in self._provider.scripts.waiting()
        ]
        return json_response({"scripts": waiting})

    async def add_script(self, request: Request) -> Response:
        try:
            queued = _read_order(read_object(await request.body()))
            self._provider.scripts.add(queued)
        except (BadRequest, ScriptError) as error:
            return json_response(error_body(400, str(error)), 400)
        return json_response({"waiting": len(self._provider.scripts)})

    async def reset_scripts(self, request: Request) -> Response:
        self._provider.scripts.reset()
        return json_response({"waiting": 0})

    async def show_tally(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) <= 18):
            refusal = error_body(400, "since must be the id of a call, an integer", param="since")
            return json_response(refusal, 400)
        tally = self._provider.tally
        calls = [{"id": call_id, **call.as_json()} for call_id, call in tally.calls(int(since))]
        return json_response({"totals": tally.totals(), "calls": calls})

    async def reset_tally(self, request: Request) -> Response:
        self._provider.tally.reset()
        return json_response({"totals": self._provider.tally.totals()})

    async def show_requests(self, request: Request) -> Response:
        return json_response({"requests": [each.as_json() for each in self._provider.requests.newest_last()]})

    async def reset_requests(self, request: Request) -> Response:
        self._provider.requests.reset()
        return json_response({"requests": []})


def _read_order(order: Mapping[str, Any]) -> QueuedScript:
    unknown = [key for key in order if key not in _ORDER_KEYS]
    if unknown:
        raise ScriptError(f"there is no field {unknown[0][:50]!r}; there are {', '.join(_ORDER_KEYS)}")
    script = Script.from_json(order.get("script"))
    return QueuedScript(script, order.get("times"), order.get("model"), order.get("match"))
