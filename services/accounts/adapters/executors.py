"""Asks an executor what only it can find out: it alone opens provider keys."""

import asyncio
from typing import Final

import httpx2
import msgspec

from libs.common import logs
from libs.common.contracts.executor import (
    AUDIENCE,
    TEST_CONNECTION_PATH,
    TestConnectionAnswer,
    TestConnectionQuestion,
)
from libs.common.tokens import ServiceTokens
from services.accounts.domain.errors import ExecutionPlaneAway

log = logs.get(__name__)

CONNECTION_NOT_TESTED: Final = "connection_not_tested"

TIMEOUT_SECONDS: Final = 12.0
"""A little longer than the executor gives the provider."""

_NOT_TESTED: Final = (
    "The connection cannot be tested right now. It is stored; try again in a moment."
)

_read: Final = msgspec.json.Decoder(TestConnectionAnswer).decode


class HttpExecutors:
    """Executors, on their internal port."""

    def __init__(self, client: httpx2.AsyncClient, tokens: ServiceTokens) -> None:
        """`client`: with executors' internal address as its base URL."""
        self._client, self._tokens = client, tokens

    async def test(self, question: TestConnectionQuestion) -> TestConnectionAnswer:
        """See Executors."""
        headers = {
            "authorization": f"Bearer {self._tokens.issue(AUDIENCE)}",
            "content-type": "application/json",
        }
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self._client.post(
                    TEST_CONNECTION_PATH,
                    content=msgspec.json.encode(question),
                    headers=headers,
                    timeout=TIMEOUT_SECONDS,
                )
            response.raise_for_status()
            return _read(response.content)
        except (httpx2.HTTPError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning(CONNECTION_NOT_TESTED, project_id=question.project_id, exc_info=error)
            raise ExecutionPlaneAway(_NOT_TESTED) from None
