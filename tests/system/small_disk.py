"""A real filesystem of a few megabytes for a data directory, and a way to fill it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PIECES = (1_048_576, 4_096, 1)


class SmallDisk:
    """A tmpfs in a mount namespace of its own: nothing stays mounted, whatever becomes of the test.

    Args:
        mounted_at: the folder over which it is mounted; outside the namespace that stays empty.
    """

    def __init__(self, mounted_at: Path, megabytes: int) -> None:
        self.mounted_at = mounted_at
        mounted_at.mkdir(parents=True)
        mount = f'mount -t tmpfs -o size={megabytes}m,mode=0700 none "$0" && exec "$@"'
        self.command = [*_unshare(), "sh", "-c", mount, str(mounted_at)]
        """What a program is to be started with so that it sees the disk; it keeps its process id."""

    def seen_by(self, pid: int) -> Path:
        """The same folder, as one outside of the namespace reaches it."""
        return Path(f"/proc/{pid}/root{self.mounted_at}")


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not a byte is free in there meanwhile, but what is free in pages that are begun."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in PIECES:
                piece = b"\0" * size
                with suppress(OSError):  # no space left
                    while True:
                        file.write(piece)
        assert shutil.disk_usage(folder).free == 0
        yield
    finally:
        filler.unlink(missing_ok=True)


def _unshare() -> list[str]:
    """Raises AssertionError where no mount namespace can be made; nothing is skipped for that."""
    for options in (["-m"], ["-r", "-m"]) if os.getuid() == 0 else (["-r", "-m"],):
        command = ["unshare", *options]
        probe = [*command, "sh", "-c", "mount -t tmpfs none /mnt"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return command
    raise AssertionError(
        "This test mounts a small disk in a namespace of its own (unshare -m), and may not: run it as root,"
        " or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1,"
        " kernel.apparmor_restrict_unprivileged_userns=0; in a container --cap-add SYS_ADMIN)."
    )
