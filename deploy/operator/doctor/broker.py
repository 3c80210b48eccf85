"""Checks of RabbitMQ: who reaches it, whether the topology is there, who reads, how deep it is."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from deploy.operator.doctor.check import CONNECT_SECONDS, Check, Unable, Verdict, fail, ok, warn
from libs.common.broker.rabbitmq.side import BrokerLook, Side
from libs.common.broker.topology import HINT_QUEUES, QUEUES
from libs.common.settings import Secret

OLDEST: Final = (3, 10)
"""RabbitMQ's oldest version that our tests run on."""

_DEEP: Final = {True: 100_000, False: 10_000}
"""Messages that wait: of hints, which are sent again anyway, and of events."""

_RENEWAL_SECONDS: Final = 1.0
"""An idle reader renews its connection every twenty seconds, and is gone for a moment."""

_AWAY: Final = "accepting goes on without it; work starts again when it is back"


class Broker:
    """Looked at once, for all checks."""

    def __init__(self, url: Secret) -> None:
        self._url = url
        self._looking: asyncio.Task[BrokerLook] | None = None

    async def look(self) -> BrokerLook:
        """Raises Unable without an address, and what the library does."""
        if not self._url.reveal():
            raise Unable("REQRUN_BROKER_URL is not set")
        if self._looking is None:
            looking = Side(self._url, CONNECT_SECONDS).look()
            self._looking = asyncio.create_task(asyncio.wait_for(looking, CONNECT_SECONDS + 1))
        return await asyncio.shield(self._looking)

    async def look_again(self) -> BrokerLook:
        """Not what was seen before."""
        return await Side(self._url, CONNECT_SECONDS).look()

    async def found(self) -> BrokerLook:
        """As `look`, for checks that say nothing of their own while it is away."""
        try:
            return await self.look()
        except Unable:
            raise
        except Exception:  # noqa: BLE001  # the library has a dozen reasons
            raise Unable("RabbitMQ does not let us in") from None


def checks(url: Secret) -> Iterator[Check]:
    """All of it."""
    broker = Broker(url)
    yield Check("broker: reachable", lambda: _reach(broker))
    yield Check("broker: version", lambda: _check_version(broker))
    yield Check("broker: topology", lambda: _check_topology(broker))
    yield Check("broker: readers", lambda: _check_readers(broker))
    yield Check("broker: depth", lambda: _check_depth(broker))
    yield Check("broker: parked", lambda: _check_parked(broker))


async def _reach(broker: Broker) -> Verdict:
    began = time.monotonic()
    try:
        await broker.look()
    except Unable:
        raise
    except TimeoutError:
        return fail("RabbitMQ does not answer", _AWAY)
    except Exception as error:  # noqa: BLE001  # the library has a dozen reasons
        return fail(f"RabbitMQ cannot be reached: {type(error).__name__}", _AWAY)
    return ok(f"answered in {(time.monotonic() - began) * 1000:.0f} ms")


async def _check_version(broker: Broker) -> Verdict:
    version = (await broker.found()).version
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return fail(f"RabbitMQ {version} is older than {OLDEST[0]}.{OLDEST[1]}", "upgrade it")
    return ok(f"RabbitMQ {version}")


async def _check_topology(broker: Broker) -> Verdict:
    found = await broker.found()
    if found.missing:
        return fail(
            f"missing: {', '.join(found.missing)}",
            "restart one worker: every service declares all of it when it connects",
        )
    return ok(f"{len(found.queues)} queues, all exchanges")


async def _check_readers(broker: Broker) -> Verdict:
    unread = _unread(await broker.found())
    if unread:
        await asyncio.sleep(_RENEWAL_SECONDS)
        unread = [name for name in _unread(await broker.look_again()) if name in unread]
    if unread:
        return fail(f"nobody reads {', '.join(unread)}", "see whether the workers run")
    return ok(f"every one of {len(QUEUES)} queues has a reader")


def _unread(look: BrokerLook) -> list[str]:
    consumers = {one.name: one.consumers for one in look.queues}
    return [queue.name for queue in QUEUES if consumers.get(queue.name) == 0]


async def _check_depth(broker: Broker) -> Verdict:
    found = [one for one in (await broker.found()).queues if not one.name.endswith(".parked")]
    deep = [one for one in found if one.messages > _DEEP[one.name in HINT_QUEUES]]
    said = ", ".join(f"{one.name} {one.messages}" for one in deep or found if one.messages)
    if deep:
        return warn(said, "run more readers, or see what they wait for")
    return ok(said or "nothing waits")


async def _check_parked(broker: Broker) -> Verdict:
    found = [one for one in (await broker.found()).queues if one.name.endswith(".parked")]
    said = ", ".join(f"{one.name} {one.messages}" for one in found if one.messages)
    return warn(said, "see `reqrun parked list`") if said else ok("nothing is parked")
