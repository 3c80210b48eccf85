"""What accounts last said, kept in Redis for all gateways; read only while accounts is silent."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common import logs
from services.gateway.ports import LastContext

log = logs.get(__name__)

LAST_CONTEXTS_UNREADABLE: Final = "last_contexts_unreadable"
LAST_CONTEXTS_NOT_KEPT: Final = "last_contexts_not_kept"

KEPT_FOR: Final = timedelta(minutes=10)

_read: Final = msgspec.json.Decoder(LastContext).decode


class RedisContexts:
    """LastContexts in Redis. Its client has short time-outs and no retries (rule 44).

    Writes go on in the background, one at a time: with a slow Redis what comes meanwhile is not
    kept. It will be at the next question, seconds later.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keeping: asyncio.Task[None] | None = None

    async def find(self, digests: Sequence[str]) -> Mapping[str, LastContext]:
        """See LastContexts."""
        try:
            values = await self._redis.mget([_name(digest) for digest in digests])
            pairs = zip(digests, values, strict=True)
            return {digest: _read(value) for digest, value in pairs if value is not None}
        except (
            RedisError,
            OSError,
            TimeoutError,
            msgspec.DecodeError,
            UnicodeDecodeError,
        ) as error:
            log.warning(LAST_CONTEXTS_UNREADABLE, count=len(digests), exc_info=error)
            return {}

    def keep(self, contexts: Sequence[LastContext], *, gone: Sequence[str]) -> None:
        """See LastContexts."""
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep(contexts, gone))

    async def _keep(self, contexts: Iterable[LastContext], gone: Sequence[str]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for last in contexts:
            pipeline.set(_name(last.context.digest), msgspec.json.encode(last), ex=KEPT_FOR)
        if gone:
            pipeline.delete(*(_name(digest) for digest in gone))
        try:
            await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning(LAST_CONTEXTS_NOT_KEPT, exc_info=error)


def _name(digest: str) -> str:
    return f"reqrun.key-context.{digest}"
