"""Work in the background survives its own failures, and can tell whoever reads the log once."""

import asyncio

import pytest

from scalix_callbacks.rounds import go_round


async def test_a_failure_ends_nothing_and_is_known_as_the_first_of_a_row() -> None:
    """A pause before each round; what worked in between begins a new row."""
    pauses, told = list[float](), list[tuple[str, bool]]()
    rounds = iter([OSError("a"), OSError("b"), None, ValueError("c"), asyncio.CancelledError()])

    async def work() -> None:
        if (problem := next(rounds)) is not None:
            raise problem

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(asyncio.CancelledError):
        await go_round(work, 1.5, lambda error, is_first: told.append((str(error), is_first)), sleep=sleep)

    assert [("a", True), ("b", False), ("c", True)] == told
    assert [1.5] * 5 == pauses
