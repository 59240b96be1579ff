"""The unit is right by systemd's own judgement, and gives the gateway what it needs."""

import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from scalix_callbacks.cli.running import BEYOND_TIMEOUT_S
from scalix_callbacks.settings.variables import SETTINGS
from tests.deploy.tools import DEPLOY, tool

TEXT = (DEPLOY / "systemd" / "scalix.service").read_text()
MOST_EXPOSED = 20
"""Tenths of the points that `systemd-analyze security` gives for what a unit may still do; 100 is all."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The file, with this clone and this Python in the place of those it names."""
    placed = TEXT.replace("/opt/scalix/.venv/bin/python", sys.executable)
    path = tmp_path / "scalix.service"
    path.write_text(placed.replace("/opt/scalix", str(DEPLOY.parent)))
    return path


def analyze(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("systemd-analyze", "systemd"), *map(str, words)], capture_output=True, text=True
    )


def test_systemd_takes_the_unit(unit: Path) -> None:
    """Without a warning: each word is one it knows, and what it starts is there."""
    done = analyze("verify", "--man=no", unit)

    assert (0, "") == (
        done.returncode,
        "".join(line for line in done.stderr.splitlines() if unit.name in line),
    )


def test_the_unit_may_do_little(unit: Path) -> None:
    """Of all that a service could do to the machine it runs on."""
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)

    assert 0 == done.returncode, done.stdout


def test_a_stop_has_the_time_that_a_drain_takes() -> None:
    """systemd kills what has not ended by then; and what the launcher ends in order, it leaves to it."""
    service = ConfigParser(strict=False, interpolation=None)
    service.read_string(TEXT)
    defaults = {
        setting.name: float(setting.default or 0) for setting in SETTINGS if setting.unit == "seconds"
    }

    assert float(service["Service"]["TimeoutStopSec"]) >= sum(defaults.values()) + BEYOND_TIMEOUT_S
    assert "mixed" == service["Service"]["KillMode"]


def test_the_data_directory_is_the_units_own() -> None:
    """All else is read-only to it."""
    folder = re.search(r"^StateDirectory=(\w+)$", TEXT, re.MULTILINE)

    assert folder is not None
    assert f"--data-dir /var/lib/{folder[1]}\n" in TEXT
