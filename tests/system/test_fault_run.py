"""Whatever is killed or stopped under load: clients, provider, ledger and counters agree."""

from pathlib import Path

import pytest

from tests.soak.plan import Fault
from tests.soak.run import run
from tests.soak.verdict import complaints

SEED = 7
FAULTS = tuple(fault for fault in Fault if fault not in (Fault.RENEWED, Fault.WORKER_STALLED))
"""`python -m bench.soak` has them all, in any order, for as long as one likes."""


@pytest.mark.timeout(600)
def test_no_call_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    """Worker, launcher, Redis and database, each killed or stopped once while clients of all kinds ask."""
    evidence = run(tmp_path, SEED, FAULTS)

    assert [] == complaints(evidence)
    assert 50 < sum(seen.is_whole for seen in evidence.seen)
