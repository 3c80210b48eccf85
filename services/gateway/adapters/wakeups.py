"""Wake-ups over Redis: one subscription a gateway, for everybody who waits in it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from libs.common import logs
from libs.common.contracts.gateway import (
    WAKE_UP_CHANNEL,
    Ended,
    decode_wake_up,
    encode_wake_up,
)
from libs.common.pauses import growing
from libs.common.runtime import sleep

log = logs.get(__name__)

WAKE_UP_CHANNEL_LOST: Final = "wake_up_channel_lost"
WAKE_UP_NOT_TOLD: Final = "wake_up_not_told"
WAKE_UP_NOT_UNDERSTOOD: Final = "wake_up_not_understood"

_FIRST_PAUSE: Final = timedelta(milliseconds=100)
_LONGEST_PAUSE: Final = timedelta(seconds=2)
_CONFIRM_SECONDS: Final = 1.0
_PROBE_SECONDS: Final = 1.0


class ChannelSilent(Exception):
    """Redis does not answer on an open connection."""


class Listener(Protocol):
    """Who is told."""

    def wake(self, ended: Sequence[Ended]) -> None:
        """These requests are final."""
        ...

    def note_channel(self, *, is_healthy: bool) -> None:
        """Whether wake-ups can be heard from now on."""
        ...


class RedisWakeups:
    """Keeps one subscription open. A silent connection is probed, and given up after a second."""

    def __init__(self, make_client: Callable[[], Redis], listener: Listener) -> None:
        """`make_client`: a fresh client for each subscription."""
        self._make_client, self._listener = make_client, listener
        self._was_heard = False

    async def follow(self, stop: asyncio.Event) -> None:
        """A loop: hear wake-ups, whatever happens to Redis."""
        pauses = growing(_FIRST_PAUSE, _LONGEST_PAUSE)
        while not stop.is_set():
            try:
                await self._hear(stop)
            except (RedisError, OSError, TimeoutError, ChannelSilent) as error:
                log.warning(WAKE_UP_CHANNEL_LOST, exc_info=error)
                if self._was_heard:
                    pauses = growing(_FIRST_PAUSE, _LONGEST_PAUSE)
                await sleep(stop, next(pauses))

    async def _hear(self, stop: asyncio.Event) -> None:
        self._was_heard = False
        async with self._make_client() as client, client.pubsub() as channel:
            await self._subscribe(channel)
            self._was_heard = True
            self._listener.note_channel(is_healthy=True)
            try:
                while not stop.is_set():
                    await self._take(channel)
            finally:
                self._listener.note_channel(is_healthy=False)

    async def _subscribe(self, channel: PubSub) -> None:
        """Heard is only what Redis publishes after it has confirmed the subscription."""
        await channel.subscribe(WAKE_UP_CHANNEL)
        message = await channel.get_message(timeout=_CONFIRM_SECONDS)
        if message is None or message["type"] != "subscribe":
            raise ChannelSilent

    async def _take(self, channel: PubSub) -> None:
        """The next message; in silence, a probe that must be answered."""
        message = await channel.get_message(timeout=_PROBE_SECONDS)
        if message is None:
            await channel.ping()
            message = await channel.get_message(timeout=_PROBE_SECONDS)
        if message is None:
            raise ChannelSilent
        if message["type"] == "message":
            try:
                self._listener.wake(decode_wake_up(message["data"]))
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning(WAKE_UP_NOT_UNDERSTOOD)  # whom it was for is looked up in time


class RedisTeller:
    """WakeUps for what this gateway ends itself: rare, so each is a message of its own."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._telling: set[asyncio.Task[None]] = set()

    def tell(self, ended: Sequence[Ended]) -> None:
        """See WakeUps."""
        task = asyncio.create_task(self._publish(encode_wake_up(ended)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _publish(self, message: bytes) -> None:
        try:
            await self._redis.publish(WAKE_UP_CHANNEL, message)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning(WAKE_UP_NOT_TOLD, exc_info=error)
