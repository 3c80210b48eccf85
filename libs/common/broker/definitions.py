"""RabbitMQ's definitions file, rendered from the topology: what a broker loads when it boots.

Format: rabbitmq.com/docs/definitions; password hash: rabbitmq.com/docs/passwords.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.common.broker.topology import (
    ACCOUNTS_BILLING,
    BILLING_ACCOUNTS,
    BILLING_REQUESTS,
    CLASSIC,
    EVENTS,
    EXCHANGES,
    EXECUTOR_ACCOUNTS,
    EXECUTOR_PROJECTS,
    HINT_QUEUES,
    MARKS,
    PARKED,
    QUEUES,
    QUORUM,
    WORK,
    WORK_FIRST,
    WORK_REST,
    Policy,
    bindings,
    policies,
    queue_names,
)
from libs.common.settings import Secret

SALT_BYTES: Final = 4
OPERATOR: Final = "operator"
DEFAULT: Final = "amq.default"
"""What permissions call the exchange without a name, which leads straight to a queue."""

_NOTHING: Final = "^$"


class Grant(msgspec.Struct, frozen=True):
    """Exchanges a user sends to, and queues it takes from."""

    sends_to: tuple[str, ...]
    takes_from: tuple[str, ...]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may connect. `salt`: SALT_BYTES random bytes. `tags`: RabbitMQ's."""

    name: str
    password: Secret
    salt: bytes
    grant: Grant
    tags: tuple[str, ...] = ()


GRANTS: Final = {
    "gateway": Grant((WORK,), ()),
    "executor": Grant(
        (WORK, EVENTS, PARKED), (WORK_FIRST, WORK_REST, EXECUTOR_PROJECTS, EXECUTOR_ACCOUNTS)
    ),
    "accounts": Grant((EVENTS, PARKED), (ACCOUNTS_BILLING,)),
    "billing": Grant((EVENTS, PARKED), (BILLING_REQUESTS, BILLING_ACCOUNTS)),
    OPERATOR: Grant((DEFAULT,), tuple(queue.parked for queue in QUEUES)),
}
"""What each service needs; and the operator, who puts back what was parked, or drops it."""


def definitions(
    users: Iterable[User], *, vhost: str = "/", is_one_node: bool = False
) -> dict[str, Any]:
    """The whole file, ready for a JSON encoder.

    `is_one_node`: hints need no quorum, and half of what they cost is saved (decision 0014).
    """
    hints = CLASSIC if is_one_node else QUORUM
    known = list(users)
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(user) for user in known],
        "permissions": [_permission(user, vhost) for user in known],
        "exchanges": [_exchange(exchange.name, exchange.kind, vhost) for exchange in EXCHANGES],
        "queues": [
            _queue(name, hints if name in HINT_QUEUES else QUORUM, vhost) for name in queue_names()
        ],
        "bindings": [
            _binding(bound.exchange, bound.queue, bound.key, vhost) for bound in bindings()
        ],
        "policies": [_policy(policy, vhost) for policy in policies()],
    }


def _user(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "password_hash": hash_password(user.password, user.salt),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(user.tags),
        "limits": {},
    }


def hash_password(password: Secret, salt: bytes) -> str:
    """Salted SHA-256 the way RabbitMQ stores it: base64(salt + sha256(salt + password))."""
    digest = hashlib.sha256(salt + password.reveal().encode()).digest()
    return base64.b64encode(salt + digest).decode()


def _permission(user: User, vhost: str) -> dict[str, str]:
    """Regular expressions over names.

    Every service may declare everything, so that a wiped broker heals whoever comes first; binding
    a queue needs write on it and read on the exchange. Sending goes through an exchange and taking
    through a queue: those two are granted by name.
    """
    exchanges = [exchange.name for exchange in EXCHANGES]
    grant = user.grant
    return {
        "user": user.name,
        "vhost": vhost,
        "configure": _any_of([*exchanges, *queue_names(), *_marks()]),
        "write": _any_of([*grant.sends_to, *queue_names()]),
        "read": _any_of([*exchanges, *grant.takes_from]),
    }


def _marks() -> list[str]:
    """Of every database that has an outbox."""
    return [MARKS + database for database in ("requests", "accounts", "billing")]


def _any_of(names: list[str]) -> str:
    return f"^({'|'.join(re.escape(name) for name in names)})$" if names else _NOTHING


def _exchange(name: str, kind: str, vhost: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": vhost,
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _queue(name: str, arguments: Mapping[str, str], vhost: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": vhost,
        "durable": True,
        "auto_delete": False,
        "arguments": dict(arguments),
    }


def _binding(exchange: str, queue: str, key: str, vhost: str) -> dict[str, Any]:
    return {
        "source": exchange,
        "vhost": vhost,
        "destination": queue,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }


def _policy(policy: Policy, vhost: str) -> dict[str, Any]:
    return {
        "vhost": vhost,
        "name": policy.name,
        "pattern": policy.pattern,
        "apply-to": "queues",
        "definition": policy.definition,
        "priority": 0,
    }
