"""How many messages wait in each queue, parked ones included."""

import asyncio
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge

from libs.common.broker.protocol import CountingPublisher, PublishFailed
from libs.common.broker.topology import queue_names
from libs.common.runtime import sleep

MESSAGES: Final = Gauge(
    "reqrun_queue_messages", "Messages of a queue that wait for a reader", ["queue"]
)

EVERY: Final = timedelta(seconds=30)


async def keep_counting(publisher: CountingPublisher, stop: asyncio.Event) -> None:
    """A loop; while the broker is away there is nothing to say, and the gauges are not there."""
    while not stop.is_set():
        try:
            depths = await publisher.count_messages(queue_names())
        except PublishFailed:
            MESSAGES.clear()
        else:
            for queue, depth in depths.items():
                MESSAGES.labels(queue).set(depth)
        await sleep(stop, EVERY.total_seconds())
