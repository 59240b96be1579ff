"""The fault run on a database server that is killed itself."""

from pathlib import Path

import pytest

from tests.postgresql_server import MISSING, PostgresqlServer, programs
from tests.soak.plan import Fault
from tests.soak.run import run
from tests.soak.verdict import complaints

SEED = 7


@pytest.mark.timeout(600)
def test_no_record_is_lost_or_doubled_when_postgresql_is_killed(tmp_path: Path) -> None:
    """kill -9 of the whole server in the middle of its work."""
    folder = programs()
    assert folder is not None, MISSING
    # Killed, it must still have what it said to have committed.
    with PostgresqlServer(folder, synchronous_commit="on") as server:
        evidence = run(tmp_path, SEED, (Fault.DATABASE_AWAY,), server)

    assert [] == complaints(evidence)
    assert 20 < sum(seen.is_whole for seen in evidence.seen)
