"""The operator's commands: arguments in, one use case, text out."""

from argparse import ArgumentParser, Namespace
from typing import Any, Final

from libs.common import commands
from libs.common.commands import Command
from services.billing.ports import Ports
from services.billing.use_cases import processing, usage


async def show_usage(ports: Ports, given: Namespace) -> Any:
    """`usage show`."""
    return await usage.show(ports, given.account)


async def show_webhooks(ports: Ports, _: Namespace) -> Any:
    """`webhooks show`."""
    return await processing.show(ports)


async def retry_webhooks(ports: Ports, _: Namespace) -> Any:
    """`webhooks retry`."""
    return await processing.try_again(ports)


COMMANDS: Final = {
    "webhooks show": Command(show_webhooks, "show how many there are, by what became of them"),
    "webhooks retry": Command(retry_webhooks, "look once more at all that were given up"),
    "usage show": Command(
        show_usage,
        "show what an account used, by month and final state",
        (("--account", {"required": True, "metavar": "ID"}),),
    ),
}


def parser() -> ArgumentParser:
    """Of `python -m services.billing`; `call` is the chosen command."""
    return commands.parser(
        "python -m services.billing",
        "Look at what accounts used, and at what Paddle told.",
        "Besides this, `web`, `worker` and `migrate` run the service.",
        COMMANDS,
    )
