"""What stands in the system message: the files, what was left out, and how to answer with partial edits."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from scalix_callbacks.core.context.selection import Selection

MAX_LEFT_OUT = 200
"""Paths told of files that are not there; of more, the number."""

LAZY_EDITS = """\
# Partial edits
When you change a file that exists, write only what changes, within <scalix-write path="…">…</scalix-write>:
- Begin and end each changed part with enough unchanged lines that its place is plain.
- For unchanged lines between them write one comment line in the file's own language:
  `// ... existing code ...`, `# ... existing code ...` or `<!-- ... existing code ... -->`.
- To take lines out, write the lines around them without them.
- Write new files, and files that change almost everywhere, in full.
- One <scalix-write> tag for each file, with its path as it is named here."""


def files_text(chosen: Selection) -> str:
    """The files between tags that name their paths."""
    said = ["# Files of the project"]
    if chosen.left_out:
        said.append("Those that seem to matter for the request, the most likely first.")
    for file in chosen.files:
        part = ' part="beginning"' if file.path == chosen.cut else ""
        end = "" if file.content.endswith("\n") else "\n"
        said.append(f'<scalix-file path="{escape(file.path)}"{part}>\n{file.content}{end}</scalix-file>')
    if chosen.cut is not None:
        said.append('Of the file marked part="beginning" the rest is not shown: do not write it in full.')
    if chosen.left_out:
        said.append(_left_out(chosen))
    return "\n".join(said)


def _left_out(chosen: Selection) -> str:
    paths = [escape(file.path) for file in chosen.left_out[:MAX_LEFT_OUT]]
    more = len(chosen.left_out) - len(paths)
    told = [
        "The project also has these files, whose contents are not shown:",
        *(f"- {path}" for path in paths),
    ]
    if more:
        told.append(f"- and {more} more")
    return "\n".join(told)


def with_system_text(messages: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """The messages with `text` at the end of the first system message; one is made where there is none."""
    told = list(messages)
    for i, message in enumerate(told):
        if message.get("role") not in ("system", "developer"):
            continue
        content = message.get("content")
        if isinstance(content, list):
            told[i] = {**message, "content": [*content, {"type": "text", "text": text}]}
        else:
            told[i] = {**message, "content": f"{content}\n\n{text}" if content else text}
        return told
    return [{"role": "system", "content": text}, *told]


def savings_text(original_tokens: int, context_tokens: int) -> str:
    """What the app shows as saved; it knows it by its form."""
    return (
        f"<think>scalix-token-savings?original-tokens={original_tokens}"
        f"&smart-context-tokens={context_tokens}</think>"
    )
