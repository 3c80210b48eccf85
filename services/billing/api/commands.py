"""The operator's commands: arguments in, one use case, text out."""

from argparse import ArgumentParser, Namespace
from typing import Any, Final

from libs.common import commands
from libs.common.commands import Command
from services.billing.ports import Ports
from services.billing.use_cases import usage


async def show_usage(ports: Ports, given: Namespace) -> Any:
    """`usage show`."""
    return await usage.show(ports, given.account)


COMMANDS: Final = {
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
        "Look at what accounts used.",
        "Besides this, `worker` and `migrate` run the service.",
        COMMANDS,
    )
