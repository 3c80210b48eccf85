"""Settings as the environment that makes them: the way back of libs.common.settings."""

import os
from datetime import timedelta
from typing import Any

import msgspec

from libs.common.settings import PREFIX, Secret


def environment_of(settings: msgspec.Struct) -> dict[str, str]:
    """Everything a process needs to read the same settings."""
    fields = msgspec.structs.asdict(settings)
    texts = {PREFIX + name.upper(): _text(value) for name, value in fields.items()}
    return {"PATH": os.defpath, **{name: text for name, text in texts.items() if text is not None}}


def _text(value: Any) -> str | None:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, msgspec.Struct | dict):
        return msgspec.json.encode(value).decode()
    return None if value is None else str(value)
