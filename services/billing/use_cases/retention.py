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


async def sweep(ports: Ports) -> None:
    """Webhooks, customers of nobody's, sales that came to nothing, invoices after ten years."""
    now = ports.clock.now()
    webhooks, strangers = now - retention.WEBHOOKS, now - retention.STRANGERS
    payments = now - retention.USAGE
    await _in_batches(ports, "webhooks", lambda tx: WebhookRepository(tx).drop_old(webhooks, BATCH))
    await _in_batches(
        ports, "customers", lambda tx: EntityRepository(tx).drop_strangers(strangers, BATCH)
    )
    await _in_batches(
        ports,
        "transactions",
        lambda tx: InvoiceRepository(tx).drop_old(payments, strangers, BATCH),
    )


async def _in_batches(
    ports: Ports, table: str, drop: Callable[[Transaction], Awaitable[int]]
) -> None:
    for _ in range(ROUNDS):
        async with ports.db.transaction() as tx:
            dropped = await drop(tx)
        SWEPT.labels(table).inc(dropped)
        if dropped < BATCH:
            return
