"""The commands of `audit`."""

import argparse
import json

from scalix_callbacks.cli.admin.office import Answer, Office
from scalix_callbacks.cli.admin.told import table
from scalix_callbacks.ledger.audit import AuditLog
from scalix_callbacks.ledger.told import verdict_data


def list_all(arguments: argparse.Namespace, office: Office) -> Answer:
    log = AuditLog(office.database)
    entries, following = log.page(arguments.user, arguments.limit, arguments.before)
    rows = [
        (
            str(entry["no"]),
            entry["at"],
            entry["actor"],
            entry["action"],
            entry["user_id"] or "-",
            json.dumps(entry["details"]) if entry["details"] else "-",
        )
        for entry in entries
    ]
    text = table(("NO", "AT", "WHO", "WHAT", "WHOSE", "DETAILS"), rows, "There are no entries.")
    if following is not None:
        text += f"\nMore: --before {following}"
    return Answer({"entries": entries, "next": following}, text)


def verify(arguments: argparse.Namespace, office: Office) -> Answer:
    verdict = AuditLog(office.database).verify()
    if verdict.problem is not None:
        return Answer(verdict_data(verdict), f"The audit log was tampered with. {verdict.problem}", code=1)
    text = f"All {verdict.entries} entries are as they were written. The last one's hash: {verdict.hash}"
    return Answer(verdict_data(verdict), text)
