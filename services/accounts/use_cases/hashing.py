"""Passwords are hashed beside the event loop, few at a time: each takes 19 MiB and a core."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.accounts.domain import passwords

_AT_ONCE: Final = 4
_HASHERS: Final = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")


async def hash_password(password: str) -> str:
    """As `domain.passwords.hash_password`."""
    return await asyncio.get_running_loop().run_in_executor(
        _HASHERS, passwords.hash_password, password
    )


async def is_password(password: str, stored: str | None) -> bool:
    """Whether this is the one. The same work where there is none to compare it with."""
    return await asyncio.get_running_loop().run_in_executor(
        _HASHERS, _is_password, password, stored
    )


async def nobodys() -> str:
    """A hash that lets nobody in."""
    return await asyncio.get_running_loop().run_in_executor(_HASHERS, passwords.nobodys)


def _is_password(password: str, stored: str | None) -> bool:
    text = password[: passwords.LONGEST + 1]  # a longer one is nobody's, and no work
    if stored is None:
        passwords.is_password(text, passwords.nobodys())
        return False
    return passwords.is_password(text, stored)
