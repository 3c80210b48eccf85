"""`reqrun retention show | run` and `reqrun reconcile`: each service's own, side by side.

What one of them cannot answer now is told, and the others are answered all the same.
"""

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from deploy.operator.desk import Desk
from deploy.operator.requests.commands import opened
from deploy.operator.settings import LedgerSettings
from libs.common import retention
from libs.common.commands import Command
from libs.common.errors import AppError
from libs.common.retention import Over, Swept
from libs.common.settings import SettingsError, load
from libs.ledger.dispatcher_ledger import DispatcherLedger
from libs.ledger.orphans import CrashBackoff
from libs.ledger.upkeep import Drift
from services.accounts import __main__ as accounts
from services.accounts.api import request_commands as of_accounts
from services.billing import __main__ as billing
from services.billing.api import commands as of_billing
from services.billing.use_cases.reconciling import Reconciliation

Answer = TypeVar("Answer")
Ask = Callable[[], Awaitable[Any]]


class RetentionShown(msgspec.Struct, frozen=True):
    """By database. `failed`: those that could not be asked, and why."""

    is_good: bool
    databases: dict[str, list[Over]]
    failed: dict[str, str]


class RetentionRun(msgspec.Struct, frozen=True):
    """By database, what went now. `failed`: as above."""

    is_good: bool
    databases: dict[str, list[Swept]]
    failed: dict[str, str]


class Reconciled(msgspec.Struct, frozen=True):
    """`counters`: the ledger's against its rows; `usage`: billing's books against the ledger."""

    is_good: bool
    counters: Drift | None
    usage: Reconciliation | None
    failed: dict[str, str]


async def show_retention(desk: Desk, _: Namespace) -> RetentionShown:
    """`retention show`."""
    answers, failed = await _ask_all(
        desk,
        {
            "requests": partial(_count_ledger, desk),
            "accounts": partial(_of_accounts, desk, of_accounts.show_retention),
            "billing": partial(_of_billing, desk, Namespace(call=of_billing.show_retention)),
        },
    )
    return RetentionShown(not failed, answers, failed)


async def run_retention(desk: Desk, _: Namespace) -> RetentionRun:
    """`retention run`."""
    answers, failed = await _ask_all(
        desk,
        {
            "requests": partial(_purge_ledger, desk),
            "accounts": partial(_of_accounts, desk, of_accounts.run_retention),
            "billing": partial(_of_billing, desk, Namespace(call=of_billing.run_retention)),
        },
    )
    return RetentionRun(not failed, answers, failed)


async def reconcile(desk: Desk, given: Namespace) -> Reconciled:
    """`reconcile`."""
    asked = Namespace(**{**vars(given), "call": of_billing.reconcile_usage})
    answers, failed = await _ask_all(
        desk,
        {"counters": partial(_measure_drift, desk), "usage": partial(_of_billing, desk, asked)},
    )
    counters, usage = answers.get("counters"), answers.get("usage")
    is_equal = counters == Drift(0, 0, 0) and usage is not None and usage.left == 0
    return Reconciled(is_equal, counters, usage, failed)


async def _ask_all(desk: Desk, asks: Mapping[str, Ask]) -> tuple[dict[str, Any], dict[str, str]]:
    answers: dict[str, Any] = {}
    failed: dict[str, str] = {}
    with desk.screen.progress(f"Asking {', '.join(asks)}", len(asks)) as advance:
        for name, ask in asks.items():
            try:
                answers[name] = await ask()
            except (AppError, SettingsError) as refused:
                failed[name] = str(refused)
            advance(1)
    return answers, failed


async def _of_accounts(desk: Desk, call: Any) -> Any:
    environ = desk.installation.part("accounts")
    return await asyncio.to_thread(accounts.answer, Namespace(call=call), environ)


async def _of_billing(desk: Desk, given: Namespace) -> Any:
    return await asyncio.to_thread(billing.answer, given, desk.installation.part("billing"))


async def _count_ledger(desk: Desk) -> list[Over]:
    async with opened(desk) as ledger:
        return retention.tell_over(retention.REQUESTS, await ledger.count_over())


async def _measure_drift(desk: Desk) -> Drift:
    async with opened(desk) as ledger:
        return await ledger.measure_drift()


async def _purge_ledger(desk: Desk) -> list[Swept]:
    """With the dispatcher's settings, where they are known: our own role removes nothing."""
    url = None
    with suppress(SettingsError):
        url = load(LedgerSettings, desk.installation.part("dispatcher")).ledger_url.reveal()
    if url is None or url == desk.needed("ledger_url").reveal():
        raise SettingsError(
            "The dispatchers do this every minute; `reqrun` only where it has their settings."
        )
    ledger = DispatcherLedger(url, backoff=CrashBackoff())
    try:
        purged = msgspec.structs.asdict(await ledger.purge())
        return retention.tell_swept({**purged, "rollups": await ledger.forget_old_rollups()})
    finally:
        await ledger.close()


_DAY: Final = {"type": date.fromisoformat, "metavar": "YYYY-MM-DD"}

COMMANDS: Final = {
    "retention show": Command(
        show_retention, "list how long each table is kept, and how much is there for longer"
    ),
    "retention run": Command(
        run_retention, "remove now what is past its window, as the workers do by themselves"
    ),
    "reconcile": Command(
        reconcile,
        "compare the ledger's counters with its rows, and billing's books with the ledger;"
        " 1 where they differ",
        (
            ("--day", {**_DAY, "help": "yesterday (UTC), unless given"}),
            ("--from", {**_DAY, "dest": "first"}),
            ("--to", {**_DAY, "dest": "last"}),
            ("--repair", {"action": "store_true", "help": "record the usage that is missing"}),
        ),
    ),
}
