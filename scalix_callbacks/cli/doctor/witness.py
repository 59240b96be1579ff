"""Seeing that a function ran, without changing what it does."""

import functools
import inspect
from collections.abc import Callable
from typing import Any


class Witness:
    """Notes in which step each watched function ran; set `step` before each.

    Attributes:
        ran: the steps by the functions' names, each step once.
    """

    def __init__(self) -> None:
        self.step = "start"
        self.ran: dict[str, list[str]] = {}

    def watch(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the same kind and signature in its place: LiteLLM looks at both."""
        self.ran[name] = []
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def generator(*args: Any, **kwargs: Any) -> Any:
                self._note(name)
                async for item in function(*args, **kwargs):
                    yield item

            return generator
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                self._note(name)
                return await function(*args, **kwargs)

            return coroutine

        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            self._note(name)
            return function(*args, **kwargs)

        return plain

    def _note(self, name: str) -> None:
        if self.step not in self.ran[name]:
            self.ran[name].append(self.step)
