"""A part of the figures: read once for all, and told also while it cannot be read."""

import asyncio
from typing import Any

import pytest

from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.page import sections
from scalix_callbacks.web.page.reading import Readers
from scalix_callbacks.web.page.sections import Section


class Source:
    """Answers with how often it was asked; fails as told; takes as long as told."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None
        self.now_s = 100.0
        self.takes_s = 0.0
        self.gate: asyncio.Event | None = None

    async def read(self) -> int:
        self.asked += 1
        self.now_s += self.takes_s
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.asked

    def section(self) -> Section:
        return Section(self.read, 3.0, lambda: self.now_s, lambda: f"t{self.now_s:g}")


async def test_ten_pages_cost_as_one() -> None:
    """At once or one after the other, until it is old."""
    source = Source()
    section = source.section()
    told = await asyncio.gather(*(section.get() for _ in range(10)))
    source.now_s += 2.9
    again = await section.get()
    source.now_s += 0.2
    later = await section.get()

    assert [{"as_of": "t100", "data": 1, "error": None}] * 11 == [*told, again]
    assert 2 == later["data"] == source.asked


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [(DatabaseError("x"), "The database does not answer."), (StoreLost("x"), "Redis does not answer.")],
)
async def test_what_was_known_stays(failure: Exception, sentence: str) -> None:
    """With the time it is of, and what is wrong; and the failing part is not asked more often for it."""
    source = Source()
    section = source.section()
    await section.get()
    source.failure, source.now_s = failure, 110.0
    lost = [await section.get() for _ in range(3)]
    source.failure, source.now_s = None, 120.0
    back = await section.get()

    assert [{"as_of": "t100", "data": 1, "error": sentence}] * 3 == lost
    assert {"as_of": "t120", "data": 3, "error": None} == back


async def test_what_takes_long_is_asked_seldom() -> None:
    """A reading of two seconds comes every twenty: it takes a tenth of the database's time at most."""
    source = Source()
    source.takes_s = 2.0
    section = source.section()
    await section.get()
    source.now_s += 19.9
    await section.get()
    assert 1 == source.asked
    source.now_s += 0.2
    await section.get()

    assert 2 == source.asked


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is told what is known, and the reading goes on once for all."""
    monkeypatch.setattr(sections, "WAIT_S", 0.01)
    source = Source()
    source.gate = asyncio.Event()
    section = source.section()
    first, second = await section.get(), await section.get()
    source.gate.set()
    third = await section.get()

    assert (None, None, 1) == (first["data"], second["data"], third["data"])
    assert first["error"] is not None and third["error"] is None
    assert 1 == source.asked


async def test_a_defect_is_told_and_logged() -> None:
    """One broken part does not take the others along."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    source = Source()
    source.failure = KeyError("x")
    told = await source.section().get()
    await asyncio.sleep(0)

    assert told["error"] is not None and told["error"].endswith("log.")
    assert [KeyError] == [type(each["exception"]) for each in reported]


async def test_a_database_that_hangs_is_away() -> None:
    """For this reader; its thread is left to itself."""
    import threading

    done = threading.Event()
    readers = Readers(timeout_s=0.05)
    with pytest.raises(DatabaseError, match=r"within 0\.05 s"):
        await readers.read(done.wait)
    done.set()

    assert 3 == await readers.read(lambda a, b: a + b, 1, 2)
