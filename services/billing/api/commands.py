"""The operator's commands: arguments in, one use case, text out."""

from argparse import ArgumentParser, Namespace
from datetime import date, timedelta
from typing import Any, Final

from libs.common import commands
from libs.common import retention as windows
from libs.common.commands import Command
from services.billing.ports import Ports
from services.billing.use_cases import (
    paddle_reconciling,
    processing,
    reconciling,
    retention,
    usage,
)


async def show_usage(ports: Ports, given: Namespace) -> Any:
    """`usage show`."""
    return await usage.show(ports, given.account)


async def reconcile_usage(ports: Ports, given: Namespace) -> Any:
    """`usage reconcile`."""
    yesterday = ports.clock.now().date() - timedelta(days=1)
    first = given.day or given.first or given.last or yesterday
    last = given.day or given.last or given.first or yesterday
    return await reconciling.reconcile(ports, first, last, is_repairing=given.repair)


async def show_webhooks(ports: Ports, _: Namespace) -> Any:
    """`webhooks show`."""
    return await processing.show(ports)


async def retry_webhooks(ports: Ports, _: Namespace) -> Any:
    """`webhooks retry`."""
    return await processing.try_again(ports)


async def reconcile_paddle(ports: Ports, given: Namespace) -> Any:
    """`paddle reconcile`."""
    return await paddle_reconciling.reconcile(ports, is_repairing=not given.dry_run)


async def show_retention(ports: Ports, _: Namespace) -> Any:
    """`retention show`."""
    return windows.tell_over(windows.BILLING, await retention.count_over(ports))


async def run_retention(ports: Ports, _: Namespace) -> Any:
    """`retention run`."""
    return windows.tell_swept(await retention.sweep(ports))


COMMANDS: Final = {
    "retention show": Command(
        show_retention, "list how long each table is kept, and how much is there for longer"
    ),
    "retention run": Command(
        run_retention, "remove now what is past its window, as the worker does"
    ),
    "paddle reconcile": Command(
        reconcile_paddle,
        "compare with Paddle what accounts bought and paid, and take over what is otherwise",
        (("--dry-run", {"action": "store_true", "help": "only say what is otherwise"}),),
    ),
    "webhooks show": Command(show_webhooks, "show how many there are, by what became of them"),
    "webhooks retry": Command(retry_webhooks, "look once more at all that were given up"),
    "usage show": Command(
        show_usage,
        "show what an account used, by month and final state",
        (("--account", {"required": True, "metavar": "ID"}),),
    ),
    "usage reconcile": Command(
        reconcile_usage,
        "compare with the ledger what accounts used, by account and day (UTC); yesterday's",
        (
            ("--day", {"type": date.fromisoformat, "metavar": "YYYY-MM-DD"}),
            ("--from", {"type": date.fromisoformat, "metavar": "YYYY-MM-DD", "dest": "first"}),
            ("--to", {"type": date.fromisoformat, "metavar": "YYYY-MM-DD", "dest": "last"}),
            ("--repair", {"action": "store_true", "help": "record what is missing"}),
        ),
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
