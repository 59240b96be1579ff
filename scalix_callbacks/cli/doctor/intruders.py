"""Whether something is installed that must not be: the proprietary extension, or a stranger's start file.

LiteLLM 1.82.8 on PyPI carried `litellm_init.pth`. Python executes the lines of such files that begin with
`import` at every start; these stole credentials (LiteLLM issues #24512, #24518).
"""

import site
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, warning

_MAX_BYTES = 5_000_000
_VIRTUALENVS_OWN = ("_virtualenv.pth", "import _virtualenv")


def examine() -> Iterator[Finding]:
    yield enterprise(is_installed=find_spec("litellm_enterprise") is not None)
    folders = {Path(folder).resolve() for folder in (*sys.path, *site.getsitepackages()) if folder}
    yield start_files(sorted(path for folder in folders for path in folder.glob("*.pth")), _recorded())


def enterprise(*, is_installed: bool) -> Finding:
    if not is_installed:
        return ok("litellm-enterprise", "Not installed, as it should be.")
    return broken(
        "litellm-enterprise",
        "Installed: its licence asks for a subscription, and it changes how LiteLLM calls our auth.",
        "python -m pip uninstall litellm-enterprise",
    )


def start_files(paths: Iterable[Path], recorded: frozenset[Path]) -> Finding:
    """Of `.pth` files.

    Args:
        recorded: files that installed packages say are theirs.
    """
    strangers = []
    for path in paths:
        lines = _executed_lines(path)
        if lines and "litellm" in f"{path.name}\n{lines}".lower():
            return broken(
                "start files",
                f"Python executes {path} at every start; it mentions LiteLLM, which ships no such file.",
                "Take this machine off the network, change every key it has seen, install anew by the lock.",
            )
        if lines and path not in recorded and (path.name, lines) != _VIRTUALENVS_OWN:
            strangers.append(path.name)
    if strangers:
        return warning(
            "start files",
            f"Executed at every start of Python, of no installed package: {', '.join(strangers)}.",
            "Look into them; remove those you do not know.",
        )
    return ok("start files", "None of unknown origin.")


def _executed_lines(path: Path) -> str:
    """The lines Python executes, as `site` reads them; empty: none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MAX_BYTES).splitlines()
    except OSError:
        return ""
    return "\n".join(line for line in lines if line.startswith(("import ", "import\t")))


def _recorded() -> frozenset[Path]:
    return frozenset(
        Path(str(distribution.locate_file(file))).resolve()
        for distribution in metadata.distributions()
        for file in distribution.files or ()
        if file.suffix == ".pth"
    )
