"""Faults as data, and inflicting them: each lasts a while, and then its target can work again."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import asyncpg
import msgspec

from tests.support.server_faults import alarm, configured, disconnect, terminate_sessions
from tests.support.stack import System
from tests.support.waiting import until

Act = Literal["kill", "freeze", "wipe", "flush", "alarm", "disconnect", "terminate", "read-only"]

_LEFT_ALONE: Final = """
SELECT count(*) FROM live
WHERE state = 'processing' AND lease_until < clock_timestamp() + interval '8 s'
"""

COUNTS: Final = {"gateway": 2, "executor": 2}
"""Two of what customers or calls depend on, so that the other one goes on."""


class Fault(msgspec.Struct, frozen=True):
    """What to do to whom. `seconds`: how long it stays down or frozen; `pause`: until the next."""

    target: str
    act: Act = "kill"
    seconds: float = 0.0
    pause: float = 0.5


class Inflicted(msgspec.Struct, frozen=True):
    """A fault that happened. `held`: how long it was kept up; `ended_at`: its target works."""

    target: str
    act: Act
    began_at: datetime
    held: timedelta
    ended_at: datetime

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.target} {self.act}"

    @property
    def restart(self) -> timedelta:
        """How long its target took to come back by itself."""
        return self.ended_at - self.began_at - self.held

    @property
    def recovers_from(self) -> datetime:
        """Recovery is counted from here: others take over from an executor, the rest must return.

        How long a server or a process takes to start is the machine's affair, and told apart.
        """
        return self.began_at + self.held if "executor" in self.target else self.ended_at


def kills(targets: Sequence[str], each: int, seed: int, pauses: tuple[float, float]) -> list[Fault]:
    """Kill every target `each` times, in an order and after pauses that `seed` decides."""
    chance = random.Random(seed)  # noqa: S311  repeatable, not secret
    order = [target for target in targets for _ in range(each)]
    chance.shuffle(order)
    return [Fault(target, pause=chance.uniform(*pauses)) for target in order]


async def inflict_all(
    system: System, faults: Sequence[Fault], *, settles: bool = False
) -> list[Inflicted]:
    """One after the other, with their pauses before them.

    `settles`: none while a lease that the one before left alone still runs, so that each answers
    for its own recovery. A lease is renewed every five of its fifteen seconds while somebody lives.
    """
    done = []
    for fault in faults:
        await asyncio.sleep(fault.pause)
        if settles:
            await until(lambda: _leases_are_held(system))
        done.append(await inflict(system, fault))
    return done


async def _leases_are_held(system: System) -> bool:
    connection = await asyncpg.connect(system.database_url("requests"))
    try:
        alone: int = await connection.fetchval(_LEFT_ALONE)
    finally:
        await connection.close()
    return alone == 0


async def inflict(system: System, fault: Fault) -> Inflicted:
    """One fault; returns when its target can work again."""
    began_at = datetime.now(UTC)
    await _ACTS[fault.act](system, fault)
    held = timedelta(seconds=fault.seconds)
    return Inflicted(fault.target, fault.act, began_at, held, datetime.now(UTC))


async def _kill(system: System, fault: Fault) -> None:
    await system.kill(fault.target)
    await asyncio.sleep(fault.seconds)
    await system.start(fault.target)


async def _freeze(system: System, fault: Fault) -> None:
    is_process = fault.target in system.stack.processes
    target = system.process(fault.target) if is_process else system.server(fault.target)
    await asyncio.to_thread(target.freeze)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(target.thaw)


async def _wipe(system: System, fault: Fault) -> None:
    """Kill it, and with it all that it kept."""
    await system.kill(fault.target)
    await asyncio.to_thread(system.stack.rabbitmq.wipe)
    await asyncio.sleep(fault.seconds)
    await system.start(fault.target)


async def _flush(system: System, _: Fault) -> None:
    await asyncio.to_thread(system.stack.redis.wipe)


async def _alarm(system: System, fault: Fault) -> None:
    """The broker says that its disk is full."""
    async with alarm(system.stack.rabbitmq, "disk"):
        await asyncio.sleep(fault.seconds)


async def _disconnect(system: System, _: Fault) -> None:
    """Every connection to the broker."""
    await disconnect(system.stack.rabbitmq)


async def _terminate(system: System, _: Fault) -> None:
    """Every session of the databases."""
    await terminate_sessions(system.stack.postgresql)


async def _read_only(system: System, fault: Fault) -> None:
    """As after a failover."""
    async with configured(system.stack.postgresql, "default_transaction_read_only", "on"):
        await asyncio.sleep(fault.seconds)


_ACTS: Final[Mapping[Act, Callable[[System, Fault], Awaitable[None]]]] = {
    "kill": _kill,
    "freeze": _freeze,
    "wipe": _wipe,
    "flush": _flush,
    "alarm": _alarm,
    "disconnect": _disconnect,
    "terminate": _terminate,
    "read-only": _read_only,
}
