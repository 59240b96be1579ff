"""A small gateway on a real database: three tiers, a few models, a clock that stands still."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scalix_callbacks.adrift import Adrift
from scalix_callbacks.core.breaker import Breaker
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.catalogue import Catalogue, Deployment, Model
from scalix_callbacks.core.keys import hash_key
from scalix_callbacks.core.policy import Policy
from scalix_callbacks.core.tiers import DEFAULT_TIERS, TierTable
from scalix_callbacks.ends import Ends
from scalix_callbacks.gateway import Gateway
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.directory import Directory
from scalix_callbacks.metering import Meter
from scalix_callbacks.proxy.internals import internal_fields
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore
from tests.databases import make_tables

MASTER_KEY = "sk-master-f00d0123456789abcdef"
NOON = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)


def model(name: str, *, missing: str | None = None) -> Model:
    return Model(name, (Deployment(name, f"openai/{name}", "model_list[0]", missing),))


CATALOGUE = Catalogue(
    models=(
        model("free-flash"),
        model("free-pro"),
        model("free-unready", missing="SOME_API_KEY"),
        model("scalix-engine"),
        model("gpt-4.1"),
        model("gpt-4"),
        model("claude-3-opus"),
        model("anthropic/*"),
        model("gemini/*", missing="GEMINI_API_KEY"),
        model("local/*"),
    ),
    fallbacks={
        "free-flash": ("free-unready", "free-pro"),
        "gpt-4": ("claude-3-opus", "free-flash"),
        "gpt-4.1": ("free-flash", "free-pro"),
    },
)


class Clock:
    """Stands still until it is advanced; in seconds, too."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return (self.moment - NOON).total_seconds()

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


class Noticed:
    """A watch that only remembers."""

    def __init__(self) -> None:
        self.uses: list[tuple[str, str | None, str | None]] = []
        self.refusals: list[tuple[str, str]] = []

    def used(self, caller: Caller, peer: str | None, forwarded_for: str | None = None) -> None:
        self.uses.append((caller.id, peer, forwarded_for))

    def refused(self, account_id: str, policy: Policy) -> None:
        self.refusals.append((account_id, policy.value))


class World:
    """A gateway and all it stands on."""

    def __init__(
        self, folder: Path, tiers: TierTable = DEFAULT_TIERS, catalogue: Catalogue = CATALOGUE
    ) -> None:
        self.clock = Clock()
        self._file = folder / "scalix.db"
        self.engine = connect(f"sqlite:///{self._file}")
        make_tables(self.engine)
        self.tiers, self.catalogue = tiers, catalogue
        self.accounts = Accounts(self.engine, now=self.clock)
        self.directory = Directory(self.accounts, self.clock.monotonic)
        self.noticed = Noticed()
        self.gateway = Gateway(
            master_key=MASTER_KEY,
            tiers=tiers,
            catalogue=catalogue,
            callers=self.directory,
            internal_fields=internal_fields(),
            now=self.clock,
            watch=self.noticed,
        )
        # Without limits: what a caller may ask is proven here, how much is proven elsewhere.
        free_of = {"limits": (), "default_output_tokens": None}
        unlimited = TierTable(tuple(replace(tier, **free_of) for tier in tiers.values()))
        self.limiter = MemoryLimiter(MemoryStore(), "w-1", lambda memo, standings: memo)
        self.records: list[Any] = []
        breaker = Breaker(1.0)
        self.meter = Meter(
            self.limiter,
            MemoryLimiter(MemoryStore(), "w-2", lambda memo, standings: memo),
            Ends(self.limiter, breaker),
            breaker,
            unlimited,
            workers=1,
            adrift=Adrift(self.limiter, breaker),
            keep=self.records.append,
            ended=lambda call, record, usage: None,
            chain_of=self.gateway.fallback_options,
            max_output_of=lambda name: None,
            now_s=lambda: self.clock().timestamp(),
        )

    def key(self, account_id: str = "ada", tier: str = "free", **fields: Any) -> str:
        """A new key of an account that need not exist; the worker forgets what it knew."""
        secret, _, _ = self.accounts.issue_key(account_id, tier, tier, **fields)
        self.directory.forget_all()
        return secret

    def key_id(self, secret: str) -> str:
        identity = self.accounts.find_key(hash_key(secret))
        assert identity is not None
        return identity.key.id

    def break_database(self) -> None:
        """From now on every query fails, as after an accident with its file."""
        self.engine.dispose()
        for part in self._file.parent.glob("scalix.db*"):
            part.write_bytes(b"no database" * 1_000)
        self.directory.forget_all()

    def close(self) -> None:
        self.directory.close()
        self.engine.dispose()


@contextmanager
def open_world(folder: Path, **options: Any) -> Iterator[World]:
    world = World(folder, **options)
    try:
        yield world
    finally:
        world.close()
