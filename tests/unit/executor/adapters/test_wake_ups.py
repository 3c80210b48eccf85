import asyncio
from typing import cast

from redis.asyncio import Redis

from libs.common.contracts.gateway import Ended, decode_wake_up
from services.executor.adapters.wakeups import RedisWakeUps
from tests.support.waiting import until


class Channel:
    """A Redis that keeps what is published, once it is `open`."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.told: list[Ended] = []

    async def publish(self, _: str, message: bytes) -> None:
        await self.open.wait()
        self.told += decode_wake_up(message)


async def test_while_redis_is_slow_all_are_told_but_few_results_are_kept_in_memory() -> None:
    channel = Channel()
    wake_ups = RedisWakeUps(cast("Redis", channel))

    for number in range(1_000):
        wake_ups.tell([Ended(f"rr_{number}", 1, b"sealed")])
    channel.open.set()
    await until(lambda: len(channel.told) == 1_000)

    assert [one.request_id for one in channel.told] == [f"rr_{number}" for number in range(1_000)]
    assert 0 < sum(one.result is not None for one in channel.told) < 300
