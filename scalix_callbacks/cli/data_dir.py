"""The data directory: what lies where in it, and that it is ours and private."""

import os
from dataclasses import dataclass
from pathlib import Path

from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.settings.errors import shown

_OURS = ("launcher.lock", "scalix.db", "master_key")


@dataclass(frozen=True, slots=True)
class DataDir:
    """The files of one gateway.

    Attributes:
        launcher_lock: held by the running launcher.
        children_lock: shared by all that may still write to Redis: workers and demo provider.
        keeper_lock: held by the keeper, and by its Redis.
    """

    path: Path

    @property
    def launcher_lock(self) -> Path:
        return self.path / "launcher.lock"

    @property
    def children_lock(self) -> Path:
        return self.path / "children.lock"

    @property
    def keeper_lock(self) -> Path:
        return self.path / "keeper.lock"

    @property
    def state_file(self) -> Path:
        return self.path / "launcher.json"

    @property
    def master_key_file(self) -> Path:
        return self.path / "master_key"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    def prepare(self) -> None:
        """Makes the directory, readable by this user only.

        Raises:
            StartError: it cannot be made or used, or is open to others and full of other things.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_private()
        except FileExistsError:
            raise StartError(f"{self.path}: is no directory. Name another one with --data-dir.") from None
        except OSError as error:
            raise StartError(
                f"{self.path}: cannot be made or used as data directory ({error.strerror}). Mend its"
                " permissions or name another one with --data-dir."
            ) from None

    def check(self) -> None:
        """Whether `prepare` would do, as far as can be told without making anything.

        Raises:
            StartError: as `prepare`.
        """
        try:
            place = next(p for p in (self.path, *self.path.parents) if p.exists())
        except OSError as error:
            raise StartError(
                f"{shown(str(self.path))}: cannot be used as data directory ({error.strerror}). Name another"
                " one with --data-dir."
            ) from None
        if not place.is_dir():
            raise StartError(f"{place}: is no directory. Name another one with --data-dir.")
        if not os.access(place, os.W_OK | os.X_OK):
            raise StartError(
                f"{self.path}: cannot be made or used as data directory (no right to write in {place})."
                " Mend its permissions or name another one with --data-dir."
            )
        if place == self.path:
            self._refuse_foreign()

    def _make_private(self) -> None:
        if self.path.stat().st_mode & 0o077:
            # Never chmod what is not ours: somebody will type --data-dir /tmp.
            self._refuse_foreign()
            self.path.chmod(0o700)
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(0, "no right to write in it")

    def _refuse_foreign(self) -> None:
        if not self.path.stat().st_mode & 0o077:
            return
        names = os.listdir(self.path)
        if names and not any(name in _OURS for name in names):
            raise StartError(
                f"{self.path}: is open to other users and holds other files. Name an empty or new directory"
                " with --data-dir."
            )
