"""How many of the files that a change needs smart context takes along, against simpler ways to choose."""

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from bench.figures import Row
from bench.part import Effort, Part, Servers
from bench.releases import RELEASES, Change, changes
from scalix_callbacks.core.context.files import SourceFile, read_files
from scalix_callbacks.core.context.ranking import Mode, Said, rank
from scalix_callbacks.core.context.selection import select
from scalix_callbacks.core.context.slices import finish
from scalix_callbacks.core.context.words import terms

SHARES = (0.05, 0.10, 0.25)
SHUFFLES = 20

Way = Callable[[Change, Sequence[SourceFile]], Sequence[Sequence[SourceFile]]]
"""Orders of the files, to be averaged."""


def smart_context(servers: Servers, effort: Effort) -> Part:
    """Share of the changed files within 5, 10 and 25 % of the tokens; the mean over releases."""
    cases = [(change, _files(change)) for change in changes()]
    rows: list[Row] = [_row(name, [_held(way, *case) for case in cases]) for name, way in WAYS.items()]
    for package in RELEASES:
        ours = [_held(_ranked(Mode.BALANCED), *case) for case in cases if case[0].package == package]
        rows.append(_row(f"balanced, {package} alone", ours))
    return Part("Smart context: share of the changed files that is held, in %", rows)


def _ranked(mode: Mode) -> Way:
    return lambda change, files: [finish(rank(files, [Said(change.request, 1.0)], mode))]


def _by_name(change: Change, files: Sequence[SourceFile]) -> Sequence[Sequence[SourceFile]]:
    """By how many of the words of its path are in the request."""
    said = terms(change.request)
    return [sorted(files, key=lambda file: (-len(terms(file.path).keys() & said.keys()), file.path))]


def _by_recency(change: Change, files: Sequence[SourceFile]) -> Sequence[Sequence[SourceFile]]:
    """By how many releases ago it was last changed."""

    def age(file: SourceFile) -> int:
        before = change.changed_before
        return next((i for i, changed in enumerate(before) if file.path in changed), len(before))

    return [sorted(files, key=lambda file: (age(file), file.path))]


def _at_random(change: Change, files: Sequence[SourceFile]) -> Sequence[Sequence[SourceFile]]:
    shuffler = random.Random(change.package + change.version)
    return [shuffler.sample(files, len(files)) for _ in range(SHUFFLES)]


WAYS: Mapping[str, Way] = {
    "balanced": _ranked(Mode.BALANCED),
    "deep": _ranked(Mode.DEEP),
    "by name": _by_name,
    "by recency": _by_recency,
    "smallest first": lambda change, files: [sorted(files, key=lambda file: (file.tokens, file.path))],
    "at random": _at_random,
}


def _files(change: Change) -> tuple[SourceFile, ...]:
    return finish(read_files([{"path": path, "content": text} for path, text in change.files.items()]))


def _held(way: Way, change: Change, files: Sequence[SourceFile]) -> dict[float, float]:
    """Share → the share of the changed files that is held whole."""
    total = sum(file.tokens for file in files)
    orders = way(change, files)
    return {share: mean(_share(order, change, round(total * share)) for order in orders) for share in SHARES}


def _share(order: Sequence[SourceFile], change: Change, budget: int) -> float:
    chosen = select(order, budget)
    held = {file.path for file in chosen.files} - {chosen.cut}
    return len(held & change.changed) / len(change.changed)


def _row(name: str, held: Sequence[Mapping[float, float]]) -> Row:
    shares = {f"at_{share:.0%}": 100 * mean(each[share] for each in held) for share in SHARES if held}
    return {"": name, "releases": len(held), **shares}
