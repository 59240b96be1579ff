"""The numbers of one process: made here, counted in memory, and shown together."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from scalix_callbacks.tallies import shared_files
from scalix_callbacks.tallies.waiting import Labels, Level, Tally, Times

WRITE_S = 0.1
"""How late what was counted shows; a worker that is killed takes so much with it."""


class Registry:
    """Of one process.

    Args:
        shared_dir: where the processes of one launcher keep their numbers (`PROMETHEUS_MULTIPROC_DIR`,
            which the library itself reads when it is imported); None: this process is alone.
    """

    def __init__(self, shared_dir: str | None) -> None:
        self._shared_dir = shared_dir
        self._registry = CollectorRegistry()
        self._written: list[Tally | Times | Level] = []
        self._timer: asyncio.TimerHandle | None = None

    # --- making them -------------------------------------------------------------------------

    def tally(self, name: str, text: str, labels: Labels = (), zeros: Sequence[Labels] = ()) -> Tally:
        """A counter; `zeros` as for `Tally`."""
        tally = Tally(Counter(name, text, labels, registry=self._registry), zeros=zeros)
        self._written.append(tally)
        return tally

    def times(
        self,
        name: str,
        text: str,
        labels: Labels,
        bounds: tuple[float, ...],
        zeros: Sequence[Labels] = (),
    ) -> Times:
        """A histogram; `bounds` and `zeros` as for `Times`."""
        histogram = Histogram(name, text, labels, buckets=bounds, registry=self._registry)
        times = Times(histogram, bounds, zeros=zeros)
        self._written.append(times)
        return times

    def level(self, name: str, text: str, labels: Labels = (), all_labels: Sequence[Labels] = ((),)) -> Level:
        """A gauge that is counted up and down, summed over all processes; `all_labels` as for `Level`."""
        level = Level(self.gauge(name, text, "livesum", labels), all_labels)
        self._written.append(level)
        return level

    def gauge(self, name: str, text: str, mode: str = "livesum", labels: Labels = ()) -> Gauge:
        """One that shows as soon as it is set; `mode`: what several processes show together."""
        return Gauge(
            name,
            text,
            labels,
            registry=self._registry,
            multiprocess_mode=mode,  # type: ignore[arg-type]  # one of the library's own words
        )

    # --- showing them ------------------------------------------------------------------------

    async def page(self) -> bytes:
        """All workers' numbers in Prometheus' text format; what ended before it was asked for is in it."""
        if self._shared_dir is not None:
            await asyncio.sleep(2 * WRITE_S)
        self.write()
        return await asyncio.to_thread(self._read)

    def exposition(self) -> bytes:
        """What this worker has counted, and the others have written."""
        self.write()
        return self._read()

    def write(self) -> None:
        """Shows what has been counted so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in self._written:
            each.write()

    def due(self) -> None:
        """`write` soon; without an event loop, when it is read."""
        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._timer = loop.call_later(WRITE_S, self.write)

    def _read(self) -> bytes:
        if self._shared_dir is None:
            return generate_latest(self._registry)
        return shared_files.exposition(Path(self._shared_dir))
