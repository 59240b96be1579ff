"""Medians, quantiles, ratios and the table they are shown in."""

from collections.abc import Mapping, Sequence
from statistics import median

Row = Mapping[str, float | str | None]


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that `share` of `values` do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * round(share * 1_000) // 1_000) - 1, 0)]


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Figure by figure, over the rounds that have it."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {name: median(figures[name] for figures in rounds if name in figures) for name in names}


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> float | None:
    """The median of the ratios round by round: what slowed a whole round down is in both of its halves."""
    pairs = [(a, b) for a, b in zip(over, under, strict=True) if b]
    return median(a / b for a, b in pairs) if pairs else None


def table(title: str, rows: Sequence[Row]) -> str:
    """Rows as text under their columns, in the order of their first mention; None, what is missing: `–`."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_shown(row.get(name)) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    return "\n".join([title, *lines])


def _shown(value: float | str | None) -> str:
    match value:
        case None:
            return "–"
        case str():
            return value
        case int():
            return f"{value:,}"
        case _ if abs(value) >= 100:
            return f"{value:,.0f}"
        case _:
            return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
