"""What Paddle told and whose time is over goes (libs/common/retention.py): the worker's upkeep."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from prometheus_client import Counter

from libs.common import logs, retention
from libs.common.database import Transaction
from libs.common.runtime import sleep
from services.billing.ports import Ports
from services.billing.repositories.entities import EntityRepository
from services.billing.repositories.invoices import InvoiceRepository
from services.billing.repositories.webhooks import WebhookRepository

log = logs.get(__name__)

SWEEP_FAILED: Final = "billing_sweep_failed"

EVERY: Final = timedelta(minutes=10)
BATCH: Final = 1_000
ROUNDS: Final = 100

SWEPT: Final = Counter("reqrun_billing_swept_total", "Rows whose time was over", ["table"])


async def keep_up(ports: Ports, stop: asyncio.Event) -> None:
    """A loop: every ten minutes. Any number of workers may."""
    while not stop.is_set():
        try:
            await sweep(ports)
        except Exception:  # it is tried again in ten minutes
            log.exception(SWEEP_FAILED)
        await sleep(stop, EVERY.total_seconds())


async def count_over(ports: Ports) -> dict[str, int]:
    """Webhooks past their window and still there; the rest is not counted, only swept."""
    async with ports.db.transaction() as tx:
        old = await WebhookRepository(tx).count_old(ports.clock.now() - retention.WEBHOOKS)
    return {"webhooks": old}


async def sweep(ports: Ports) -> dict[str, int]:
    """Webhooks, customers of nobody's, sales that came to nothing, invoices after ten years.

    How many rows went.
    """
    now = ports.clock.now()
    webhooks, strangers = now - retention.WEBHOOKS, now - retention.STRANGERS
    payments = now - retention.USAGE
    drops: dict[str, Callable[[Transaction], Awaitable[int]]] = {
        "webhooks": lambda tx: WebhookRepository(tx).drop_old(webhooks, BATCH),
        "customers": lambda tx: EntityRepository(tx).drop_strangers(strangers, BATCH),
        "transactions": lambda tx: InvoiceRepository(tx).drop_old(payments, strangers, BATCH),
    }
    return {table: await _in_batches(ports, table, drop) for table, drop in drops.items()}


async def _in_batches(
    ports: Ports, table: str, drop: Callable[[Transaction], Awaitable[int]]
) -> int:
    total = 0
    for _ in range(ROUNDS):
        async with ports.db.transaction() as tx:
            dropped = await drop(tx)
        SWEPT.labels(table).inc(dropped)
        total += dropped
        if dropped < BATCH:
            break
    return total
