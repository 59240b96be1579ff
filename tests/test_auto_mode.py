"""Auto mode in a worker: what it learns from its calls, whom it tells, and when it is quiet."""

import asyncio
from collections.abc import Mapping

import pytest

from scalix_callbacks.auto_mode import HUNG_S, AutoMode
from scalix_callbacks.core.auto import AutoModels, Candidate
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.model_health import ModelHealth, Seen, after
from scalix_callbacks.core.pricing import Price, PriceTable, Rates
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.tiers import DAY_S, Limit, Tier, Unit
from scalix_callbacks.store.errors import StoreLost

NOON = 1_800_000_000.0
MODELS = AutoModels((Candidate("a", usd_per_1m=1.0), Candidate("b", usd_per_1m=2.0)))
TIER = Tier("free", ("*",))


class Board:
    """What all workers know, in memory; its clock is a minute ahead."""

    def __init__(self) -> None:
        self.rows: dict[str, ModelHealth] = {}
        self.told: list[Mapping[str, Seen]] = []
        self.is_lost = False
        self.heard = asyncio.Event()

    async def share(self, seen: Mapping[str, Seen]) -> tuple[float, dict[str, ModelHealth]]:
        if self.is_lost:
            raise StoreLost("away")
        self.told.append(seen)
        self.rows |= {name: after(self.rows.get(name), what, NOON + 60) for name, what in seen.items()}
        self.heard.set()
        return NOON + 60, dict(self.rows)


class Worker:
    """One with a clock that stands still."""

    def __init__(self, board: Board | None, prices: PriceTable | None = None) -> None:
        self.elapsed_s = 0.0
        self.auto = AutoMode(
            MODELS, board, prices, now_s=lambda: NOON + self.elapsed_s, elapsed=lambda: self.elapsed_s
        )

    def chosen(self, tier: Tier | None = TIER) -> str:
        choice = self.auto.choose("auto", tier, None, prompt_tokens=1, is_stream=False, at_s=NOON)
        return choice.recommended

    def ended(self, outcome: Outcome, used: str | None = None, *, took_s: float = 1.0, **about) -> None:
        category = about.pop("category", None)
        call = Call("r", started_at_s=NOON + self.elapsed_s - took_s, model="a", **about)
        self.auto.ended(call, outcome, category=category, model_used=used)

    async def seen(self) -> Mapping[str, Seen]:
        board = Board()
        self.auto._board = board
        await self.auto.share()
        return board.told[0]


@pytest.fixture
def worker() -> Worker:
    return Worker(None)


async def test_an_answer_shows_how_long_its_model_takes(worker: Worker) -> None:
    """A whole one its end, a stream its beginning."""
    worker.ended(Outcome.OK, "a", took_s=2.0)
    worker.ended(Outcome.OK, None, took_s=4.0)
    worker.ended(Outcome.OK, "a", took_s=9.0, is_stream=True, first_token_at_s=NOON - 8.5)

    assert {"a": Seen(ok=3, whole_s=6.0, wholes=2, first_s=0.5, firsts=1)} == await worker.seen()


async def test_a_fallback_shows_that_the_first_has_failed(worker: Worker) -> None:
    """And that the other answers, not how long that takes."""
    worker.ended(Outcome.OK, "b", took_s=9.0)

    assert {"a": Seen(failed=1), "b": Seen(ok=1)} == await worker.seen()


@pytest.mark.parametrize("category", list(ErrorCategory))
async def test_a_model_is_blamed_for_its_own_failures(worker: Worker, category: ErrorCategory) -> None:
    """For none that any model would have had."""
    worker.ended(Outcome.ERROR, category=category)
    is_its_own = category.value.startswith(("PROVIDER_", "NETWORK_", "MODEL_UNAVAILABLE"))

    assert ({"a": Seen(failed=1)} if is_its_own else {}) == await worker.seen()


@pytest.mark.parametrize(
    ("took_s", "first", "blamed"), [(HUNG_S, None, True), (HUNG_S - 0.1, None, False), (HUNG_S, NOON, False)]
)
async def test_a_stream_that_hangs_until_its_client_leaves_is_a_failure(
    worker: Worker, took_s: float, first: float | None, blamed: bool
) -> None:
    """One that had begun, or was left at once, shows nothing."""
    worker.ended(Outcome.ABORTED, took_s=took_s, is_stream=True, first_token_at_s=first)

    assert ({"a": Seen(failed=1)} if blamed else {}) == await worker.seen()


async def test_models_that_cannot_be_chosen_are_not_watched(worker: Worker) -> None:
    """Names that a pattern matches are the caller's choice: they would have no bound."""
    call = Call("r", started_at_s=NOON, model="anthropic/whatever")
    worker.auto.ended(call, Outcome.OK, category=None, model_used=None)

    assert {} == await worker.seen()


async def test_all_workers_choose_the_same() -> None:
    """What one has seen, the other one knows."""
    board = Board()
    one, other = Worker(board), Worker(board)
    one.ended(Outcome.ERROR, category=ErrorCategory.PROVIDER_ERROR)
    one.ended(Outcome.ERROR, category=ErrorCategory.PROVIDER_ERROR)
    await one.auto.share()
    await other.auto.share()

    assert ["b", "b"] == [one.chosen(), other.chosen()]


@pytest.mark.parametrize("is_alone", [True, False])
async def test_without_the_others_a_worker_learns_for_itself(is_alone: bool) -> None:
    """While Redis is lost, or where there is none."""
    board = Board()
    board.is_lost = True
    worker = Worker(None if is_alone else board)
    for _ in range(2):
        worker.ended(Outcome.ERROR, category=ErrorCategory.PROVIDER_ERROR)
    await worker.auto.share()

    assert "b" == worker.chosen()


async def test_one_call_of_a_worker_tries_a_model_that_is_due() -> None:
    """The next ones do not wait for how that ends; should it show nothing, another tries it later."""
    board = Board()
    worker = Worker(board)
    board.rows = {"a": ModelHealth(NOON + 60, is_down=True, failed=5, failure_share=1.0)}
    await worker.auto.share()
    before = worker.chosen()
    worker.elapsed_s = 10  # by the clock of the board
    due = [worker.chosen() for _ in range(3)]
    worker.elapsed_s = 41
    late = [worker.chosen() for _ in range(2)]

    assert ("b", ["a", "b", "b"], ["a", "b"]) == (before, due, late)


async def test_under_a_budget_only_models_with_a_price_are_chosen() -> None:
    """Else an unknown price would be a way around it; without any, the refusal says so."""
    budget = Tier("pro", ("*",), (Limit(10**9, Unit.USD, DAY_S),))
    rates = Rates(10**15, 10**15, 10**15)

    assert "b" == Worker(None, PriceTable([Price("b", rates)])).chosen(budget)
    assert "a" == Worker(None, PriceTable([Price("b", rates)])).chosen()
    with pytest.raises(GatewayError) as refused:
        Worker(None).chosen(budget)
    assert ErrorCategory.BUDGET_EXCEEDED is refused.value.category


async def test_the_users_price_counts_where_it_is_the_higher_one() -> None:
    """And the provider's where that is."""
    dear, free = Rates(10**15, 10**15, 10**15), Rates(0, 0, 0)

    assert "b" == Worker(None, PriceTable([Price("a", dear)])).chosen()
    assert "a" == Worker(None, PriceTable([Price("b", free)])).chosen()


async def test_a_worker_at_rest_is_quiet() -> None:
    """It tells and hears when there is something to tell, and listens while auto mode is in use."""
    board = Board()
    worker = Worker(board)
    task = asyncio.create_task(worker.auto.run_forever())
    await asyncio.sleep(0)
    at_rest = list(board.told)
    worker.ended(Outcome.OK, "a")
    async with asyncio.timeout(5):
        await board.heard.wait()
    task.cancel()

    assert [] == at_rest
    assert [{"a": Seen(ok=1, whole_s=1.0, wholes=1)}] == board.told
