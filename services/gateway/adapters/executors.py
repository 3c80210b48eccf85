"""Asks an executor what only it can: it alone holds the keys to the providers."""

import asyncio
from typing import Final

import httpx2
import msgspec

from libs.common import logs
from libs.common.contracts.executor import (
    AUDIENCE,
    NO_PROVIDER_CONNECTION,
    PROJECT_NOT_FOUND,
    ModelsAnswer,
    models_path,
)
from libs.common.errors import AppError
from libs.common.tokens import ServiceTokens
from services.gateway.domain.errors import ModelsAway, NoProviderConnection

log = logs.get(__name__)

MODELS_NOT_TOLD: Final = "models_not_told"

TIMEOUT_SECONDS: Final = 12.0
"""A little longer than the executor gives the provider."""
_POOL_SECONDS: Final = 1.0
_TIMEOUT: Final = httpx2.Timeout(TIMEOUT_SECONDS, pool=_POOL_SECONDS)
"""Where too many wait for slow providers, the others hear so soon."""

_read: Final = msgspec.json.Decoder(ModelsAnswer).decode


class _Detail(msgspec.Struct):
    code: str


class _Refusal(msgspec.Struct):
    error: _Detail


_read_refusal: Final = msgspec.json.Decoder(_Refusal).decode


class HttpModels:
    """Models, from an executor's internal port, which keeps each list for a minute."""

    def __init__(self, client: httpx2.AsyncClient, tokens: ServiceTokens) -> None:
        """`client`: with executors' internal address as its base URL."""
        self._client, self._tokens = client, tokens
        self._asking: dict[tuple[str, str], asyncio.Task[msgspec.Raw | AppError]] = {}

    async def list_models(self, project_id: str, mode: str) -> msgspec.Raw:
        """See Models. Who asks while a project's answer is awaited gets that one.

        So a provider that does not answer holds one connection to executors, and not all of them.
        """
        about = project_id, mode
        task = self._asking.get(about)
        if task is None:
            task = self._asking[about] = asyncio.create_task(self._ask(project_id, mode))
            task.add_done_callback(lambda _: self._asking.pop(about, None))
        answer = await asyncio.shield(task)  # it is the others' too
        if isinstance(answer, AppError):
            raise answer
        return answer

    async def _ask(self, project_id: str, mode: str) -> msgspec.Raw | AppError:
        """Answers an error instead of raising it: perhaps nobody is left to pick it up."""
        headers = {"authorization": f"Bearer {self._tokens.issue(AUDIENCE)}"}
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self._client.get(
                    models_path(project_id),
                    params={"mode": mode},
                    headers=headers,
                    timeout=_TIMEOUT,
                )
            if _has_no_provider(response):
                return NoProviderConnection()
            response.raise_for_status()
            return _read(response.content).models
        except (httpx2.HTTPError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning(MODELS_NOT_TOLD, project_id=project_id, exc_info=error)
            return ModelsAway()


def _has_no_provider(response: httpx2.Response) -> bool:
    if not response.is_client_error:
        return False
    code = _read_refusal(response.content).error.code
    return code in (NO_PROVIDER_CONNECTION, PROJECT_NOT_FOUND)
