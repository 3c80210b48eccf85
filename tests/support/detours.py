"""Proxies put between one process of a running system and what it talks to."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager

from deploy.local.processes import INTERNAL
from deploy.local.site import port_name
from libs.common.settings import PREFIX
from tests.support.proxy import Proxy, through
from tests.support.stack import System


@asynccontextmanager
async def detours(
    system: System, process: str, neighbours: Sequence[str]
) -> AsyncIterator[Mapping[str, Proxy]]:
    """One proxy before each neighbour (a server, or a process that answers questions), by name.

    The process is started anew for it, and again at the end, when its ways are straight.
    """
    settings = {
        name.removeprefix(PREFIX): text
        for name, text in system.process(process).program.environment.items()
        if name.startswith(PREFIX)
    }
    with ExitStack() as stack:
        proxies = {
            name: stack.enter_context(Proxy(_port(system, name)).running()) for name in neighbours
        }
        await system.equip(process, through(settings, proxies.values()))
        try:
            yield proxies
        finally:
            await system.equip(process)


def _port(system: System, name: str) -> int:
    if name in system.stack.processes:
        return system.stack.site.ports[port_name(name, INTERNAL)]
    return system.server(name).port
