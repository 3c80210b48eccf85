"""Accounts as the gateway sees it: a real server on a socket, whose keys a test sets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import post
from litestar.params import JSONBody

from deploy.local.ports import free_ports
from libs.common.clock import SystemClock
from libs.common.contracts.accounts import (
    AUDIENCE,
    RESOLVE_KEYS_PATH,
    KeyContext,
    Limits,
    ResolveKeysAnswer,
    ResolveKeysQuestion,
)
from libs.common.crypto import Mode, digest, issue_api_key
from libs.common.ids import new_id
from libs.common.tokens import TokenVerifier
from libs.common.web.app import create, serve
from libs.common.web.guards import service_token
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until

LIMITS = Limits(
    requests_per_minute=60_000,
    pending=100_000,
    requests_per_month=10_000_000,
    running=64,
    body_bytes=2 * 1024 * 1024,
)


def context(key: str, pepper: bytes, mode: Mode = "live", **changes: object) -> KeyContext:
    """A key context that allows everything, unless changed."""
    fields: dict[str, object] = {
        "digest": digest(key, pepper).hex(),
        "key_id": new_id("key"),
        "project_id": new_id("prj"),
        "account_id": new_id("acc"),
        "mode": mode,
        "is_suspended": False,
        "is_drop_in": False,
        "needs_signature": False,
        "sealed_signing_secret": None,
        "sealed_data_key": b"sealed",
        "connection_id": "con_a" if mode == "live" else None,
        "on_unknown_outcome": "retry",
        "retention_seconds": 30 * 86_400,
        "limits": LIMITS,
    }
    return KeyContext(**(fields | changes))  # type: ignore[arg-type]  # any field may be changed


class AccountsStandIn:
    """Holds `contexts` by digest; counts `questions`. `silence` and `speak` play an outage."""

    def __init__(self, gateway: ServiceKey, pepper: bytes) -> None:
        """`gateway`: who may ask."""
        self.contexts: dict[str, KeyContext] = {}
        self.questions: list[tuple[str, ...]] = []
        self.pepper = pepper
        self.port = free_ports()
        self._verifier = TokenVerifier({gateway.key_id: gateway.public}, AUDIENCE, SystemClock())
        self._speaking = asyncio.Event()
        self._speaking.set()

    @property
    def url(self) -> str:
        """Its internal address."""
        return f"http://127.0.0.1:{self.port}"

    def issue(self, mode: Mode = "live", **changes: object) -> str:
        """A new key that is good now."""
        key = issue_api_key(mode)
        known = context(key, self.pepper, mode, **changes)
        self.contexts[known.digest] = known
        return key

    def change(self, key: str, **changes: object) -> None:
        """Give a key another context."""
        known = context(key, self.pepper, **changes)  # type: ignore[arg-type]  # as above
        self.contexts[known.digest] = known

    def of(self, key: str) -> KeyContext:
        """What it says about a key."""
        return self.contexts[digest(key, self.pepper).hex()]

    def revoke(self, key: str) -> None:
        """The key is good no more."""
        del self.contexts[digest(key, self.pepper).hex()]

    def silence(self) -> None:
        """Take questions and do not answer them."""
        self._speaking.clear()

    def speak(self) -> None:
        """Answer again, and all that was asked meanwhile."""
        self._speaking.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens while the block runs."""

        @post(RESOLVE_KEYS_PATH, status_code=200, guards=[service_token(self._verifier, "gateway")])
        async def resolve(data: JSONBody[ResolveKeysQuestion]) -> ResolveKeysAnswer:
            self.questions.append(data.digests)
            await self._speaking.wait()
            found = (self.contexts.get(digest) for digest in data.digests)
            return ResolveKeysAnswer(tuple(one for one in found if one is not None))

        stop = asyncio.Event()
        app = create([resolve])
        task = asyncio.ensure_future(serve(app, "127.0.0.1", self.port)(stop))
        await until(lambda: _listens(self.port))
        try:
            yield
        finally:
            self.speak()
            stop.set()
            await task


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
