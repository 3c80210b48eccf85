"""Settings: the environment, read once into a frozen Struct.

Field `ledger_url` is the variable `REQRUN_LEDGER_URL`. All that is missing or malformed is named in
one error, so that an operator mends everything in one go.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec

PREFIX: Final = "REQRUN_"

T = TypeVar("T", bound=msgspec.Struct)


class SettingsError(Exception):
    """The environment does not hold what the process needs; the text lists each variable."""


class Secret:
    """A text that shows itself only when asked: its `repr` and `str` are `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hold `text`."""
        self._text = text

    def reveal(self) -> str:
        """The text. Call it where it is used, never where it is passed on."""
        return self._text

    def __repr__(self) -> str:
        """Three stars."""
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Equal when the texts are; for tests and caches, not for checking a password."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """As the text's."""
        return hash(self._text)


def load(kind: type[T], environ: Mapping[str, str]) -> T:
    """Build `kind` from `environ`. Raises SettingsError that names every variable at fault."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in msgspec.structs.fields(kind):
        name = PREFIX + field.name.upper()
        text = environ.get(name)
        if text is None:
            if field.required:
                faults.append(f"{name} is not set")
            continue
        try:
            values[field.name] = _convert(text, field.type)
        except (msgspec.ValidationError, ValueError):
            faults.append(f"{name} is not a valid {_name(field.type)}")
    if faults:
        raise SettingsError("; ".join(faults))
    return kind(**values)


def _convert(text: str, kind: Any) -> Any:
    if kind is Secret:
        return Secret(text)
    if kind is timedelta:
        return timedelta(seconds=float(text))
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return msgspec.json.decode(text, type=kind)
    if getattr(kind, "__origin__", None) is dict:
        return msgspec.json.decode(text, type=kind)
    return msgspec.convert(text, type=kind, strict=False)


def _name(kind: Any) -> str:
    if kind is timedelta:
        return "number of seconds"
    return getattr(kind, "__name__", str(kind))
