"""What every test works under."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from scalix_callbacks.core.call import CURRENT_CALL
from scalix_callbacks.ledger import engine
from scalix_callbacks.settings.variables import SETTINGS
from tests.postgresql_server import MISSING, PostgresqlServer, empty_database, programs
from tests.redis_server import RedisServer, emptied, running_redis

# Until the tests are found: what is imported is no garbage, and to look at LiteLLM takes seconds.
gc.disable()

# LiteLLM would ask the network for prices while it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

# How long an example takes says nothing on a machine that does other work, too.
settings.register_profile("scalix", deadline=None)
settings.load_profile("scalix")

LITELLMS_WARNINGS = (
    "ignore:Items? .* using the `ReadOnly` qualifier:UserWarning",
    "ignore:Using extra keyword arguments on `Field`:DeprecationWarning",
    "ignore:unclosed scandir iterator:ResourceWarning",
)
"""Of its own code, while it is imported: which test imports it first is chance."""


def pytest_configure(config: pytest.Config) -> None:
    for line in LITELLMS_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    if "system" in item.path.parts:
        item.add_marker("system")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, in whatever order else, so that no process has only these left at the end."""
    items.sort(
        key=lambda item: (
            item.get_closest_marker("timeout") is None,
            item.get_closest_marker("system") is None,
        )
    )


@pytest.fixture(scope="session", autouse=True)
def _patient_databases() -> Iterator[None]:
    """Who waits for a lock or a connection here waits for a machine that does much else."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "_LOCK_TIMEOUT_MS", 60_000)
        patched.setattr(engine, "_POOL_TIMEOUT_S", 60)
        patched.setattr(
            engine, "_POSTGRESQL_ARGUMENTS", {**engine._POSTGRESQL_ARGUMENTS, "connect_timeout": 60}
        )
        yield


@pytest.fixture(autouse=True)
def _no_call_is_left() -> Iterator[None]:
    """What a test sets in its context is there for the next one: the plugin for asyncio keeps it."""
    yield
    CURRENT_CALL.set(None)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """One server for all tests: `SCALIX_TEST_POSTGRES_URL`, or one of our own for as long as they run."""
    if named := os.environ.get("SCALIX_TEST_POSTGRES_URL"):
        yield named
        return
    folder = programs()
    if folder is None:
        # A gate that skips what it cannot run would be green for the wrong reason.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    with PostgresqlServer(folder) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of its own, of each kind there is."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'scalix.db'}"
        return
    with empty_database(request.getfixturevalue("postgresql_url")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def clean_redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """Empty at first; at the end nothing may live for ever or be held."""
    yield from emptied(redis_server)


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that knows none, in an empty folder."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
