"""Flags in a worker: who has them, what calls show, and the way back; by a clock that the tests move."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalix_callbacks.core.alerts import Alert
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.limits import Ask
from scalix_callbacks.core.rollout import Flag, Stage
from scalix_callbacks.core.rollout_evidence import Minute, Triggers
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.rollouts import Rollouts
from scalix_callbacks.rollouts import JUDGE_S, MAX_WAITING, AlsoCounts, Flags
from scalix_callbacks.store.errors import StoreLost
from tests.databases import make_tables
from tests.rollout_world import MemoryEvidence
from tests.world import Clock

TRIGGERS = Triggers(min_calls=20)
FLAGS = (Flag("liteLLM", percent=100), Flag("rateLimiting", percent=0, daily_percent=0))
FAULT = ErrorCategory.PROVIDER_ERROR
ASKED = Ask("c", "ada", (), prompt_tokens=1, output_tokens=None, attempt=None, memo={})


class Worker:
    """One worker on a database and an evidence that it may share."""

    def __init__(self, book: Rollouts, evidence: MemoryEvidence, clock: Clock) -> None:
        self.alerts: list[Alert] = []
        self.counted: list[str] = []
        self.clock = clock
        self.flags = Flags(
            book,
            evidence,
            book.names,
            TRIGGERS,
            lowest_tier="free",
            tell=self.alerts.append,
            rolled_back=self.counted.append,
            now_s=lambda: clock().timestamp(),
        )

    async def minute(self, calls: int, faults: int = 0, took_s: float = 1.0, user: str = "ada") -> None:
        """A minute of calls, told and judged as it would be."""
        for i in range(calls):
            self.answer(FAULT if i < faults else None, took_s, user=user)
        await self.flags.share()
        self.clock.advance(seconds=60)
        await self.flags.judge()

    def answer(
        self, error: ErrorCategory | None, took_s: float = 1.0, user: str = "ada", **fields: Any
    ) -> None:
        caller = Caller(user, "free", Role.USER)
        call = Call("r", caller=caller, started_at_s=self.clock().timestamp() - 0.5, **fields)
        self.flags.answered(call, Endpoint.CHAT, error, took_s)

    def has(self, user: str = "ada", flag: str = "liteLLM", tier: str = "free") -> bool:
        return self.flags.of(Caller(user, tier, Role.USER))[flag]


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(seconds=3)  # beyond the time in which the minute before is waited for
    return clock


@pytest.fixture
def evidence() -> MemoryEvidence:
    return MemoryEvidence()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[Rollouts]:
    engine = connect(f"sqlite:///{tmp_path / 'scalix.db'}")
    make_tables(engine)
    accounts = Accounts(engine, now=clock)
    for name in ("ada", "bob"):
        accounts.create_account(name, "free")
    clock.advance(seconds=60)
    book = Rollouts(engine, FLAGS, now=clock)
    book.begin()
    clock.advance(seconds=60)
    yield book
    engine.dispose()


@pytest.fixture
async def worker(book: Rollouts, evidence: MemoryEvidence, clock: Clock) -> Any:
    worker = Worker(book, evidence, clock)
    await worker.flags.poll()
    yield worker
    worker.flags.close()


async def test_every_flag_is_told(worker: Worker) -> None:
    """By the user's group; the operator's own calls have none, and nobody has any before they are read."""
    assert {"liteLLM": True, "rateLimiting": False} == worker.flags.of(Caller("ada", "free", Role.USER))
    assert not worker.has(tier="pro")
    assert {"liteLLM": False, "rateLimiting": False} == worker.flags.of(OPERATOR)


async def test_before_anything_is_read_every_flag_is_off(
    book: Rollouts, evidence: MemoryEvidence, clock: Clock
) -> None:
    """The way that was there before is the safe one."""
    worker = Worker(book, evidence, clock)
    assert not worker.has()
    worker.answer(FAULT)
    await worker.flags.share()
    worker.flags.close()

    assert {} == evidence.minutes


async def test_five_failing_minutes_take_a_flag_back(
    worker: Worker, book: Rollouts, evidence: MemoryEvidence
) -> None:
    """From everybody but those migrated; told once, with the numbers, and counted."""
    book.migrate("liteLLM", "bob")
    await worker.minute(20, faults=2)  # 10 % is not above
    for _ in range(4):
        await worker.minute(20, faults=3)
    assert worker.has()
    await worker.minute(20, faults=3)
    rollout = book.read().rollouts["liteLLM"]

    assert Stage.ROLLED_BACK is rollout.stage
    assert [False, True] == [worker.has(user) for user in ("ada", "bob")]
    reason = {"trigger": "error_rate", "minutes": 5, "calls": 100, "errors": 15, "error_percent": 15.0}
    assert {**reason, "p95_s": 1.0} == rollout.reason
    (alert,) = worker.alerts
    assert ("rollback", "liteLLM", 15.0) == (
        alert.kind.value,
        alert.fields["flag"],
        alert.fields["error_percent"],
    )
    assert (
        "Scalix Gateway: the flag liteLLM was rolled back: for 5 minutes 15 % of 100 calls failed, above"
        " 10 %. It stays off until you resume it."
    ) == alert.text
    assert ["liteLLM"] == worker.counted


async def test_ten_slow_minutes_take_a_flag_back(worker: Worker, book: Rollouts) -> None:
    """Nine do not."""
    for _ in range(9):
        await worker.minute(20, took_s=10.5)
    assert worker.has()
    await worker.minute(20, took_s=10.5)

    assert not worker.has()
    assert "95 in 100 answers took up to 20 s, above 10 s" in worker.alerts[0].text


async def test_a_good_or_silent_minute_begins_the_count_anew(worker: Worker) -> None:
    """Also one with too few calls."""
    for calls, faults in ((20, 0), (19, 19), (0, 0)):
        for _ in range(4):
            await worker.minute(20, faults=20)
        await worker.minute(calls, faults)

    assert worker.has()


async def test_it_does_not_come_back_by_itself(worker: Worker, book: Rollouts) -> None:
    """Days of good calls change nothing; resumed, it begins anew, and old failures do not count."""
    for _ in range(5):
        await worker.minute(20, faults=20)
    for _ in range(10):
        await worker.minute(20)
    worker.clock.advance(days=30)
    await worker.flags.judge()
    assert not worker.has()
    for _ in range(4):
        await worker.minute(20, faults=20)
    book.resume("liteLLM")
    await worker.flags.poll()
    assert worker.has()
    for _ in range(4):
        worker.clock.advance(seconds=1)
        await worker.minute(20, faults=20)
    assert worker.has()
    worker.clock.advance(seconds=1)
    await worker.minute(20, faults=20)

    assert not worker.has()
    assert [1, 2] == [int(alert.about.split(":")[1]) for alert in worker.alerts]


async def test_two_workers_roll_back_once(worker: Worker, book: Rollouts, evidence: MemoryEvidence) -> None:
    """Though both saw a part of it, and both judge; the other one learns of it when it polls."""
    other = Worker(book, evidence, worker.clock)
    await other.flags.poll()
    for _ in range(5):
        for _ in range(10):
            other.answer(FAULT)
        await other.flags.share()
        await worker.minute(10, faults=10)
    assert other.has()
    await other.flags.judge()
    other.flags.close()

    assert not other.has()
    assert (1, 0) == (len(worker.alerts), len(other.alerts))


@pytest.mark.parametrize(
    "error",
    [
        ErrorCategory.INVALID_REQUEST,
        ErrorCategory.RATE_LIMIT_EXCEEDED,
        ErrorCategory.BUDGET_EXCEEDED,
        ErrorCategory.OVERLOADED,
    ],
)
async def test_users_own_errors_and_refusals_show_nothing(
    worker: Worker, evidence: MemoryEvidence, error: ErrorCategory
) -> None:
    """Neither for the flag nor against it."""
    worker.answer(error)
    await worker.flags.share()

    assert {} == evidence.minutes


GONE = GatewayError(ErrorCategory.MODEL_UNAVAILABLE, is_retryable=False)
RESTING = GatewayError(ErrorCategory.MODEL_UNAVAILABLE)


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({}, 0),
        ({"ask": ASKED, "failure": GONE}, 0),
        ({"ask": ASKED, "failure": RESTING}, 1),
        ({"ask": ASKED}, 1),
    ],
)
async def test_a_model_that_is_not_to_be_had_shows_nothing(
    worker: Worker, evidence: MemoryEvidence, fields: dict[str, Any], calls: int
) -> None:
    """One without a key, or a name its provider does not know: one user asking for it takes nothing back."""
    worker.answer(ErrorCategory.MODEL_UNAVAILABLE, **fields)
    await worker.flags.share()

    assert calls == sum(minute.errors for minute in evidence.minutes.values())


async def test_only_who_has_a_flag_counts_for_it(
    worker: Worker, evidence: MemoryEvidence, book: Rollouts
) -> None:
    """Nobody has the other one; and what is no call for a model is none."""
    book.roll_back_user("liteLLM", "bob")
    await worker.flags.poll()
    worker.answer(FAULT)
    worker.answer(FAULT, user="bob")
    worker.flags.answered(Call("r", caller=OPERATOR), Endpoint.CHAT, FAULT, 1.0)
    worker.flags.answered(Call("r", caller=Caller("ada", "free", Role.USER)), None, FAULT, 1.0)
    worker.flags.answered(Call("r"), Endpoint.CHAT, FAULT, 1.0)
    await worker.flags.share()

    assert [("liteLLM", Minute(calls=1, errors=1))] == [
        (flag, minute) for (flag, _, _), minute in evidence.minutes.items()
    ]


async def test_a_stream_counts_by_its_first_token(worker: Worker, evidence: MemoryEvidence) -> None:
    """A long answer is no slow one."""
    worker.answer(None, 60.0, is_stream=True, first_token_at_s=worker.clock().timestamp())
    await worker.flags.share()

    assert [Minute(calls=1, buckets={1: 1})] == list(evidence.minutes.values())


async def test_a_call_of_before_shows_nothing_of_what_began_anew(
    worker: Worker, evidence: MemoryEvidence, book: Rollouts
) -> None:
    """It began by the flags of another time, however late it ends."""
    book.kill("liteLLM")
    book.resume("liteLLM")
    await worker.flags.poll()
    worker.answer(FAULT)  # half a second under way
    await worker.flags.share()
    assert {} == evidence.minutes
    worker.clock.advance(seconds=1)
    worker.answer(FAULT)
    await worker.flags.share()

    assert [("liteLLM", 2)] == [(flag, epoch) for flag, epoch, _ in evidence.minutes]


@pytest.mark.parametrize(
    ("error", "is_stream", "took_s", "seen"),
    [
        (ErrorCategory.CLIENT_CLOSED, False, 3.0, []),
        (None, True, 3.0, []),
        (None, True, 11.0, [Minute(calls=1, slow=1, buckets={6: 1})]),
        (ErrorCategory.CLIENT_CLOSED, False, 11.0, [Minute(calls=1, slow=1, buckets={6: 1})]),
        (FAULT, True, 0.1, [Minute(calls=1, errors=1)]),
    ],
)
async def test_who_gave_up_waiting_was_kept_waiting(
    worker: Worker,
    evidence: MemoryEvidence,
    error: ErrorCategory | None,
    is_stream: bool,
    took_s: float,
    seen: list[Minute],
) -> None:
    """And who left early shows nothing."""
    worker.answer(error, took_s, is_stream=is_stream)
    await worker.flags.share()

    assert seen == list(evidence.minutes.values())


async def test_what_waits_to_be_told_is_bounded(worker: Worker, evidence: MemoryEvidence) -> None:
    """And while Redis is lost it is dropped: nothing is taken back on a guess."""
    evidence.is_lost = True
    for _ in range(MAX_WAITING + 1):
        worker.answer(None)
    assert MAX_WAITING == len(worker.flags._ended)
    with pytest.raises(StoreLost):
        await worker.flags.share()
    told = await worker.flags.told()

    assert [] == worker.flags._ended
    assert [None, None] == [row["recent"] for row in told["flags"]]


async def test_the_operator_sees_how_it_fares(worker: Worker, book: Rollouts) -> None:
    """State, shares and figures, in the order of the configuration."""
    book.migrate("liteLLM", "bob")
    await worker.minute(20, faults=1)
    await worker.flags.poll()
    told = await worker.flags.told()
    first = told["flags"][0]

    assert ["liteLLM", "rateLimiting"] == [row["flag"] for row in told["flags"]]
    assert ("running", 100, 1, 0) == tuple(
        first[name] for name in ("state", "percent", "migrated", "rolled_back")
    )
    assert {"calls": 20, "errors": 1, "error_percent": 5.0, "p95_s": 1.0} == first["recent"]
    assert (5, 10) == (told["triggers"]["error_minutes"], told["triggers"]["p95_minutes"])


async def test_a_worker_begins_polls_and_judges_by_itself(
    book: Rollouts, evidence: MemoryEvidence, clock: Clock
) -> None:
    """A change is seen with the next poll; whoever has the turn judges; growth is noted."""
    worker, rounds = Worker(book, evidence, clock), asyncio.Queue[float]()
    may_go_on = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        rounds.put_nowait(seconds)
        await may_go_on.acquire()

    worker.flags._sleep = sleep
    tasks = [
        asyncio.create_task(work) for work in (worker.flags.poll_forever(), worker.flags.watch_forever())
    ]
    assert [1.0, 1.0] == [await rounds.get() for _ in tasks]
    assert worker.has()
    book.kill("liteLLM")
    for _ in tasks:
        may_go_on.release()
    for _ in tasks:
        await rounds.get()
    assert not worker.has()
    # Of the first round; a turn is asked for as often as one is to be had.
    assert 0 == evidence.turns
    for seconds, turns in ((JUDGE_S - 1, 0), (1, -1)):
        clock.advance(seconds=seconds)
        for _ in tasks:
            may_go_on.release()
        for _ in tasks:
            await rounds.get()
        assert turns == evidence.turns
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    worker.flags.close()


async def test_a_database_that_is_away_changes_nothing(
    worker: Worker, book: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags stay as they were read."""

    def away() -> int:
        raise DatabaseError("It is away.")

    monkeypatch.setattr(book, "change_no", away)
    with pytest.raises(DatabaseError):
        await worker.flags.poll()

    assert worker.has()


def test_the_metrics_count_as_before() -> None:
    """And the flags hear of every answer."""
    heard: list[str] = []

    class Both:
        def opened(self) -> None:
            heard.append("opened")

        def closed(self) -> None:
            heard.append("closed")

        def passed_on(self, took_s: float) -> None:
            heard.append("passed on")

        def answered(self, *_: Any) -> None:
            heard.append("answered")

    also: Any = AlsoCounts(Both(), Both())  # type: ignore[arg-type]  # it hears of answers alone
    also.opened()
    also.passed_on(0.1)
    also.answered(Call("r"), None, None, 0.1)
    also.closed()

    assert ["opened", "passed on", "answered", "answered", "closed"] == heard
