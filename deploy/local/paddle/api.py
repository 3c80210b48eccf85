"""The doors for machines: Paddle's API, and the control of what only a stand-in can do."""

import hmac
from typing import Any, Final

import msgspec
from litestar import Request, Response, Router, get, post, put, route
from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from deploy.local.paddle.answers import ANSWERS, Answer, Asked, Listed
from deploy.local.paddle.faults import Fault, Faults
from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.shop import Shop
from deploy.local.paddle.steps import STEPS
from deploy.local.paddle.store import Thing
from deploy.local.paddle.telling import Manner
from libs.common.ids import new_id
from libs.common.settings import Secret

AnyRequest = Request[Any, Any, Any]

CONTROL: Final = "/stand-in"
_MADE: Final = 201


def routes(shop: Shop, key: Secret, *others: HTTPRouteHandler) -> Router:
    """Everything that takes the API key."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        given = connection.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {key.reveal()}".encode()):
            raise Refused(403, "forbidden", "You are not permitted to perform this request.")

    answers = [_handler(shop, *each) for each in ANSWERS]
    return Router(
        "/",
        route_handlers=[*answers, *_control(shop), *others],
        guards=[guard],
        exception_handlers={Refused: _refuse},
    )


def faults_control(faults: Faults) -> HTTPRouteHandler:
    """What the next calls of the API meet."""

    @put(f"{CONTROL}/faults", status_code=204)
    async def plan(data: JSONBody[list[Fault]]) -> None:
        faults.planned, faults.met = data, 0

    return plan


def _control(shop: Shop) -> list[HTTPRouteHandler]:
    @put(f"{CONTROL}/webhooks", status_code=204)
    async def set_manner(data: JSONBody[Manner]) -> None:
        shop.teller.manner = data

    @post(f"{CONTROL}/webhooks/release/{{order:str}}", status_code=200)
    async def release(order: FromPath[str]) -> Thing:
        return {"released": shop.teller.release(order)}

    @get(f"{CONTROL}/webhooks")
    async def count() -> dict[str, int]:
        return shop.store.counts()

    @post(f"{CONTROL}/subscriptions/{{subscription_id:str}}/{{step:str}}", status_code=200)
    async def take_step(subscription_id: FromPath[str], step: FromPath[str]) -> Thing:
        STEPS[step].do(shop, shop.subscriptions.get(subscription_id))
        return shop.subscriptions.get(subscription_id)

    @post(f"{CONTROL}/checkouts/{{transaction_id:str}}/{{outcome:str}}", status_code=200)
    async def settle(transaction_id: FromPath[str], outcome: FromPath[str]) -> Thing:
        outcomes = {"pay": shop.pay, "decline": shop.decline, "refund": shop.refund}
        outcomes[outcome](shop.transaction(transaction_id))
        return shop.transaction(transaction_id)

    return [set_manner, release, count, take_step, settle]


def _handler(shop: Shop, method: str, path: str, answer: Answer) -> HTTPRouteHandler:
    is_making = method == "POST" and not path.endswith(("/cancel", "/pause", "/resume"))

    @route(path, http_method=[method], status_code=_MADE if is_making else 200)  # type: ignore[list-item]
    async def call(request: AnyRequest) -> Response[bytes]:
        text = await request.body()
        asked = Asked(
            path=request.url.path,
            ids=request.path_params,
            query=dict(request.query_params),
            body=_decode(text) if text else {},
        )
        found = answer(shop, asked)
        meta: Thing = {"request_id": new_id("req")}
        if isinstance(found, Listed):
            meta["pagination"] = found.pagination
        data = found.things if isinstance(found, Listed) else found
        body = msgspec.json.encode({"data": data, "meta": meta})
        status = _MADE if is_making else 200
        return Response(body, status_code=status, media_type="application/json")

    return call


def _decode(text: bytes) -> Thing:
    try:
        return msgspec.json.decode(text, type=Thing)
    except msgspec.DecodeError:
        raise Refused(400, "invalid_json", "The body is no JSON object.") from None


def _refuse(_: AnyRequest, refused: Refused) -> Response[bytes]:
    body = msgspec.json.encode(refused.body(new_id("req")))
    return Response(body, status_code=refused.status, media_type="application/json")
