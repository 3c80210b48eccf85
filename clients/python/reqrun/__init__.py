"""The client of ReqRun.

`SigningAuth` needs the standard library alone; `ReqRun` and `AsyncReqRun` need `reqrun[client]`, so
they are imported when they are first asked for (PEP 562).
"""

import importlib
from typing import TYPE_CHECKING, Final

from reqrun.errors import NoAnswer, ReqRunError, WaitTimedOut
from reqrun.retries import Retries
from reqrun.signing import SigningAuth, UnsignableBody

if TYPE_CHECKING:
    from reqrun.asynchronous import AsyncReqRun
    from reqrun.blocking import ReqRun

__all__ = [
    "AsyncReqRun",
    "NoAnswer",
    "ReqRun",
    "ReqRunError",
    "Retries",
    "SigningAuth",
    "UnsignableBody",
    "WaitTimedOut",
]

_CLIENTS: Final = {"ReqRun": "reqrun.blocking", "AsyncReqRun": "reqrun.asynchronous"}


def __getattr__(name: str) -> object:
    """A client's class. Raises ModuleNotFoundError that says what to install."""
    if name not in _CLIENTS:
        raise AttributeError(f"module 'reqrun' has no attribute {name!r}")
    try:
        module = importlib.import_module(_CLIENTS[name])
    except ModuleNotFoundError as missing:
        if missing.name != "httpx2":
            raise
        text = f"{name} needs httpx2: pip install 'reqrun[client]'"
        raise ModuleNotFoundError(text, name=missing.name) from missing
    return getattr(module, name)
