"""The topology and the definitions rendered from it."""

import base64
import hashlib
import re
from typing import Any

import msgspec
import pytest

from libs.common.broker import topology
from libs.common.broker.definitions import (
    GRANTS,
    SALT_BYTES,
    User,
    definitions,
    hash_password,
)
from libs.common.contracts import accounts, executor
from libs.common.contracts.event import routing_key
from libs.common.settings import Secret

SALT = b"salt"


def render() -> dict[str, Any]:
    users = [
        User(name=name, password=Secret(name), salt=SALT, grant=grant)
        for name, grant in GRANTS.items()
    ]
    return definitions(users)


@pytest.mark.parametrize(
    "event",
    [
        accounts.AccountCreated,
        accounts.AccountDeletionStarted,
        accounts.AccountDeleted,
        accounts.ProjectPaused,
        accounts.ProjectResumed,
        accounts.ProjectDeleted,
        executor.RequestsFinished,
    ],
)
def test_every_event_that_is_told_has_a_queue(event: type[Any]) -> None:
    keys = {b.key for b in topology.bindings() if b.exchange == topology.EVENTS}

    assert routing_key(event) in keys


def test_every_binding_joins_what_is_declared() -> None:
    exchanges = {exchange.name for exchange in topology.EXCHANGES}

    assert {bound.exchange for bound in topology.bindings()} <= exchanges
    assert {bound.queue for bound in topology.bindings()} == set(topology.queue_names())


def test_every_queue_has_one_that_keeps_what_it_cannot_read() -> None:
    for queue in topology.QUEUES:
        assert topology.Binding(topology.PARKED, queue.parked, queue.name) in topology.bindings()


def test_the_queue_declared_last_is_the_one_we_can_best_do_without() -> None:
    assert topology.queue_names()[-1] == "billing.accounts.parked"


def test_every_queue_is_under_exactly_one_policy() -> None:
    for name in topology.queue_names():
        assert len([p for p in topology.policies() if re.search(p.pattern, name)]) == 1


def test_what_reaches_its_delivery_limit_is_parked_and_never_dropped() -> None:
    limits = {policy.name: policy.definition for policy in topology.policies()}

    for queue in topology.QUEUES:
        limit = limits[queue.name]
        assert limit["delivery-limit"] == queue.delivery_limit
        assert limit["dead-letter-exchange"] == topology.PARKED
        assert limit["dead-letter-routing-key"] == queue.name
        assert limit["dead-letter-strategy"] == "at-least-once"
        assert limit["overflow"] == "reject-publish"  # without it: at most once, silently


def test_a_queue_carries_no_argument_but_its_type() -> None:
    assert all(q["arguments"] == {"x-queue-type": "quorum"} for q in render()["queues"])


def test_on_one_node_the_queues_of_hints_are_classic_and_all_others_keep_their_quorum() -> None:
    found = {q["name"]: q["arguments"] for q in definitions([], is_one_node=True)["queues"]}

    classic = {name for name, one in found.items() if one == {"x-queue-type": "classic"}}
    assert classic == {"work.first", "work.rest"}
    assert all(found[name] == {"x-queue-type": "quorum"} for name in found.keys() - classic)


def test_the_definitions_hold_no_password() -> None:
    users = [
        User(
            name="gateway",
            password=Secret("a very secret password"),
            salt=SALT,
            grant=GRANTS["gateway"],
        )
    ]

    assert b"very secret" not in msgspec.json.encode(definitions(users))


def test_a_password_is_hashed_as_rabbitmq_does() -> None:
    stored = base64.b64decode(hash_password(Secret("secret"), SALT))

    assert stored[:SALT_BYTES] == SALT
    assert stored[SALT_BYTES:] == hashlib.sha256(b"saltsecret").digest()


@pytest.mark.parametrize(
    ("user", "sends_to", "takes_from"),
    [
        ("gateway", {"reqrun.work"}, set[str]()),
        (
            "executor",
            {"reqrun.work", "reqrun.events", "reqrun.parked"},
            {"work.first", "work.rest", "executor.projects", "executor.accounts"},
        ),
        ("accounts", {"reqrun.events", "reqrun.parked"}, {"accounts.billing"}),
        (
            "billing",
            {"reqrun.events", "reqrun.parked"},
            {"billing.requests", "billing.accounts"},
        ),
    ],
)
def test_a_service_sends_and_takes_only_what_it_needs(
    user: str, sends_to: set[str], takes_from: set[str]
) -> None:
    [permission] = [p for p in render()["permissions"] if p["user"] == user]

    exchanges = {e.name for e in topology.EXCHANGES} | {"amq.default", "amq.topic"}
    queues = {*topology.queue_names(), "somebody.elses"}
    assert {e for e in exchanges if re.search(permission["write"], e)} == sends_to
    assert {q for q in queues if re.search(permission["read"], q)} == takes_from
    assert not re.search(permission["configure"], "somebody.elses")
