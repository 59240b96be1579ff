"""The failures of a provider as its documentation and its users report them, kept as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scalix_callbacks.demo_provider.errors import BadRequest

_FOLDER = Path(__file__).parents[1] / "recorded"

REFUSED = "refused"
"""The form of a refusal of a bad request: `{status}`, `{message}` and `{param}` are filled in."""
FAILED = "failed"
"""The form of any other failure: `{status}` and `{message}` are filled in."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One answer: what a provider sends when it fails. A status of 200 is a failure told in an answer."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Recorded:
    """The failures of one provider, by name."""

    def __init__(self, recordings: Mapping[str, Recording]) -> None:
        self._recordings = recordings

    @property
    def names(self) -> list[str]:
        """What can be asked for by name, in the order of the file."""
        return [name for name in self._recordings if name not in (REFUSED, FAILED)]

    def named(self, name: str, *, model: str = "") -> Recording:
        """The failure called `name`. Raises: BadRequest, listing those there are."""
        if name not in self.names:
            known = ", ".join(self.names)
            raise BadRequest(f"There is no recorded failure {name[:50]!r} here; there are {known}.")
        return _filled(self._recordings[name], {"model": model})

    def of_status(self, status: int, *, model: str = "") -> Recording:
        """The first failure with `status`, or the provider's form around our words."""
        for name in self.names:
            if self._recordings[name].status == status:
                return self.named(name, model=model)
        said = f"The demo provider was told to fail with status {status}."
        form = self._recordings[FAILED]
        return _filled(Recording(status, form.body, form.headers), {"message": said, "status": status})

    def refusal(self, bad: BadRequest) -> Recording:
        """How the provider says `bad`."""
        if bad.failure is not None:
            return self.named(bad.failure, model=bad.message)
        form = self._recordings[REFUSED]
        values = {"message": bad.message, "param": bad.param, "status": bad.status}
        return _filled(Recording(bad.status, form.body, form.headers), values)


def load(name: str) -> Recorded:
    """What lies in `recorded/NAME.json`: for each name `status`, `body` and maybe `headers`."""
    entries = orjson.loads((_FOLDER / f"{name}.json").read_bytes())
    return Recorded({key: Recording(**entry) for key, entry in entries.items()})


def _filled(form: Recording, values: Mapping[str, Any]) -> Recording:
    return Recording(form.status, _fill(form.body, values), form.headers)


def _fill(part: Any, values: Mapping[str, Any]) -> Any:
    """`"{name}"` alone becomes the value itself; within a longer text it becomes text."""
    match part:
        case dict():
            return {key: _fill(value, values) for key, value in part.items()}
        case list():
            return [_fill(value, values) for value in part]
        case str():
            for name, value in values.items():
                if part == f"{{{name}}}":
                    return value
                part = part.replace(f"{{{name}}}", str(value))
            return part
        case _:
            return part
