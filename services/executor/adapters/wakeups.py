"""Wake-ups over Redis: one message for all requests that finish in one turn of the event loop."""

import asyncio
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common import logs
from libs.common.contracts.gateway import WAKE_UP_CHANNEL, Ended, encode_wake_up

log = logs.get(__name__)

WAKE_UPS_LOST: Final = "wake_ups_lost"

_MAX_WAITING: Final = 10_000
# Of what waits for a slow Redis, only so many keep their results in memory.
_MAX_RESULTS: Final = 256


class RedisWakeUps:
    """Fire and forget: a lost wake-up costs its waiter time, never truth."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[Ended] = []
        self._flushing: asyncio.Task[None] | None = None

    def tell(self, ended: Sequence[Ended]) -> None:
        """Publish soon; nobody waits for it."""
        if not ended or len(self._waiting) > _MAX_WAITING:
            return
        if len(self._waiting) > _MAX_RESULTS:
            ended = [Ended(one.request_id) for one in ended]
        self._waiting.extend(ended)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._waiting:
                told, self._waiting = self._waiting, []
                await self._redis.publish(WAKE_UP_CHANNEL, encode_wake_up(told))
        except (RedisError, OSError, TimeoutError):
            log.warning(WAKE_UPS_LOST, count=len(told))
        finally:
            self._flushing = None
