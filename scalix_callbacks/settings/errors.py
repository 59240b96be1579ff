"""The one error of a wrong setting or configuration."""

MAX_SHOWN = 60


class SettingsError(Exception):
    """A setting or configuration that cannot be used; its text is one line: where, what, the mend."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


def shown(value: object) -> str:
    """A value as a message may quote it: in quotes, short, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, for one
        text = f"this {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
