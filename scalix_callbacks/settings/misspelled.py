"""Variables that look like settings of ours: nothing reads them, and nothing else would say so."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from scalix_callbacks.settings.variables import SETTINGS

_HANDED_ON = frozenset({"SCALIX_DEMO_URL", "SCALIX_LAUNCHER_PID", "SCALIX_REDIS_URL"})
"""What a launcher tells its workers."""


def misspelled(values: Mapping[str, str], config: object) -> Iterator[tuple[str, str]]:
    """(name, the setting that was meant) of variables that look like settings of ours and are none.

    Args:
        config: the YAML's data; what it reads itself is meant as it is written.
    """
    names = {setting.name for setting in SETTINGS}
    for name in sorted(set(values) - names - _HANDED_ON):
        near = get_close_matches(name, names, n=1, cutoff=0.75) if name.startswith("SCALIX_") else []
        if near and f"os.environ/{name}" not in repr(config):
            yield name, near[0]
