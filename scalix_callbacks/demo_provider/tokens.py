"""How the demo provider counts tokens."""

import re

_TOKEN = re.compile(r"\w+|[^\w\s]")


def count_tokens(text: str) -> int:
    """The number of tokens in `text`, for prompts and completions alike.

    A token is a run of letters, digits and underscores, or one other visible character. White space counts
    nothing: `"Hello, world!"` is 4 tokens, `" \\n"` is 0.
    """
    return len(_TOKEN.findall(text))


def split_tokens(text: str) -> tuple[str, ...]:
    """The tokens of `text`, each with the white space before it; joined they give `text` again.

    White space at the very end belongs to the last token. A text without a token gives `()`.
    """
    pieces: list[str] = []
    start = 0
    for token in _TOKEN.finditer(text):
        pieces.append(text[start : token.end()])
        start = token.end()
    if pieces:
        pieces[-1] += text[start:]
    return tuple(pieces)
