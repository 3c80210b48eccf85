"""Asks accounts whose API keys are."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import httpx2
import msgspec

from libs.common import logs
from libs.common.contracts.accounts import (
    AUDIENCE,
    RESOLVE_KEYS_PATH,
    KeyContext,
    KeyDigests,
    ResolveKeysAnswer,
    ResolveKeysQuestion,
)
from libs.common.tokens import ServiceTokens
from services.gateway.domain.errors import AccountsAway

log = logs.get(__name__)

ACCOUNTS_NOT_ANSWERING: Final = "accounts_not_answering"

TIMEOUT_SECONDS: Final = 1.0

_read: Final = msgspec.json.Decoder(ResolveKeysAnswer).decode


class HttpAccounts:
    """Accounts over its internal port."""

    def __init__(self, client: httpx2.AsyncClient, tokens: ServiceTokens) -> None:
        """`client`: with accounts' internal address as its base URL."""
        self._client, self._tokens = client, tokens

    async def resolve(self, keys: Sequence[KeyDigests]) -> Mapping[str, KeyContext]:
        """See Accounts. Anything but a good answer within a second is AccountsAway."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self._client.post(
                    RESOLVE_KEYS_PATH,
                    content=msgspec.json.encode(ResolveKeysQuestion(tuple(keys))),
                    headers=self._headers(),
                )
            response.raise_for_status()
            contexts = _read(response.content).contexts
        except (httpx2.HTTPError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning(ACCOUNTS_NOT_ANSWERING, count=len(keys), exc_info=error)
            raise AccountsAway from None
        return {context.digest: context for context in contexts}

    def _headers(self) -> dict[str, str]:
        token = self._tokens.issue(AUDIENCE)
        return {"authorization": f"Bearer {token}", "content-type": "application/json"}
