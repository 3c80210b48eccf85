"""Every exchange, queue and binding, as data.

The runbook, the deploy files and the code that declares them read this file. A queue carries one
argument, its type; limits are policies, because an argument that changes makes every declaration
fail (PRECONDITION_FAILED) while a policy is simply replaced.

All queues are quorum queues, but those of hints need not be (decision 0014): on a broker of one
node a quorum replicates to nobody and only costs.
"""

import re
from typing import Final

import msgspec

WORK: Final = "reqrun.work"
EVENTS: Final = "reqrun.events"
PARKED: Final = "reqrun.parked"
MARKS: Final = "reqrun.relay."
"""Followed by a database's name: the exchange by which its relay sees that the broker remembers."""

WORK_FIRST: Final = "work.first"
WORK_REST: Final = "work.rest"
EXECUTOR_PROJECTS: Final = "executor.projects"
EXECUTOR_ACCOUNTS: Final = "executor.accounts"
BILLING_REQUESTS: Final = "billing.requests"
BILLING_ACCOUNTS: Final = "billing.accounts"
ACCOUNTS_BILLING: Final = "accounts.billing"

# Hints are acked as soon as their claim has committed, so fifty deliveries without an ack mean that
# the hint kills who takes it. The row behind it goes on: the dispatcher looks at rows.
_HINT_DELIVERIES: Final = 50
# A reader of events gives a message back after ten minutes of trying (dispatch.py). Until RabbitMQ
# 4.3 each of those counts: about a week of its database being away.
_EVENT_DELIVERIES: Final = 1_000
# Past this many hints the broker refuses, and the dispatcher sends the rest when there is room.
_HINTS: Final = 1_000_000
_PARKED_MESSAGES: Final = 100_000
# To look at a parked message is a delivery too, and from RabbitMQ 4.0 on the usual limit is twenty.
_LOOKS: Final = 1_000_000

QUORUM: Final = {"x-queue-type": "quorum"}
CLASSIC: Final = {"x-queue-type": "classic"}

HINT_QUEUES: Final = (WORK_FIRST, WORK_REST)
"""Of either type. Declared as quorum queues where they are not there; otherwise left as found."""


class Exchange(msgspec.Struct, frozen=True):
    """Where messages are sent. `kind`: AMQP's exchange type."""

    name: str
    kind: str


class Queue(msgspec.Struct, frozen=True):
    """Where messages wait for one kind of reader. `keys`: the routing keys bound to it."""

    name: str
    exchange: str
    keys: tuple[str, ...]
    delivery_limit: int
    max_length: int | None = None

    @property
    def parked(self) -> str:
        """The queue that keeps what its reader can never handle, as evidence."""
        return f"{self.name}.parked"


class Binding(msgspec.Struct, frozen=True):
    """What sends messages of one key from an exchange to a queue."""

    exchange: str
    queue: str
    key: str


class Policy(msgspec.Struct, frozen=True):
    """Limits of the queues whose name matches `pattern`."""

    name: str
    pattern: str
    definition: dict[str, str | int]


EXCHANGES: Final = (Exchange(WORK, "direct"), Exchange(EVENTS, "topic"), Exchange(PARKED, "direct"))

QUEUES: Final = (
    Queue(WORK_FIRST, WORK, (WORK_FIRST,), _HINT_DELIVERIES, _HINTS),
    Queue(WORK_REST, WORK, (WORK_REST,), _HINT_DELIVERIES, _HINTS),
    Queue(
        EXECUTOR_PROJECTS,
        EVENTS,
        ("project.paused", "project.resumed", "project.deleted"),
        _EVENT_DELIVERIES,
    ),
    Queue(
        EXECUTOR_ACCOUNTS,
        EVENTS,
        ("account.deletion_started", "account.deleted"),
        _EVENT_DELIVERIES,
    ),
    Queue(BILLING_REQUESTS, EVENTS, ("requests.finished",), _EVENT_DELIVERIES),
    Queue(
        ACCOUNTS_BILLING,
        EVENTS,
        ("plan.changed", "usage.threshold_reached", "payment.failed", "subscription.ended"),
        _EVENT_DELIVERIES,
    ),
    Queue(BILLING_ACCOUNTS, EVENTS, ("account.created", "account.deleted"), _EVENT_DELIVERIES),
)


def queue_names() -> list[str]:
    """All of them, those that keep parked messages included, in the order they are declared.

    The last is one we can best do without: RabbitMQ 3.10 forgets the queue declared last when it is
    killed within three seconds of that, and the queue then has no leader until an operator helps.
    """
    return [name for queue in QUEUES for name in (queue.name, queue.parked)]


def bindings() -> list[Binding]:
    """All of them. A parked message's routing key is the name of the queue it came from."""
    bound = [Binding(queue.exchange, queue.name, key) for queue in QUEUES for key in queue.keys]
    return bound + [Binding(PARKED, queue.parked, queue.name) for queue in QUEUES]


def policies() -> list[Policy]:
    """The limits. What reaches its delivery limit is parked, at least once.

    `reject-publish` is part of that: without it RabbitMQ dead-letters at most once, silently.
    """
    return [_policy(queue) for queue in QUEUES] + [
        Policy(
            "parked",
            r"^.+\.parked$",
            {
                "delivery-limit": _LOOKS,
                "max-length": _PARKED_MESSAGES,
                "overflow": "reject-publish",
            },
        )
    ]


def _policy(queue: Queue) -> Policy:
    definition: dict[str, str | int] = {
        "delivery-limit": queue.delivery_limit,
        "dead-letter-exchange": PARKED,
        "dead-letter-routing-key": queue.name,
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
    }
    if queue.max_length is not None:
        definition["max-length"] = queue.max_length
    return Policy(queue.name, f"^{re.escape(queue.name)}$", definition)
