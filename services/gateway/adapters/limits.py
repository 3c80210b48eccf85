"""Request rates: counted in Redis for all gateways, in this process while Redis is away.

Redis decides nothing that must be right (docs/request-lifecycle.md): without it a burst may get
through once a gateway, no caller gets an error, and the pending cap and the quota hold, because
they live in the ledger.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common import logs
from libs.common.batching import Batch
from libs.common.errors import Unavailable
from services.gateway.adapters.ahead import Ahead
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
PAUSE: Final = timedelta(milliseconds=50)
"""From the first call that goes ahead to when Redis is told; see SLOT in adapters/buckets.py."""

_TOGETHER: Final = 256
_PROBE: Final = Group(Bucket("probe.key", 60_000), Bucket("probe", 60_000), 1)
_Settled = tuple[Taken, tuple[RateGrant, RateGrant]]
"""What became of an ask, and what is told to those who may go on and to those who may not."""
_AWAY: Final = (RedisError, OSError, TimeoutError)


class RedisRates:
    """Rates. All callers of an instant share one call of Redis, which may take BUDGET.

    Those for whom there is plenty do not wait for it: they go ahead, and it is told after PAUSE.
    A call that takes it all, or FAILURES in a row that fail sooner, and this process counts alone:
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
        self._ahead = Ahead()
        self._turn = asyncio.Lock()  # what is under way is answered before more is settled
        self._planned: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None
        self._failures = 0
        self._probe_at: float | None = None  # while counting alone
        self._probing: asyncio.Task[None] | None = None

    async def take(self, ask: RateAsk) -> RateGrant:
        """See Rates. Raises nothing."""
        if self._probe_at is not None:
            self._probe_if_due(self._probe_at)
            return self._decide_alone(ask)
        grant = self._ahead.take(ask, self._monotonic())
        if grant is not None:
            self._tell_soon()
            return grant
        try:
            return await self._batch(ask)
        except Unavailable:  # more callers wait here than anybody can serve
            return self._decide_alone(ask)

    async def close(self) -> None:
        """Tell what is owed, then leave Redis alone."""
        await self._batch.drain()
        if self._planned is not None:
            self._planned.cancel()
        if self._telling is not None:
            await asyncio.wait([self._telling])
        await self._tell()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    async def _decide(self, asks: Sequence[RateAsk]) -> list[RateGrant]:
        positions = rates.together(asks)
        settled = await self._settle({ask: len(at) for ask, at in positions.items()})
        answers: dict[int, RateGrant] = {}
        for ask, at in positions.items():
            took, (granted, refused) = settled[ask]
            answers.update(dict.fromkeys(at[: took.granted], granted))
            answers.update(dict.fromkeys(at[took.granted :], refused))
        return [answers[position] for position in range(len(asks))]

    async def _settle(self, wanted: Mapping[RateAsk, int]) -> dict[RateAsk, _Settled]:
        """Ask for so many calls each; tell with it what is owed, by these and by others."""
        async with self._turn:
            now = self._monotonic()
            calls = {**dict.fromkeys(self._ahead.debtors(_TOGETHER), 0), **wanted}
            groups = [
                Group(*rates.buckets(ask), count, self._ahead.settle(ask, now, is_asking=count > 0))
                for ask, count in calls.items()
            ]
            taken = await self._take(groups)
            told = [rates.grants(*one) for one in zip(groups, taken, strict=True)]
            for ask, one, (granted, _) in zip(calls, taken, told, strict=True):
                self._ahead.renew(ask, one, granted, now)
            return dict(zip(calls, zip(taken, told, strict=True), strict=True))

    def _tell_soon(self) -> None:
        """After PAUSE; at once where a leave is used up, so that the next caller has another."""
        if self._planned is not None and self._ahead.is_urgent:
            self._planned.cancel()
            self._plan(0)
        elif self._planned is None:
            self._plan(PAUSE.total_seconds())

    def _plan(self, seconds: float) -> None:
        self._planned = asyncio.get_running_loop().call_later(seconds, self._begin_telling)

    def _begin_telling(self) -> None:
        self._planned = None
        if self._telling is not None and not self._telling.done():
            self._plan(PAUSE.total_seconds())
        else:
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        """What is owed by now. With Redis away it is charged here, where the next are counted."""
        for _ in range(0, self._ahead.count_debtors(), _TOGETHER):
            await self._settle({})

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
