"""Asks accounts where a project's requests go; opens the sealed key, here and nowhere else."""

import asyncio
import time
from typing import Final

import httpx2
import msgspec

from libs.common import logs
from libs.common.contracts.accounts import (
    AUDIENCE,
    ProviderConnectionAnswer,
    provider_connection_path,
    provider_key_context,
)
from libs.common.crypto import SealBroken, SealingKeyring
from libs.common.errors import Unavailable
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens
from services.executor.domain.calls import ProviderConnection

log = logs.get(__name__)

ACCOUNTS_AWAY: Final = "accounts_away"
SEAL_BROKEN: Final = "provider_key_seal_broken"

ASK_AGAIN_SECONDS: Final = 2.0
FRESH_SECONDS: Final = 3.0
STABLE_SECONDS: Final = 600.0
"""How long the last answer serves while accounts does not answer (static stability)."""

_TIMEOUT_SECONDS: Final = 2.0
_NOT_FOUND: Final = 404
_NO_CONNECTION: Final = frozenset({"no_provider_connection", "project_not_found"})
_MAX_KEPT: Final = 10_000
TEST_CONNECTION_ID: Final = "simulator"
# What the simulator takes as a key; it is no secret, it only has to be there.
_TEST_KEY: Final = Secret("sk-reqrun-simulator")


class _Detail(msgspec.Struct):
    code: str


class _Refusal(msgspec.Struct):
    error: _Detail


class _Kept(msgspec.Struct):
    connection: ProviderConnection | None
    asked_at: float


class AccountsConnections:
    """Keeps each project's connection for three seconds; asks once for all who wait."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        tokens: ServiceTokens,
        keyring: SealingKeyring,
        simulator_url: str,
    ) -> None:
        """`client`: with accounts' internal address as its base URL."""
        self._client, self._tokens, self._keyring = client, tokens, keyring
        self._kept: dict[str, _Kept] = {}
        self._asking: dict[str, asyncio.Task[_Kept | None]] = {}
        self._test = ProviderConnection(
            connection_id=TEST_CONNECTION_ID, base_url=simulator_url, key=_TEST_KEY
        )

    async def find(self, project_id: str, mode: str) -> ProviderConnection | None:
        """None where the project has no connection. Raises Unavailable when nobody knows."""
        if mode == "test":
            return self._test
        kept = self._kept.get(project_id)
        age = STABLE_SECONDS if kept is None else time.monotonic() - kept.asked_at
        if kept is not None and age <= ASK_AGAIN_SECONDS:
            return kept.connection
        asking = self._refresh(project_id)
        if kept is not None and age <= FRESH_SECONDS:
            return kept.connection  # asked ahead, so that a project in use never waits
        answer = await asyncio.shield(asking)
        if answer is not None:
            return answer.connection
        if kept is None or age >= STABLE_SECONDS:
            raise Unavailable("The provider connection cannot be looked up now.")
        return kept.connection

    def _refresh(self, project_id: str) -> "asyncio.Task[_Kept | None]":
        """The question that is under way, one for all who need its answer."""
        asking = self._asking.get(project_id)
        if asking is None:
            asking = asyncio.create_task(self._ask(project_id))
            self._asking[project_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(project_id, None))
        return asking

    async def _ask(self, project_id: str) -> _Kept | None:
        """None when accounts gave no answer that can be used."""
        headers = {"authorization": f"Bearer {self._tokens.issue(AUDIENCE)}"}
        try:
            response = await self._client.get(
                provider_connection_path(project_id), headers=headers, timeout=_TIMEOUT_SECONDS
            )
            if response.status_code == _NOT_FOUND and _has_none(response.content):
                return self._keep(project_id, None)
            response.raise_for_status()
            answer = msgspec.json.decode(response.content, type=ProviderConnectionAnswer)
            return self._keep(project_id, self._open(answer))
        except (httpx2.HTTPError, msgspec.DecodeError, SealBroken) as away:
            event = SEAL_BROKEN if isinstance(away, SealBroken) else ACCOUNTS_AWAY
            log.warning(event, project_id=project_id, exc_info=away)
            return None

    def _open(self, answer: ProviderConnectionAnswer) -> ProviderConnection:
        context = provider_key_context(answer.connection_id, answer.project_id)
        key = self._keyring.open(answer.sealed_key, context).decode()
        return ProviderConnection(
            connection_id=answer.connection_id, base_url=answer.base_url, key=Secret(key)
        )

    def _keep(self, project_id: str, connection: ProviderConnection | None) -> _Kept:
        if len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        kept = self._kept[project_id] = _Kept(connection, time.monotonic())
        return kept


def _has_none(body: bytes) -> bool:
    """Whether accounts itself says so: some other 404 (a wrong address) must not fail requests."""
    return msgspec.json.decode(body, type=_Refusal).error.code in _NO_CONNECTION
