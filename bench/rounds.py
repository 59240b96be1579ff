"""Several ways in turn, several times over, so that what the machine does besides meets them all alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.figures import Row, medians, paired_ratio


@dataclass(frozen=True, slots=True)
class Rounds:
    """The figures of each way, round by round."""

    by_name: Mapping[str, Sequence[Mapping[str, float]]]

    def medians(self, name: str) -> dict[str, float]:
        return medians(self.by_name[name])

    def ratio(self, over: str, under: str, figure: str) -> float | None:
        """None: one of them was not measured."""
        if over not in self.by_name or under not in self.by_name:
            return None
        return paired_ratio(
            [figures[figure] for figures in self.by_name[over]],
            [figures[figure] for figures in self.by_name[under]],
        )

    def rows(self, figures: Sequence[str], **about: str | float) -> list[Row]:
        told = {name: self.medians(name) for name in self.by_name}
        return [
            {"": name, **about, **{figure: told[name].get(figure) for figure in figures}}
            for name in self.by_name
        ]


def in_turn(ways: Mapping[str, Callable[[], Mapping[str, float]]], rounds: int) -> Rounds:
    """Every second round backwards: the second of two does not always follow the first."""
    taken: dict[str, list[Mapping[str, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways) if number % 2 == 0 else list(ways)[::-1]
        for name in names:
            taken[name].append(ways[name]())
    return Rounds(taken)
