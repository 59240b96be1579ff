"""A YAML configuration file as plain data, with what YAML itself would let pass refused."""

from pathlib import Path
from typing import Any

import yaml

from scalix_callbacks.settings.errors import SettingsError, shown

MAX_INCLUDES = 50
MAX_FILE_BYTES = 5_000_000
MAX_DEPTH = 50
MAX_VALUES = 200_000
"""Aliases count as often as they are used: a few lines of them could make billions of values."""
MAX_INTEGER = 2**63


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice; plain YAML keeps the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key_node.tag != "tag:yaml.org,2002:merge" and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_config(path: Path) -> dict[str, Any]:
    """The configuration in `path` with its `include` files merged in, as LiteLLM merges them.

    Lists are joined, everything else is taken from the file included last.

    Raises:
        SettingsError: unreadable, no YAML, no mapping, or a wrong include.
    """
    root = _resolved(path)
    merged = _read(root)
    waiting = [(entry, root) for entry in _includes(merged, root)]
    seen = {root}
    while waiting:
        entry, declared_in = waiting.pop(0)
        location = _resolved(declared_in.parent / entry)
        if location in seen:
            continue
        if len(seen) > MAX_INCLUDES:
            raise SettingsError(f"{path}: more than {MAX_INCLUDES} files are included. Merge some of them.")
        seen.add(location)
        included = _read(location)
        waiting += [(further, location) for further in _includes(included, location)]
        for key, value in included.items():
            if key == "include":
                continue
            here = merged.get(key)
            merged[key] = [*here, *value] if isinstance(here, list) and isinstance(value, list) else value
    merged.pop("include", None)
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_FILE_BYTES} bytes. Name a configuration file.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file. Name an existing file with --config.") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise SettingsError(f"{path}: not a text file in UTF-8. Name a YAML file with --config.") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}). Mend its permissions.") from None
    try:
        data = yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{path}{where}: {error.problem or 'not valid YAML'}. Correct it.") from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        problem = str(error).splitlines()[0] if str(error) else "not valid YAML"
        raise SettingsError(f"{path}: not valid YAML ({problem}). Correct it.") from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise SettingsError(f"{path}: must be a mapping with keys such as model_list. Correct it.")
    _check_size(data, path)
    return data


def _check_size(data: dict[str, Any], path: Path) -> None:
    waiting: list[tuple[object, int]] = [(data, 0)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise SettingsError(f"{path}: nested too deep or too large. Look for an alias (*) of itself.")
        if isinstance(value, int) and abs(value) >= MAX_INTEGER:
            raise SettingsError(f"{path}: holds a number that is too large. Correct it.")
        if isinstance(value, dict):
            waiting += [(item, depth + 1) for pair in value.items() for item in pair]
        elif isinstance(value, list):
            waiting += [(item, depth + 1) for item in value]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or a name no file can have
        raise SettingsError(f"{shown(str(path))}: no such file. Name an existing one.") from None


def _includes(config: dict[str, Any], path: Path) -> list[str]:
    entries = config.get("include", [])
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise SettingsError(f"{path}: include must be a list of file names. Correct it.")
    return entries
