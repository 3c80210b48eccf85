"""Checks of Redis: it may forget anything, but must answer at once, and never fill up."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from deploy.operator.doctor.check import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    Check,
    Unable,
    Verdict,
    fail,
    ok,
    warn,
)
from deploy.operator.doctor.clocks import judge_skew
from libs.common.clock import Clock
from libs.common.settings import Secret

OLDEST: Final = 6
"""Redis's oldest major version: the first with `allkeys-lru` as our tests run it."""

_AWAY: Final = "without it rates are counted by each gateway, and waits poll; start or thaw it"
_NOT_SET: Final = "REQRUN_REDIS_URL is not set"


class Cache:
    """One server, asked over a connection of its own each time."""

    def __init__(self, url: Secret) -> None:
        self._url = url.reveal()

    async def ask(self, *command: str) -> Any:
        """Its answer. Raises RedisError, TimeoutError, Unable."""
        if not self._url:
            raise Unable(_NOT_SET)
        client = Redis.from_url(
            self._url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        async with asyncio.timeout(ANSWER_SECONDS), client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def info(self, section: str) -> dict[str, Any]:
        """One section of INFO. Raises Unable where there is no answer: that is another check's."""
        try:
            found: dict[str, Any] = await self.ask("INFO", section)
        except (RedisError, OSError, TimeoutError):
            raise Unable("Redis does not answer") from None
        return found


def checks(url: Secret, clock: Clock) -> Iterator[Check]:
    """All of it."""
    cache = Cache(url)
    yield Check("redis: reachable", lambda: _reach(cache))
    yield Check("redis: version", lambda: _check_version(cache))
    yield Check("redis: memory", lambda: _check_memory(cache))
    yield Check("redis: clock", lambda: _check_clock(cache, clock))


async def _reach(cache: Cache) -> Verdict:
    began = time.monotonic()
    try:
        await cache.ask("PING")
    except AuthenticationError:
        return fail("Redis refuses our password", "compare the secret with the server's")
    except (RedisError, OSError, TimeoutError) as error:
        kind = "does not answer" if "imeout" in type(error).__name__ else "cannot be reached"
        return fail(f"Redis {kind}", _AWAY)
    return ok(f"answered in {(time.monotonic() - began) * 1000:.0f} ms")


async def _check_version(cache: Cache) -> Verdict:
    version = str((await cache.info("server"))["redis_version"])
    if int(version.partition(".")[0]) < OLDEST:
        return fail(f"Redis {version} is older than {OLDEST}", "upgrade it")
    return ok(f"Redis {version}")


async def _check_memory(cache: Cache) -> Verdict:
    found = await cache.info("memory")
    most, policy = int(found["maxmemory"]), str(found["maxmemory_policy"])
    said = f"{int(found['used_memory']) / 2**20:.0f} MiB used, at most {most / 2**20:.0f}, {policy}"
    if not most:
        return warn("no maxmemory: it may grow until the machine is full", "set maxmemory")
    if policy == "noeviction":
        return fail(said, "set maxmemory-policy to allkeys-lru: a full cache would refuse writes")
    return ok(said)


async def _check_clock(cache: Cache, clock: Clock) -> Verdict:
    asked_at = clock.now()
    try:
        seconds, microseconds = await cache.ask("TIME")
    except (RedisError, OSError, TimeoutError):
        raise Unable("Redis does not answer") from None
    told = datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC)
    return judge_skew(told, asked_at, clock.now())
