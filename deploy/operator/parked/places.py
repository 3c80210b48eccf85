"""Where something may lie: the broker's parked queues, outboxes, webhooks that were given up."""

import asyncio
from argparse import Namespace
from typing import Any, Final

import asyncpg
import msgspec

from deploy.operator.desk import Desk
from deploy.operator.doctor.check import Unable
from deploy.operator.doctor.commands import opened
from deploy.operator.doctor.servers import Server
from libs.common.broker.rabbitmq.side import Side
from libs.common.errors import AppError, Unavailable
from libs.common.settings import SettingsError
from services.billing import __main__ as billing
from services.billing.api import commands as of_billing

SECONDS: Final = 5.0

_OUTBOX: Final = """
SELECT routing_key, count(*) AS events,
    extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS seconds
FROM outbox WHERE sent_at IS NULL AND created_at < clock_timestamp() - interval '1 min'
GROUP BY 1 ORDER BY 3 DESC
"""
_MAILS: Final = """
SELECT count(*) AS mails, extract(epoch FROM clock_timestamp() - min(failed_at))::float8 AS seconds
FROM mails WHERE failed_at IS NOT NULL
"""
_GIVEN_UP: Final = frozenset({"failed", "unreadable"})


class BrokerAway(Unavailable):
    """RabbitMQ does not let us in."""

    code = "broker_away"

    def __init__(self) -> None:
        super().__init__("RabbitMQ cannot be asked right now; `reqrun doctor` says why.")


class Lying(msgspec.Struct, frozen=True):
    """Something that lies somewhere. `what`: the queue, kind of event, or state of webhooks."""

    place: str
    what: str
    count: int
    oldest_seconds: float | None
    do: str


class ParkedListed(msgspec.Struct, frozen=True):
    """All of it. `is_good`: every place could be looked at, whatever lies there."""

    is_good: bool
    lying: list[Lying]
    failed: dict[str, str]


async def list_all(desk: Desk, _: Namespace) -> ParkedListed:
    """`parked list`."""
    lying: list[Lying] = []
    failed: dict[str, str] = {}
    async with opened(desk) as servers:
        looks = {
            "broker": _in_queues(desk),
            **{f"outbox of {name}": _in_outbox(server) for name, server in servers.items()},
            "mails": _in_mails(servers["accounts"]),
            "webhooks": _in_webhooks(desk),
        }
        for place, look in looks.items():
            try:
                lying += await look
            except (AppError, SettingsError, Unable) as refused:
                failed[place] = str(refused)
    return ParkedListed(not failed, lying, failed)


def side_of(desk: Desk) -> Side:
    """The broker. Raises SettingsError."""
    return Side(desk.needed("broker_url"), SECONDS)


async def _in_queues(desk: Desk) -> list[Lying]:
    side = side_of(desk)
    try:
        found = await asyncio.wait_for(side.look(), SECONDS * 2)
    except Exception:  # noqa: BLE001  # the library has a dozen reasons
        raise BrokerAway from None
    return [
        Lying("broker", one.name, one.messages, None, f"reqrun parked show {one.name}")
        for one in found.queues
        if one.name.endswith(".parked") and one.messages
    ]


async def _in_outbox(server: Server) -> list[Lying]:
    """What a relay has not told for over a minute: no queue takes it, or no relay runs."""
    rows = await _ask(server, _OUTBOX)
    help_ = "told as soon as a queue takes it: reqrun doctor --only broker"
    return [
        Lying(f"outbox of {server.name}", r["routing_key"], r["events"], r["seconds"], help_)
        for r in rows
    ]


async def _in_mails(server: Server) -> list[Lying]:
    """Refused by the relay for good, or for three days; kept for a week."""
    [row] = await _ask(server, _MAILS)
    help_ = "docs/runbook.md, ReqRunMailsGivenUp"
    return [Lying("mails", "given up", row["mails"], row["seconds"], help_)] * bool(row["mails"])


async def _ask(server: Server, statement: str) -> list[Any]:
    try:
        return await server.ask(statement)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise Unable(f"cannot be asked: {type(error).__name__}") from None


async def _in_webhooks(desk: Desk) -> list[Lying]:
    environ, asked = desk.installation.part("billing"), Namespace(call=of_billing.show_webhooks)
    states = await asyncio.to_thread(billing.answer, asked, environ)
    return [
        Lying("webhooks", one.state, one.count, None, "reqrun webhooks retry")
        for one in states
        if one.state in _GIVEN_UP
    ]
