"""Where Paddle calls: the only address of billing's that the world can reach."""

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from services.billing.domain.signatures import HEADER
from services.billing.use_cases.webhooks import Door

PATH = "/webhooks/paddle"
_TAKEN = b'{"status":"ok"}'


def routes(door: Door) -> list[HTTPRouteHandler]:
    """One. The raw bytes are what is signed, so nothing decodes them before `door` has looked."""

    @post(PATH, status_code=200, include_in_schema=False)
    async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        await door.take(request.headers.get(HEADER), body)
        return Response(_TAKEN, media_type="application/json")

    return [take]
