"""Whether LiteLLM is compiled: else every start takes 5 s longer, and each worker's, too."""

from collections.abc import Iterator
from importlib.util import cache_from_source, find_spec
from pathlib import Path

from scalix_callbacks.cli.doctor.finding import Finding, ok, warning

ENOUGH = 0.9


def examine() -> Iterator[Finding]:
    spec = find_spec("litellm")
    if spec is not None and spec.origin is not None:  # its absence is told elsewhere
        yield of(Path(spec.origin).parent)


def of(folder: Path) -> Finding:
    """Of a package's folder."""
    sources = list(folder.rglob("*.py"))
    compiled = sum(Path(cache_from_source(str(source))).is_file() for source in sources)
    if compiled >= ENOUGH * len(sources):
        return ok("bytecode", "LiteLLM is compiled.")
    return warning(
        "bytecode",
        f"{len(sources) - compiled} of LiteLLM's {len(sources)} files are not compiled: a start takes long.",
        f"python -m compileall -q {folder}",
    )
