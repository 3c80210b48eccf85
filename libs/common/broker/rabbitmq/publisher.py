"""Publishing: confirmed, mandatory, and never for longer than the time given."""

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
from aio_pika.abc import AbstractConnection
from prometheus_client import Counter

from libs.common import logs
from libs.common.broker.protocol import Message, PublishFailed, Unsent
from libs.common.broker.rabbitmq import burst
from libs.common.broker.rabbitmq.breaker import Breaker
from libs.common.broker.rabbitmq.channels import OpenChannel, open_channel
from libs.common.broker.rabbitmq.declare import (
    count_messages,
    declare_topology,
    has_mark,
    leave_mark,
)
from libs.common.broker.rabbitmq.link import End, Link
from libs.common.settings import Secret

log = logs.get(__name__)

BROKER_SILENCE_NOTED: Final = "broker_silence_noted"
TOPOLOGY_DECLARED: Final = "topology_declared"
TOPOLOGY_DECLARATION_FAILED: Final = "topology_declaration_failed"

CONFIRMED: Final = Counter("reqrun_broker_confirmed_total", "Messages confirmed", ["exchange"])
UNSENT: Final = Counter(
    "reqrun_broker_unsent_total", "Messages not confirmed", ["exchange", "reason"]
)

TIMEOUT: Final = timedelta(seconds=2)
_DECLARE_SECONDS: Final = 10.0

About = TypeVar("About")
Answer = TypeVar("Answer")


class _Session(msgspec.Struct, frozen=True):
    """What a publisher has on one connection."""

    connection: AbstractConnection
    channel: OpenChannel
    breaker: Breaker


class RabbitMQPublisher:
    """A Publisher on a connection of its own, kept open while the `async with` lasts.

    `on_reconnect` is called, and must return at once, each time a session is open again after one
    was lost: the broker may have been wiped in between. Not for the first session.
    """

    def __init__(
        self,
        url: Secret,
        *,
        name: str,
        timeout: timedelta = TIMEOUT,
        on_reconnect: Callable[[], None] = lambda: None,
    ) -> None:
        """`url`: amqp or amqps. `name`: who publishes. `timeout`: for each publish or burst."""
        self._seconds = timeout.total_seconds()
        self._on_reconnect = on_reconnect
        self._has_been_open = False
        self._declaring: asyncio.Task[None] | None = None
        self._link = Link(
            url, name=name, kind="publisher", prepare=_prepare, on_session=self._note_session
        )

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        async with AsyncExitStack() as stack:
            stack.push_async_exit(self._link)
            if self._declaring is not None:
                self._declaring.cancel()

    def is_ready(self) -> bool:
        """Whether there is a session; with a broker that is stuck it may still not answer."""
        return self._link.session is not None

    async def publish(self, message: Message) -> None:
        """Send one. Raises PublishFailed."""
        reasons = await self.publish_many([message])
        if reasons[0] is not None:
            raise PublishFailed(reasons[0])

    async def publish_many(self, messages: Sequence[Message]) -> list[Unsent | None]:
        """One burst. Never raises for the broker's sake, never waits longer than the timeout."""
        if not messages:
            return []
        reasons = await self._send(messages)
        _count(messages, reasons)
        if Unsent.UNROUTABLE in reasons:
            self._declare_again()
        return reasons

    async def remembers(self, mark: str) -> bool:
        """Whether the broker still has the mark. Raises PublishFailed."""
        return await self._ask(has_mark, mark)

    async def leave_mark(self, mark: str) -> None:
        """Leave the mark. Raises PublishFailed."""
        await self._ask(leave_mark, mark)

    async def count_messages(self, queues: Sequence[str]) -> Mapping[str, int]:
        """Messages ready for a reader, by queue. Raises PublishFailed."""
        return await self._ask(count_messages, queues)

    async def _ask(
        self, ask: Callable[[AbstractConnection, About], Awaitable[Answer]], about: About
    ) -> Answer:
        session = self._link.session
        if session is None:
            raise PublishFailed(Unsent.BROKER_AWAY)
        try:
            async with asyncio.timeout(_DECLARE_SECONDS):
                return await ask(session.connection, about)
        except Exception as error:  # the library has a dozen reasons
            raise PublishFailed(Unsent.UNKNOWN) from error

    async def _send(self, messages: Sequence[Message]) -> list[Unsent | None]:
        session = self._link.session
        now = asyncio.get_running_loop().time
        if session is None or not session.breaker.may_pass(now()):
            return [Unsent.BROKER_AWAY] * len(messages)
        try:
            confirms = await burst.send(session.channel.amqp, messages, seconds=self._seconds)
        except Exception:  # noqa: BLE001  # nothing was written; the library has a dozen reasons
            reasons: list[Unsent | None] = [Unsent.BROKER_AWAY] * len(messages)
        else:
            reasons = [burst.verdict(confirm) for confirm in confirms]
        if Unsent.UNKNOWN in reasons or Unsent.BROKER_AWAY in reasons:
            await self._note_failure(session, now())
        else:
            session.breaker.succeeded()
        return reasons

    async def _note_failure(self, session: _Session, now: float) -> None:
        """A silent connection is given up, unless the broker said that it blocks publishers."""
        is_open = session.breaker.failed(now)
        if not is_open or session is not self._link.session:
            return
        is_blocked = await _is_blocked(session.connection)
        log.warning(BROKER_SILENCE_NOTED, reason="alarm" if is_blocked else "no_answer")
        if not is_blocked:
            self._link.end_session()

    def _note_session(self) -> None:
        if self._has_been_open:
            self._on_reconnect()
        self._has_been_open = True

    def _declare_again(self) -> None:
        """A queue or a binding is missing, so put the topology back, in the background."""
        session = self._link.session
        if session is None or (self._declaring is not None and not self._declaring.done()):
            return
        self._declaring = asyncio.create_task(_declare(session.connection))


async def _prepare(connection: AbstractConnection, end: End) -> _Session:
    channel = await open_channel(connection, is_publishing=True)
    channel.holder.close_callbacks.add(lambda *_: end())
    return _Session(connection, channel, Breaker())


async def _is_blocked(connection: AbstractConnection) -> bool:
    """Whether the broker has announced an alarm on this connection."""
    if connection.transport is None:
        return False
    try:
        async with asyncio.timeout(0):
            await connection.transport.ready()
    except TimeoutError:
        return True
    return False


async def _declare(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(_DECLARE_SECONDS):
            await declare_topology(connection)
    except Exception as error:  # the next unroutable message tries again
        log.warning(TOPOLOGY_DECLARATION_FAILED, exc_info=error)
    else:
        log.info(TOPOLOGY_DECLARED)


def _count(messages: Sequence[Message], reasons: Sequence[Unsent | None]) -> None:
    pairs = zip(messages, reasons, strict=True)
    for (exchange, reason), count in Tally((m.exchange, r) for m, r in pairs).items():
        if reason is None:
            CONFIRMED.labels(exchange).inc(count)
        else:
            UNSENT.labels(exchange, reason).inc(count)
