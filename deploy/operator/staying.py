"""`reqrun stay`: what the toolbox in a cluster does, so that somebody can come in."""

import asyncio
import signal
from argparse import Namespace
from typing import Final

import msgspec

from deploy.operator.desk import Desk
from libs.common.commands import Command


class Stayed(msgspec.Struct, frozen=True):
    """Who ended it."""

    ended_by: str


async def stay(_: Desk, __: Namespace) -> Stayed:
    """`stay`."""
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(name: str) -> None:
        if not ended.done():
            ended.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number.name)
    return Stayed(await ended)


COMMANDS: Final = {
    "stay": Command(stay, "do nothing until SIGTERM: for a pod in which `reqrun` is then run"),
}
