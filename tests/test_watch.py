"""A worker notices without waiting, tells each thing once, and keeps within its bounds."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network

import pytest

from scalix_callbacks import watch as watch_module
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.policy import Policy, Refused, Sighting, UsedFrom
from scalix_callbacks.watch import BATCH, Watch
from tests.clock import Clock

ADA = Caller(id="ada", tier="pro", role=Role.USER, key_id="key_1")
HOME = UsedFrom("ada", "key_1", "203.0.113.0/24")


class Log:
    """Remembers what it was told; fails when it is told to."""

    def __init__(self) -> None:
        self.written: list[tuple[dict[Sighting, int], int]] = []
        self.is_away = False

    def write(self, sightings: Mapping[Sighting, int], dropped: int) -> None:
        if self.is_away:
            raise OSError("away")
        self.written.append((dict(sightings), dropped))

    def forget_old(self) -> None:
        pass


@pytest.fixture
def clock() -> Clock:
    return Clock(7_200.0)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def watch(log: Log, clock: Clock) -> Iterator[Watch]:
    watch = Watch(log, trusted=[ip_network("10.0.0.0/8")], now_s=clock)
    yield watch
    watch.close()


async def test_a_key_in_one_place_is_told_once_an_hour(watch: Watch, log: Log, clock: Clock) -> None:
    """However many requests come from there."""
    for _ in range(3):
        watch.used(ADA, "203.0.113.7")
    await watch.write()
    watch.used(ADA, "203.0.113.7")
    await watch.write()
    clock.now_s += 3_600
    watch.used(ADA, "203.0.113.7")
    await watch.write()

    assert [({HOME: 1}, 0)] * 2 == log.written


async def test_addresses_of_one_network_are_one_place(watch: Watch, log: Log) -> None:
    """Behind a trusted proxy it is the client's."""
    watch.used(ADA, "203.0.113.7")
    watch.used(ADA, "10.1.1.1", "203.0.113.8")
    watch.used(OPERATOR, "127.0.0.1", "203.0.113.9")
    watch.used(ADA, None)
    watch.used(ADA, "unix")
    await watch.write()

    assert [HOME, UsedFrom("operator", "operator", "127.0.0.0/24")] == [*log.written[0][0]]


async def test_refusals_are_counted(watch: Watch, log: Log) -> None:
    """One line with a number, not one for each."""
    for _ in range(5):
        watch.refused("ada", Policy.FORBIDDEN_FIELD)
    await watch.write()

    assert [({Refused("ada", Policy.FORBIDDEN_FIELD): 5}, 0)] == log.written


async def test_what_could_not_be_written_waits(watch: Watch, log: Log) -> None:
    """And is counted together with what came meanwhile."""
    log.is_away = True
    watch.refused("ada", Policy.KEY_REVOKED)
    with pytest.raises(OSError):
        await watch.write()
    watch.refused("ada", Policy.KEY_REVOKED)
    log.is_away = False
    await watch.write()

    assert [({Refused("ada", Policy.KEY_REVOKED): 2}, 0)] == log.written


async def test_beyond_the_bound_sightings_are_dropped_and_counted(
    watch: Watch, log: Log, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is told how many at most once an hour."""
    monkeypatch.setattr(watch_module, "MAX_WAITING", 2)
    told = []
    for _ in range(2):
        for name in ("ada", "bob", "cleo", "dora"):
            watch.refused(name, Policy.MODEL_NOT_IN_TIER)
        await watch.write()
        told.append((watch.waiting, watch.dropped))
    clock.now_s += 3_600
    await watch.write()

    assert [(0, 0), (0, 2)] == told
    assert [2, 0, 2] == [dropped for _, dropped in log.written]


async def test_no_more_keys_and_places_are_remembered_than_the_bound(
    watch: Watch, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key used from everywhere does not fill the memory."""
    monkeypatch.setattr(watch_module, "MAX_SEEN", 3)
    for third in range(10):
        watch.used(ADA, f"203.0.{third}.1")
    await watch.write()

    assert (3, 7) == (len(log.written[0][0]), log.written[0][1])


async def test_a_transaction_is_small(watch: Watch, log: Log) -> None:
    """So that nobody else who writes waits for long."""
    for number in range(BATCH + 1):
        watch.refused(f"user_{number}", Policy.MODEL_NOT_IN_TIER)
    await watch.write()

    assert [BATCH, 1] == [len(batch) for batch, _ in log.written]
