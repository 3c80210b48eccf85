"""Results that come with a wake-up: taken by who accepted the request, if they open."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from deploy.local.servers.redis import Redis
from libs.common.contracts.gateway import WAKE_UP_CHANNEL, Ended, encode_wake_up
from libs.ledger.claim import Claim
from libs.ledger.finish import Finish
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending
from tests.support.waiting import until

TOLD = b'{"object":"chat.completion",  "told": 1.0}'
NO_TEXT = b"\x91\x93\xa2\xff\xfe\x00\xc0"
WRITTEN = b'{"object":"chat.completion",  "written": 1.0}'
OPEN = "SELECT id FROM live WHERE project_id = $1 AND state = 'queued'"


class Story:
    """A caller who waits, and an executor's hands on the request."""

    def __init__(self, gateway: Gateway, accounts: AccountsStandIn, ledger: Bench) -> None:
        self.accounts, self.ledger = accounts, ledger
        self.key = accounts.issue()
        self.waiting = asyncio.create_task(gateway.accept(self.key, wait=True))

    async def claim(self) -> Claim:
        project_id = self.accounts.of(self.key).project_id
        ids: list[str] = []

        async def is_there() -> bool:
            ids.extend(row["id"] for row in await self.ledger.sql.fetch(OPEN, project_id))
            return bool(ids)

        await until(is_there)
        return (await self.ledger.claim(ids[0]))[0]

    def sealed(self, claim: Claim, result: bytes) -> Finish:
        return self.accounts.sealed(claim, ending(claim, result=result))


@pytest.fixture
async def story(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench, redis_server: Redis
) -> AsyncIterator[Story]:
    await until(lambda: publish(redis_server, encode_wake_up([Ended("rr_nobody")])) > 0)
    begun = Story(gateway, accounts, ledger)
    yield begun
    await begun.waiting


def publish(redis: Redis, message: bytes) -> int:
    """How many heard it."""
    return int(redis.command("PUBLISH", WAKE_UP_CHANNEL, message).strip().removeprefix(":"))


async def test_a_told_result_is_the_answer_without_a_look_at_the_ledger(
    story: Story, redis_server: Redis
) -> None:
    """Nothing was written here; an executor tells what it has committed."""
    claim = await story.claim()
    told = story.sealed(claim, TOLD).result

    publish(redis_server, encode_wake_up([Ended(claim.request_id, 3, told)]))
    answer = await story.waiting

    assert (answer.status_code, answer.content) == (200, TOLD)
    assert answer.headers["x-reqrun-request-id"] == claim.request_id
    assert answer.headers["x-reqrun-status"] == "completed"
    assert answer.headers["x-reqrun-attempts"] == "3"
    assert "location" not in answer.headers


async def test_what_does_not_open_is_not_believed(story: Story, redis_server: Redis) -> None:
    claim = await story.claim()
    strangers = story.accounts.data_key(claim.project_id).of("rr_strangers", bytes(16))

    for forged in (b"", b"\x01" + bytes(60), TOLD, strangers.seal(TOLD, "result")):
        publish(redis_server, encode_wake_up([Ended(claim.request_id, 1, forged)]))
    await story.ledger.finish(story.sealed(claim, WRITTEN))
    publish(redis_server, encode_wake_up([Ended(claim.request_id)]))

    assert (await story.waiting).content == WRITTEN


@pytest.mark.alone
async def test_a_message_that_is_none_is_passed_over(story: Story, redis_server: Redis) -> None:
    claim = await story.claim()
    await story.ledger.finish(story.sealed(claim, WRITTEN))
    started = time.perf_counter()

    for nonsense in (b"", b"rr_1\nrr_2", b"\xc1", b"\x91\x91\x01", b"\x80", NO_TEXT):
        assert publish(redis_server, nonsense) > 0
    publish(redis_server, encode_wake_up([Ended(claim.request_id)]))
    answer = await story.waiting

    assert answer.content == WRITTEN
    assert time.perf_counter() - started < 1.5


async def test_who_waits_for_it_elsewhere_is_woken_and_asks_the_ledger(
    story: Story, gateway: Gateway, redis_server: Redis
) -> None:
    """Only who accepted it has the request's half of the key in hand."""
    claim = await story.claim()
    path = f"/v1/requests/{claim.request_id}?wait=20"
    follower = asyncio.create_task(gateway.get(story.key, path))
    await asyncio.wait([follower], timeout=0.2)
    finish = story.sealed(claim, WRITTEN)
    await story.ledger.finish(finish)

    publish(redis_server, encode_wake_up([Ended(claim.request_id, 1, finish.result)]))

    assert (await follower).json()["status"] == "completed"
    assert (await story.waiting).content == WRITTEN
