"""What every test works under."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgresql_server import MISSING, empty_database, programs, running_postgresql

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
    with running_postgresql(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of its own, of each kind there is."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'scalix.db'}"
        return
    with empty_database(request.getfixturevalue("postgresql_url")) as url:
        yield url
