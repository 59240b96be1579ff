"""The files of a request: what they may be, and what a refusal says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.core.context.slices import Steps, pieces
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.estimate import MESSAGE_TOKENS, text_tokens

MAX_FILES = 5_000
MAX_TOTAL_BYTES = 5 * 1024 * 1024
"""Of all contents, in UTF-8."""
MAX_PATH_CHARS = 500
MAX_CONTROL_SHARE = 0.01
"""Of a text's bytes; terminal colours and form feeds are texts, too."""

_CONTROLS = bytes(b for b in range(0x20) if b not in b"\t\n\x0b\x0c\r\x1b") + b"\x7f"
_DRIVE = re.compile(r"[A-Za-z]:")
_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class SourceFile:
    """`path`: relative, with `/`. `tokens`: about how many its content and border are."""

    path: str
    content: str
    tokens: int


def check_bounds(files: Sequence[Mapping[str, Any]]) -> None:
    """Refuses what is too much, at a cost that does not grow with the contents.

    Raises:
        GatewayError: REQUEST_TOO_LARGE.
    """
    if len(files) > MAX_FILES:
        raise _too_large(f"{len(files):,} files are more than the {MAX_FILES:,} that one request may hold.")
    # A character is a byte or more, so that this cannot refuse what the exact count would let through.
    if sum(len(file["content"]) for file in files) > MAX_TOTAL_BYTES:
        raise _too_many_bytes()


def read_files(files: Sequence[Mapping[str, Any]]) -> Steps[tuple[SourceFile, ...]]:
    """The files, checked one piece after the other; of two with the same path the later one counts.

    Args:
        files: as the screen lets them through: objects with the texts `path` and `content`.

    Raises:
        GatewayError: INVALID_REQUEST or REQUEST_TOO_LARGE, naming the file.
    """
    check_bounds(files)
    read: dict[str, SourceFile] = {}
    total = 0
    for i, file in enumerate(files):
        path = checked_path(file["path"], i)
        size = tokens = controls = 0
        for piece in pieces(file["content"]):
            raw = piece.encode("utf-8", "surrogatepass")
            size += len(raw)
            controls += len(raw) - len(raw.translate(None, _CONTROLS))
            if b"\0" in raw:
                raise _refused(i, path, "is binary: it holds a NUL. Send text files only")
            tokens += text_tokens(piece)
            yield
        if controls > size * MAX_CONTROL_SHARE:
            raise _refused(i, path, "is binary: it is full of control characters. Send text files only")
        total += size
        if total > MAX_TOTAL_BYTES:
            raise _too_many_bytes()
        read[path] = SourceFile(path, file["content"], tokens + MESSAGE_TOKENS + text_tokens(path))
        yield
    return tuple(read.values())


def checked_path(path: str, i: int) -> str:
    """A path that stays within its project, with `/` between its parts.

    Raises:
        GatewayError: INVALID_REQUEST naming the file by its number.
    """
    if len(path) > MAX_PATH_CHARS:
        raise _refused(i, path, f"has a path of more than {MAX_PATH_CHARS} characters. Shorten it")
    if not path.isprintable():
        raise _refused(i, path, "has characters in its path that cannot be printed. Rename it")
    plain = path.replace("\\", "/")
    if plain.startswith(("/", "~")) or _DRIVE.match(plain):
        raise _refused(i, path, "has an absolute path. Send it relative to the project")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refused(i, path, "has a path with `..`. Send it relative to the project")
    if not parts:
        raise _refused(i, path, "has no path. Name it relative to the project")
    return "/".join(parts)


def _refused(i: int, path: str, problem: str) -> GatewayError:
    shown = re.sub(r"[^A-Za-z0-9_./ -]", "?", path[:_SHOWN_CHARS])
    return invalid(f"File {i} ({shown}) {problem}.", param=f"files[{i}]")


def _too_many_bytes() -> GatewayError:
    return _too_large(f"The files hold more than {MAX_TOTAL_BYTES:,} bytes.")


def _too_large(problem: str) -> GatewayError:
    return GatewayError(
        ErrorCategory.REQUEST_TOO_LARGE,
        f"{problem} Send only those that the request is about.",
        param="files",
    )
