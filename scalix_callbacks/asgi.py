"""The ASGI entry: LiteLLM's app with our edge, routes and lifespan around it."""

import asyncio
import logging
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
from litellm.proxy import proxy_server
from starlette.routing import Match
from starlette.types import ASGIApp, Scope

from scalix_callbacks.app import App, build
from scalix_callbacks.ledger.accounts import utc_now
from scalix_callbacks.ledger.rollout_desk import RolloutDesk
from scalix_callbacks.proxy import edge_auth, registration
from scalix_callbacks.proxy.litellm_config import PackConfig
from scalix_callbacks.proxy.warm_up import warm_up
from scalix_callbacks.rollouts import AlsoCounts
from scalix_callbacks.web.admin import AdminApi
from scalix_callbacks.web.bills import bills_page
from scalix_callbacks.web.budget import budget_page, info_page
from scalix_callbacks.web.call_queue import CallQueue
from scalix_callbacks.web.edge import Edge
from scalix_callbacks.web.health import alive, health_route
from scalix_callbacks.web.keys import KeyGenerator
from scalix_callbacks.web.ledger import ledger_page, outbox_state
from scalix_callbacks.web.metrics import from_networks, metrics_page
from scalix_callbacks.web.models import list_models, one_model
from scalix_callbacks.web.page.details import Details
from scalix_callbacks.web.page.overview import Overview, Sources
from scalix_callbacks.web.page.reading import Readers
from scalix_callbacks.web.page.routes import StatusPage
from scalix_callbacks.web.page.session import Sessions, Tries
from scalix_callbacks.web.privacy import by_method, consent, erase_self, own_export
from scalix_callbacks.web.rollout_admin import RolloutApi
from scalix_callbacks.web.spend_logs import spend_logs
from scalix_callbacks.web.traces import trace_page
from scalix_callbacks.web.usage import usage_page, user_stats, user_usage
from scalix_callbacks.web.user import user_page

FLUSH_TIMEOUT_S = 10.0

_log = logging.getLogger("scalix.start")


class NotRegistered(RuntimeError):
    """LiteLLM would serve without us; such a worker must not start."""


def _wrap() -> ASGIApp:
    pack = build()
    proxy_server.proxy_config = PackConfig(
        unready=pack.settings.catalogue.unready_paths(),
        demo_url=os.environ.get("SCALIX_DEMO_URL"),
        exports_spans=pack.settings.environment.exports_spans,
    )
    litellm_app = proxy_server.app
    edge_auth.install(litellm_app)
    litellm_app.router.lifespan_context = _lifespan(pack, litellm_app.router.lifespan_context)

    def exists(scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in litellm_app.router.routes)

    health = health_route(pack.health)
    own: dict[str, ASGIApp] = {
        "/health": health,
        "/v1/health": health,
        "/health/readiness": health,
        "/health/liveness": alive,
        "/health/liveliness": alive,
        "/models": list_models(pack.gateway),
        "/v1/models": list_models(pack.gateway),
        "/v1/models/{id}": one_model(pack.gateway),
        "/v1/user": by_method(
            user_page(pack.settings.tiers, pack, pack.flags.of),
            erase_self(pack.eraser, pack.directory.forget_all),
        ),
        "/v1/user/info": info_page(pack.settings.tiers, pack),
        "/v1/user/budget": budget_page(pack.settings.tiers, pack),
        "/v1/user/export": own_export(pack.export),
        "/metrics": metrics_page(pack.metrics.registry.page),
        "/scalix/admin/ledger": ledger_page(pack.records),
        "/scalix/admin/outbox": outbox_state(pack.limiter),
        "/scalix/admin/traces/{id}": trace_page(pack.traces),
        "/scalix/admin/usage": usage_page(pack.sums, utc_now),
        "/scalix/admin/bills": bills_page(pack.sums, pack.accounts, utc_now),
        "/spend/logs": spend_logs(pack.records, pack.sums),
        "/v1/user/stats": user_stats(pack.sums, pack.settings.tiers, utc_now),
        "/v1/user/usage": user_usage(pack.sums, utc_now),
    }
    edge = Edge(
        litellm_app,
        gateway=pack.gateway,
        meter=pack.meter,
        own=own,
        exists=exists,
        max_body_bytes=pack.settings.environment.max_body_bytes,
        counts=AlsoCounts(pack.metrics.requests, pack.flags),
        reads_metrics=from_networks(pack.settings.environment.metrics_networks),
        traced=pack.traced,
        simulates=pack.settings.environment.is_development,
        queue=CallQueue(
            pack.settings.tiers,
            most_in=pack.settings.environment.max_active_calls,
            most_waiting=pack.settings.environment.max_waiting_calls,
            counts=pack.metrics.requests,
        ),
    )
    own["/key/generate"] = KeyGenerator(
        accounts=pack.accounts,
        tiers=pack.settings.tiers,
        catalogue=pack.settings.catalogue,
        read_body=edge.read_body,
        changed=pack.directory.forget_all,
        now=utc_now,
    )
    own["/v1/user/consent"] = consent(pack.accounts, edge.read_body, pack.directory.forget_all)
    own["/scalix/admin/{path}"] = AdminApi(
        accounts=pack.accounts,
        tiers=pack.settings.tiers,
        audit=pack.audit,
        export=pack.export,
        eraser=pack.eraser,
        counters=pack.limiter,
        read_body=edge.read_body,
        changed=pack.directory.forget_all,
        now=utc_now,
    )
    own["/scalix/admin/rollout/{path}"] = RolloutApi(
        RolloutDesk(
            pack.rollouts,
            pack.records,
            pack.settings.rollout.triggers,
            lowest_tier=pack.settings.tiers.lowest.name,
            now=utc_now,
        ),
        pack.flags.told,
        edge.read_body,
        pack.flags.poll,
    )
    own["/scalix/"] = _status_page(pack, edge)
    return edge


def _status_page(pack: App, edge: Edge) -> StatusPage:
    settings, readers = pack.settings, Readers()
    assert settings.environment.master_key is not None, "no App is built without it"
    sources = Sources(
        health=pack.health,
        sums=pack.sums,
        recent=pack.recent_calls,
        waiting=pack.limiter,
        resting=pack.resting,
        model_health=lambda: pack.auto.health,
        exposition=pack.metrics.registry.page,
        catalogue=settings.catalogue,
        tiers=settings.tiers,
        workers=settings.environment.workers,
        version=version("scalix-gateway"),
        rollouts=pack.flags.told,
        now=utc_now,
        elapsed=time.monotonic,
        in_thread=readers.read,
    )
    details = Details(
        pack.accounts,
        pack.records,
        pack.sums,
        pack,
        settings.tiers,
        now=utc_now,
        in_thread=readers.read,
        traces=pack.traces,
    )
    return StatusPage(
        callers=pack.gateway,
        sessions=Sessions(
            settings.environment.master_key, now_s=time.time, nonce=lambda: secrets.token_hex(16)
        ),
        tries=Tries(time.monotonic),
        overview=Overview(sources),
        details=details,
        read_body=edge.read_body,
        trusted=settings.environment.trusted_proxies,
    )


_Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def _lifespan(pack: App, litellms: _Lifespan) -> _Lifespan:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with litellms(app) as state:
            if problems := registration.problems():
                raise NotRegistered("LiteLLM did not take the pack: " + "; ".join(problems))
            for name in registration.dropped_deployments(pack.settings.catalogue.served_names()):
                _log.error("LiteLLM dropped the model %s: its deployment is not valid for it.", name)
            await warm_up(app)
            if proxy_server.llm_router is not None:
                pack.attach(proxy_server.llm_router)
            _listen_for_the_end(pack)
            await pack.start()
            pack.metrics.worker.started()
            try:
                yield state
            finally:
                pack.is_stopping = True
                await _flush()
                await pack.stop()
                pack.metrics.worker.stopped()

    return lifespan


def _listen_for_the_end(pack: App) -> None:
    """The launcher says before a stop that it will come: load balancers are to see it in time."""

    def announced() -> None:
        pack.is_stopping = True

    with suppress(RuntimeError, ValueError, NotImplementedError):  # not in a main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, announced)


async def _flush() -> None:
    """LiteLLM drops what its logging queue still holds when it ends; so it is emptied before."""
    try:
        await asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), FLUSH_TIMEOUT_S)
    except TimeoutError:
        _log.error("LiteLLM's logging queue was not empty after %g s.", FLUSH_TIMEOUT_S)


app = _wrap()
