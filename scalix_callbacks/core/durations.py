"""Lengths of time as operators write them: `30s`, `15m`, `12h`, `30d`, `2w`, `1mo`."""

import re
from datetime import timedelta

MAX_DURATION = timedelta(days=3650)  # 10 years: longer is a typing error, or means "never"

_SHAPE = re.compile(r"([0-9]{1,9})(mo|s|m|h|d|w)")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_592_000}


def parse_duration(text: str) -> timedelta:
    """The length `text` names. A month (`mo`) is 30 days, as in LiteLLM; 10 years (3650 days) is the most.

    Raises:
        ValueError: one sentence that says what is accepted.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(
            "A duration is a whole number and a unit: 30s, 15m (minutes), 12h, 30d, 2w or 1mo (30 days)."
        )
    seconds = int(match[1]) * _UNIT_S[match[2]]
    if not 0 < seconds <= MAX_DURATION.total_seconds():
        raise ValueError("A duration is longer than nothing and at most 10 years (3650d).")
    return timedelta(seconds=seconds)
