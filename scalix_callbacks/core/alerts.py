"""What an operator is told without having asked: the closed list of alerts, and their form on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scalix_callbacks.core.tiers import DAY_S

MAX_TEXT = 2_000
MAX_FIELDS = 20


class Kind(StrEnum):
    """The value is the `alert` field of the webhook."""

    STORE_LOST = "store_lost"
    STORE_BACK = "store_back"
    DATABASE_AWAY = "database_away"
    DATABASE_BACK = "database_back"
    OUTBOX_GROWING = "outbox_growing"
    OUTBOX_SHRUNK = "outbox_shrunk"
    BUDGET_USED = "budget_used"
    KEY_EXPIRING = "key_expiring"
    ROLLBACK = "rollback"


BACK = {
    Kind.STORE_LOST: Kind.STORE_BACK,
    Kind.DATABASE_AWAY: Kind.DATABASE_BACK,
    Kind.OUTBOX_GROWING: Kind.OUTBOX_SHRUNK,
}
"""How the end of a state is told."""
REPEAT_S = {
    Kind.BUDGET_USED: DAY_S,
    Kind.KEY_EXPIRING: DAY_S,
    Kind.ROLLBACK: DAY_S,
}
"""After how long the same is told again; a state that lasts, every hour."""
REPEAT_STATE_S = 3_600


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell.

    Attributes:
        about: what tells it from others of its kind, such as an account; empty: there is only one.
        text: for a person; no key, prompt or address.
        fields: the same for a program.
    """

    kind: Kind
    text: str
    about: str = ""
    fields: Mapping[str, str | int | float | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Equal for what is to be told once."""
        return f"{self.kind}:{self.about}"

    @property
    def repeat_s(self) -> int:
        return REPEAT_S.get(self.kind, REPEAT_STATE_S)

    def to_json(self, at: str) -> dict[str, Any]:
        """As the webhook gets it: `text` is what Slack, Mattermost and their like show."""
        fields = dict(list(self.fields.items())[:MAX_FIELDS])
        return {"text": self.text[:MAX_TEXT], "alert": self.kind.value, "at": at, "fields": fields}
