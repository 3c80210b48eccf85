"""The stand-in for Paddle: what people click, what it remembers, how its webhooks go out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Request, Response, post

from deploy.local.paddle.shop import Shop
from deploy.local.paddle.store import Store
from deploy.local.ports import free_ports
from libs.common.web.app import create, serve
from tests.support.paddle import KEY, PRICES, PRO, PaddleStandIn, paddle
from tests.support.waiting import until

FORM = {"country": "DE", "postal_code": "10115", "business_name": "", "tax_identifier": ""}
AUTH = {"authorization": f"Bearer {KEY.reveal()}"}


class Door:
    """Takes webhooks, once it does not refuse them any more."""

    def __init__(self) -> None:
        self.refusals = 0
        self.taken: list[dict[str, Any]] = []
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}/webhooks/paddle"

    async def take(self, body: bytes) -> int:
        if self.refusals > 0:
            self.refusals -= 1
            return 503
        self.taken.append(msgspec.json.decode(body))
        return 200

    def ids(self) -> list[str]:
        return [event["event_id"] for event in self.taken]


@asynccontextmanager
async def _open(door: Door) -> AsyncIterator[None]:
    @post("/webhooks/paddle", status_code=200)
    async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
        return Response(b"", status_code=await door.take(await request.body()))

    stop = asyncio.Event()
    serving = asyncio.ensure_future(serve(create([take]), "127.0.0.1", door.port)(stop))
    try:
        yield
    finally:
        stop.set()
        await serving


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    opened = Door()
    async with _open(opened):
        yield opened


@pytest.fixture
async def selling(door: Door) -> AsyncIterator[PaddleStandIn]:
    async with paddle(door.url) as running:
        yield running


async def _order(stand_in: PaddleStandIn) -> str:
    """The id of a transaction that waits to be paid."""
    customer = await stand_in.api.create_customer("who@example.com", "acc_1")
    body = {
        "items": [{"price_id": PRO, "quantity": 1}],
        "customer_id": customer.id,
        "custom_data": {"return_url": "http://127.0.0.1/billing"},
    }
    answer = await stand_in.client.post("/transactions", json=body, headers=AUTH)
    return str(answer.json()["data"]["id"])


async def _manner(stand_in: PaddleStandIn, **manner: Any) -> None:
    answer = await stand_in.client.put("/stand-in/webhooks", json=manner, headers=AUTH)
    assert answer.status_code == 204


async def test_a_person_is_declined_pays_and_goes_back(selling: PaddleStandIn) -> None:
    transaction_id = await _order(selling)
    page = (await selling.client.get(f"/checkout?_ptxn={transaction_id}")).text
    assert "No money moves here" in page
    assert "Back to ReqRun without buying" in page

    declined = await selling.client.post(
        f"/checkout/{transaction_id}", data=FORM | {"outcome": "decline"}
    )
    assert "The card was declined." in declined.text
    assert "with tax 58.31 USD" in declined.text
    wrong = await selling.client.post(
        f"/checkout/{transaction_id}", data=FORM | {"postal_code": "", "outcome": "pay"}
    )
    assert "postal_code must be provided" in wrong.text

    paid = await selling.client.post(f"/checkout/{transaction_id}", data=FORM | {"outcome": "pay"})
    page = (await selling.client.get(paid.headers["location"])).text
    assert "Paid: thank you" in page
    assert 'href="http://127.0.0.1/billing"' in page
    again = await selling.client.post(f"/checkout/{transaction_id}", data=FORM | {"outcome": "pay"})
    assert "not open any more" in again.text
    assert len(selling.shop.store.all("subscription")) == 1


async def test_at_the_portal_a_month_passes_at_once(selling: PaddleStandIn) -> None:
    selling.shop.pay(selling.shop.transaction(await _order(selling)))
    [bought] = selling.shop.store.all("subscription")
    home = await selling.api.open_portal(bought["customer_id"], ())

    async def click(step: str) -> str:
        await selling.client.post(f"{home}/{bought['id']}/{step}")
        return (await selling.client.get(home)).text

    assert "its next payment will fail" in await click("fail-next")
    assert "past due" in await click("next-period")
    assert "Invoice 000-00002" in await click("pay")
    assert "Do not cancel after all" in await click("cancel")
    assert "canceled" in await click("next-period")
    stranger = await selling.client.post(f"{home}/sub_other/cancel")
    assert stranger.status_code == 404


async def test_a_webhook_that_is_refused_comes_again(selling: PaddleStandIn, door: Door) -> None:
    door.refusals = 2
    await _order(selling)
    await until(lambda: len(door.taken) == 2)
    kinds = {event["event_type"] for event in door.taken}
    assert kinds == {"customer.created", "transaction.created"}


async def test_webhooks_go_out_doubled_held_back_reversed_or_not_at_all(
    selling: PaddleStandIn, door: Door
) -> None:
    await _manner(selling, copies=2)
    selling.shop.people.create("customer", {"email": "1@example.com"})
    await until(lambda: len(door.taken) == 2)
    assert len(set(door.ids())) == 1

    door.taken.clear()
    await _manner(selling, is_held=True)
    for number in range(2, 6):
        selling.shop.people.create("customer", {"email": f"{number}@example.com"})
    await _manner(selling, is_dropped=True)
    selling.shop.people.create("customer", {"email": "6@example.com"})
    answer = await selling.client.post("/stand-in/webhooks/release/reversed", headers=AUTH)
    assert answer.json() == {"released": 4}
    await until(lambda: len(door.taken) == 4)
    emails = [event["data"]["email"] for event in door.taken]
    assert emails == [f"{number}@example.com" for number in (5, 4, 3, 2)]
    counts = (await selling.client.get("/stand-in/webhooks", headers=AUTH)).json()
    assert counts == {"sent": 6, "dropped": 1}


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "paddle.sqlite"
    before = Store(file)
    shop = Shop.open(before, PRICES, "http://127.0.0.1:1")
    made = shop.people.create("customer", {"email": "who@example.com"})
    before.close()
    after = Store(file)
    assert after.all("customer") == [made]
    assert [msgspec.json.decode(one.body)["data"] for one in after.due()] == [made]
    after.close()


async def test_other_sites_names_lead_nowhere(selling: PaddleStandIn) -> None:
    answer = await selling.client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400
