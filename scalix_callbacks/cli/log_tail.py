"""The end of the log, for a start that failed."""

from pathlib import Path

LINES = 15
_MAX_BYTES = 64_000
_MAX_CHARACTERS = 300


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def tail_since(path: Path, offset: int) -> list[str]:
    """The last lines written to `path` after it had `offset` bytes; they are redacted already."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = offset if offset <= size else 0  # rotated meanwhile
            file.seek(max(start, size - _MAX_BYTES))
            text = file.read(_MAX_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line[:_MAX_CHARACTERS] for line in text.splitlines() if line.strip()][-LINES:]
