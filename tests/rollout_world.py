"""What stands for Redis where the tests of rollouts do without; it passes the same contract tests."""

from collections.abc import Mapping

from scalix_callbacks.core.rollout_evidence import Minute
from scalix_callbacks.store.errors import StoreLost

Place = tuple[str, int, int]


class MemoryEvidence:
    """In this process."""

    def __init__(self) -> None:
        self.minutes: dict[Place, Minute] = {}
        self.is_lost = False
        self.turns = 1

    async def add(self, seen: Mapping[Place, Minute]) -> None:
        if self.is_lost:
            raise StoreLost
        for place, minute in seen.items():
            self.minutes[place] = self.minutes.get(place, Minute()) + minute

    async def read(self, epochs: Mapping[str, int], newest: int, count: int) -> dict[str, list[Minute]]:
        if self.is_lost:
            raise StoreLost
        numbers = range(newest, newest - count, -1)
        return {
            flag: [self.minutes.get((flag, epoch, number), Minute()) for number in numbers]
            for flag, epoch in epochs.items()
        }

    async def take_turn(self, for_ms: int) -> bool:
        self.turns -= 1
        return self.turns >= 0
