"""`/scalix/page/overview`: all that the front page shows, each part as fresh as it can cheaply be."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.findings import findings
from scalix_callbacks.core.model_health import ModelHealth
from scalix_callbacks.core.moments import iso, iso_of
from scalix_callbacks.core.recent_calls import RecentCall, summary
from scalix_callbacks.core.rollout import Stage
from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.core.usage_sums import Sums, row_object, sums_object
from scalix_callbacks.ledger import told
from scalix_callbacks.ledger.usage_sums import Group, Row, Span
from scalix_callbacks.web.health import Health
from scalix_callbacks.web.ledger import CountsWaiting, waiting_now
from scalix_callbacks.web.page.live import live_figures
from scalix_callbacks.web.page.sections import Section

RECENT = timedelta(hours=1)
MAX_RECENT = 2_000
MAX_MODELS = 100
MAX_GROUPS = 40
TOP_USERS = 10


class ReadsSums(Protocol):
    """`UsageSums`. Raises DatabaseError."""

    def total(self, span: Span) -> Sums: ...

    def most(self, span: Span, by: Group, limit: int) -> list[Row]: ...


class ReadsRecent(Protocol):
    """`RecentCalls`. Raises DatabaseError."""

    def read(self, since: datetime, limit: int) -> list[RecentCall]: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from.

    Attributes:
        resting: public model → until when (Unix time) a deployment of it rests; raises StoreLost.
        model_health: what auto mode heard last.
        exposition: the metrics of all workers of this launcher.
        rollouts: all flags with how their users fare of late.
        in_thread: runs what waits for the database, elsewhere than where other parts would wait for it.
        workers: how many there should be.
    """

    health: Callable[[], Health]
    sums: ReadsSums
    recent: ReadsRecent
    waiting: CountsWaiting
    resting: Callable[[], Awaitable[Mapping[str, float]]]
    model_health: Callable[[], Mapping[str, ModelHealth]]
    exposition: Callable[[], Awaitable[bytes]]
    catalogue: Catalogue
    tiers: TierTable
    rollouts: Callable[[], Awaitable[Mapping[str, Any]]]
    workers: int
    version: str
    now: Callable[[], datetime]
    elapsed: Callable[[], float]
    in_thread: Callable[..., Awaitable[Any]]


class Overview:
    """One worker's; what it reads, it reads once for all pages that are open."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._sections = {
            name: Section(read, every_s, sources.elapsed, lambda: iso(sources.now()))
            for name, read, every_s in (
                ("today", self._today, 3.0),
                ("recent", self._recent, 3.0),
                ("users", self._users, 5.0),
                ("outbox", self._outbox, 2.0),
                ("resting", self._resting, 2.0),
                ("live", self._live, 3.0),
                ("rollouts", self._rollouts, 3.0),
            )
        }

    async def told(self) -> dict[str, Any]:
        names = list(self._sections)
        parts = await asyncio.gather(*(self._sections[name].get() for name in names))
        sections = dict(zip(names, parts, strict=True))
        sources, health = self._sources, self._sources.health().to_json()
        recent, live = sections["recent"], sections["live"]["data"] or {}
        known = sources.model_health()
        resting = sections["resting"]["data"] or {}
        flags = (sections["rollouts"]["data"] or {"flags": []})["flags"]
        found = findings(
            health,
            recent["data"],
            down=[name for name, row in known.items() if row.is_down],
            resting=list(resting),
            rolled_back=[row["flag"] for row in flags if row["state"] == Stage.ROLLED_BACK],
            workers=live.get("workers"),
            workers_set=sources.workers,
            waiting_calls=live.get("calls_waiting", 0),
        )
        return {
            "now": iso(sources.now()),
            "version": sources.version,
            "health": health,
            "findings": [finding.to_json() for finding in found],
            "workers": {"running": live.get("workers"), "set": sources.workers},
            "tiers": [told.tier_data(tier) for tier in sources.tiers.values()],
            "models": self._models(known, resting),
            **sections,
        }

    async def _today(self) -> dict[str, Any]:
        today = self._sources.now().date()

        def read() -> dict[str, Any]:
            sums, span = self._sources.sums, Span(today, today)
            most: dict[Group, Sequence[Row]] = {
                by: sums.most(span, by, MAX_GROUPS if by is not Group.MODEL else MAX_MODELS)
                for by in (Group.TIER, Group.CATEGORY, Group.MODEL)
            }
            return {
                "day": today.isoformat(),
                "total": sums_object(sums.total(span), with_provider=True),
                "tiers": _rows(most[Group.TIER]),
                "categories": _rows([row for row in most[Group.CATEGORY] if row.group["category"]]),
                "models": _rows(most[Group.MODEL]),
            }

        found: dict[str, Any] = await self._sources.in_thread(read)
        return found

    async def _users(self) -> list[dict[str, Any]]:
        today = self._sources.now().date()
        span = Span(today, today)
        rows = await self._sources.in_thread(self._sources.sums.most, span, Group.USER, TOP_USERS)
        return _rows(rows)

    async def _recent(self) -> dict[str, Any]:
        now = self._sources.now()
        since = now - RECENT
        calls = await self._sources.in_thread(self._sources.recent.read, since, MAX_RECENT + 1)
        return summary(
            calls[:MAX_RECENT],
            since_s=since.timestamp(),
            now_s=now.timestamp(),
            is_cut=len(calls) > MAX_RECENT,
        )

    async def _outbox(self) -> dict[str, int]:
        pending, held = await waiting_now(self._sources.waiting)
        return {"open_calls": held, "pending": pending}

    async def _resting(self) -> dict[str, str]:
        return {name: iso_of(until_s) for name, until_s in (await self._sources.resting()).items()}

    async def _live(self) -> dict[str, Any]:
        return live_figures(await self._sources.exposition())

    async def _rollouts(self) -> dict[str, Any]:
        return dict(await self._sources.rollouts())

    def _models(self, known: Mapping[str, ModelHealth], resting: Mapping[str, str]) -> list[dict[str, Any]]:
        """Those of the configuration, in its order, as they are judged now."""
        now_s = self._sources.now().timestamp()
        return [
            {
                "name": model.name,
                "is_ready": model.is_ready,
                "missing": list(model.missing),
                "resting_until": resting.get(model.name),
                "auto": _judged(known.get(model.name), now_s),
            }
            for model in self._sources.catalogue.models[:MAX_MODELS]
        ]


def _judged(row: ModelHealth | None, now_s: float) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "is_down": row.is_down,
        "failure_share": round(row.failure_share, 3),
        "latency_s": row.latency_s(False),
        "first_token_s": row.latency_s(True),
        "seen_s_ago": round(max(now_s - row.at_s, 0.0), 1),
    }


def _rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [row_object(row.group, row.sums, with_provider=True) for row in rows]
