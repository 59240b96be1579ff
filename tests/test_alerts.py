"""The webhook hears of each thing once, in the background, and its silence harms nobody."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from scalix_callbacks.alerts import GOOD_S, MAX_WAITING, TRIES, Alerts, KeyWatch, StateWatch, budget_used
from scalix_callbacks.core.alerts import MAX_TEXT, Alert, Kind
from scalix_callbacks.core.limits import Counter, Standing
from scalix_callbacks.core.tiers import DAY_S, Unit
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.expiring_keys import expiring_keys
from scalix_callbacks.store.alert_claims import MAX_CLAIMS, HostAlertClaims
from scalix_callbacks.store.errors import StoreLost
from tests.databases import make_tables

WEBHOOK = "https://hooks.example.com/s3cret"
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
LOST = Alert(Kind.STORE_LOST, "Redis does not answer.")
BACK = Alert(Kind.STORE_BACK, "Redis answers again.")
AWAY = Alert(Kind.DATABASE_AWAY, "The database does not answer.")


class Lost:
    """Claims in a Redis that is away."""

    async def claim(self, name: str, for_s: int) -> bool:
        raise StoreLost("Redis does not answer.")

    release = claim  # type: ignore[assignment]


class Desk:
    """Some workers of one machine, and the webhook they tell."""

    def __init__(self, folder: Path, everywhere: Any = None) -> None:
        self.folder, self.everywhere = folder, everywhere
        self.bodies: list[Any] = []
        self.told: list[str] = []
        self.pauses: list[float] = []
        self.answers: list[int | Exception] = []
        self.now_s = 1_000.0

    def worker(self, webhook: str | None = WEBHOOK) -> Alerts:
        return Alerts(
            webhook,
            everywhere=self.everywhere,
            here=HostAlertClaims(self.folder / "alerts.json", lambda: self.now_s),
            told=self.told.append,
            post=self.post,
            sleep=self.sleep,
            now=lambda: NOON,
        )

    async def post(self, address: str, body: Any) -> int:
        assert WEBHOOK == address
        self.bodies.append(body)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_of_all_workers_one_tells(desk: Desk) -> None:
    """With a text for people and the same for programs."""
    for _ in range(3):
        worker = desk.worker()
        worker.tell(Alert(Kind.DATABASE_AWAY, "Away.", fields={"silent_s": 70}))
        await worker.tell_next()

    told = {"text": "Away.", "alert": "database_away", "at": "2030-01-31T12:00:00.000Z"}
    assert [{**told, "fields": {"silent_s": 70}}] == desk.bodies
    assert ["sent"] == desk.told


async def test_what_lasts_is_told_again_after_an_hour(desk: Desk) -> None:
    """Not at every look."""
    worker = desk.worker()
    for later_s in (0, 5, 3_594, 3_601):
        desk.now_s = 1_000.0 + later_s
        worker.tell(LOST)
        await worker.tell_next()

    assert 2 == len(desk.bodies)


async def test_the_end_is_told_once_and_only_of_what_was_told(desk: Desk) -> None:
    """Whoever first sees that it is over; afterwards it may begin anew."""
    one, other = desk.worker(), desk.worker()
    for worker, waiting in ((one, "end"), (one, "begin"), (other, "end"), (one, "end"), (other, "begin")):
        worker.tell(LOST) if waiting == "begin" else worker.tell_end(LOST, BACK)
        await worker.tell_next()

    assert ["store_lost", "store_back", "store_lost"] == [body["alert"] for body in desk.bodies]


async def test_without_redis_the_workers_of_a_machine_agree(tmp_path: Path) -> None:
    """That is when there is most to tell."""
    desk = Desk(tmp_path, Lost())
    for alert in (LOST, AWAY, LOST, AWAY):
        worker = desk.worker()
        worker.tell(alert)
        await worker.tell_next()

    assert ["store_lost", "database_away"] == [body["alert"] for body in desk.bodies]


async def test_a_webhook_that_fails_is_tried_again_ever_later(desk: Desk) -> None:
    """Time-outs, overload and errors of its own."""
    desk.answers = [httpx.ConnectTimeout(""), 503, 429, 200]
    worker = desk.worker()
    worker.tell(LOST)
    await worker.tell_next()

    assert (4, [1.0, 2.0, 4.0], ["sent"]) == (len(desk.bodies), desk.pauses, desk.told)


async def test_it_is_given_up_in_the_end(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and not where the webhook is; what it refuses is not said again."""
    desk.answers = [*[httpx.ConnectError(f"no route to {WEBHOOK}")] * TRIES, 404]
    worker = desk.worker()
    with caplog.at_level(logging.DEBUG, "scalix"):
        for alert in (LOST, AWAY):
            worker.tell(alert)
            await worker.tell_next()

    assert (TRIES + 1, ["failed", "failed"]) == (len(desk.bodies), desk.told)
    assert "s3cret" not in caplog.text and "SCALIX_ALERT_WEBHOOK" in caplog.text


async def test_nobody_waits_for_it(desk: Desk) -> None:
    """Beyond the queue alerts are dropped and counted; the same is queued once."""
    worker = desk.worker()
    for i in range(MAX_WAITING + 3):
        for _ in range(2):
            worker.tell(Alert(Kind.BUDGET_USED, "text", about=f"user-{i}"))

    assert ["dropped"] * 6 == desk.told


async def test_without_a_webhook_nothing_is_kept(desk: Desk) -> None:
    """Nor is anything claimed."""
    desk.worker(webhook=None).tell(LOST)

    assert not list(desk.folder.iterdir())


async def test_states_are_told_once_they_last(desk: Desk) -> None:
    """A moment without Redis is none, and a moment with it is not the end."""
    worker = desk.worker()
    watch = StateWatch(worker, lambda: desk.now_s)
    looks = [
        (0.0, True),
        (1.0, False),
        (60.0, False),
        (61.0, True),
        (66.0, True),  # told
        (70.0, False),
        (71.0, True),  # claimed already
        (72.0, False),
        (72.0 + GOOD_S, False),  # told to be over
    ]
    for at_s, is_lost in looks:
        desk.now_s = 1_000.0 + at_s
        watch.look(is_store_lost=is_lost, database_silent_s=None, pending=None)
        while worker._queue.qsize():
            await worker.tell_next()

    assert ["store_lost", "store_back"] == [body["alert"] for body in desk.bodies]


async def test_a_silent_database_and_a_long_outbox_are_told(desk: Desk) -> None:
    """With how long, and how many."""
    worker = desk.worker()
    watch = StateWatch(worker, lambda: desk.now_s)
    for silent_s in (61.0, 122.0):
        desk.now_s += 61.0
        watch.look(is_store_lost=False, database_silent_s=silent_s, pending=1_001)
    while worker._queue.qsize():
        await worker.tell_next()

    assert [("database_away", {"silent_s": 61}), ("outbox_growing", {"pending": 1_001})] == [
        (body["alert"], body["fields"]) for body in desk.bodies
    ]


def test_a_budget_names_its_account() -> None:
    """In USD; once per window."""
    standing = Standing(Counter(Unit.USD, DAY_S, 2_000_000_000), 0.0, 1_700_000_000, 0)
    alert = budget_used("ada", "pro", standing)

    assert "Scalix Gateway: the account ada has used 85 % of its budget of 2.000000 USD." == alert.text
    assert "ada:usd:86400:0.0" == alert.about
    assert "1.700000" == alert.fields["used_usd"]


async def test_keys_that_end_soon_are_told(desk: Desk) -> None:
    """Not those that last, nor those that were revoked, nor any secret of theirs."""
    engine = connect(f"sqlite:///{desk.folder / 'scalix.db'}")
    make_tables(engine)
    accounts = Accounts(engine, now=lambda: NOON)
    made = [
        accounts.issue_key("ada", "free", "free", expires_at=NOON.replace(month=2, day=day))
        for day in (3, 5, 28)
    ]
    accounts.revoke_key(made[1][1].id)
    worker = desk.worker()
    watch = KeyWatch(worker, lambda since, until: expiring_keys(engine, since, until), 7, now=lambda: NOON)
    await watch.look()
    await worker.tell_next()
    engine.dispose()

    assert (
        f"Scalix Gateway: keys that end within 7 days: 1. {made[0][1].id} of ada (2030-02-03T12:00:00.000Z)."
        == desk.bodies[0]["text"]
    )
    assert made[0][0] not in str(desk.bodies)


async def test_one_worker_looks_for_keys(desk: Desk) -> None:
    """And none without a webhook, or with 0 days."""
    looks: list[datetime] = []

    def find(since: datetime, until: datetime) -> Any:
        looks.append(since)
        raise OSError

    class Enough(Exception):
        pass

    async def enough(pause_s: float) -> None:
        raise Enough

    for webhook, days in ((WEBHOOK, 7), (WEBHOOK, 7), (None, 7), (WEBHOOK, 0)):
        watch = KeyWatch(desk.worker(webhook), find, days, now=lambda: NOON, sleep=enough)
        with suppress(Enough):
            await asyncio.wait_for(watch.run_forever(), 10)

    assert [NOON] == looks


async def test_claims_of_a_machine_are_bounded_and_survive_rubbish(tmp_path: Path) -> None:
    """A file that was half-written counts as empty."""
    path = tmp_path / "alerts.json"
    path.write_text('{"a": ')
    claims = HostAlertClaims(path, lambda: 1_000.0)
    got = [await claims.claim(f"alert-{i}", 60 + i) for i in range(MAX_CLAIMS + 1)]

    assert {True} == set(got)
    assert await claims.claim("alert-0", 60)
    assert not await claims.claim(f"alert-{MAX_CLAIMS}", 60)
    assert path.stat().st_size < 100_000


def test_a_text_is_bounded() -> None:
    """Whatever an account is called."""
    assert MAX_TEXT == len(Alert(Kind.BUDGET_USED, "x" * 10_000).to_json("now")["text"])
