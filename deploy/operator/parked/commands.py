"""`reqrun parked list | show | put-back | drop`."""

import asyncio
import hashlib
from argparse import Namespace
from typing import Final

import msgspec

from deploy.operator.desk import Desk
from deploy.operator.parked.places import BrokerAway, list_all, side_of
from libs.common.broker.rabbitmq.side import Act, Choice, ParkedMessage, drop, put_back
from libs.common.broker.topology import HINT_QUEUES, QUEUES
from libs.common.commands import Argument, Command
from libs.common.errors import InvalidInput
from libs.common.ids import is_id

_SECONDS: Final = 60.0


class NothingChosen(InvalidInput):
    """Neither which nor that all of them are meant."""

    code = "nothing_chosen"

    def __init__(self) -> None:
        super().__init__("Say which: --event-id, or --all; and to drop them, --yes.")


class ParkedView(msgspec.Struct, frozen=True, kw_only=True):
    """A parked message. `kind`: of the event, where it can be read; of a hint, its request's id.

    Its body is not shown: what cannot be decoded may be anything. `digest` tells it from others.
    """

    event_id: str | None
    kind: str | None
    reason: str
    bytes: int
    digest: str


class ParkedShown(msgspec.Struct, frozen=True):
    """Of one queue, the oldest first. `is_good`: there is something."""

    is_good: bool
    queue: str
    messages: list[ParkedView]


class ParkedSettled(msgspec.Struct, frozen=True):
    """How many were put back or dropped. `is_good`: at least one."""

    is_good: bool
    queue: str
    verb: str
    count: int


async def show(desk: Desk, given: Namespace) -> ParkedShown:
    """`parked show`."""
    try:
        peeking = side_of(desk).peek(given.queue, given.limit)
        found = await asyncio.wait_for(peeking, _SECONDS)
    except (OSError, TimeoutError):
        raise BrokerAway from None
    return ParkedShown(bool(found), given.queue, [_view(message) for message in found])


async def put_all_back(desk: Desk, given: Namespace) -> ParkedSettled:
    """`parked put-back`."""
    return await _settle(desk, given, "put back", put_back)


async def drop_all(desk: Desk, given: Namespace) -> ParkedSettled:
    """`parked drop`."""
    if not given.yes:
        raise NothingChosen
    return await _settle(desk, given, "dropped", drop)


async def _settle(desk: Desk, given: Namespace, verb: str, act: Act) -> ParkedSettled:
    choice = _choice(given)
    try:
        with desk.screen.progress(verb.capitalize(), None) as advance:
            count = await side_of(desk).settle(given.queue, choice, act, lambda _: advance(1))
    except OSError:
        raise BrokerAway from None
    return ParkedSettled(bool(count), given.queue, verb, count)


def _choice(given: Namespace) -> Choice:
    if given.all == bool(given.event_id):
        raise NothingChosen
    return lambda message: given.all or message.event_id in given.event_id


def _view(message: ParkedMessage) -> ParkedView:
    return ParkedView(
        event_id=message.event_id,
        kind=_kind(message),
        reason=message.reason or "its reader could not read it",
        bytes=len(message.body),
        digest=hashlib.sha256(message.body).hexdigest()[:12],
    )


class _Tagged(msgspec.Struct):
    type: str


def _kind(message: ParkedMessage) -> str | None:
    """Only what is one of ours by its form: an id of a request, the name of an event."""
    queue = message.queue.removesuffix(".parked")
    if queue in HINT_QUEUES:
        text = message.body.decode(errors="replace")
        return text if is_id("rr", text) else None
    known = {key for one in QUEUES for key in one.keys}
    try:
        kind = msgspec.json.decode(message.body, type=_Tagged).type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return kind if kind in known else None


_QUEUE: Final[Argument] = (
    "queue",
    {"metavar": "QUEUE", "choices": [queue.parked for queue in QUEUES]},
)
_WHICH: Final[tuple[Argument, ...]] = (
    _QUEUE,
    ("--event-id", {"action": "append", "metavar": "ID", "help": "may be repeated"}),
    ("--all", {"action": "store_true", "help": "everything in it"}),
)

COMMANDS: Final = {
    "parked list": Command(
        list_all, "list what nobody took: parked messages, events untold, webhooks given up"
    ),
    "parked show": Command(
        show,
        "list the messages of a parked queue, the oldest first; 1 where there is none",
        (_QUEUE, ("--limit", {"type": int, "default": 20, "metavar": "N", "help": "(20)"})),
    ),
    "parked put-back": Command(
        put_all_back, "give messages to the reader again that they were parked from", _WHICH
    ),
    "parked drop": Command(
        drop_all,
        "forget messages for good",
        (*_WHICH, ("--yes", {"action": "store_true", "help": "that is what is wanted"})),
    ),
}
