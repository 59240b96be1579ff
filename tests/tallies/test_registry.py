"""What is shown of what was counted, by one process and by all."""

import asyncio
import subprocess
import sys

from scalix_callbacks.metrics import Metrics


async def test_what_ended_before_it_was_read_is_in_it():
    """Also where it is written only now and then."""
    metrics = Metrics(None)
    metrics.worker.alerted("sent")
    told = (await metrics.registry.page()).decode()
    metrics.worker.alerted("sent")
    await asyncio.sleep(0)

    assert 'scalix_alerts_total{result="sent"} 1.0' in told


WORKER = """
import os, sys
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.routes import Endpoint
metrics = Metrics(os.environ["PROMETHEUS_MULTIPROC_DIR"])
metrics.worker.started()
metrics.requests.opened()
for _ in range(int(sys.argv[1])):
    metrics.requests.answered(Call(request_id="r"), Endpoint.CHAT, None, 0.3)
if sys.argv[2] == "read":
    sys.stdout.write(metrics.registry.exposition().decode())
else:
    metrics.registry.write()
"""


def test_what_dead_workers_counted_stays_and_what_they_were_goes(tmp_path):
    """Twenty workers came and died: their calls are summed up, their open requests are not; and their files
    do not pile up."""

    def worker(count: int, then: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(count), then],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    for count in range(1, 21):
        worker(count, "die")
    told = worker(100, "read")
    again = worker(0, "read")

    for text in (told, again):
        assert 'scalix_requests_total{endpoint="chat",user_type="unknown"} 310.0' in text
        assert 'scalix_response_time_seconds_count{endpoint="chat"} 310.0' in text
        assert "\nscalix_workers 1.0\n" in text
        assert "\nscalix_active_connections 1.0\n" in text
    assert "scalix_worker_starts_total 22.0" in again
    assert len(list(tmp_path.glob("*.db"))) < 12
