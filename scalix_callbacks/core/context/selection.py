"""Which files go into the prompt: all, or the first of a ranking that fit into a budget of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scalix_callbacks.core.context.files import SourceFile
from scalix_callbacks.core.context.ranking import Mode


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens: `share` of what the files have, but at least `least` and at most `most`."""

    share: float
    least: int
    most: int

    def of(self, total: int) -> int:
        return min(max(round(total * self.share), self.least), self.most)


BUDGETS = {Mode.BALANCED: Budget(0.25, 4_000, 16_000), Mode.DEEP: Budget(0.5, 12_000, 48_000)}


@dataclass(frozen=True, slots=True)
class Selection:
    """`files`: in the order of the ranking. `cut`: the path of one that is there in part; None: of none.
    `original_tokens`: of all files that there are.
    """

    files: tuple[SourceFile, ...]
    left_out: tuple[SourceFile, ...] = ()
    cut: str | None = None
    original_tokens: int = 0

    @property
    def tokens(self) -> int:
        return sum(file.tokens for file in self.files)


def select(ranked: Sequence[SourceFile], budget: int) -> Selection:
    """Takes file after file; one that does not fit is passed over for smaller ones after it.

    The first is taken in any case, if need be cut to half the budget: it is what the request is about.
    """
    taken: list[SourceFile] = []
    left_out: list[SourceFile] = []
    cut = None
    left = budget
    for file in ranked:
        if file.tokens <= left:
            taken.append(file)
            left -= file.tokens
        elif not taken and cut is None:
            taken.append(_beginning(file, budget // 2))
            cut, left = file.path, budget - budget // 2
        else:
            left_out.append(file)
    return Selection(tuple(taken), tuple(left_out), cut, sum(file.tokens for file in ranked))


def _beginning(file: SourceFile, tokens: int) -> SourceFile:
    chars = len(file.content) * tokens // max(file.tokens, 1)
    end = file.content.rfind("\n", 0, chars) + 1 or chars
    return replace(file, content=file.content[:end], tokens=min(tokens, file.tokens))
