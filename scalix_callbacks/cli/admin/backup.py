"""The commands `backup` and `restore`."""

import argparse

from scalix_callbacks.cli.admin.office import Answer, Refused
from scalix_callbacks.cli.backup import back_up
from scalix_callbacks.cli.backup_files import BadBackup
from scalix_callbacks.cli.restore import restore as put_back
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.ledger.accounts import utc_now
from scalix_callbacks.settings import Settings


def make(arguments: argparse.Namespace, settings: Settings) -> Answer:
    """Writes a backup of the embedded Redis and SQLite, also while the gateway runs."""
    try:
        manifest = back_up(settings, arguments.folder, utc_now())
    except (BadBackup, StartError) as error:
        raise Refused(str(error)) from None
    except OSError as error:
        raise Refused(_sentence(error)) from error
    holds = manifest.holds
    lines = [
        f"{arguments.folder.absolute()} has {_counted(holds['accounts'], 'account')},"
        f" {_counted(holds['keys'], 'key')} and {_counted(holds['records'], 'record')} of {manifest.at}.",
    ]
    if settings.environment.redis_url:
        lines.append("Not in it: the Redis that REDIS_URL names. docs/backup.md says how.")
    lines.append(
        "Keep it where this machine's end is not its own. The operator's key is not in it: keep that apart."
    )
    return _told(lines, {"folder": str(arguments.folder.absolute()), **_data(manifest.at, holds)})


def restore(arguments: argparse.Namespace, settings: Settings) -> Answer:
    """Puts a backup back into an empty data directory."""
    try:
        manifest, holds = put_back(settings, arguments.folder)
    except (BadBackup, StartError) as error:
        raise Refused(str(error)) from None
    except OSError as error:
        raise Refused(_sentence(error)) from error
    lines = [
        f"{settings.data_dir} has {_counted(holds.accounts, 'account')}, {_counted(holds.keys, 'key')} and"
        f" {_counted(holds.records, 'record')} of {manifest.at}.",
        "Now start the gateway, and have the counters made anew: scalix_admin.py rebuild.",
        "Erase again whoever was erased since: the backup does not know of it.",
    ]
    return _told(lines, {"data_dir": str(settings.data_dir), **_data(manifest.at, holds.to_json())})


def _told(lines: list[str], data: dict[str, object]) -> Answer:
    """An audit log that was tampered with is told, and holds nothing back."""
    if data["audit_problem"] is None:
        return Answer(
            data, "\n".join([*lines, f"All {data['audit_entries']} entries of the audit log are as written."])
        )
    return Answer(
        data, "\n".join([*lines, f"The audit log was tampered with. {data['audit_problem']}"]), code=1
    )


def _data(at: str, holds: object) -> dict[str, object]:
    assert isinstance(holds, dict)
    return {"at": at, **holds}


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sentence(error: OSError) -> str:
    place = error.filename or "The disk"
    return f"{place}: {error.strerror or type(error).__name__}. Mend that, or name another folder."
