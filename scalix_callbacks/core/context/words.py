"""Words of code and of talk about it: identifiers, and the parts they are made of."""

import re
from collections import Counter

MIN_CHARS = 2
MAX_PARTS = 12

_IDENTIFIER = re.compile(r"[^\W\d]\w{1,59}")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")


def identifiers(text: str) -> list[str]:
    """The identifiers and words of a text, in order, as they are written."""
    return _IDENTIFIER.findall(text)


def parts(identifier: str) -> tuple[str, ...]:
    """`parseHttpRequest` and `parse_http_request` are parse, http and request; small letters, stemmed.

    The whole comes first where it has more than one part.
    """
    found = [stem(part.lower()) for part in _PARTS.findall(identifier)[:MAX_PARTS] if len(part) >= MIN_CHARS]
    whole = identifier.lower().strip("_")
    return (whole, *found) if len(found) != 1 and whole else tuple(found)


def stem(word: str) -> str:
    """Without the commonest endings of English, so that `parses`, `parsed` and `parsing` are one word."""
    for ending in ("ing", "ies", "ed", "es", "er", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + ("i" if ending == "ies" else "")
            break
    word = word[:-1] if len(word) > 3 and word[-1] == "e" else word
    return word[:-1] + "i" if len(word) > 3 and word[-1] == "y" else word


def terms(text: str) -> Counter[str]:
    """How often each word, and each part of one, is in a text; words that say nothing are left out."""
    counted: Counter[str] = Counter()
    for identifier, count in Counter(identifiers(text)).items():
        if identifier.lower() not in EMPTY_WORDS:
            for part in parts(identifier):
                counted[part] += count
    return counted


_EMPTY = """
    about add added after again all also an and any are as at be because been before being but by
    can change changed changes could did do does doing done each else few fix fixed fixes for from
    get give had has have her here him his how if in into is issue it its just like make many me
    more most my need new no not now of off on one only or other our out please same she should so
    some such support supported supports than that the their them then there these they this those
    to too under up update updated use used uses using very via want was we were what when where
    which while who why will with would you your
"""
EMPTY_WORDS = frozenset(_EMPTY.split())
"""Of English, and of what people ask for; every file is changed, added or fixed."""
