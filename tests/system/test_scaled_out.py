"""Two gateways behind nginx, on a Redis Cluster and PostgreSQL: exact limits, and nothing lost."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.store import keys
from tests.postgresql_server import empty_database
from tests.redis_cluster import RedisCluster
from tests.system.asking import CHAT, ask, user
from tests.system.gateway_process import START_TIMEOUT_S, wait_until
from tests.system.scaled_out import Load, Machines

FOLLOWS_WITHIN_S = 5.0
"""A key made at one proxy works at the other, without a word between the two."""
LEASE_AND_ROUNDS_S = 60.0
"""A dead worker's lease lives 20 s; the others look every 5 s, and a busy machine later."""


@dataclass(frozen=True)
class Killed:
    """Of a proxy that was killed: whose calls were in flight, and how many of another were answered."""

    waiting: str
    load: str
    answered: int
    lost: int


@pytest.fixture(scope="module")
def machines(
    provider: DemoProviderServer, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machines]:
    with (
        empty_database(postgresql_url) as url,
        RedisCluster(has_replicas=True) as cluster,
        Machines(tmp_path_factory.mktemp("out"), provider, url, cluster) as machines,
    ):
        yield machines


@pytest.fixture(scope="module", autouse=True)
def killed(machines: Machines) -> Killed:
    """First of all, for its lease lapses while the other tests run: one of two is killed under load."""
    waiting, waiting_key = user(machines.gateways[0])
    load_name, load_key = user(machines.gateways[0], "premium")

    def hang() -> int:
        try:
            with machines.gateways[1].client(waiting_key) as client:
                return client.post(CHAT, json=ask("[demo hang=on]")).status_code
        except httpx.HTTPError:
            return 0

    with ThreadPoolExecutor(3) as pool:
        hanging = [pool.submit(hang) for _ in range(3)]
        wait_until(lambda: (0, 3) == machines.standing(waiting))
        with Load(machines, load_key) as load:
            wait_until(lambda: load.answers[200] >= 10)
            machines.kill(1)
            before = load.answers[200]
            wait_until(lambda: load.answers[200] >= before + 10)
        assert [0, 0, 0] == [each.result() for each in hanging]
    machines.start_again(1)
    return Killed(waiting, load_name, load.answers[200], load.answers.total() - load.answers[200])


def test_forty_calls_of_a_free_user_at_once(machines: Machines) -> None:
    """Twenty to each proxy: ten are answered, thirty are refused, and the counters say so."""
    name, key = user(machines.gateways[0])
    wait_until(lambda: all(knows(machines, number, key) for number in range(2)), FOLLOWS_WITHIN_S)

    def send(number: int) -> httpx.Response:
        with machines.gateways[number % 2].client(key) as client:
            # Where much else is done, Redis may answer too late: who is free is told to come again.
            until = time.monotonic() + START_TIMEOUT_S
            while (answer := client.post(CHAT, json=ask())).status_code == 503 and time.monotonic() < until:
                time.sleep(1)
            return answer

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(send, range(40)))
    statuses = [answer.status_code for answer in answers]
    records = machines.records(name, 10)
    with machines.gateways[1].client() as other:
        of_other = other.get("/scalix/admin/ledger", params={"user_id": name}).json()["records"]

    assert records == of_other
    assert (10, 30) == (statuses.count(200), statuses.count(429)), [a.text for a in answers]
    wait_until(lambda: (10, 0) == machines.standing(name), LEASE_AND_ROUNDS_S)
    assert [("ok", 1)] * 10 == [(each["outcome"], each["requests_counted"]) for each in records]


def knows(machines: Machines, number: int, key: str) -> bool:
    with machines.gateways[number].client(key) as client:
        return client.get("/v1/models").status_code == 200


def test_a_stream_comes_through_as_it_is_made(machines: Machines, provider: DemoProviderServer) -> None:
    """The first words are there while the provider still thinks about the last ones."""
    _, key = user(machines.gateways[0], "premium")
    provider.reset()
    body = ask("[demo tokens=40 delay_per_token=0.05]", stream=True, max_tokens=40)
    with machines.nginx.client(key) as client, client.stream("POST", CHAT, json=body) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if re.search(r'"content":"[^"]', line))
        in_flight = provider.in_flight()
        rest = list(lines)

    assert 200 == answer.status_code
    assert 1 == in_flight
    assert "data: [DONE]" == [line for line in rest if line][-1]


def test_a_client_that_hangs_up(machines: Machines, provider: DemoProviderServer) -> None:
    """Ends the provider's work, through nginx too, and pays for the prompt and what it got."""
    name, key = user(machines.gateways[0], "premium")
    provider.reset()
    body = ask("[demo tokens=100 delay_per_token=0.2]", stream=True, max_tokens=100)
    with machines.nginx.client(key) as client, client.stream("POST", CHAT, json=body) as answer:
        next(line for line in answer.iter_lines() if re.search(r'"content":"[^"]', line))
    (record,) = machines.records(name)

    wait_until(lambda: ["hang_up"] == [call["outcome"] for call in provider.calls()])
    assert ("aborted", 1, True) == (record["outcome"], record["requests_counted"], record["estimated"])
    assert 1 <= record["completion_tokens"] <= 10


def test_a_killed_proxy_loses_nothing(machines: Machines, killed: Killed) -> None:
    """What it had answered is recorded once; what it was at is ended as abandoned by the other one."""
    given_up = machines.records(killed.waiting, 3, LEASE_AND_ROUNDS_S)
    found = machines.records(killed.load, killed.answered, LEASE_AND_ROUNDS_S)
    wait_until(lambda: (0, 0) == machines.standing(killed.waiting))
    outcomes = [record["outcome"] for record in found]

    assert [("abandoned", 0)] * 3 == [(each["outcome"], each["requests_counted"]) for each in given_up]
    assert all(each["prompt_tokens"] and each["completion_tokens"] is None for each in given_up)
    # A call that was told nothing may have been settled in its last moment; none is there twice.
    assert killed.answered <= outcomes.count("ok") <= killed.answered + killed.lost
    assert len(found) == len({record["call_id"] for record in found})
    assert len(found) <= killed.answered + killed.lost


def test_a_rolling_restart_fails_no_call(machines: Machines) -> None:
    """One after the other is told to end, and started again, while three clients ask without a pause."""
    name, key = user(machines.gateways[0], "premium")
    with Load(machines, key) as load:
        for number in range(2):
            assert 0 == machines.gateways[number].stop()
            machines.start_again(number)
            served = load.answers[200]
            wait_until(lambda served=served: load.answers[200] >= served + 20)

    assert {200: load.answers[200]} == dict(load.answers), load.odd
    records = machines.records(name, load.answers[200])
    assert load.answers[200] == len(records)
    assert {("ok", 1)} == {(each["outcome"], each["requests_counted"]) for each in records}


def test_a_master_that_dies_leaves_the_limits_right(machines: Machines) -> None:
    """Its replica takes over what was counted; not one call more than ten, whoever served them."""
    name, key = user(machines.gateways[0])
    with machines.nginx.client(key) as client:
        assert [200] * 3 == [client.post(CHAT, json=ask()).status_code for _ in range(3)]
        cluster, counters = machines.cluster, keys.counters_key(name)
        master, replica = cluster.master_of(counters), cluster.replica_of(counters)
        assert 1 == master.client.execute_command("WAIT", 1, 5_000)
        master.kill()
        lost = client.post(CHAT, json=ask())
        wait_until(lambda: "master" == replica.role() and cluster.is_whole())
        wait_until(lambda: client.get("/v1/user").status_code == 200)
        statuses = [200] if lost.status_code == 200 else []
        wait_until(lambda: statuses.append(client.post(CHAT, json=ask()).status_code) or 429 in statuses, 60)
    master.start()
    wait_until(lambda: 1 == replica.client.execute_command("WAIT", 1, 100) and cluster.is_whole())

    assert 7 == statuses.count(200), statuses
    assert {200, 429} == set(statuses) - {503}
    wait_until(lambda: (10, 0) == machines.standing(name))
    assert 10 == sum(record["requests_counted"] for record in machines.records(name, 10))
