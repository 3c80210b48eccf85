"""Passwords of servers and of the roles on them: made once, kept in one private file."""

import os
import secrets
from pathlib import Path
from typing import Final

import msgspec

from deploy.keys import folder as key_folder
from deploy.keys.folder import KeysRefused

FILE: Final = "passwords.json"
NAMES: Final = (
    "postgresql",
    "redis",
    "scaler",
    *(f"{database}-owner" for database in ("requests", "accounts", "billing")),
    *("gateway", "executor", "accounts", "billing", "operator"),
)
"""Of the servers, the autoscaler, the owners of databases, the services and the operator."""

_BYTES: Final = 24


def load_or_make(folder: Path) -> dict[str, str]:
    """One password a name, safe in a URL; what is missing is made. Raises KeysRefused."""
    file = folder / FILE
    known = key_folder.read(file, dict[str, str]) if file.exists() else {}
    made = {name: secrets.token_urlsafe(_BYTES) for name in NAMES if name not in known}
    if made:
        _replace(file, known | made)
    return known | made


def _replace(file: Path, passwords: dict[str, str]) -> None:
    """The old file is whole until the new one is."""
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    try:
        key_folder.write(draft, msgspec.json.encode(passwords))
        draft.replace(file)
    except OSError as error:
        raise KeysRefused(f"{file} cannot be written: {os.strerror(error.errno or 0)}.") from None
