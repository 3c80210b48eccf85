"""Answers that are none: what accounts may meet where it asks another service."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import httpx2
import msgspec

from libs.common.clock import SystemClock
from libs.common.tokens import ServiceTokens
from tests.support.raw_server import reply
from tests.support.service_keys import ServiceKey

ACCOUNTS: Final = ServiceKey("accounts")

Adapter = TypeVar("Adapter")


def refusal(code: str, text: str = "No.") -> bytes:
    """A body in our envelope."""
    return msgspec.json.encode({"error": {"message": text, "type": "t", "code": code}})


NO_ANSWERS: Final = {
    "500": reply("500 Oops", refusal("internal_error")),
    "503": reply("503 Away", refusal("unavailable")),
    "401": reply("401 Who", refusal("invalid_api_key")),
    "403": reply("403 No", refusal("forbidden")),
    "another path": reply("404 What", refusal("route_not_found")),
    "no envelope": reply("404 What", b"<html>canary</html>"),
    "no text": reply("404 What", b"\xff"),
    "redirect": reply("302 There", b"", "Location: http://127.0.0.1:1/"),
    "nothing": reply("200 OK", b""),
    "a list": reply("200 OK", b"[]"),
    "no UTF-8": reply("200 OK", b'{"url":"\xff","requests":"\xff"}'),
    "no HTTP": b"canary\r\n\r\n",
}
"""By what is wrong with them."""


@asynccontextmanager
async def asking(
    url: str, make: Callable[[httpx2.AsyncClient, ServiceTokens], Adapter]
) -> AsyncIterator[Adapter]:
    """The adapter, with accounts' own key. `url`: of a raw server, too."""
    tokens = ServiceTokens("accounts", ACCOUNTS.key_id, ACCOUNTS.private.reveal(), SystemClock())
    async with httpx2.AsyncClient(base_url=url.removesuffix("/v1"), trust_env=False) as client:
        yield make(client, tokens)
