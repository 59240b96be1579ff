"""The table of docs/errors.md, from the table of errors: `python -m scalix_callbacks.cli.errors_page`."""

from pathlib import Path

from scalix_callbacks.core.errors import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN = "<!-- the table: `python -m scalix_callbacks.cli.errors_page` writes it from core/errors.py -->"
END = "<!-- the end of the table -->"


def table_text() -> str:
    """The table in Markdown, by status and name."""
    lines = [
        "| code | status | type | retry | fallback | title | message | actions |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for category, kind in sorted(TABLE.items(), key=lambda row: (row[1].status, row[0])):
        cells = (
            f"`{category}`",
            str(kind.status),
            f"`{kind.type}`",
            "yes" if kind.retryable else "no",
            "yes" if kind.may_fall_back else "no",
            kind.title,
            kind.message,
            ", ".join(kind.actions),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page_text(page: str) -> str:
    """`page` with the table of today between its two marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: the marks around the table are missing. Put both lines back.")
    return f"{before}{BEGIN}\n\n{table_text()}\n\n{END}{after}"


def main() -> None:
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
