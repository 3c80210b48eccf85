"""Request rates: counted in Redis for all gateways, in this process while Redis is away.

Redis decides nothing that must be right (docs/request-lifecycle.md): without it a burst may get
through once a gateway, no caller gets an error, and the pending cap and the quota hold, because
they live in the ledger.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common import logs
from libs.common.batching import Batch
from libs.common.errors import Unavailable
from services.gateway.adapters.buckets import LocalBuckets, RedisBuckets
from services.gateway.domain import rates
from services.gateway.domain.rates import Bucket, Group, RateAsk, RateGrant, Taken

log = logs.get(__name__)

RATES_MADE_LOCAL: Final = "rates_made_local"
RATES_SHARED_AGAIN: Final = "rates_shared_again"

IS_LOCAL: Final = Gauge(
    "reqrun_gateway_rates_local", "1 while request rates are counted in this process alone"
)

BUDGET: Final = timedelta(milliseconds=100)
"""The longest that callers wait for Redis."""
FAILURES: Final = 3
REST: Final = timedelta(seconds=2)

_TOGETHER: Final = 256
_PROBE: Final = Group(Bucket("probe.key", 60_000), Bucket("probe", 60_000), 1)
_AWAY: Final = (RedisError, OSError, TimeoutError)


class RedisRates:
    """Rates. All callers of an instant share one call of Redis, which may take BUDGET.

    One that takes it all, or FAILURES in a row that fail sooner, and this process counts alone:
    from then on nobody waits for Redis. Every REST one probe of its own looks whether it is back.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        budget: timedelta = BUDGET,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monotonic`: seconds."""
        self._shared, self._local = RedisBuckets(redis), LocalBuckets(monotonic)
        self._budget, self._monotonic = budget.total_seconds(), monotonic
        self._batch = Batch(self._decide, name="rates", limit=_TOGETHER)
        self._failures = 0
        self._probe_at: float | None = None  # while counting alone
        self._probing: asyncio.Task[None] | None = None

    async def take(self, ask: RateAsk) -> RateGrant:
        """See Rates. Raises nothing."""
        if self._probe_at is not None:
            self._probe_if_due(self._probe_at)
            return self._decide_alone(ask)
        try:
            return await self._batch(ask)
        except Unavailable:  # more callers wait here than anybody can serve
            return self._decide_alone(ask)

    async def close(self) -> None:
        """Leave Redis alone."""
        await self._batch.drain()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    async def _decide(self, asks: Sequence[RateAsk]) -> list[RateGrant]:
        positions = rates.together(asks)
        groups = [Group(*rates.buckets(ask), len(at)) for ask, at in positions.items()]
        answers: dict[int, RateGrant] = {}
        taken = await self._take(groups)
        for group, took, at in zip(groups, taken, positions.values(), strict=True):
            granted, refused = rates.grants(group, took)
            answers.update(dict.fromkeys(at[: took.granted], granted))
            answers.update(dict.fromkeys(at[took.granted :], refused))
        return [answers[position] for position in range(len(asks))]

    def _decide_alone(self, ask: RateAsk) -> RateGrant:
        group = Group(*rates.buckets(ask), 1)
        (taken,) = self._local.take([group])
        granted, refused = rates.grants(group, taken)
        return granted if taken.granted else refused

    async def _take(self, groups: Sequence[Group]) -> list[Taken]:
        """From Redis; from here when it does not answer, or did not answer those before."""
        if self._probe_at is not None:
            return self._local.take(groups)
        started = self._monotonic()
        try:
            async with asyncio.timeout(self._budget):
                taken = await self._shared.take(groups)
        except _AWAY as error:
            self._note_failure(error, self._monotonic() - started)
            return self._local.take(groups)
        self._failures = 0
        return taken

    def _note_failure(self, error: Exception, seconds: float) -> None:
        """Half the budget is as good as all of it: the client has a time-out of its own."""
        self._failures += 1
        if self._failures >= FAILURES or seconds >= self._budget / 2:
            self._probe_at = self._monotonic() + REST.total_seconds()
            IS_LOCAL.set(1)
            log.warning(RATES_MADE_LOCAL, exc_info=error)

    def _probe_if_due(self, probe_at: float) -> None:
        if self._monotonic() < probe_at or (self._probing and not self._probing.done()):
            return
        self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask with a bucket of its own: what cannot be written to is not back."""
        self._probe_at = self._monotonic() + REST.total_seconds()
        try:
            async with asyncio.timeout(self._budget):
                await self._shared.take([_PROBE])
        except _AWAY:
            return
        self._failures, self._probe_at = 0, None
        IS_LOCAL.set(0)
        log.info(RATES_SHARED_AGAIN)
