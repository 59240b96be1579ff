"""What is computed from the bench's measurements."""

from importlib.metadata import requires

from packaging.requirements import Requirement

from bench.figures import medians, paired_ratio, quantile, table
from bench.rounds import in_turn
from bench.servers import HIDDEN


def test_a_quantile_is_a_value_that_was_measured() -> None:
    """The 99th of a hundred is the last but one; of ten it is the last."""
    assert 99 == quantile(range(1, 101), 0.99)
    assert 10 == quantile(range(1, 11), 0.99)
    assert 2 == quantile([3, 1, 2], 0.5)
    assert 7 == quantile([7], 0.5)


def test_medians_are_taken_figure_by_figure() -> None:
    """A figure that a round lacks is the median of the others."""
    assert {"rate": 2.0, "p50_ms": 7.5} == medians(
        [{"rate": 1.0, "p50_ms": 7.0}, {"rate": 3.0, "p50_ms": 8.0}, {"rate": 2.0}]
    )


def test_a_ratio_compares_within_each_round() -> None:
    """A round in which the machine was busy slows both sides, and leaves the ratio alone."""
    assert 2.0 == paired_ratio([200.0, 20.0, 400.0], [100.0, 10.0, 100.0])
    assert None is paired_ratio([1.0], [0.0])


def test_rounds_alternate() -> None:
    """No way is always measured first."""
    seen: list[str] = []

    def way(name: str) -> dict[str, float]:
        seen.append(name)
        return {"rate": float(len(seen))}

    told = in_turn({"a": lambda: way("a"), "b": lambda: way("b")}, rounds=2)

    assert ["a", "b", "b", "a"] == seen
    assert {"rate": 2.5} == told.medians("a")
    assert None is told.ratio("a", "missing", "rate")


def test_a_table_lines_its_columns_up() -> None:
    """Numbers to the right, names to the left, what was not measured as a dash."""
    rows = [{"": "ours", "rate": 1234.6, "p50_ms": 0.53}, {"": "them", "rate": 7, "p50_ms": None}]

    assert "Calls\n       rate  p50_ms\nours  1,235    0.53\nthem      7       –" == table("Calls", rows)


def test_what_is_hidden_from_stock_is_not_in_its_installation() -> None:
    """`litellm[proxy]` names none of the packages whose modules a stock proxy may not see."""
    proxy = {
        requirement.name
        for requirement in map(Requirement, requires("litellm") or ())
        if requirement.marker is not None and requirement.marker.evaluate({"extra": "proxy"})
    }

    assert ("httptools", "opentelemetry.sdk", "prisma", "prisma.errors") == HIDDEN
    assert set() == proxy & {"httptools", "opentelemetry-api", "opentelemetry-sdk", "prisma"}
