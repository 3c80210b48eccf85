"""Asks a gateway what the ledger says of usage (libs/common/contracts/usage.py)."""

import asyncio
from typing import Any, Final, TypeVar

import httpx2
import msgspec

from libs.common import logs
from libs.common.contracts.gateway import AUDIENCE
from libs.common.contracts.usage import (
    ENDED_PATH,
    USAGE_PATH,
    EndedAnswer,
    EndedQuestion,
    LedgerUsageAnswer,
    UsageQuestion,
)
from libs.common.tokens import ServiceTokens
from services.billing.domain.drift import LedgerAway

log = logs.get(__name__)

GATEWAY_NOT_ANSWERING: Final = "gateway_not_answering"

TIMEOUT_SECONDS: Final = 5.0
PAUSES: Final = (0.5, 2.0)
"""Nobody waits for these answers: a gateway that restarts must not end the night."""

Answer = TypeVar("Answer")


class HttpLedger:
    """Gateways, on their internal port. Everything raises LedgerAway after three tries."""

    def __init__(self, client: httpx2.AsyncClient, tokens: ServiceTokens) -> None:
        """`client`: with gateways' internal address as its base URL."""
        self._client, self._tokens = client, tokens

    async def usage(self, question: UsageQuestion) -> LedgerUsageAnswer:
        """A page."""
        return await self._get(USAGE_PATH, question, LedgerUsageAnswer)

    async def ended(self, question: EndedQuestion) -> EndedAnswer:
        """A page."""
        return await self._get(ENDED_PATH, question, EndedAnswer)

    async def _get(self, path: str, question: msgspec.Struct, kind: type[Answer]) -> Answer:
        asked: dict[str, Any] = msgspec.to_builtins(question)
        params = {name: value for name, value in asked.items() if value is not None}
        for pause in PAUSES:
            answer = await self._try(path, params, kind)
            if answer is not None:
                return answer
            await asyncio.sleep(pause)
        answer = await self._try(path, params, kind)
        if answer is None:
            raise LedgerAway
        return answer

    async def _try(self, path: str, params: dict[str, Any], kind: type[Answer]) -> Answer | None:
        headers = {"authorization": f"Bearer {self._tokens.issue(AUDIENCE)}"}
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self._client.get(path, params=params, headers=headers)
            response.raise_for_status()
            return msgspec.json.decode(response.content, type=kind)
        except (httpx2.HTTPError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning(GATEWAY_NOT_ANSWERING, error=type(error).__name__)
            return None
