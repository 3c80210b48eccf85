"""One connection to the broker, kept open."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed
from prometheus_client import Counter

from libs.common import logs
from libs.common.broker.rabbitmq.declare import declare_topology
from libs.common.pauses import growing
from libs.common.settings import Secret

log = logs.get(__name__)

BROKER_CONNECTED: Final = "broker_connected"
BROKER_CONNECTION_FAILED: Final = "broker_connection_failed"
BROKER_CONNECTION_ENDED: Final = "broker_connection_ended"
BROKER_CONNECTION_RENEWED: Final = "broker_connection_renewed"
BROKER_TOPOLOGY_DRIFTED: Final = "broker_topology_drifted"
"""Something is declared in another way; the reason names it. Nothing is sent or read until then."""

SESSIONS: Final = Counter("reqrun_broker_sessions_total", "Broker sessions opened", ["link"])
ENDED: Final = Counter(
    "reqrun_broker_sessions_ended_total",
    "Broker sessions that ended: lost, or renewed because they were idle",
    ["link", "why"],
)

# Seconds. The library gives up on a silent connection after three heartbeats and a bit.
_HEARTBEAT: Final = 10
_CONNECT_SECONDS: Final = 5.0
_PREPARE_SECONDS: Final = 10.0
# More than the two seconds for which the library itself waits for the broker's last word.
_CLOSE_SECONDS: Final = 3.0
_FIRST_PAUSE: Final = timedelta(milliseconds=200)
_LONGEST_PAUSE: Final = timedelta(seconds=5)

Session = TypeVar("Session")
End = Callable[[], None]
"""Ends the session; may be called from anywhere, any number of times."""


class _Connection(aio_pika.Connection):
    """Closed at once when it cannot be opened.

    The library leaves that to the garbage collector, which may run where no event loop does.
    """

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # theirs
        """See the library."""
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


class Link(Generic[Session]):
    """Keeps one session open, as long as the `async with` lasts.

    `prepare(connection, end)` builds the session on a fresh connection whose topology is declared;
    it registers `end` with everything whose loss makes the session worthless. Entering does not
    wait for the broker: a service starts, and is not ready, while the broker is down.
    """

    def __init__(
        self,
        url: Secret,
        *,
        name: str,
        kind: str,
        prepare: Callable[[AbstractConnection, End], Awaitable[Session]],
        on_session: Callable[[], None] = lambda: None,
    ) -> None:
        """`name` and `kind` are shown in RabbitMQ's list of connections, `kind` in metrics.

        `on_session`: a new one is open.
        """
        self._url, self._name, self._prepare = url, f"{name} {kind}", prepare
        self._sessions = SESSIONS.labels(kind)
        self._lost, self._renewed = ENDED.labels(kind, "lost"), ENDED.labels(kind, "renewed")
        self._on_session = on_session
        self._session: Session | None = None
        self._ended = asyncio.Event()
        self._is_renewing = self._is_closing = False
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def session(self) -> Session | None:
        """What `prepare` made; None while there is no connection."""
        return self._session

    def end_session(self) -> None:
        """The session is of no use any more; a new one is opened."""
        self._ended.set()

    def renew_session(self) -> None:
        """As `end_session`, with nothing wrong: nobody need hear of it."""
        self._is_renewing = True
        self._ended.set()

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        self._keeper = asyncio.create_task(self._keep_open())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection; never waits longer than a few seconds for the broker."""
        self._is_closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    async def _keep_open(self) -> None:
        pauses = growing(_FIRST_PAUSE, _LONGEST_PAUSE)
        while not self._is_closing:
            try:
                await self._live_one_session()
                pauses = growing(_FIRST_PAUSE, _LONGEST_PAUSE)
                self._note_end()
            except ChannelPreconditionFailed as drift:  # only an operator can mend that
                log.error(BROKER_TOPOLOGY_DRIFTED, channel=self._name, reason=str(drift))  # noqa: TRY400  # a trace would say nothing more
            except Exception as error:  # whatever it was, the next try may succeed
                self._is_renewing = False
                log.warning(BROKER_CONNECTION_FAILED, channel=self._name, exc_info=error)
            await asyncio.sleep(next(pauses))

    def _note_end(self) -> None:
        if self._is_renewing:
            self._renewed.inc()
            log.debug(BROKER_CONNECTION_RENEWED, channel=self._name)
        else:
            self._lost.inc()
            log.warning(BROKER_CONNECTION_ENDED, channel=self._name)

    async def _live_one_session(self) -> None:
        connection = await aio_pika.connect(
            self._url.reveal(),
            timeout=_CONNECT_SECONDS,
            heartbeat=_HEARTBEAT,
            client_properties={"connection_name": self._name},
            connection_class=_Connection,
        )
        self._ended = ended = asyncio.Event()
        try:
            connection.close_callbacks.add(lambda *_: ended.set())
            async with asyncio.timeout(_PREPARE_SECONDS):
                await declare_topology(connection)
                self._session = await self._prepare(connection, ended.set)
            if self._is_closing:
                # Before Python 3.12 `wait_for`, which the library opens connections with, drops a
                # cancellation that comes in the moment of its success (github.com/python/cpython
                # issue 86296).
                raise asyncio.CancelledError
            self._sessions.inc()
            tell = log.debug if self._is_renewing else log.info
            tell(BROKER_CONNECTED, channel=self._name)
            self._is_renewing = False
            self._on_session()
            await ended.wait()
        finally:
            self._session = None
            await self._close(connection)

    async def _close(self, connection: AbstractConnection) -> None:
        """A frozen broker must not hold us: past the time, closing goes on in the background."""
        task = asyncio.create_task(_close_quietly(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.wait([task], timeout=_CLOSE_SECONDS)


async def _close_quietly(connection: AbstractConnection) -> None:
    with suppress(Exception):
        await connection.close()
