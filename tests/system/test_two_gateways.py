"""Several gateways on one PostgreSQL: one set of accounts and keys, one ledger."""

from collections.abc import Iterator

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.postgresql_server import empty_database
from tests.system.asking import CHAT, MODEL, ask, quiet
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config

FOLLOWS_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def gateways(
    provider: DemoProviderServer, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[GatewayProcess]]:
    """Two, each as on a machine of its own: nothing is shared but the database."""
    folder = tmp_path_factory.mktemp("two")
    served = {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    config = write_config(folder / "config.yaml", {MODEL: served})
    with empty_database(postgresql_url) as url:
        running = [GatewayProcess(config, folder / name, SCALIX_DATABASE_URL=url) for name in ("one", "two")]
        yield running
        assert [0, 0] == [process.stop() for process in running]


def status(gateway: GatewayProcess, key: str) -> int:
    with gateway.client(key) as client:
        return client.get("/v1/models").status_code


def test_a_key_made_at_one_works_at_the_other(gateways: list[GatewayProcess]) -> None:
    """Within five seconds, without a word between the two."""
    one, two = gateways
    key = one.new_key(user_id="ada", tier="pro")
    wait_until(lambda: 200 == status(two, key), FOLLOWS_WITHIN_S)

    assert 200 == status(one, key)


def test_records_of_both_are_in_one_ledger(gateways: list[GatewayProcess]) -> None:
    """Each tells the same: every call of both once, with whoever made it."""
    one, two = gateways
    key = one.new_key(user_id="grace", tier="free")
    wait_until(lambda: 200 == status(two, key), FOLLOWS_WITHIN_S)
    for gateway in (one, two, one):
        with gateway.client(key) as client:
            assert 200 == client.post(CHAT, json=ask()).status_code
    for gateway in gateways:
        quiet(gateway)
    told = []
    for gateway in gateways:
        with gateway.client() as operator:
            page = operator.get("/scalix/admin/ledger", params={"user_id": "grace"}).json()
        told.append([(record["call_id"], record["outcome"]) for record in page["records"]])

    assert told[0] == told[1]
    assert ["ok"] * 3 == [outcome for _, outcome in told[0]]
    assert 3 == len({call_id for call_id, _ in told[0]})
