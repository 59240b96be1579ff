"""Okapi BM25: how well texts fit a query, by the words they share.

Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), formula 3.15. Only
words of the query are counted at all, so that the index is as small as the query.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalix_callbacks.core.context.slices import Steps

K1 = 1.2
B = 0.6
"""How much a long text is held against it; the usual 0.75 is for prose, whose lengths differ less."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A text: how often it holds each word of the query, and how many words it has."""

    counts: Mapping[str, float]
    length: float


def rarities(query: Mapping[str, float], texts: Sequence[Counted]) -> Steps[dict[str, float]]:
    """What finding a word of the query is worth: much where few texts hold it, never below 0."""
    held = dict.fromkeys(query, 0)
    for text in texts:
        for word in text.counts:
            held[word] += 1
        yield
    return {word: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for word, n in held.items()}


def scores(
    query: Mapping[str, float], texts: Sequence[Counted], worth: Mapping[str, float]
) -> Steps[list[float]]:
    """One for each text, 0 for one that shares no word.

    Args:
        query: word → its weight.
        worth: of each word, see `rarities`.
    """
    average = sum(text.length for text in texts) / max(len(texts), 1) or 1.0
    found = []
    for text in texts:
        longer = K1 * (1 - B + B * text.length / average)
        found.append(
            sum(query[word] * worth[word] * n * (K1 + 1) / (n + longer) for word, n in text.counts.items())
        )
        yield
    return found
