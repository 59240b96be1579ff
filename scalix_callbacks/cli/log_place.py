"""Whether a start could write its logs, told without making anything."""

import os
from pathlib import Path

from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.settings.environment import Environment


def check_log_places(environment: Environment) -> None:
    """Asks for both files, whose folders a start makes.

    Raises:
        StartError: names the setting, as the keeper does when it cannot open the file.
    """
    for setting, file in (
        ("LITELLM_LOG_FILE", environment.log_file),
        ("SCALIX_ACCESS_LOG", environment.access_log),
    ):
        if file is not None and (problem := _problem(file)) is not None:
            raise StartError(f"{setting}: cannot write {file} ({problem}). Name another file.")


def _problem(file: Path) -> str | None:
    try:
        place = next(place for place in (file, *file.parents) if place.exists())
    except OSError as error:
        return error.strerror
    if place == file:
        if place.is_dir():
            return "Is a directory"
        return None if os.access(place, os.W_OK) else "Permission denied"
    if not place.is_dir():
        return "Not a directory"
    return None if os.access(place, os.W_OK | os.X_OK) else "Permission denied"
