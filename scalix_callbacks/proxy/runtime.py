"""What LiteLLM's hooks work with: set once by the composition root, which they must not know."""

from typing import Protocol

from scalix_callbacks.gateway import Gateway
from scalix_callbacks.metering import Meter


class Runtime(Protocol):
    """A worker's gateway, ready once its background tasks run."""

    @property
    def gateway(self) -> Gateway: ...

    @property
    def meter(self) -> Meter: ...

    async def start(self) -> None:
        """Starts what runs in the background; any number of calls start it once."""


_current: list[Runtime] = []


def provide(runtime: Runtime) -> None:
    """Sets the runtime of this process; the last one holds."""
    _current[:] = [runtime]


async def running() -> Gateway:
    """The gateway, with its background tasks running."""
    runtime = _current[0]
    await runtime.start()
    return runtime.gateway


def gateway() -> Gateway:
    return _current[0].gateway


def meter() -> Meter:
    return _current[0].meter
