"""The command `trace`."""

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any

from scalix_callbacks.cli.admin.office import Answer, Office, Refused
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.traces import Traces

TIMEOUT_S = 5.0
_HEAD = (
    "at",
    "user_id",
    "tier",
    "endpoint",
    "model_requested",
    "model_used",
    "outcome",
    "status",
    "category",
)


def show(arguments: argparse.Namespace, office: Office) -> Answer:
    """What happened to a request, by the id its answer carried, its call's, or the client's."""
    if office.redis_url is None:
        raise Refused("No gateway runs here, so its Redis does not either: start it, or set REDIS_URL.")
    try:
        found = asyncio.run(_found(office.redis_url, arguments.id))
    except StoreLost:
        raise Refused("Redis does not answer: check REDIS_URL, and try again.") from None
    if not found:
        raise Refused("No trace has this id. It is written within a few seconds, and kept for a day at most.")
    return Answer({"id": arguments.id, "traces": found}, "\n\n".join(map(_text, found)))


async def _found(url: str, id: str) -> list[dict[str, Any]]:
    redis = connect(url)
    try:
        return await Traces(redis, max_bytes=0, timeout_s=TIMEOUT_S).find(id)
    finally:
        await redis.aclose()


def _text(trace: Mapping[str, Any]) -> str:
    lines = [f"request {trace['request_id']}  call {trace.get('call_id', '–')}"]
    lines.append("  ".join(f"{name} {trace[name]}" for name in _HEAD if name in trace))
    for step in trace["steps"]:
        about = "  ".join(f"{key} {value}" for key, value in step.items() if key not in ("step", "at_ms"))
        lines.append(f"{step['at_ms']:>10.1f} ms  {step['step']:<14} {about}".rstrip())
    if trace.get("left_out"):
        lines.append(f"{trace['left_out']} more steps were left out.")
    return "\n".join(lines)
