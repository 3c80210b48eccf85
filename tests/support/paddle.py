"""The stand-in for Paddle behind a real socket, in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import uvicorn

from deploy.local.paddle import server
from deploy.local.paddle.faults import Fault, Faults
from deploy.local.paddle.posting import Poster
from deploy.local.paddle.shop import Shop
from deploy.local.paddle.store import Store, Thing
from libs.common.contracts.plans import PlanName
from libs.common.settings import Secret
from services.billing.adapters.paddle import HttpPaddle
from tests.support.waiting import until

KEY = Secret("pdl_sdbx_apikey_made_up")
WEBHOOK_SECRET = Secret("pdl_ntfset_made_up")
PRO, SCALE = (f"pri_{name.rjust(26, '0')}" for name in ("pro", "scale"))
PRICES = {PRO: PlanName.PRO, SCALE: PlanName.SCALE}


class PaddleStandIn(msgspec.Struct, frozen=True, kw_only=True):
    """`api`: our adapter, talking to it. `client`: for calls of a test's own."""

    url: str
    shop: Shop
    faults: Faults
    client: httpx2.AsyncClient
    api: HttpPaddle

    def plan(self, *faults: Fault) -> None:
        """What the next calls of the API meet."""
        self.faults.planned, self.faults.met = list(faults), 0

    def pay(self, checkout_url: str) -> Thing:
        """What a person does at the checkout; the transaction."""
        transaction = self.shop.transaction(checkout_url.rpartition("_ptxn=")[2])
        if transaction["customer_id"] is None:
            made = self.shop.people.create(
                "customer", {"email": f"{transaction['id']}@example.com"}
            )
            transaction["customer_id"] = made["id"]
        if transaction["address_id"] is None:
            body = {"country_code": "DE", "postal_code": "10115"}
            address = self.shop.people.create("address", body, transaction["customer_id"])
            self.shop.sales.address_to(transaction, address["id"], None)
        self.shop.pay(transaction)
        return transaction

    def events(self) -> list[Any]:
        """All that was told, in order."""
        rows = self.shop.store.due(1_000_000)
        return [msgspec.json.decode(row.body) for row in rows]


@asynccontextmanager
async def paddle(webhook_url: str = "") -> AsyncIterator[PaddleStandIn]:
    """One that sends its webhooks to `webhook_url`, or keeps them."""
    store = Store(":memory:")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        shop = Shop.open(store, PRICES, url)
        app = server.create(shop, KEY, port)
        async with (
            _served(app, listening),
            httpx2.AsyncClient(base_url=url) as client,
            _posting(store, client, webhook_url),
        ):
            api = HttpPaddle(client, KEY)
            yield PaddleStandIn(url=url, shop=shop, faults=app, client=client, api=api)
    store.close()


@asynccontextmanager
async def _served(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve(sockets=[listening]))
    await until(lambda: running.started)
    try:
        yield
    finally:
        running.should_exit = True
        await serving


@asynccontextmanager
async def _posting(store: Store, client: httpx2.AsyncClient, url: str) -> AsyncIterator[None]:
    if not url:
        yield
        return
    stop = asyncio.Event()
    running = asyncio.create_task(Poster(store, client, url, WEBHOOK_SECRET).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
