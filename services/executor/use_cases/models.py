"""Which models a project's provider lists; many tools ask that before anything else."""

import asyncio
import math
import time
from collections import OrderedDict
from datetime import timedelta
from typing import Final

from services.executor.domain.bodies import read_models
from services.executor.domain.calls import CallFailure, ProviderConnection
from services.executor.domain.errors import (
    ModelsUnavailable,
    ProjectNotFound,
    ProviderConnectionNotFound,
)
from services.executor.domain.failures import is_success
from services.executor.ports import Projects, Provider

ENDPOINT: Final = "models"
TIMEOUT: Final = timedelta(seconds=10)
MAX_BYTES: Final = 1024 * 1024
KEPT: Final = timedelta(seconds=60)
FAILURE_KEPT: Final = timedelta(seconds=5)
MAX_KEPT: Final = 100
"""Lists, of MAX_BYTES at the most."""


class ModelLists:
    """Keeps each connection's list for a minute, and a failure for five seconds.

    Whoever asks while the provider is being asked waits for the same answer.
    """

    def __init__(self, projects: Projects, provider: Provider) -> None:
        self._projects, self._provider = projects, provider
        self._kept: OrderedDict[str, tuple[float, asyncio.Task[bytes]]] = OrderedDict()

    async def find(self, project_id: str, mode: str) -> bytes:
        """The `data` of the provider's list, a JSON array as it came.

        Raises ProjectNotFound, ProviderConnectionNotFound, ModelsUnavailable, Unavailable.
        """
        project = await self._projects.find(project_id, mode)
        if project is None:
            raise ProjectNotFound("There is no project with this id.")
        if project.connection is None:
            raise ProviderConnectionNotFound("This project has no provider connection yet.")
        return await asyncio.shield(self._ask_once(project.connection))

    def _ask_once(self, connection: ProviderConnection) -> "asyncio.Task[bytes]":
        name, now = connection.connection_id, time.monotonic()
        asked_at, task = self._kept.get(name, (0.0, None))
        if task is None or now - asked_at > _kept_for(task):
            task = asyncio.create_task(self._ask(connection))
            task.add_done_callback(_see)
            self._kept[name] = (now, task)
            self._kept.move_to_end(name)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return task

    async def _ask(self, connection: ProviderConnection) -> bytes:
        answer = await self._provider.get(
            connection, ENDPOINT, timeout=TIMEOUT, max_bytes=MAX_BYTES
        )
        if isinstance(answer, CallFailure):
            raise _unavailable(f"The provider could not be asked ({answer.kind}).")
        if not is_success(answer):
            raise _unavailable(f"The provider answered {answer.status_code}.")
        models = read_models(answer.body)
        if models is None:
            raise _unavailable("The provider's answer is no list of models.")
        return models


def _unavailable(text: str) -> ModelsUnavailable:
    return ModelsUnavailable(text, retry_after=FAILURE_KEPT)


def _kept_for(task: "asyncio.Task[bytes]") -> float:
    """Seconds from the asking; for ever while it is under way, which the time-out ends."""
    if not task.done():
        return math.inf
    has_failed = task.cancelled() or task.exception() is not None
    return (FAILURE_KEPT if has_failed else KEPT).total_seconds()


def _see(task: "asyncio.Task[bytes]") -> None:
    """Asking for the exception tells asyncio that somebody has seen it."""
    if not task.cancelled():
        task.exception()
