"""What the executor needs from outside."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from libs.common.broker.protocol import Consumer, Publisher
from libs.common.clock import Clock
from libs.common.content import DataKey
from libs.common.contracts.accounts import SealedConnection
from libs.common.contracts.gateway import Ended
from libs.ledger.dispatcher_ledger import DispatcherLedger
from libs.ledger.ledger import ExecutorLedger
from services.executor.domain.calls import Answer, CallFailure, ProviderConnection
from services.executor.domain.projects import Standing


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

    async def get(
        self,
        connection: ProviderConnection,
        endpoint: str,
        *,
        timeout: timedelta,  # noqa: ASYNC109  # as above
        max_bytes: int,
    ) -> Answer | CallFailure:
        """Ask for something that costs nothing."""
        ...


class Project(msgspec.Struct, frozen=True):
    """What running a project's requests takes. `connection`: None until it has one."""

    data_key: DataKey
    connection: ProviderConnection | None


class Projects(Protocol):
    """Knows where a project's requests go, and the key of their bodies."""

    async def find(self, project_id: str, mode: str) -> Project | None:
        """None where it is not there any more. Raises Unavailable in an outage."""
        ...


class ConnectionSeals(Protocol):
    """Opens the provider key of a connection that somebody hands over sealed."""

    def open_connection(self, project_id: str, sealed: SealedConnection) -> ProviderConnection:
        """Raises SealBroken: sealed for another project, or to a key that we do not have."""
        ...


class Standings(Protocol):
    """Knows how a project stands now."""

    async def find(self, project_id: str) -> Standing:
        """Never an answer of before the question. Raises Unavailable."""
        ...


class WakeUps(Protocol):
    """Tells waiting gateways that requests are final. May be lost; never waited for."""

    def tell(self, ended: Sequence[Ended]) -> None:
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
    projects: Projects
    wakeups: WakeUps
    places: int
    backoff_scale: float
    grace: timedelta
    chance: random.Random


class DispatcherPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The dispatcher's needs."""

    ledger: DispatcherLedger
    publisher: Publisher
    standings: Standings
    wakeups: WakeUps
