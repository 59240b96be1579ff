"""Which files of a project a conversation is about: by their names, symbols, words and imports. No model."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scalix_callbacks.core.context import bm25
from scalix_callbacks.core.context.files import SourceFile
from scalix_callbacks.core.context.imports import MAX_IMPORTS, Paths, imports_of
from scalix_callbacks.core.context.slices import Steps, pieces
from scalix_callbacks.core.context.words import EMPTY_WORDS, identifiers, parts, terms

MAX_QUERY_CHARS = 40_000
"""Of the conversation, its end; what was said before has moved on."""
MAX_TALK = 12
"""Messages looked at, the last ones."""
FADING = 0.5
"""What a message counts beside the one after it."""
MAX_TERMS = 400
"""Words of the conversation, the heaviest."""
SMALL_TOKENS = 300
"""Below about this the size of a file is no reason to prefer another."""
MAX_FAN = 40
"""A file imported by more than these is everywhere, and says nothing."""


class Mode(StrEnum):
    """How much of a project is taken, and how far imports are followed."""

    BALANCED = "balanced"
    DEEP = "deep"


@dataclass(frozen=True, slots=True)
class Weights:
    """What each sign is worth; each is at most 1 before.

    `hop`: what an import hands on. `size`: how much a file's length is held against it; 0: not at all.
    Found by `python -m bench --only smart_context`.
    """

    words: float = 1.0
    path: float = 1.0
    symbols: float = 0.6
    named: float = 2.0
    hop: float = 0.25
    size: float = 0.65


@dataclass(frozen=True, slots=True)
class Said:
    """One text of the conversation. `weight`: 1 for the request, less for what was said before."""

    text: str
    weight: float


_DEFINED = re.compile(
    r"\b(?:def|class|function|interface|type|enum|const|let|struct|fn|func|trait|module|component)"
    r"[ \t]{1,8}(\w{3,60})"
)
_PATH_LIKE = re.compile(r"[\w@+.()\[\]-]+(?:/[\w@+.()\[\]-]+)*")
_PATH_WEIGHT = 3.0
"""How often the words of a path count as if they stood in the file."""


def rank(
    files: Sequence[SourceFile], talk: Sequence[Said], mode: Mode, weights: Weights = Weights()
) -> Steps[list[SourceFile]]:
    """The files, the one that the conversation is most about first; equal ones by their paths."""
    query = _query(talk)
    words_said = {word for each in talk for word in identifiers(each.text)}
    reads: list[_Read] = []
    memo: dict[str, tuple[str, ...]] = {}
    for file in files:
        reads.append((yield from _read(file, query, words_said, memo)))
    scores = yield from _direct(files, reads, query, _names(talk), weights)
    edges = yield from _edges(files, reads)
    for _ in range(2 if mode is Mode.DEEP else 1):
        scores = _spread(scores, edges, weights.hop)
        yield
    ranked = sorted(zip(scores, files, strict=True), key=lambda pair: (-pair[0], pair[1].path))
    return [file for _, file in ranked]


@dataclass(frozen=True, slots=True)
class _Read:
    counted: bm25.Counted
    path_terms: frozenset[str]
    defined: frozenset[str]
    imports: tuple[str, ...]


def _query(talk: Sequence[Said]) -> dict[str, float]:
    """Word → weight; what is said twice counts more, but not double."""
    weights: Counter[str] = Counter()
    for said in talk:
        for term, count in terms(said.text).items():
            weights[term] += said.weight * (1 + min(count - 1, 4) * 0.25)  # type: ignore[assignment]
    return dict(weights.most_common(MAX_TERMS))


def _read(
    file: SourceFile, query: Mapping[str, float], said: set[str], memo: dict[str, tuple[str, ...]]
) -> Steps[_Read]:
    counts: dict[str, float] = {}
    defined: set[str] = set()
    imports: dict[str, None] = {}
    length = 0
    for piece in pieces(file.content):
        found = Counter(identifiers(piece))
        length += found.total()
        for identifier, count in found.items():
            if (known := memo.get(identifier)) is None:
                known = memo[identifier] = tuple(part for part in parts(identifier) if part in query)
            for part in known:
                counts[part] = counts.get(part, 0) + count
        defined |= said.intersection(_DEFINED.findall(piece))
        if len(imports) < MAX_IMPORTS:
            imports.update(dict.fromkeys(imports_of(file.path, piece)))
        yield
    path_terms = frozenset(part for name in identifiers(file.path) for part in parts(name) if part in query)
    for term in path_terms:
        counts[term] = counts.get(term, 0) + _PATH_WEIGHT
    return _Read(bm25.Counted(counts, length), path_terms, frozenset(defined), tuple(imports)[:MAX_IMPORTS])


def _direct(
    files: Sequence[SourceFile],
    reads: Sequence[_Read],
    query: Mapping[str, float],
    names: set[str],
    weights: Weights,
) -> Steps[list[float]]:
    """What each file is worth by itself."""
    counted = [read.counted for read in reads]
    worth = yield from bm25.rarities(query, counted)
    words = _to_one((yield from bm25.scores(query, counted, worth)))
    paths = _to_one([sum(worth[t] * query[t] for t in read.path_terms) for read in reads])
    yield
    definers = Counter(name for read in reads for name in read.defined if name.lower() not in EMPTY_WORDS)
    symbols = _to_one(
        [sum(1 / definers[name] for name in read.defined if name in definers) for read in reads]
    )
    yield
    scores = []
    for i, file in enumerate(files):
        score = weights.words * words[i] + weights.path * paths[i] + weights.symbols * symbols[i]
        # A budget holds many small files instead of a large one; what is named is wanted at any size.
        score /= (1 + file.tokens / SMALL_TOKENS) ** weights.size
        scores.append(score + weights.named * _named(file.path, names))
        yield
    return scores


def _names(talk: Sequence[Said]) -> set[str]:
    """What in the conversation may be the name or path of a file."""
    found = (name for each in talk for name in _PATH_LIKE.findall(each.text))
    return {name.rstrip(".").removeprefix("./") for name in found}


def _named(path: str, names: set[str]) -> float:
    """1 where the conversation names the file by its path or an end of it, less by its name alone."""
    folder, _, name = path.rpartition("/")
    if "." not in name.strip("."):
        return 0.0
    while folder:
        if f"{folder}/{name}" in names:
            return 1.0
        _, _, folder = folder.partition("/")
    return 0.8 if name in names else 0.0


def _edges(files: Sequence[SourceFile], reads: Sequence[_Read]) -> Steps[list[list[int]]]:
    """For each file the ones it imports, and the ones that import it."""
    paths, numbers = Paths(file.path for file in files), {file.path: i for i, file in enumerate(files)}
    edges: list[set[int]] = [set() for _ in files]
    for i, (file, read) in enumerate(zip(files, reads, strict=True)):
        for named in read.imports:
            target = paths.find(named, file.path)
            if target is not None and (j := numbers[target]) != i:
                edges[i].add(j)
                edges[j].add(i)
        yield
    return [sorted(each) if len(each) <= MAX_FAN else [] for each in edges]


def _spread(scores: Sequence[float], edges: Sequence[Sequence[int]], hop: float) -> list[float]:
    """Each score with a part of its best neighbour's."""
    return [
        score + hop * max((scores[j] for j in near), default=0.0)
        for score, near in zip(scores, edges, strict=True)
    ]


def _to_one(values: Sequence[float]) -> list[float]:
    most = max(values, default=0.0)
    return [value / most if most > 0 else 0.0 for value in values]
