"""What the executor needs from outside."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from libs.common.broker.protocol import Consumer, Publisher
from libs.common.clock import Clock
from libs.ledger.ledger import DispatcherLedger, ExecutorLedger
from services.executor.domain.calls import Answer, CallFailure, ProviderConnection


class Provider(Protocol):
    """Makes one call, with no hidden second try."""

    async def call(
        self,
        connection: ProviderConnection,
        endpoint: str,
        body: bytes,
        *,
        timeout: timedelta,  # noqa: ASYNC109  # the deadline of the whole call is its meaning
        trace_id: str,
    ) -> Answer | CallFailure:
        """`timeout` bounds the whole call; `trace_id` travels as `X-Client-Request-Id`."""
        ...


class Connections(Protocol):
    """Knows where requests go."""

    async def find(self, project_id: str, mode: str) -> ProviderConnection | None:
        """The project's connection, None where it has none. Raises Unavailable in an outage."""
        ...


class WakeUps(Protocol):
    """Tells waiting gateways that requests are final. May be lost; never waited for."""

    def tell(self, request_ids: Sequence[str]) -> None:
        """Soon, together with whatever else finishes now."""
        ...


class WorkerPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The worker's needs.

    `first_hints`, `rest_hints`: of projects' first slots, and of all others. `grace`: for running
    calls at a stop.
    """

    clock: Clock
    ledger: ExecutorLedger
    first_hints: Consumer
    rest_hints: Consumer
    provider: Provider
    connections: Connections
    wakeups: WakeUps
    places: int
    backoff_scale: float
    grace: timedelta
    chance: random.Random


class DispatcherPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The dispatcher's needs."""

    ledger: DispatcherLedger
    publisher: Publisher
    wakeups: WakeUps
