"""Hides from a plain LiteLLM proxy what is installed here for ours alone; Python runs this by itself."""

import importlib.abc
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Hidden(importlib.abc.MetaPathFinder):
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


if names := os.environ.get("BENCH_HIDDEN"):
    sys.meta_path.insert(0, _Hidden(frozenset(names.split(","))))
