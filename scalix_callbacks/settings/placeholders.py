"""What is written where a key belongs until somebody sets one."""

import re

_PLACEHOLDER = re.compile(
    r"""
    \$\{[^{}]*\} | (?-i:\$[A-Z0-9]+_[A-Z0-9_]+) | \$\([^()]*\) | %\w+% | \{\{[^{}]*\}\}  # not expanded
    | os\.environ/\w+
    | <[^<>]*>
    | (?:sk-)?(?:[a-z]+-)?your[-_ ](?:.*[-_ ])?(?:key|token|secret|here)
    | (?:.*[-_ ])?(?:key|token|secret)[-_ ](?:goes[-_ ])?here
    | change[-_ ]?me
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_placeholder(value: str) -> bool:
    """Whether `value` only holds a key's place: `${KEY}`, `<your key>`, `your-api-key-here`, `changeme`.

    What servers without keys are given counts as one: `none`, `dummy`, `sk-1234`, `sk-xxx`, `EMPTY`.
    """
    return _PLACEHOLDER.fullmatch(value.strip()) is not None
