"""The offer of the next tier, and when an answer carries it."""

from collections.abc import Iterable
from dataclasses import dataclass

from scalix_callbacks.core.figures import Figure, window_words
from scalix_callbacks.core.money import usd_text
from scalix_callbacks.core.tiers import Tier, TierTable, Unit

UPGRADE_HEADER = "x-scalix-upgrade-prompt"
_MAX_HEADER = 256


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The tier a user can move to.

    Attributes:
        name: as people read it: `Pro`.
        url: None: there is no address to do it at.
    """

    name: str
    url: str | None

    @property
    def link(self) -> str:
        """`[Upgrade to Pro](https://…)`, or the words alone."""
        words = f"Upgrade to {self.name}"
        if self.url is None:
            return words
        return f"[{words}]({self.url.replace('(', '%28').replace(')', '%29').replace(' ', '%20')})"


@dataclass(frozen=True, slots=True)
class UpgradePrompt:
    """What a user near a limit is told.

    Attributes:
        message: a sentence in Markdown with the link.
        header: the same in plain ASCII, at most 256 characters.
    """

    message: str
    header: str

    @property
    def headers(self) -> dict[str, str]:
        return {UPGRADE_HEADER: self.header}


def upgrade_of(tier: Tier, tiers: TierTable) -> Upgrade | None:
    """What a user of `tier` can upgrade to; None for the highest."""
    to = tiers.get(tier.upgrade_to) if tier.upgrade_to is not None else None
    return None if to is None else Upgrade(to.name.capitalize(), tiers.upgrade_url(tier, to))


def upgrade_prompt(tier: Tier, tiers: TierTable, figures: Iterable[Figure]) -> UpgradePrompt | None:
    """The prompt once a limit is used to 80 % (8 of 10 is), about the fullest one; None below, and for the
    highest tier."""
    upgrade = upgrade_of(tier, tiers)
    reached = [figure for figure in figures if _is_nearly_used(figure)]
    if upgrade is None or not reached:
        return None
    fullest = min(reached, key=lambda figure: (figure.left, figure.window_s))
    used = f"You have used {amount_words(fullest.unit, fullest.used)} of {limit_words(fullest)}."
    plain = f"{used} Upgrade to {upgrade.name}{': ' + upgrade.url if upgrade.url else ''}"
    return UpgradePrompt(f"{used} {upgrade.link} for more.", _ascii(plain))


def amount_words(unit: Unit, amount: int) -> str:
    """`1,500`; `$0.25` of a budget in nano-USD."""
    if unit is not Unit.USD:
        return f"{amount:,}"
    return f"${usd_text(amount).rstrip('0').ljust(usd_text(amount).index('.') + 3, '0')}"


def limit_words(figure: Figure) -> str:
    """`10 requests per hour`; `$5.00 per 30 days`."""
    amount = figure.limit or 0
    one_or_many = figure.unit.value.removesuffix("s") if amount == 1 else figure.unit.value
    unit = "" if figure.unit is Unit.USD else f" {one_or_many}"
    return f"{amount_words(figure.unit, amount)}{unit} per {window_words(figure.window_s)}"


def _is_nearly_used(figure: Figure) -> bool:
    return figure.limit is not None and figure.used * 5 >= figure.limit * 4


def _ascii(text: str) -> str:
    printable = "".join(c if " " <= c <= "~" else "?" for c in text[: _MAX_HEADER + 1])
    return printable if len(printable) <= _MAX_HEADER else printable[: _MAX_HEADER - 3] + "..."
