"""What tests of request rates share: a clock that stands still, and clients that do not repeat."""

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deploy.local.servers.redis import Redis


class Time:
    """Seconds, in the test's hand: it stands still, so that no leave ends."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The reading."""
        return self.now


def client(server: Redis, seconds: float = 5.0) -> redis.asyncio.Redis:
    """One that gives up after `seconds`, at once where it is refused."""
    return redis.asyncio.Redis.from_url(
        server.url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
