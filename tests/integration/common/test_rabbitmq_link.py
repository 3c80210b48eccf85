"""A link that is closed while it opens, and links whose session ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.rabbitmq.link import Link
from libs.common.settings import Secret
from tests.support.waiting import until


@pytest.mark.parametrize("failure", [None, RuntimeError()], ids=["opens", "fails"])
async def test_a_swallowed_cancellation_ends_it_all_the_same(
    rabbitmq_server: RabbitMq, failure: Exception | None
) -> None:
    # Before Python 3.12 the library may swallow a cancellation.
    is_opening, ways = asyncio.Event(), []

    async def prepare(*_: object) -> str:
        is_opening.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ways.append("swallowed")
        if failure is not None:
            raise failure
        return "session"

    link = Link(Secret(rabbitmq_server.url), name="test", kind="consumer", prepare=prepare)
    await link.__aenter__()
    await is_opening.wait()
    closing = asyncio.create_task(link.__aexit__(None, None, None))
    done, _ = await asyncio.wait([closing], timeout=5)

    assert (ways, len(done), link.session) == (["swallowed"], 1, None)


@pytest.fixture
async def link(rabbitmq_server: RabbitMq) -> AsyncIterator[Link[object]]:
    async def prepare(*_: object) -> object:
        return object()

    opened = Link(Secret(rabbitmq_server.url), name="test", kind="consumer", prepare=prepare)
    async with opened:
        await until(lambda: opened.session is not None)
        yield opened


async def has_new_session(link: Link[object], act: str) -> list[tuple[str, str]]:
    """What is logged at info and above until there is another one."""
    before = link.session
    with capture_logs() as lines:
        getattr(link, act)()
        await until(lambda: link.session not in {before, None})
    return [(line["event"], line["log_level"]) for line in lines if line["log_level"] != "debug"]


async def test_nobody_hears_of_a_session_that_is_renewed(link: Link[object]) -> None:
    assert await has_new_session(link, "renew_session") == []


async def test_a_lost_session_is_told_also_after_one_that_was_renewed(link: Link[object]) -> None:
    await has_new_session(link, "renew_session")

    assert await has_new_session(link, "end_session") == [
        ("broker_connection_ended", "warning"),
        ("broker_connected", "info"),
    ]
