"""Usage: record what the executor tells, show what an account used."""

from typing import Final

from prometheus_client import Counter

from libs.common.contracts.executor import RequestsFinished
from services.billing.domain.usage import Total, countable
from services.billing.ports import Ports
from services.billing.repositories.usage import UsageRepository

RECORDED: Final = Counter("reqrun_usage_recorded_total", "Requests counted")
REPEATED: Final = Counter("reqrun_usage_repeated_total", "Requests told again, not counted again")


async def record(ports: Ports, event: RequestsFinished) -> None:
    """Count each final live request once, however often and in whatever order it is told."""
    batch = countable(event.requests)
    if not batch:
        return
    async with ports.db.transaction() as tx:
        added = await UsageRepository(tx).add_once(batch)
    RECORDED.inc(added)
    REPEATED.inc(len(batch) - added)


async def show(ports: Ports, account_id: str) -> list[Total]:
    """What the account used, by period and final state. An account nobody knows used nothing."""
    async with ports.db.transaction() as tx:
        return await UsageRepository(tx).totals(account_id)
