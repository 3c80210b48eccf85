"""Settings: the environment, read once into a frozen Struct.

Field `ledger_url` is the variable `REQRUN_LEDGER_URL`, or, where that is not set, the file of that
name in the folder that `REQRUN_SECRETS` names: a mounted secret shows in no list of processes and
in no description of a container. All that is missing or malformed is named in one error, so that an
operator mends everything in one go.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

PREFIX: Final = "REQRUN_"
SECRETS: Final = "REQRUN_SECRETS"
"""The variable that names a folder of files, each called as the variable it stands for."""

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
        text = _find(name, environ)
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


def _find(name: str, environ: Mapping[str, str]) -> str | None:
    """The environment comes first. A line break at a file's end belongs to the editor."""
    text, folder = environ.get(name), environ.get(SECRETS)
    if text is not None or not folder:
        return text
    file = Path(folder) / name
    try:
        return file.read_text("utf-8").removesuffix("\n") if file.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {type(error).__name__}") from None


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
