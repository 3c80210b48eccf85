"""Wake-ups over Redis: one message for all requests that finish in one turn of the event loop."""

import asyncio
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common import logs
from libs.common.contracts.gateway import WAKE_UP_CHANNEL

log = logs.get(__name__)

WAKE_UPS_LOST: Final = "wake_ups_lost"

_MAX_WAITING: Final = 10_000


class RedisWakeUps:
    """Fire and forget: a lost wake-up costs its waiter time, never truth."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[str] = []
        self._flushing: asyncio.Task[None] | None = None

    def tell(self, request_ids: Sequence[str]) -> None:
        """Publish soon; nobody waits for it."""
        if not request_ids or len(self._waiting) > _MAX_WAITING:
            return
        self._waiting.extend(request_ids)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._waiting:
                ids, self._waiting = self._waiting, []
                await self._redis.publish(WAKE_UP_CHANNEL, "\n".join(ids))
        except (RedisError, OSError, TimeoutError):
            log.warning(WAKE_UPS_LOST, count=len(ids))
        finally:
            self._flushing = None
