"""Runs the scripts: by their hash, in time, with Redis' errors translated."""

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, RedisError, ResponseError

from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.patience import Patience

_FOLDER = files("scalix_callbacks.store") / "scripts"
_OURS = "SCALIX "
"""How the scripts' own complaints about their arguments begin."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis knows it."""

    text: str
    sha: str


def load(*names: str) -> Script:
    """The last of `scripts/{name}.lua`, behind the others and what all scripts share."""
    text = "\n".join((_FOLDER / f"{part}.lua").read_text("utf-8") for part in ("prelude", *names))
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


ADMIT = load("admit")
SETTLE = load("settle")
RESTORE = load("restore")
RETIRE = load("retire")
STANDINGS = load("standings")
RESET = load("reset")
KEEP = load("shelf", "keep")
FORGET = load("shelf", "forget")
MODEL_HEALTH = load("model_health")
TRACE = load("shelf", "trace")


class Lua:
    """Says scripts and commands to one Redis.

    Args:
        timeout_s: how long any of them may take.
    """

    def __init__(self, redis: Client, timeout_s: float) -> None:
        self._lane = redis.lane
        self._timeout_s = timeout_s

    async def run(self, script: Script, keys: Sequence[str], *arguments: str | int | bytes) -> Any:
        """The script's answer.

        Raises:
            StoreLost: it did not come in time; the script may have run.
            ValueError: the script was asked for what cannot be.
        """
        try:
            return await self._say("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except _NotLoaded:
            # Redis restarted. EVAL also keeps the script for the next call.
            return await self._say("EVAL", script.text, len(keys), *keys, *arguments)

    async def _say(self, *command: str | int | bytes) -> Any:
        with _translated():
            async with Patience(self._timeout_s):
                return await self._lane.say(*command)

    async def answer(self, command: Awaitable[_T]) -> _T:
        """What Redis says to `command`.

        Raises:
            StoreLost, ValueError: as `run`.
        """
        with _translated():
            async with Patience(self._timeout_s):
                return await command


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except NoScriptError as error:
        raise _NotLoaded("Redis does not know a script.") from error
    except ResponseError as error:
        if str(error).startswith(_OURS):
            raise ValueError(str(error).removeprefix(_OURS)) from error
        raise StoreLost(f"Redis refuses: {type(error).__name__}.") from error
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreLost(f"Redis does not answer: {type(error).__name__}.") from error


class _NotLoaded(StoreLost):
    """Redis does not know the script."""
