"""The structure that the rest relies on."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scalix_callbacks"
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "scripts").glob("*.py"))
MAX_LINES = 500

READS_THE_ENVIRONMENT = {
    "scalix_callbacks/app.py",  # hands it to settings and is the place where things are wired
    "scalix_callbacks/asgi.py",  # likewise, in a worker
    "scalix_callbacks/plain/workplace.py",  # likewise, in a plain script
    "scalix_callbacks/proxy/credentials.py",  # sets a variable for LiteLLM while that is imported
}
"""Outside of the command line, which prepares the environment of the processes it starts."""

PURE = {
    "asyncio",
    "os",
    "time",
    "random",
    "secrets",
    "socket",
    "httpx",
    "redis",
    "sqlalchemy",
    "starlette",
    "fastapi",
}
"""What core does without: waiting, the clock, chance, the environment, the network, stores."""


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text())


def imported(module: str) -> set[str]:
    """Full names of what a module imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            names.add(node.module or "")
    return names


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_imports_point_down() -> None:
    """The contracts of pyproject.toml, checked by import-linter itself."""
    tool = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [tool, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == run.returncode, run.stdout + run.stderr
    assert " 0 broken." in run.stdout


@pytest.mark.parametrize("module", [*MODULES, *SCRIPTS])
def test_a_file_opens_with_why_it_exists(module: str) -> None:
    """One line, a sentence that ends."""
    docstring = ast.get_docstring(tree(module))

    assert docstring, f"{module} has no docstring"
    assert docstring.splitlines()[0].strip().endswith((".", ":")), docstring.splitlines()[0]


@pytest.mark.parametrize("module", MODULES)
def test_a_file_can_be_read_in_one_go(module: str) -> None:
    """Longer ones have two reasons to exist."""
    assert len((ROOT / module).read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("module", [name for name in MODULES if "/demo_provider/" in name])
def test_the_demo_provider_knows_nothing_of_ours(module: str) -> None:
    """It stands for a stranger's server; sharing code with it would let both be wrong in the same way."""
    ours = {name for name in imported(module) if is_under(name, "scalix_callbacks")}

    assert set() == {name for name in ours if not is_under(name, "scalix_callbacks.demo_provider")}


@pytest.mark.parametrize("module", [name for name in MODULES if "/core/" in name])
def test_core_is_pure(module: str) -> None:
    """Nothing in it waits, reads a clock or leaves the process: time and chance come in as arguments."""
    assert set() == {name for name in imported(module) if name.split(".")[0] in PURE}
    assert [] == [
        node for node in ast.walk(tree(module)) if isinstance(node, ast.Await | ast.AsyncFunctionDef)
    ]


def reads_environment(module: str) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(tree(module))
    )


def test_one_place_reads_the_environment() -> None:
    """A setting that is read elsewhere would be neither checked nor documented."""
    inside = [
        name
        for name in MODULES
        if not name.startswith(("scalix_callbacks/cli/", "scalix_callbacks/demo_provider/"))
    ]

    assert READS_THE_ENVIRONMENT == {name for name in inside if reads_environment(name)}


def test_the_plugin_defines_nothing() -> None:
    """LiteLLM may run that file outside of sys.modules: what it defined would exist twice."""
    body = tree("scalix_callbacks/plugin.py").body[1:]
    assigned = [node for node in body if not isinstance(node, ast.ImportFrom)]

    assert ["__all__ = ['authenticate', 'callbacks']"] == [ast.unparse(node) for node in assigned]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_thin(script: str) -> None:
    """They call the command line's functions and nothing else; those can be tested."""
    assert len((ROOT / script).read_text().splitlines()) <= 30


@pytest.mark.parametrize("module", MODULES)
def test_no_exception_is_swallowed_unnamed(module: str) -> None:
    """`except` names a class, always."""
    handlers = [node for node in ast.walk(tree(module)) if isinstance(node, ast.ExceptHandler)]

    assert [] == [node.lineno for node in handlers if node.type is None]
