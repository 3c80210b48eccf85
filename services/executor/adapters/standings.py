"""Asks accounts how a project stands now."""

from typing import Final

import httpx2
import msgspec

from libs.common.contracts.accounts import AUDIENCE, ProjectStandingAnswer, project_standing_path
from libs.common.errors import Unavailable
from libs.common.tokens import ServiceTokens
from services.executor.domain.projects import Standing

_TIMEOUT_SECONDS: Final = 2.0


class AccountsStandings:
    """Keeps nothing: it is asked seldom, and what matters is that the answer is of now."""

    def __init__(self, client: httpx2.AsyncClient, tokens: ServiceTokens) -> None:
        """`client`: with accounts' internal address as its base URL."""
        self._client, self._tokens = client, tokens

    async def find(self, project_id: str) -> Standing:
        """Raises Unavailable, also for a project that accounts does not know: that is a fault."""
        headers = {"authorization": f"Bearer {self._tokens.issue(AUDIENCE)}"}
        try:
            response = await self._client.get(
                project_standing_path(project_id), headers=headers, timeout=_TIMEOUT_SECONDS
            )
            response.raise_for_status()
            answer = msgspec.json.decode(response.content, type=ProjectStandingAnswer)
        except (httpx2.HTTPError, msgspec.DecodeError, UnicodeDecodeError) as away:
            raise Unavailable("Accounts does not say how the project stands.") from away
        if answer.is_account_deleted:
            return Standing.FORGOTTEN
        if answer.is_deleted:
            return Standing.ERASED
        return Standing.PAUSED if answer.is_paused else Standing.RUNNING
