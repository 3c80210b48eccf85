"""Try a provider connection out, for a person who waits: ask for its models, which is free."""

import time
from datetime import timedelta
from typing import Final

from libs.common.contracts.executor import TestConnectionAnswer, TestConnectionQuestion
from libs.common.crypto import SealBroken
from services.executor.domain.connection_tests import Finding, judge
from services.executor.ports import ConnectionSeals, Provider
from services.executor.use_cases.models import ENDPOINT, MAX_BYTES

TIMEOUT: Final = timedelta(seconds=10)


class ConnectionTests:
    """Keeps nothing: whoever asks again has changed something, and wants to know."""

    def __init__(self, seals: ConnectionSeals, provider: Provider) -> None:
        self._seals, self._provider = seals, provider

    async def run(self, question: TestConnectionQuestion) -> TestConnectionAnswer:
        """Under the same checks as every call; never raises for what a provider does."""
        began = time.monotonic()
        finding = await self._find(question)
        return TestConnectionAnswer(
            is_good=finding.code == "good",
            code=finding.code,
            message=finding.message,
            models=finding.models,
            took=round(time.monotonic() - began, 3),
        )

    async def _find(self, question: TestConnectionQuestion) -> Finding:
        try:
            connection = self._seals.open_connection(question.project_id, question.connection)
        except SealBroken:
            return Finding("key_unreadable")
        answer = await self._provider.get(
            connection, ENDPOINT, timeout=TIMEOUT, max_bytes=MAX_BYTES
        )
        return judge(answer)
