"""What the model says: the tokens of each choice and why it ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import orjson

from scalix_callbacks.demo_provider.script import FinishReason, Script
from scalix_callbacks.demo_provider.tokens import split_tokens

_GREETING = split_tokens(
    "Hello from the Scalix demo provider! This answer is made up on your own machine: "
    "no key and no network needed."
)
"""The whole default answer, 24 tokens."""

_SMALL_TALK = split_tokens(
    " It counts every word and mark, streams them one by one, remembers what it sent, and breaks down "
    "whenever a test asks for that. Nothing you write is sent anywhere else. To talk with a real model, "
    "put the key of your provider into the configuration, then start the gateway again."
)
"""What longer answers go on with, again and again; no token equals the one before it."""


@dataclass(frozen=True, slots=True)
class TextToken:
    """One token of the text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallToken:
    """The start of a tool call, its name; counts as one token. `call` is its place in the choice, from 0."""

    call: int
    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsToken:
    """One token of the arguments of the tool call at place `call`."""

    call: int
    text: str


Token = TextToken | ToolCallToken | ArgumentsToken


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A tool call with the arguments that were sent of it."""

    call_id: str
    name: str
    arguments: str

    def as_object(self) -> dict[str, Any]:
        """The arguments, as providers tell them that do not send JSON in a text; {} for what is cut off."""
        try:
            value = orjson.loads(self.arguments)
        except orjson.JSONDecodeError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a request."""

    index: int
    tokens: tuple[Token, ...]
    finish_reason: FinishReason

    @property
    def text(self) -> str:
        """The text of all its text tokens."""
        return "".join(token.text for token in self.tokens if isinstance(token, TextToken))

    @property
    def tool_calls(self) -> list[MadeCall]:
        """Its tool calls, in order."""
        arguments: dict[int, str] = {}
        for token in self.tokens:
            if isinstance(token, ArgumentsToken):
                arguments[token.call] = arguments.get(token.call, "") + token.text
        return [
            MadeCall(token.call_id, token.name, arguments.get(token.call, ""))
            for token in self.tokens
            if isinstance(token, ToolCallToken)
        ]


def make_choices(script: Script, count: int, max_tokens: int | None) -> tuple[Choice, ...]:
    """The `count` choices of an answer, none longer than `max_tokens`; deterministic."""
    return tuple(_make_choice(script, index, max_tokens) for index in range(count))


def in_sending_order(choices: tuple[Choice, ...]) -> Iterator[tuple[int, Token]]:
    """The tokens with the index of their choice: the first of each choice, then the second of each, …"""
    longest = max((len(choice.tokens) for choice in choices), default=0)
    for position in range(longest):
        for choice in choices:
            if position < len(choice.tokens):
                yield choice.index, choice.tokens[position]


def _make_choice(script: Script, index: int, max_tokens: int | None) -> Choice:
    tokens = _tokens(script, index)
    is_cut = max_tokens is not None and len(tokens) > max_tokens
    if script.finish_reason is not None:
        reason = script.finish_reason
    elif is_cut:
        reason = FinishReason.LENGTH
    else:
        reason = FinishReason.TOOL_CALLS if script.tool_calls else FinishReason.STOP
    return Choice(index, tokens[:max_tokens], reason)


def _tokens(script: Script, index: int) -> tuple[Token, ...]:
    if not script.tool_calls:
        return tuple(TextToken(text) for text in _words(script, index))
    tokens: list[Token] = [TextToken(text) for text in split_tokens(script.text or "")]
    for place, call in enumerate(script.tool_calls):
        tokens.append(ToolCallToken(place, call.id or f"call_demo_{index}_{place}", call.name))
        tokens += [ArgumentsToken(place, text) for text in split_tokens(call.arguments)]
    return tuple(tokens[: script.tokens])


def _words(script: Script, index: int) -> Iterator[str]:
    if script.text is not None:
        words = split_tokens(script.text)
        length = len(words) if script.tokens is None else script.tokens
        return islice(cycle(words), length)
    opening = _GREETING if index == 0 else split_tokens(f"Choice {index + 1} from the Scalix demo provider:")
    length = len(_GREETING) if script.tokens is None else script.tokens
    return islice(_endless(opening), length)


def _endless(opening: tuple[str, ...]) -> Iterator[str]:
    yield from opening
    yield from cycle(_SMALL_TALK)
