"""A link closed while it opens. Before Python 3.12 the library may swallow a cancellation."""

import asyncio

import pytest

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.rabbitmq.link import Link
from libs.common.settings import Secret


@pytest.mark.parametrize("failure", [None, RuntimeError()], ids=["opens", "fails"])
async def test_a_swallowed_cancellation_ends_it_all_the_same(
    rabbitmq_server: RabbitMq, failure: Exception | None
) -> None:
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

    link = Link(Secret(rabbitmq_server.url), name="test", prepare=prepare)
    await link.__aenter__()
    await is_opening.wait()
    closing = asyncio.create_task(link.__aexit__(None, None, None))
    done, _ = await asyncio.wait([closing], timeout=5)

    assert (ways, len(done), link.session) == (["swallowed"], 1, None)
