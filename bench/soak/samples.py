"""What is looked at every few seconds, of every process, PostgreSQL and RabbitMQ."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aio_pika
import asyncpg
import msgspec
from aio_pika.abc import AbstractChannel

from bench.system import System
from bench.usage import Resources, resources
from libs.common.broker.topology import queue_names
from libs.ledger.upkeep import measure_overdue

HOT = ("live", "account_counters", "project_counters", "outbox")
"""Tables whose rows come and go: they must stay as small as what is open."""

HISTORY = ("requests", "results", "attempts", "idempotency_keys", "nonces")
"""Tables that grow with what was accepted until it expires."""

_TABLES = """
SELECT relname AS name, pg_total_relation_size(relid) AS bytes, n_dead_tup AS dead
FROM pg_stat_user_tables WHERE relname = ANY($1)
"""
_BODIES = """
SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
FROM pg_inherits WHERE inhparent IN ('bodies'::regclass, 'body_keys'::regclass)
"""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `at`: seconds since the first; `late`: of the oldest due row, seconds.

    `table_bytes` count indexes and TOAST; all days of bodies and their keys are `bodies`.
    """

    at: float
    parts: Mapping[str, Resources]
    connections: int
    table_bytes: Mapping[str, int]
    dead_rows: Mapping[str, int]
    queues: Mapping[str, int]
    late: float


class Sampler:
    """Looks, over connections of its own."""

    def __init__(
        self,
        system: System,
        sql: "asyncpg.Connection[asyncpg.Record]",
        channel: AbstractChannel,
    ) -> None:
        """The clock of the samples starts."""
        self._system, self._sql, self._channel = system, sql, channel
        self._began_at = time.monotonic()

    async def take(self) -> Sample:
        """One look, now."""
        rows = await self._sql.fetch(_TABLES, [*HOT, *HISTORY])
        bodies: int = await self._sql.fetchval(_BODIES)
        overdue = await measure_overdue(self._sql)
        return Sample(
            at=round(time.monotonic() - self._began_at, 1),
            parts=resources(self._system.parts),
            connections=await self._sql.fetchval(_CONNECTIONS),
            table_bytes={**{row["name"]: row["bytes"] for row in rows}, "bodies": bodies},
            dead_rows={row["name"]: row["dead"] for row in rows},
            queues={name: await self._depth(name) for name in queue_names()},
            late=round(overdue.oldest_seconds, 2),
        )

    async def _depth(self, queue: str) -> int:
        found = await self._channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count or 0


@asynccontextmanager
async def sampler(system: System) -> AsyncIterator[Sampler]:
    """Connected as the administrator of both servers."""
    sql = await asyncpg.connect(system.stack.postgresql.database_url("requests"))
    broker = await aio_pika.connect(system.stack.rabbitmq.url)
    try:
        yield Sampler(system, sql, await broker.channel())
    finally:
        await broker.close()
        await sql.close()
