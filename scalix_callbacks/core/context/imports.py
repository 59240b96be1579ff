"""Which file imports which, as far as the text says: Python, JavaScript, TypeScript, CSS, C, Rust."""

import re
from collections.abc import Iterable
from posixpath import dirname, join, normpath, splitext

MAX_IMPORTS = 200
"""Of one file; a file that imports more is a list of imports."""
MAX_NAMESAKES = 30
"""Files of one name looked at for an import that does not say where it is."""

_QUOTED = re.compile(
    r"(?:\bfrom|\bimport|\brequire|#[ \t]{0,8}include|@import|@use|\burl)[ \t]{0,8}\(?[ \t]{0,8}"
    r"""["'<]([^"'<>\n]{1,200})["'>]"""
)
_PYTHON = re.compile(
    r"^[ \t]{0,40}from[ \t]{1,8}([.\w]{1,200})[ \t]{1,8}import[ \t]{1,8}\(?([^\n#]{0,400})", re.M
)
_PYTHON_PLAIN = re.compile(r"^[ \t]{0,40}import[ \t]{1,8}([\w.]{1,200})", re.M)
_RUST = re.compile(r"^[ \t]{0,40}(?:pub[ \t]{1,8})?(?:mod|use)[ \t]{1,8}([\w:]{1,200})", re.M)
_NAME = re.compile(r"\w+")
_EXTENSIONS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".vue", ".svelte", ".css", ".scss", ".json")


def imports_of(path: str, piece: str) -> list[str]:
    """What a piece of a file names as imported, as `Paths.find` takes it."""
    if path.endswith((".py", ".pyi")):
        found = [module for module in _PYTHON_PLAIN.findall(piece)]
        for module, names in _PYTHON.findall(piece):
            found.append(module)
            dot = "" if module.endswith(".") else "."
            found += [f"{module}{dot}{name}" for name in _NAME.findall(names)[:30]]
        return found
    if path.endswith(".rs"):
        return [name.replace("::", ".").removeprefix("crate.") for name in _RUST.findall(piece)]
    return [f'"{name}' for name in _QUOTED.findall(piece)]


class Paths:
    """The files of a project by the names that others import them by."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths: set[str] = set(paths)
        self._by_end: dict[str, list[tuple[str, str]]] = {}
        for path in self._paths:
            module = _module_of(path)
            self._by_end.setdefault(module.rpartition("/")[2], []).append((path, f"/{module}"))

    def find(self, named: str, importer: str) -> str | None:
        """The file that `named` means in `importer`; None: none of these, a library's."""
        if named.startswith('"'):
            return self._quoted(named[1:], importer)
        rest = named.lstrip(".")
        up = len(named) - len(rest)
        if up:
            folder = dirname(importer)
            for _ in range(up - 1):
                folder = dirname(folder)
            return self._module(join(folder, rest.replace(".", "/")))
        return self._ending(rest.replace(".", "/"), importer)

    def _quoted(self, named: str, importer: str) -> str | None:
        named = named.partition("?")[0]
        if named.startswith("."):
            return self._module(normpath(join(dirname(importer), named)))
        if named.startswith(("@/", "~/", "/")):
            return self._ending(named.lstrip("@~/"), importer)
        return self._module(normpath(join(dirname(importer), named))) or (
            self._ending(named, importer) if "/" in named else None
        )

    def _module(self, base: str) -> str | None:
        base = base.strip("/")
        for tried in (
            *(base + extension for extension in (*_EXTENSIONS, ".py", ".rs", ".go")),
            *(f"{base}/index{extension}" for extension in _EXTENSIONS[1:6]),
            f"{base}/__init__.py",
            *(splitext(base)[0] + extension for extension in (".ts", ".tsx")),
        ):
            if tried in self._paths and tried:
                return tried
        return None

    def _ending(self, module: str, importer: str) -> str | None:
        """The file whose path ends like this; of several the one that shares most with the importer."""
        end = splitext(module)[0] if module.endswith(_EXTENSIONS[1:]) else module
        found = [
            path
            for path, module in self._by_end.get(end.rpartition("/")[2], ())[:MAX_NAMESAKES]
            if module.endswith(f"/{end}")
        ]
        return min(found, key=lambda path: (-_shared(path, importer), len(path), path), default=None)


def _module_of(path: str) -> str:
    base = splitext(path)[0]
    for index in ("/__init__", "/index", "/mod"):
        base = base.removesuffix(index)
    return base


def _shared(first: str, second: str) -> int:
    """How many leading characters two paths have in common."""
    for i, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return i
    return min(len(first), len(second))
