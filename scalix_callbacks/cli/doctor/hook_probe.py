"""Loads the real LiteLLM with one configuration, makes calls, and reports which of our hooks it called.

Run as a process of its own, with the environment of a trial (`hooks.trial_environment`):
`python -m scalix_callbacks.cli.doctor.hook_probe MODE REPORT_FILE`. No gateway socket is opened: the calls go
to the ASGI app in process. Only the demo provider listens, on the loopback.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from scalix_callbacks.cli.doctor.contained import TRIAL_MODEL, contained
from scalix_callbacks.cli.doctor.probe_report import CUSTOM_AUTH, CallSeen, Mode, ProbeReport, to_text
from scalix_callbacks.cli.doctor.witness import Witness
from scalix_callbacks.demo_provider import create_app
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.settings import SettingsError

LIMIT_S = 120
"""After which the process ends itself, should nobody be left to end it."""
CALL_TIMEOUT_S = 20.0
FLUSH_TIMEOUT_S = 5.0

JSON_CALL, STREAM, FAILING_CALL = "JSON call", "stream", "failing call"
MODEL_LIST, NO_KEY = "model list", "call without a key"


def main(argv: Sequence[str]) -> int:
    """Probe and write the report. Returns 0 also for bad news."""
    mode, place = Mode(argv[0]), Path(argv[1])
    signal.alarm(LIMIT_S)
    try:
        report = asyncio.run(_probe(mode))
    except (SettingsError, DatabaseError) as error:
        report = ProbeReport(failure=str(error))
    except (Exception, SystemExit) as error:  # LiteLLM ends the process for some settings
        report = ProbeReport(failure=f"LiteLLM failed with {type(error).__name__}.")
    place.write_text(to_text(report))
    return 0


async def _probe(mode: Mode) -> ProbeReport:
    witness = Witness()
    _watch_hooks(witness)
    provider_url = _serve_demo_provider()

    if mode is Mode.PACK:
        # By name, as uvicorn loads it: it stands above this layer.
        edge = uvicorn.importer.import_from_string("scalix_callbacks.asgi:app")
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
    from litellm.proxy import proxy_server

    # After the watch began: it compares with the function it finds then.
    from scalix_callbacks.proxy import registration

    _contain(proxy_server.proxy_config, provider_url)
    stock: Any = proxy_server.app
    front = edge if mode is Mode.PACK else stock
    seen = ProbeReport()
    try:
        async with stock.router.lifespan_context(stock):
            calls = await _call(witness, front, stock, os.environ["LITELLM_MASTER_KEY"])
            with suppress(TimeoutError):
                await asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), FLUSH_TIMEOUT_S)
            # In here, for LiteLLM forgets what it was told when it ends.
            seen = ProbeReport(
                problems=tuple(registration.problems()),
                dropped=_dropped(registration) if mode is Mode.PACK else (),
                calls=calls,
            )
    except Exception as error:
        # Our own lifespan ends a start without the hooks; which ones is told either way.
        problems = tuple(registration.problems())
        seen = ProbeReport(
            failure=None if problems else f"LiteLLM failed with {type(error).__name__}.", problems=problems
        )
    return replace(seen, hooks={name: tuple(steps) for name, steps in witness.ran.items()})


def _watch_hooks(witness: Witness) -> None:
    """Must come before anything else imports what is replaced here."""
    from scalix_callbacks.proxy import auth
    from scalix_callbacks.proxy.callbacks import HOOKS, ScalixCallbacks

    for hook in HOOKS:
        if hook in vars(ScalixCallbacks):
            setattr(ScalixCallbacks, hook, witness.watch(hook, vars(ScalixCallbacks)[hook]))
        else:
            witness.ran[hook] = []
    setattr(auth, "authenticate", witness.watch(CUSTOM_AUTH, auth.authenticate))  # noqa: B010  # not an assignment mypy knows


def _contain(reader: Any, provider_url: str) -> None:
    read = reader._get_config_from_file

    async def read_contained(config_file_path: str | None = None) -> dict[str, Any]:
        return contained(await read(config_file_path), provider_url)

    reader._get_config_from_file = read_contained


def _serve_demo_provider() -> str:
    """In a thread with a loop of its own; it ends with the process."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(), lifespan="off", ws="none", access_log=False, log_config=None)
    )
    threading.Thread(target=server.run, args=([listener],), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def _call(witness: Witness, front: Any, stock: Any, key: str) -> dict[str, CallSeen]:
    """Makes every kind of call.

    Args:
        front: the app as clients reach it.
        stock: LiteLLM's own app: our front answers some requests itself.
    """
    authorization = {"authorization": f"Bearer {key}"}
    chat = "/v1/chat/completions"

    async def one(name: str, app: Any, expected: int, method: str, path: str, **request: Any) -> CallSeen:
        witness.step = name
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        try:
            async with (
                asyncio.timeout(CALL_TIMEOUT_S),
                httpx.AsyncClient(transport=transport, base_url="http://doctor") as client,
            ):
                answer = await client.request(method, path, **request)
        except (TimeoutError, httpx.HTTPError):
            return CallSeen(None, False)
        ends_well = name != STREAM or "data: [DONE]" in answer.text
        return CallSeen(answer.status_code, answer.status_code == expected and ends_well)

    def body(text: str, **fields: Any) -> dict[str, Any]:
        return {"model": TRIAL_MODEL, "messages": [{"role": "user", "content": text}], **fields}

    return {
        JSON_CALL: await one(JSON_CALL, front, 200, "POST", chat, json=body("Hello"), headers=authorization),
        STREAM: await one(
            STREAM, front, 200, "POST", chat, json=body("Hello", stream=True), headers=authorization
        ),
        FAILING_CALL: await one(
            FAILING_CALL, front, 400, "POST", chat, json=body("[demo fail=400]"), headers=authorization
        ),
        MODEL_LIST: await one(MODEL_LIST, stock, 200, "GET", "/v1/models", headers=authorization),
        NO_KEY: await one(NO_KEY, stock, 401, "POST", chat, json=body("Hello")),
    }


def _dropped(registration: Any) -> tuple[str, ...]:
    """Names with a deployment that has its credentials and that LiteLLM's router does not have."""
    from litellm.proxy import proxy_server

    from scalix_callbacks.app import build

    catalogue = build().settings.catalogue
    router = proxy_server.llm_router
    missing = Counter(
        (deployment.public_name, deployment.model)
        for deployment in {d.path: d for model in catalogue.models for d in model.deployments}.values()
        if deployment.is_ready
    )
    missing -= Counter(
        (entry["model_name"], entry["litellm_params"]["model"])
        for entry in (router.model_list if router is not None else ())
    )
    names = {*registration.dropped_deployments(catalogue.served_names()), *(name for name, _ in missing)}
    return tuple(sorted(names))


if __name__ == "__main__":
    main(sys.argv[1:])
    # Without LiteLLM's exit handlers, some of which wait for the network.
    os._exit(0)
