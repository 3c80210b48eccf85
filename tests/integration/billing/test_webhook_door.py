"""Webhooks at the door, over HTTP: who may, what is kept of it, and what a repeat changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import asyncpg
import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from libs.common.errors import Unavailable
from libs.common.settings import Secret
from libs.common.web.app import INTERNAL_BODY_BYTES
from services.billing import app
from services.billing.api.webhooks import PATH
from services.billing.domain.signatures import HEADER
from services.billing.ports import Ports
from services.billing.settings import Settings
from services.billing.use_cases import webhooks
from services.billing.use_cases.webhooks import Door
from tests.support.frozen_clock import FrozenClock
from tests.support.paddle_events import SECRET, at, customer, event, signature
from tests.support.paddle_inbox import process_all, rows, states

OLD = Secret("pdl_ntfset_the-one-before")
BODY = event("customer.created", customer(), at(), "evt_1")


@pytest.fixture
def given_settings(database_url: Secret) -> Settings:
    both = Secret(f"{SECRET.reveal()}, {OLD.reveal()}")
    return Settings(
        database_url=database_url, broker_url=Secret("amqp://none"), paddle_webhook_secrets=both
    )


@pytest.fixture
async def web(given_settings: Settings, ports: Ports) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(cast("Any", app.make_door(given_settings, ports)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://billing") as client:
        yield client


@pytest.fixture
def clock(ports: Ports) -> FrozenClock:
    assert isinstance(ports.clock, FrozenClock)
    return ports.clock


Send = Callable[..., Any]


@pytest.fixture
def send(web: httpx2.AsyncClient, clock: FrozenClock) -> Send:
    async def call(body: bytes = BODY, header: str | None = None, **after: float) -> Any:
        signed_at = clock.now() + timedelta(**after)
        signed = signature(body, signed_at) if header is None else header
        return await web.post(PATH, content=body, headers={HEADER: signed} if signed else {})

    return call


async def test_a_webhook_is_kept_as_it_came_and_answered(send: Send, ports: Ports) -> None:
    odd = BODY.replace(b",", b" ,\n")

    answer = await send(odd)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    [kept] = await rows(ports, "webhooks")
    assert kept["body"] == odd
    assert (kept["event_id"], kept["event_type"], kept["state"]) == (
        "evt_1", "customer.created", "waiting",
    )  # fmt: skip
    assert kept["signature"] == signature(odd, ports.clock.now())


async def test_a_repeat_is_answered_and_changes_nothing(send: Send, ports: Ports) -> None:
    await send()
    await process_all(ports)
    before = await rows(ports, "webhooks")

    answers = [await send(), await send(BODY.replace(b"canary1", b"canary2"), seconds=9)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert await rows(ports, "webhooks") == before


@pytest.mark.fault(79)
async def test_either_secret_is_good(send: Send, clock: FrozenClock) -> None:
    assert (await send(header=signature(BODY, clock.now(), OLD))).status_code == 200


@pytest.mark.parametrize(
    ("header", "after", "code"),
    [
        ("", 0, "missing_webhook_signature"),
        ("ts=5", 0, "malformed_webhook_signature"),
        (None, -31, "stale_webhook_signature"),
        (None, 31, "early_webhook_signature"),
        ("forged", 0, "invalid_webhook_signature"),
    ],
)
async def test_what_is_not_paddles_is_refused_by_code_and_kept_nowhere(
    send: Send, ports: Ports, header: str | None, after: float, code: str
) -> None:
    forged = signature(BODY, ports.clock.now(), Secret("somebody's"))
    given_header = forged if header == "forged" else header

    with capture_logs() as lines:
        answer = await send(header=given_header, seconds=after)

    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("authentication_error", code)
    assert await rows(ports, "webhooks") == []
    [line] = lines
    assert line == {
        "event": webhooks.WEBHOOK_REFUSED,
        "error_code": code,
        "log_level": "warning",
        "module": webhooks.__name__,
    }


async def test_more_than_a_mebibyte_is_refused_before_anything_is_looked_at(
    send: Send, ports: Ports
) -> None:
    at_most = b"x" * INTERNAL_BODY_BYTES

    assert (await send(at_most + b"x")).status_code == 413
    assert (await send(at_most + b"x", header="")).status_code == 413
    assert await rows(ports, "webhooks") == []
    assert (await send(at_most)).status_code == 200


UNREADABLE = [
    b"",
    b"hello",
    b"[]",
    b"\xff\xfe",
    b"[" * 100_000,
    BODY.replace(b'"event_id"', b'"event_i"'),
    BODY.replace(b'"event_type"', b'"event_typ"'),
    BODY.replace(b'"occurred_at"', b'"occurred"'),
    BODY.replace(b'"evt_1"', b'"evt \\u0000"'),
    BODY.replace(b'"evt_1"', b'""'),
    event("customer.created", customer(), at(), "e" * 81),
    BODY.replace(b'000000Z","notification', b'000000","notification'),
]


@pytest.mark.parametrize("body", UNREADABLE, ids=[str(n) for n in range(len(UNREADABLE))])
async def test_what_paddle_signed_and_nobody_can_read_is_kept_as_evidence(
    send: Send, ports: Ports, body: bytes
) -> None:
    assert [(await send(body)).status_code for _ in range(2)] == [200, 200]

    await process_all(ports)
    [(event_id, state)] = (await states(ports)).items()
    assert event_id.startswith("unreadable-")
    assert state == "unreadable"


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    kind=st.sampled_from(["subscription.updated", "transaction.paid", "customer.created", "x"]),
)
async def test_whatever_stands_in_it_the_next_one_is_processed(
    send: Send, ports: Ports, data: object, kind: str
) -> None:
    number = len(await rows(ports, "webhooks"))
    odd = event(kind, cast("Any", {"id": "x", "data": data}), at(), f"evt_odd{number}")
    good = event("customer.created", customer(), at(), f"evt_good{number}")

    assert (await send(odd)).status_code == 200
    assert (await send(good)).status_code == 200
    await process_all(ports)

    assert (await states(ports))[f"evt_good{number}"] in {"applied", "older"}


async def test_where_nothing_is_sold_no_webhook_is_taken(
    given_settings: Settings, ports: Ports
) -> None:
    closed = msgspec.structs.replace(given_settings, paddle_webhook_secrets=Secret(" , "))
    transport = httpx2.ASGITransport(cast("Any", app.make_door(closed, ports)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://billing") as client:
        header = signature(BODY, ports.clock.now(), Secret(""))
        answer = await client.post(PATH, content=BODY, headers={HEADER: header})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "webhooks_not_taken")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATH, 405),
        ("POST", "/internal/accounts/acc_1/billing", 404),
        ("GET", "/metrics", 404),
    ],
)
async def test_the_public_port_has_nothing_else(
    web: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    assert (await web.request(method, path)).status_code == status


async def test_without_a_database_paddle_is_told_to_come_again(
    given_settings: Settings, ports: Ports
) -> None:
    async with app.open_database(
        msgspec.structs.replace(
            given_settings, database_url=Secret("postgresql://nobody@127.0.0.1:1/none")
        ),
        "test",
    ) as away:
        without = msgspec.structs.replace(ports, db=away)
        transport = httpx2.ASGITransport(cast("Any", app.make_door(given_settings, without)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://billing") as client:
            header = signature(BODY, ports.clock.now())
            answer = await client.post(PATH, content=BODY, headers={HEADER: header})

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


async def test_many_large_ones_at_once_get_in_some_at_a_time_and_a_small_one_beside_them(
    ports: Ports,
) -> None:
    """One statement with all of them would end for none, and they would come back together."""
    door = Door(ports, [SECRET])
    large = [event("customer.created", customer(n, name="x" * 1_000_000), at()) for n in range(128)]
    small = event("customer.created", customer(200), at())

    async def is_taken(body: bytes) -> bool:
        try:
            await door.take(signature(body, ports.clock.now()), body)
        except Unavailable:
            return False
        return True

    taken = await asyncio.gather(*map(is_taken, [*large, small]))

    assert taken[-1]
    assert any(taken[:-1])


@pytest.mark.fault(78)
async def test_a_database_that_is_slow_is_not_waited_for_and_nothing_is_lost(
    send: Send, ports: Ports, billing_address: str
) -> None:
    began = time.monotonic()
    connection = await asyncpg.connect(billing_address)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE webhooks")
            answer = await send()
    finally:
        await connection.close()

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert time.monotonic() - began < 5  # a second, on a machine with nothing else to do
    assert (await send()).status_code == 200
    assert len(await rows(ports, "webhooks")) == 1
